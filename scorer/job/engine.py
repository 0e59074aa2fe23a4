"""The protocol of an engine: it takes the remaining chunks of a job and gives their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from scorer.job.chunk_work import ChunkWork, ModelIdentity
    from scorer.job.parts import ChunkResult, PackedPart
from scorer.progress import Progress


@dataclass(frozen=True)
class ChunkFailure:
    """A chunk that could not be read or scored; if it could not be read, neither can those after it.

    Attributes:
        number: number of the chunk.
        error: the error that ends the run, unless an earlier chunk fails too.
    """

    number: int
    error: Exception


@dataclass(frozen=True)
class RemainingChunks:
    """The chunks of a job that are still to be scored.

    Attributes:
        first: number of the first remaining chunk.
        done: numbers of the chunks that are done, some of which may follow ``first``.
    """

    first: int
    done: frozenset[int]


class Engine(Protocol):
    """Scores chunks. A context manager; one engine serves all jobs of a call, one after another."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_exception: object) -> None: ...

    def model(self) -> ModelIdentity:
        """Identity of the model, which is loaded at the first call.

        Raises:
            ModelError: the model, the device or the cluster cannot be used.
        """

    def results(
        self, work: ChunkWork, remaining: RemainingChunks, progress: Progress
    ) -> AbstractContextManager[Iterator[ChunkResult | PackedPart | ChunkFailure]]:
        """Score the remaining chunks of ``work``; results come in any order.

        ``progress`` may be ticked by parts of chunks; finished ones are for the caller to count.

        Raises:
            ScorerError: an error of this process; one of another process comes as a :class:`ChunkFailure`.
        """
