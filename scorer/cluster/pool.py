"""Actors of Ray that keep their model from one file to the next, and the chunks that go through them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import ray

from scorer import interrupts
from scorer.cluster.worker import ChunkReading

_ACTORS_PER_READER = 8
"""A reader gives far more rows in a second than that many models take."""


class ActorPool:
    """A pool of :class:`~scorer.cluster.worker.ChunkWorker` actors that serves one file after another.

    It grows with the chunks that find no actor free. Ray starts, places and restarts the actors and runs their lost
    chunks again; the pool only hands out chunks, to actors that are up: one that finds no room in the cluster holds
    none back.
    """

    def __init__(self, start: Callable[[], Any], *, size: int, in_flight: int) -> None:
        """``start`` starts an actor, of ``size`` at most; at most ``in_flight`` chunks are with each."""
        self._start = start
        self._size = size
        self._in_flight = in_flight
        self._starting: dict[Any, Any] = {}
        self._ready: list[Any] = []

    def close(self) -> None:
        """End all actors."""
        for actor in (*self._starting.values(), *self._ready):
            with suppress(Exception):  # the cluster is gone
                ray.kill(actor)
        self._starting.clear()
        self._ready.clear()

    def results(
        self, readings: Sequence[ChunkReading], job: Any, read: Callable[[ChunkReading], Any]
    ) -> Generator[pa.Table]:
        """The scored chunks of one file as rows of :mod:`scorer.cluster.wire`, as they are done.

        ``job`` refers to the :class:`~scorer.cluster.worker.ChunkJob` of the file; ``read`` starts a task that gives
        the chunks of a reading.

        Raises:
            ray.exceptions.RayError: an actor or a reader was lost more often than Ray replaces it.
        """
        to_read, chunks = deque(readings), deque[Any]()
        readers: list[Any] = []
        running: dict[Any, Any] = {}
        load: Counter[Any] = Counter()
        try:
            while to_read or readers or chunks or running:
                while to_read and len(readers) * _ACTORS_PER_READER < self._size:
                    readers.append(read(to_read.popleft()))
                while chunks and (actor := self._free(load)) is not None:
                    running[actor.score.remote(job, chunks.popleft())] = actor
                    load[actor] += 1
                takes_more = self._free(load) is not None or self._n_actors < self._size
                one = _first_of([*running, *self._starting, *(readers if takes_more else ())])
                if one in self._starting:
                    ray.get(one)
                    self._ready.append(self._starting.pop(one))
                elif one in running:
                    load[running.pop(one)] -= 1
                    yield ray.get(one)
                elif (chunk := next(one, None)) is None:
                    readers.remove(one)
                else:
                    chunks.append(chunk)
                    if self._free(load) is None:
                        actor = self._start()
                        self._starting[actor.ready.remote()] = actor
        finally:
            for task in (*readers, *running):
                with suppress(Exception):  # it is done, or its process is gone
                    ray.cancel(task)

    @property
    def _n_actors(self) -> int:
        return len(self._starting) + len(self._ready)

    def _free(self, load: Mapping[Any, int]) -> Any:
        """The actor with the fewest chunks; ``None`` if each has as many as it takes."""
        actor = min(self._ready, key=lambda actor: load[actor], default=None)
        return None if actor is None or load[actor] >= self._in_flight else actor


def _first_of(awaited: list[Any]) -> Any:
    """The first of some references and generators that has something."""
    try:
        return ray.wait(awaited, num_returns=1, fetch_local=False)[0][0]
    except KeyboardInterrupt:  # so Ray raises any signal
        interrupts.check()
        raise
