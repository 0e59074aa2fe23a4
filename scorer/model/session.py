"""A model loaded into onnxruntime: token ids to logits."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from scorer import interrupts
from scorer.errors import DeviceError, ModelError, OutOfMemoryError, ScorerError, tells_of_memory
from scorer.memory import require_address_space
from scorer.model.batches import BatchBuffers, BatchShape, distinct_runs
from scorer.model.bundle import ModelBundle
from scorer.model.device import choose_device
from scorer.model.graph import DYNAMIC_HINT, INPUTS, Graph, Logits
from scorer.model.machine import compute_capability, cudnn_version, slow_attention, usable_cpus
from scorer.model.options import ModelOptions
from scorer.model.token_runs import Encoded

log = logging.getLogger(__name__)

_CPU_BATCH_TOKENS, _CUDA_BATCH_TOKENS = 16_384, 32_768
"""Tokens of a batch by default; the latter measured on an H100, DistilBERT-base in fp16."""

_IN_FLIGHT = 2
"""Batches that wait for the session or run, beside the one that is being filled."""

_ERRORS = 3  # of onnxruntime's severities

_OUT_OF_GPU_MEMORY = ("CUDA_ERROR_OUT_OF_MEMORY", "CUDA failure 2")

_LOADING_BYTES, _THREAD_BYTES = 200 * 2**20, 80 * 2**20
"""Address space that a model takes beside its file, measured with small ones, and that each thread takes."""


OnShare = Callable[[float], None]
"""Is told the share, in (0, 1], of a call's tokens that were run since it was called before; from any thread."""


def _ignore(_share: float) -> None:
    return None


