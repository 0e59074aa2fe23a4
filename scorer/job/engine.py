"""The protocol of an engine: it takes the remaining chunks of a job and gives their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from scorer.job.chunk_work import ChunkWork, ModelIdentity
    from scorer.job.parts import ChunkResult, PackedPart


@dataclass(frozen=True)
class ChunkFailure:
    """A chunk that could not be scored, or could not be read: it and those behind it.

    Attributes:
        number: of the chunk.
        error: what the run ends with, unless a chunk before this one fails too.
    """

    number: int
    error: Exception


@dataclass(frozen=True)
class RemainingChunks:
    """The chunks of a job that are not done yet.

    Attributes:
        chunk_rows: input rows of each.
        first: the first that is not done.
        done: numbers of those that are; there may be some behind the first that is not.
    """

    chunk_rows: int
    first: int
    done: frozenset[int]


class Engine(Protocol):
    """What scores chunks. A context manager; one serves all jobs of a call, one after another."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_exception: object) -> None: ...

    def model(self) -> ModelIdentity:
        """The model that scores, loaded when it is first asked for.

        Raises:
            ModelError: the model, the device or the cluster cannot be used.
        """

    def results(
        self, work: ChunkWork, missing: RemainingChunks
    ) -> AbstractContextManager[Iterator[ChunkResult | PackedPart | ChunkFailure]]:
        """The missing chunks of ``work``, scored, in any order.

        Raises:
            ScorerError: what fails here and now; what failed elsewhere comes as a :class:`ChunkFailure`.
        """
