"""What the hardware can do at most: matrix products and copies, measured through onnxruntime.

The graphs of one node are written as protocol buffers by hand, because the ``onnx`` package is not
needed for scoring. Field numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

_ROWS = 512

_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "float16": 10}  # TensorProto.DataType

Work = Callable[[], object]


@dataclass(frozen=True)
class Product:
    """A matrix product that can be run again and again.

    Attributes:
        run: one product.
        operations: multiplications and additions of one.
    """

    run: Work
    operations: int


def product(kind: str, rows: int, inner: int, columns: int, *, device: str = "cpu") -> Product:
    """``(rows, inner) × (inner, columns)`` in ``int8``, ``fp32`` or (on CUDA) ``fp16``, one thread of the CPU."""
    random = np.random.default_rng(0)
    data: npt.NDArray[Any]
    weights: npt.NDArray[Any]
    if kind == "int8":
        data = random.integers(0, 255, (rows, inner)).astype(np.uint8)
        # Seven bits: they cannot saturate, as in the exported models.
        weights = random.integers(-64, 64, (inner, columns)).astype(np.int8)
        constants = {"w": weights, "zero": np.uint8(128), "no_zero": np.int8(0)}
        model = _one_node("MatMulInteger", ["x", "w", "zero", "no_zero"], constants, "uint8", "int32")
    else:
        number = np.float16 if kind == "fp16" else np.float32
        data = random.standard_normal((rows, inner)).astype(number)
        weights = random.standard_normal((inner, columns)).astype(number)
        model = _one_node("MatMul", ["x", "w"], {"w": weights}, np.dtype(number).name, np.dtype(number).name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    name, _, index = device.partition(":")
    providers: list[Any] = ["CPUExecutionProvider"]
    if name == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": index or "0"}))
    session = ort.InferenceSession(model, options, providers=providers)
    operations = 2 * rows * inner * columns
    if name != "cuda":
        return Product(lambda: session.run(None, {"x": data}), operations)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(data, "cuda", int(index or 0)))
    binding.bind_output("y", "cuda", int(index or 0))
    return Product(lambda: session.run_with_iobinding(binding), operations)


def layer_products(kind: str, width: int, inner_width: int) -> list[Product]:
    """The two products of a feed-forward block of a model that is ``width`` wide."""
    return [product(kind, _ROWS, width, inner_width), product(kind, _ROWS, inner_width, width)]


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
    """Of the fastest of ``products``, each run in ``threads`` threads side by side, as scoring does.

    ``seconds`` is how long they run by the wall, ``clock`` what they are measured with.
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


def published_operations(config: dict[str, Any], lengths: npt.NDArray[np.int64]) -> float:
    """Multiplications and additions of an encoder as published, for reviews of ``lengths`` tokens, in all.

    A block has four products of width × width and two of the feed-forward part per token, and two of
    length × length in its attention. Work that a rewrite of the graph saves is counted all the same.
    """
    width = int(config.get("dim") or config["hidden_size"])
    inner = int(config.get("hidden_dim") or config["intermediate_size"])
    layers = int(config.get("n_layers") or config["num_hidden_layers"])
    tokens = lengths.astype(np.float64)
    per_layer = (8 * width * width + 4 * width * inner) * tokens + 4 * width * tokens**2
    return float(layers * per_layer.sum() + 2 * width * width * len(lengths))


def _one_node(operator: str, inputs: list[str], constants: dict[str, Any], of_x: str, of_y: str) -> bytes:
    node = b"".join(_field(1, name) for name in inputs) + _field(2, "y") + _field(4, operator)
    tensors = b"".join(_field(5, _tensor(name, np.asarray(value))) for name, value in constants.items())
    graph = (
        _field(1, node) + _field(2, "product") + tensors + _field(11, _value("x", of_x)) + _field(12, _value("y", of_y))
    )
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 17))


def _tensor(name: str, value: npt.NDArray[Any]) -> bytes:
    dims = b"".join(_number(1, size) for size in value.shape)
    return dims + _number(2, _TYPES[value.dtype.name]) + _field(8, name) + _field(9, value.tobytes())


def _value(name: str, kind: str) -> bytes:
    unknown = _field(1, b"")  # a dimension that says nothing
    return _field(1, name) + _field(2, _field(1, _number(1, _TYPES[kind]) + _field(2, unknown + unknown)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