class ModelSession:
    """A model loaded into onnxruntime.

    Attributes:
        device: ``cpu`` or ``cuda:N``, the one that runs.
        precision: of the file that runs.
        batching: ``alone`` or ``tokens``.
        threads: reviews that run side by side.
        graph: its inputs and output.
        note: what a user should know about the choice, or empty.
    """

    def __init__(self, bundle: ModelBundle, options: ModelOptions) -> None:
        """Load the file of ``bundle`` that ``options`` ask for.

        Raises:
            DeviceError: the device or the precision cannot be used.
            ModelError: the file is damaged or no sequence classifier.
        """
        self.device, self.precision, self.note = choose_device(bundle, options)
        on_cpu = self.device == "cpu"
        self.batching: str = options.batching if options.batching != "auto" else ("alone" if on_cpu else "tokens")
        self.threads = (options.threads or usable_cpus()) if on_cpu else 1
        path = bundle.variant(self.precision)
        # One thread per run where runs go side by side; all of them for one batch at a time.
        intra_threads = 1 if self.batching == "alone" else self.threads
        # Each thread maps an arena of its own and a stack; the model is read, optimized and prepared.
        needed = _LOADING_BYTES + _THREAD_BYTES * self.threads + 3 * path.stat().st_size
        require_address_space(needed, lower="--threads")
        self._session = _load(path, self.device, intra_threads)
        if not on_cpu:
            index = int(self.device.partition(":")[2])
            self.note = slow_attention(compute_capability(index), cudnn_version())
        self.graph = graph = Graph.of(self._session, bundle, path)
        if graph.rows is not None and graph.rows > 1 and self.batching == "alone":
            self.note = f"the model takes {graph.rows} texts at once, so each runs {graph.rows} times; {DYNAMIC_HINT}"
        budget = options.batch_tokens or (_CPU_BATCH_TOKENS if on_cpu else _CUDA_BATCH_TOKENS)
        self._shape = BatchShape(budget, bundle.max_positions, graph.pads, not on_cpu, graph.rows, graph.tokens)
        self._buffers = [BatchBuffers(graph.inputs["input_ids"], pinned=not on_cpu) for _ in range(_IN_FLIGHT + 1)]
        # One thread owns the session: it never waits for the lock while another fills the next batch.
        self._runner = ThreadPoolExecutor(1, thread_name_prefix="session")

    @property
    def pads(self) -> bool:
        """True if reviews of different lengths can share a batch."""
        return self.graph.pads

    @property
    def provider(self) -> str:
        """The execution provider that really runs."""
        return str(self._session.get_providers()[0])

    def logits(self, encoded: Encoded, on_share: OnShare | None = None) -> Logits:
        """Logits of every run of ``encoded``, float32 ``(n_runs, n_labels)``, in its order.

        Runs of the same token ids are computed once. ``on_share`` is told of each part of the work that is done.

        Raises:
            OutOfMemoryError: the device's memory does not suffice for the smallest batch.
            ModelError: onnxruntime fails, or gives logits that are not finite.
        """
        first, inverse = distinct_runs(encoded)
        run = self._run_side_by_side if self.batching == "alone" else self._run_in_batches
        results = run(encoded, first, on_share or _ignore)
        if not np.isfinite(results).all():
            raise ModelError("gives logits that are not finite", hint="export the model again, or try --precision fp32")
        return results[inverse]

    def _run_side_by_side(self, encoded: Encoded, runs: npt.NDArray[np.int64], on_share: OnShare) -> Logits:
        """Logits of ``runs``, each alone and unpadded, float32 ``(n, n_labels)``."""
        outputs: list[npt.NDArray[Any]] = [np.empty(0)] * len(runs)
        lengths = encoded.lengths[runs]
        # Long ones first: no thread is left with a long review when the others have ended.
        order = np.argsort(-lengths, kind="stable")
        # All that can be done once is done here: small models finish a run in less time than Python needs for a few.
        tokens = encoded.tokens.astype(self.graph.inputs["input_ids"], copy=False)[np.newaxis, :]
        longest = int(lengths.max(initial=0))
        fixed = [
            (name, np.full((1, longest), name == "attention_mask", kind))
            for name, kind in self.graph.inputs.items()
            if name != "input_ids"
        ]
        starts = encoded.offsets[runs]
        work_list = iter(zip(order.tolist(), starts[order].tolist(), lengths[order].tolist(), strict=True))
        stop = threading.Event()
        total = int(lengths.sum())
        is_fixed = self._shape.is_fixed

        def work() -> None:
            # next() on one iterator is atomic under the interpreter's lock.
            while not stop.is_set() and (item := next(work_list, None)) is not None:
                place, start, length = item
                feeds = {name: value[:, :length] for name, value in fixed}
                feeds["input_ids"] = tokens[:, start : start + length]
                if is_fixed:
                    feeds = {name: self._shape.alone(value) for name, value in feeds.items()}
                outputs[place] = self._run(feeds)
                on_share(length / total)

        if self.threads == 1 or len(runs) < 2:
            work()
        else:
            with ThreadPoolExecutor(self.threads, thread_name_prefix="run") as pool:
                futures = [pool.submit(work) for _ in range(min(self.threads, len(runs)))]
                try:
                    for future in futures:
                        future.result()
                finally:
                    stop.set()
        rows = self.graph.rows or 1
        return self.graph.logits(outputs, rows)[::rows]

    def _run_in_batches(self, encoded: Encoded, runs: npt.NDArray[np.int64], on_share: OnShare) -> Logits:
        """Logits of ``runs``, float32 ``(n, n_labels)``: batches are filled here while those before them run.

        Which reviews share a batch, and its shape, depend on the reviews and the options alone.
        """
        results = np.empty((len(runs), self.graph.n_labels), dtype=np.float32)
        pending: deque[tuple[npt.NDArray[np.int64], BatchBuffers, Future[Logits]]] = deque()

        def collect() -> None:
            places, buffers, future = pending.popleft()
            try:
                results[places] = future.result()[: len(places)]  # the rest only filled the shape
            except OutOfMemoryError:
                if len(places) == 1 or self._shape.rows is not None:
                    raise
                results[places] = self._run_halved(encoded, runs[places], buffers)
            on_share(float(lengths[places].sum() / total))

        lengths = encoded.lengths[runs]
        total = int(lengths.sum())
        try:
            for number, batch in enumerate(self._shape.batches(lengths)):
                interrupts.check()
                buffers = self._buffers[number % len(self._buffers)]
                pending.append((batch, buffers, self._submit(encoded, runs[batch], buffers)))
                if len(pending) > _IN_FLIGHT:
                    collect()
            while pending:
                collect()
        finally:
            for _, _, future in pending:
                future.cancel()
        return results

    def _submit(
        self, encoded: Encoded, runs: npt.NDArray[np.int64], buffers: BatchBuffers, *, filled: bool = True
    ) -> Future[Logits]:
        """Fill ``buffers`` with a padded batch and hand it to the session's thread."""
        longest = int(encoded.lengths[runs].max())
        rows = self._shape.filled(runs, longest) if filled else runs
        values = buffers.fill(encoded, rows, self._shape.width(longest))
        return self._runner.submit(self._run_bound, dict(zip(INPUTS, values, strict=True)))

    def _run_halved(self, encoded: Encoded, runs: npt.NDArray[np.int64], buffers: BatchBuffers) -> Logits:
        """Logits of a batch that was too large for the memory, of each half by itself."""
        width = self._shape.width(int(encoded.lengths[runs].max()))
        log.info("memory ran out on %s at %d × %d tokens; halving the batch", self.device, len(runs), width)
        halves = []
        for half in (runs[: len(runs) // 2], runs[len(runs) // 2 :]):
            try:
                halves.append(self._submit(encoded, half, buffers, filled=False).result())
            except OutOfMemoryError:
                if len(half) == 1:
                    raise
                halves.append(self._run_halved(encoded, half, buffers))
        return np.concatenate(halves)

    def _run(self, feeds: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        try:
            outputs: list[npt.NDArray[Any]] = self._session.run([self.graph.output], feeds)
        except Exception as error:  # onnxruntime's errors share no base class of their own
            raise self._translated(error, feeds["input_ids"].shape) from error
        return outputs[0]

    def _run_bound(self, values: dict[str, npt.NDArray[Any]]) -> Logits:
        """One run whose inputs the device fetches from ``values`` themselves, without a copy in between."""
        binding = self._session.io_binding()
        try:
            for name, kind in self.graph.inputs.items():
                binding.bind_cpu_input(name, values[name].astype(kind, copy=False))
            binding.bind_output(self.graph.output, "cpu")
            self._session.run_with_iobinding(binding)
            outputs = binding.copy_outputs_to_cpu()
        except Exception as error:  # as above
            raise self._translated(error, values["input_ids"].shape) from error
        return self.graph.logits(outputs, len(values["input_ids"]))

    def _translated(self, error: Exception, shape: tuple[int, ...]) -> ScorerError:
        message = str(error)
        if tells_of_memory(message) or any(sign in message for sign in _OUT_OF_GPU_MEMORY):
            other = "lower --threads" if self.device == "cpu" else "pass --device cpu"
            return OutOfMemoryError(
                f"memory ran out on {self.device} in a batch of {shape[0]} × {shape[1]} tokens",
                hint=f"lower --max-length, or {other}",
            )
        batch = f"{shape[0]} × {shape[1]} tokens"
        said = f"the model failed on {self.device} at {batch}: {_whole(error)}"
        return ModelError(said, path=self.graph.path, hint=DYNAMIC_HINT)


def _whole(error: Exception) -> str:
    """The text of an error of onnxruntime on one line: the numbers that matter stand at its end."""
    return " ".join(str(error).split())


def _load(path: Path, device: str, intra_threads: int) -> ort.InferenceSession:
    # Else onnxruntime prints a warning in colours at every load on CUDA; errors arrive as exceptions.
    ort.set_default_logger_severity(_ERRORS)
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    # On the CPU its node is slower than Add and LayerNormalization apart: a quarter of the time of a small model.
    disabled = ["SkipLayerNormFusion"] if device == "cpu" else []
    if device.startswith("cuda"):
        ort.preload_dlls()
        index = device.partition(":")[2]
        cuda = {"device_id": index, "arena_extend_strategy": "kSameAsRequested"}
        providers = [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]
    try:
        session = ort.InferenceSession(
            path, options, providers=providers, enable_fallback=0, disabled_optimizers=disabled
        )
    except Exception as error:  # onnxruntime's errors share no base class of their own
        raise ModelError(f"onnxruntime cannot load it: {_whole(error)}", path=path) from error
    if device.startswith("cuda") and session.get_providers()[0] != "CUDAExecutionProvider":
        raise DeviceError(
            f"device {device} was requested, but onnxruntime could not start CUDA",
            hint='pip install "review-scorer[gpu]" for its CUDA libraries, or pass --device cpu',
        )
    return session
