"""Scoring past one process: Ray Data reads chunks and maps them with a pool of actors, each with the model.

What Ray does here is to bring chunks to models and results back, and to run again what a lost
process had. What is done with the results is the same as without it, see :mod:`scorer.job.resumable_job`.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import ray
import ray.data
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from scorer.cluster.connection import connected, resources
from scorer.cluster.wire import part_of
from scorer.cluster.worker import ChunkReading, ChunkWorker, model_files
from scorer.errors import DeviceError, ModelError, OutOfMemoryError, ScorerError
from scorer.files.urls import is_url
from scorer.interrupts import held_back
from scorer.job.chunk_work import ChunkWork, ModelIdentity
from scorer.job.engine import ChunkFailure, RemainingChunks
from scorer.job.local_engine import new_scorer
from scorer.job.options import ScoreOptions
from scorer.job.parts import PackedPart
from scorer.model.bundle import ModelBundle

log = logging.getLogger(__name__)

_ACTORS_PER_READER = 8
"""A reader gives far more rows in a second than that many models take."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

_TRIES = 3
"""How often a chunk is run again when its process dies: one that kills each of them must not go round for ever."""

_RESTARTS = 20
"""How often the process of an actor is replaced: enough for machines that come and go, and no endless loop."""


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

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_exception: object) -> None:
        # A second signal must not leave processes of Ray behind.
        with held_back(forget=False):
            self._stack.close()

    def model(self) -> ModelIdentity:
        """The model, loaded once: here where the actors run on CPUs, else where there is a GPU for it.

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
            wanted = options.gpus_per_actor or (options.gpus_per_actor is None and for_gpus)
            if options.device == "cuda" or (options.device == "auto" and wanted):
                self._gpus = self._gpus_of_actor()
            # On CPUs no cluster is asked for a model that cannot be used, or for an output that is up to date.
            self._model = self._loaded_there() if self._gpus else self._loaded_here(bundle)
        return self._model

    def _gpus_of_actor(self) -> float:
        wanted = self._options.gpus_per_actor
        if wanted is None:
            self._connect()
            wanted = 1.0 if self._options.device == "cuda" or resources()[1] else 0.0
        return wanted

    def _connect(self) -> None:
        if not ray.is_initialized():
            self._stack.enter_context(connected(self._options.ray_address))

    def _prepare(self, model: ModelIdentity) -> None:
        """Whatever all jobs share: room for actors, and the model's files where every node can have them."""
        if self._actors:
            return
        options = self._options
        self._share_files(model.precision)
        n_cpus, n_gpus, _ = resources()
        room = min(n_cpus / options.cores_per_actor, n_gpus / self._gpus if self._gpus else math.inf)
        self._actors = options.actors or max(1, int(room))
        if self._actors > room:
            log.warning("%d actors were asked for, the cluster has room for %d", self._actors, int(room))
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
        self._connect()
        self._check_room(resources()[2])
        if self._files is None and self._bundle is not None:
            self._files = ray.put(model_files(self._bundle, precision))

    def _loaded_here(self, bundle: ModelBundle) -> ModelIdentity:
        options = replace(self._of_actor(0.0), model=str(bundle.folder) if self._options.model else None)
        return ModelIdentity.of(new_scorer(options, tell=False))

    def _loaded_there(self) -> ModelIdentity:
        """What a process with a GPU says of the model; it ends again, for actors are Ray Data's own."""
        self._share_files(self._options.precision)
        worker = ray.remote(num_cpus=self._options.cores_per_actor, num_gpus=self._gpus)(_Actor)
        actor = worker.remote([self._files], self._of_actor(self._gpus), None, None)
        try:
            model: ModelIdentity = ray.get(actor.model.remote())
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, ScorerError) else _translated(error) from error
        except ray.exceptions.RayError as error:
            raise _translated(error) from error
        ray.kill(actor)
        return model

    def _of_actor(self, gpus: float) -> ScoreOptions:
        """The options with which an actor loads the model."""
        options = self._options
        threads = options.threads or (None if gpus else options.cores_per_actor)
        return replace(
            options,
            device="cuda" if gpus else "cpu",
            threads=threads,
            engine="local",
            ray_address=None,
            actors=None,
            cores_per_actor=1,
            gpus_per_actor=None,
        )

    def _check_room(self, nodes: list[dict[str, Any]]) -> None:
        cores, gpus = self._options.cores_per_actor, self._gpus
        if not any(node.get("CPU", 0) >= cores and node.get("GPU", 0) >= gpus for node in nodes):
            wanted = f"{cores} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
            raise DeviceError(
                f"no node of the cluster has {wanted} for an actor",
                hint="lower --cores-per-actor or --gpus-per-actor, or add nodes",
            )

    @contextmanager
    def results(self, work: ChunkWork, missing: RemainingChunks) -> Iterator[Iterator[PackedPart | ChunkFailure]]:
        """The missing chunks of ``work``, as they are done."""
        readings = ChunkReading.of(work, missing)
        model = self.model()
        self._prepare(model)
        actors = self._actors
        if work.source.n_rows is not None:
            left = math.ceil(work.source.n_rows / missing.chunk_rows) - len(missing.done)
            actors = max(1, min(actors, left))
        with _data_context(), ExitStack() as stack:
            dataset = self._dataset(work, model, readings, actors)
            batches = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1))
            stack.callback(_stop, batches)
            yield _parts(batches)

    def _dataset(self, work: ChunkWork, model: ModelIdentity, readings: list[ChunkReading], actors: int) -> Any:
        chunks = ray.data.read_datasource(
            _Chunks(readings, here=not is_url(work.source.location)),
            override_num_blocks=max(1, len(readings)),
            concurrency=max(1, min(len(readings), math.ceil(actors / _ACTORS_PER_READER))),
            # Readers take little, and actors may have all CPUs of the cluster.
            num_cpus=0,
        )
        overlapping = self._gpus > 0 or self._options.cores_per_actor > 1
        strategy = ray.data.ActorPoolStrategy(
            size=actors,
            # One is scored, and the next is there already.
            max_tasks_in_flight_per_actor=3 if overlapping else 2,
            max_concurrent_calls_per_actor=2 if overlapping else None,
            enable_true_multi_threading=overlapping,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the limits of retries have no other name yet
            return chunks.map_batches(
                _Actor,
                fn_constructor_args=([self._files], self._of_actor(self._gpus), work.columns, model),
                batch_size=1,
                batch_format="pyarrow",
                zero_copy_batch=True,
                compute=strategy,
                num_cpus=self._options.cores_per_actor,
                num_gpus=self._gpus or None,
                max_restarts=_RESTARTS,
                max_task_retries=_TRIES,
            )


class _Actor(ChunkWorker):
    """The worker, with the files of the model from Ray's object store: on no node need there be a copy before."""

    def __init__(self, files: list[Any], *arguments: Any) -> None:
        # In a list, for an argument of its own would be lost to an actor that starts again.
        super().__init__(ray.get(files[0]), *arguments)


class _Chunks(Datasource):  # type: ignore[misc]
    """The chunks of one input, each a block of its own."""

    def __init__(self, readings: list[ChunkReading], *, here: bool) -> None:
        super().__init__()
        self._readings = readings
        self._here = here

    def get_name(self) -> str:
        return "Chunks"

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether any node can read it: a path is one of this machine."""
        return not self._here

    def get_read_tasks(self, *_arguments: Any, **_options: Any) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(lambda reading=reading: reading.rows(), unknown) for reading in self._readings]


def _parts(batches: Iterator[Any]) -> Iterator[PackedPart | ChunkFailure]:
    try:
        for batch in batches:
            for place in range(batch.num_rows):
                yield part_of(batch.slice(place, 1))
    except (ray.exceptions.RayError, ray.exceptions.RayTaskError) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> ScorerError:
    """The boundary to Ray: what is left of its errors when those of chunks have come as rows."""
    text = _COLOURS.sub("", str(error))
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        package = "review-scorer" if missing[1].startswith("scorer") else missing[1]
        return ModelError(
            f"a node of the cluster lacks {package}", hint="install review-scorer, of the same version, on every node"
        )
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "OutOfMemory" in text or "memory monitor" in text:
        return OutOfMemoryError("memory ran out on a node of the cluster", hint="lower --chunk-rows or --actors")
    if isinstance(error, ray.exceptions.ActorDiedError | ray.exceptions.ActorUnavailableError):
        return OutOfMemoryError(
            f"a chunk has ended {_TRIES + 1} processes one after another, most likely for want of memory",
            hint="lower --chunk-rows or --actors",
        )
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), type(error).__name__)
    return ScorerError(f"Ray failed: {last[:300]}", hint="run again: what is done is kept")


def _stop(batches: Any) -> None:
    close = getattr(batches, "close", None)
    if close is not None:
        close()


@contextmanager
def _data_context() -> Iterator[None]:
    """Ray Data's settings for the time of the block: each chunk a block, nothing printed, no error passed over."""
    context = ray.data.DataContext.get_current()
    wanted = {
        "target_max_block_size": 1,
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "max_errored_blocks": 0,
        "raise_original_map_exception": False,
    }
    before = {name: getattr(context, name) for name in wanted if hasattr(context, name)}
    for name in before:
        setattr(context, name, wanted[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
