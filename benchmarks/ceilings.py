"""The hardware's limit: matrix products and copies, measured through onnxruntime, and through oneDNN where named."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import helper, numpy_helper

from benchmarks.sessions import one_thread_options

_ROWS = 512

Work = Callable[[], object]


@dataclass(frozen=True)
class Product:
    """A matrix product that can be run again and again.

    Attributes:
        run: computes one product.
        operations: multiplications and additions of one.
    """

    run: Work
    operations: int


def product(kind: str, rows: int, inner: int, columns: int, *, device: str = "cpu") -> Product:
    """``(rows, inner) × (inner, columns)`` in ``int8``, ``fp32`` or (on CUDA) ``fp16``, one thread of the CPU."""
    random = np.random.default_rng(0)
    data: npt.NDArray[Any]
    constants: dict[str, npt.NDArray[Any]]
    if kind == "int8":
        data = random.integers(0, 255, (rows, inner)).astype(np.uint8)
        # Seven bits: they cannot saturate, as in the exported models.
        weights = random.integers(-64, 64, (inner, columns)).astype(np.int8)
        constants = {"w": weights, "zero": np.array(128, np.uint8), "no_zero": np.array(0, np.int8)}
        model = _one_node("MatMulInteger", data.dtype, constants, np.dtype(np.int32))
    else:
        number = np.float16 if kind == "fp16" else np.float32
        data = random.standard_normal((rows, inner)).astype(number)
        constants = {"w": random.standard_normal((inner, columns)).astype(number)}
        model = _one_node("MatMul", data.dtype, constants, data.dtype)
    name, _, index = device.partition(":")
    providers: list[Any] = ["CPUExecutionProvider"]
    if name == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": index or "0"}))
    session = ort.InferenceSession(model.SerializeToString(), one_thread_options(), providers=providers)
    operations = 2 * rows * inner * columns
    if name != "cuda":
        return Product(lambda: session.run(None, {"x": data}), operations)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(data, "cuda", int(index or 0)))
    binding.bind_output("y", "cuda", int(index or 0))
    return Product(lambda: session.run_with_iobinding(binding), operations)


def _one_node(
    operator: str, of_x: np.dtype[Any], constants: dict[str, npt.NDArray[Any]], of_y: np.dtype[Any]
) -> onnx.ModelProto:
    """A graph of one node with input ``x`` and output ``y``, both ``(any, any)``."""
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), [None, None])
        for name, dtype in (("x", of_x), ("y", of_y))
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *constants], ["y"])], "product", values[:1], values[1:], tensors
    )
    # Older than onnx writes by default, because onnxruntime reads a newer format only some time later.
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def onednn_product(rows: int, inner: int, columns: int) -> Product:
    """An int8 product of oneDNN through PyTorch in one thread."""
    random = np.random.default_rng(0)
    data = torch.from_numpy(random.integers(-128, 127, (rows, inner)).astype(np.int8))
    weights = torch.from_numpy(random.integers(-64, 64, (inner, columns)).astype(np.int8))

    def run() -> object:
        torch.set_num_threads(1)  # of the thread that calls
        return torch._int_mm(data, weights)

    return Product(run, 2 * rows * inner * columns)


def layer_products(make: Callable[[int, int, int], Product], width: int, inner_width: int) -> list[Product]:
    """The two products of a feed-forward block of a model that is ``width`` wide."""
    return [make(_ROWS, width, inner_width), make(_ROWS, inner_width, width)]


def block_products(width: int, inner_width: int, rows: int) -> Product:
    """The six int8 products of one block for a review of ``rows`` tokens, one after another, through onnxruntime."""
    shapes = [(width, width)] * 4 + [(width, inner_width), (inner_width, width)]
    parts = [product("int8", rows, inner, columns) for inner, columns in shapes]

    def run() -> None:
        for part in parts:
            part.run()

    return Product(run, sum(part.operations for part in parts))


def operations_per_second(
    products: list[Product], threads: int, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Speed of the fastest of ``products``, each run in ``threads`` threads side by side, as scoring does.

    They run for ``seconds`` of wall time in all; ``clock`` measures them.
    """
    best = 0.0
    for item in products:
        item.run()
        with ThreadPoolExecutor(threads) as pool:
            begun = clock()
            until = time.perf_counter() + seconds / len(products)
            done = sum(pool.map(_repeat, [item.run] * threads, [until] * threads))
            best = max(best, done * item.operations / (clock() - begun))
    return best


def _repeat(run: Work, until: float) -> int:
    done = 0
    while time.perf_counter() < until:
        run()
        done += 1
    return done


def cuda_product(device: str, seconds: float) -> float:
    """Operations per second of a large fp16 product on ``device``."""
    return operations_per_second([product("fp16", 16384, 3072, 3072, device=device)], 1, seconds)


def cuda_copy(device: str, megabytes: int = 64) -> float:
    """Bytes per second from ordinary memory to ``device``, the best of five copies."""
    data = np.zeros(megabytes << 20, np.uint8)
    best = 0.0
    for _ in range(5):
        begun = time.perf_counter()
        ort.OrtValue.ortvalue_from_numpy(data, "cuda", int(device.partition(":")[2] or 0))
        best = max(best, data.nbytes / (time.perf_counter() - begun))
    return best


def widths(config: dict[str, Any]) -> tuple[int, int]:
    """Width of an encoder and of its feed-forward blocks, from its ``config.json``."""
    return int(config.get("dim") or config["hidden_size"]), int(config.get("hidden_dim") or config["intermediate_size"])


def published_operations(config: dict[str, Any], lengths: npt.NDArray[np.int64]) -> float:
    """Multiplications and additions of an encoder as published, for reviews of ``lengths`` tokens, in all.

    A block has four products of width × width and two of the feed-forward part per token, and two of
    length × length in its attention. Work that a rewrite of the graph saves is counted all the same.
    """
    width, inner = widths(config)
    layers = int(config.get("n_layers") or config["num_hidden_layers"])
    tokens = lengths.astype(np.float64)
    per_layer = (8 * width * width + 4 * width * inner) * tokens + 4 * width * tokens**2
    return float(layers * per_layer.sum() + 2 * width * width * len(lengths))
