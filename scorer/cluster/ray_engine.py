"""Scoring past one process: tasks of Ray read chunks, and a pool of actors, each with the model, scores them.

One connection and one pool serve all files of a run. Ray brings chunks to models and results back, and runs again
what a lost process had. The results are handled as without it, see :mod:`scorer.job.resumable_job`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scorer.cluster.connection import connected
from scorer.cluster.pool import ActorPool
from scorer.cluster.wire import part_of
from scorer.cluster.worker import ChunkJob, ChunkReading, ChunkWorker, load_model, model_files
from scorer.errors import DeviceError, ModelError, OutOfMemoryError, ScorerError
from scorer.files.urls import is_url
from scorer.interrupts import held_back
from scorer.job.chunk_work import ChunkWork, ModelIdentity
from scorer.job.engine import ChunkFailure, RemainingChunks
from scorer.job.local_engine import new_scorer
from scorer.job.options import ScoreOptions
from scorer.job.parts import PackedPart
from scorer.model.bundle import ModelBundle
from scorer.progress import Progress

log = logging.getLogger(__name__)

_READ_AHEAD = 2
"""Chunks that a reader has ready before somebody takes them."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

_TRIES = 3
"""Times that a chunk is run again when its process dies: a chunk that kills every process must come to an end."""

_RESTARTS = 20
"""Times that the process of an actor is replaced: enough for machines that come and go, and no endless loop."""


class RayEngine:
    """Scores on Ray; see :class:`scorer.job.engine.Engine`."""

    def __init__(self, options: ScoreOptions) -> None:
        self._options = options
        self._stack = ExitStack()
        self._bundle: ModelBundle | None = None
        self._model: ModelIdentity | None = None
        self._files: Any = None
        self._gpus = 0.0
        self._actors = 0
        self._pool: ActorPool | None = None

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_exception: object) -> None:
        # A second signal must not leave processes of Ray behind.
        with held_back(forget=False):
            self._end_pool()
            self._stack.close()

    def model(self) -> ModelIdentity:
        """Identity of the model, loaded once: in this process if the actors run on CPUs, else where there is a GPU.

        Raises:
            ModelError: the model cannot be used, or no cluster can be reached.
            DeviceError: no node has room for an actor.
        """
        if self._model is None:
            options = self._options
            bundle = self._bundle = ModelBundle.load(options.model)
            if options.device == "cuda" and options.gpus_per_actor == 0:
                raise DeviceError("--device cuda with --gpus-per-actor 0", hint="drop one of them")
            for_gpus = {"fp16", "fp32"} & set(bundle.variants) and options.precision != "int8"
            gpus = options.gpus_per_actor
            if options.device == "cuda" or (options.device == "auto" and (gpus or (gpus is None and for_gpus))):
                if gpus is None:
                    self._connect()
                    gpus = 1.0 if options.device == "cuda" or _total("GPU") else 0.0
                self._gpus = gpus
            # On CPUs no cluster is asked for a model that cannot be used, or for an output that is up to date.
            self._model = self._loaded_there() if self._gpus else self._loaded_here(bundle)
        return self._model

    def _connect(self) -> None:
        if not ray.is_initialized():
            self._stack.enter_context(connected(self._options.ray_address))

    def _prepare(self, model: ModelIdentity) -> None:
        """Prepare what all jobs share: the number of actors, and the model's files in the object store."""
        if self._actors:
            return
        options = self._options
        self._share_files(model.precision)
        room = _total("CPU") / options.cores_per_actor
        if self._gpus:
            room = min(room, _total("GPU") / self._gpus)
        self._actors = options.actors or max(1, int(room))
        if self._actors > room:
            log.warning("%d actors were requested, but the cluster has room for %d", self._actors, int(room))
        about = {"precision": model.precision, "device": model.device, "provider": model.provider}
        log.info(
            "scoring with %s on %s, %d actors with %s on Ray",
            model.precision,
            model.device,
            self._actors,
            f"{self._gpus:g} GPU" if self._gpus else f"{options.cores_per_actor} CPU",
            extra={"event": "model_loaded", "fields": {**about, "actors": self._actors}},
        )

    def _share_files(self, precision: str) -> None:
        """Put the model's files into the object store, once a node has room for an actor."""
        self._connect()
        cores, gpus = self._options.cores_per_actor, self._gpus
        if not any(node.get("CPU", 0) >= cores and node.get("GPU", 0) >= gpus for node in _nodes()):
            wanted = f"{cores} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
            raise DeviceError(
                f"no node of the cluster has {wanted} for an actor",
                hint="lower --cores-per-actor or --gpus-per-actor, or add nodes",
            )
        if self._files is None and self._bundle is not None:
            self._files = ray.put(model_files(self._bundle, precision))

    def _loaded_here(self, bundle: ModelBundle) -> ModelIdentity:
        options = replace(self._of_actor(0.0), model=str(bundle.folder) if self._options.model else None)
        return ModelIdentity.of(new_scorer(options, tell=False))

    def _loaded_there(self) -> ModelIdentity:
        """Identity of the model in a process with a GPU, which then ends: the actors start with the first work."""
        self._share_files(self._options.precision)
        task = ray.remote(num_cpus=self._options.cores_per_actor, num_gpus=self._gpus, max_calls=1)(_identity)
        try:
            model: ModelIdentity = ray.get(task.remote([self._files], self._of_actor(self._gpus)))
            return model
        except ray.exceptions.RayError as error:
            raise _translated(error) from error

    def _of_actor(self, gpus: float) -> ScoreOptions:
        """The options of an actor."""
        threads = self._options.threads or (None if gpus else self._options.cores_per_actor)
        return replace(self._options, device="cuda" if gpus else "cpu", threads=threads)

    @contextmanager
    def results(
        self, work: ChunkWork, remaining: RemainingChunks, _progress: Progress
    ) -> Iterator[Iterator[PackedPart | ChunkFailure]]:
        """Score the remaining chunks of ``work``; results come as they are done."""
        readings = ChunkReading.of(work, remaining)
        pool = self._pool_of(self.model())
        read = _reader(here=not is_url(work.source.location))
        try:
            job = ray.put(ChunkJob(work.columns, work.known))
            with closing(pool.results(readings, job, read)) as rows:
                yield map(part_of, rows)
        except ray.exceptions.RayError as error:
            self._end_pool()  # what ended its actors again and again is not left to the next file
            raise _translated(error) from error

    def _pool_of(self, model: ModelIdentity) -> ActorPool:
        """The pool of all jobs, started by the first one."""
        if self._pool is None:
            self._prepare(model)
            overlapping = self._gpus > 0 or self._options.cores_per_actor > 1
            worker = ray.remote(_Actor).options(
                num_cpus=self._options.cores_per_actor,
                num_gpus=self._gpus or None,
                max_restarts=_RESTARTS,
                max_task_retries=_TRIES,
                max_concurrency=2 if overlapping else 1,
                scheduling_strategy="SPREAD",
            )
            options = self._of_actor(self._gpus)
            # While one chunk is scored, the next is already there.
            in_flight = 3 if overlapping else 2
            self._pool = ActorPool(
                lambda: worker.remote([self._files], options, model), size=self._actors, in_flight=in_flight
            )
        return self._pool

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _identity(files: list[Any], options: ScoreOptions) -> ModelIdentity:
    return load_model(ray.get(files[0]), options)[1]


class _Actor(ChunkWorker):
    """The worker with the model's files from Ray's object store, so that no node needs a copy of them."""

    def __init__(self, shared: list[Any], options: ScoreOptions, expected: ModelIdentity) -> None:
        # In a list: an argument of its own would be lost when an actor restarts.
        super().__init__(ray.get(shared[0]), options, expected)

    def ready(self) -> None:
        """Return once the model is loaded."""


def _rows(reading: ChunkReading) -> Iterator[pa.Table]:
    yield from reading.rows()


def _reader(*, here: bool) -> Callable[[ChunkReading], Any]:
    """A function that starts to read: ``here`` on this machine, for a path, else on any node."""
    node = ray.get_runtime_context().get_node_id()
    task = ray.remote(_rows).options(
        num_cpus=0,  # readers take little, and actors may have all CPUs of the cluster
        num_returns="streaming",
        max_retries=_TRIES,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False) if here else "SPREAD",
        _generator_backpressure_num_objects=_READ_AHEAD,
    )
    return lambda reading: task.remote(reading)


def _translated(error: Exception) -> ScorerError:
    """Translate an error of Ray; errors of chunks come as rows."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, ScorerError):
        return cause
    text = _COLOURS.sub("", str(error))
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        package = "review-scorer" if missing[1].startswith("scorer") else missing[1]
        return ModelError(
            f"a node of the cluster lacks {package}", hint="install review-scorer, of the same version, on every node"
        )
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "OutOfMemory" in text or "memory monitor" in text:
        return OutOfMemoryError("memory ran out on a node of the cluster", hint="lower --chunk-rows or --actors")
    died = ray.exceptions.ActorDiedError | ray.exceptions.ActorUnavailableError | ray.exceptions.WorkerCrashedError
    if isinstance(error, died):
        return OutOfMemoryError(
            f"a chunk crashed {_TRIES + 1} processes in a row, most likely for lack of memory",
            hint="lower --chunk-rows or --actors",
        )
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), type(error).__name__)
    return ScorerError(f"Ray failed: {last[:300]}", hint="run again: finished chunks are kept")


def _nodes() -> list[dict[str, float]]:
    """Resources of each node of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _total(resource: str) -> float:
    return sum(node.get(resource, 0.0) for node in _nodes())
