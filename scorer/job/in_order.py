"""Chunks that arrive in any order, counted in the order of the input: errors and limits do not depend on speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scorer.errors import ScorerError
from scorer.job.engine import ChunkFailure, RemainingChunks
from scorer.job.parts import ChunkResult, PackedPart


@dataclass(frozen=True, slots=True)
class ChunkCounts:
    """What is counted of a chunk; without its rows, for many may wait for one that is slow."""

    number: int
    n_rows: int
    n_rejects: int
    tokens: int
    by_status: Mapping[str, int]

    @classmethod
    def of(cls, part: ChunkResult | PackedPart) -> ChunkCounts:
        """The counts of ``part``."""
        return cls(part.number, part.n_rows, part.n_rejects, part.tokens, part.by_status)


class InOrder:
    """Takes outcomes as they come and gives them on when all before them have come."""

    def __init__(self, missing: RemainingChunks) -> None:
        self._done = missing.done
        self._next = missing.first
        self._waiting: dict[int, ChunkCounts | ChunkFailure] = {}

    def ready(self, outcome: ChunkCounts | ChunkFailure) -> Iterator[ChunkCounts]:
        """Take one, and give those whose turn has come.

        Raises:
            ScorerError: of the first chunk that failed, once all before it have come.
        """
        self._waiting[outcome.number] = outcome
        while self._next in self._waiting or self._next in self._done:
            item = self._waiting.pop(self._next, None)
            self._next += 1
            if isinstance(item, ChunkFailure):
                raise item.error
            if item is not None:
                yield item

    def end(self) -> None:
        """Say that no more come.

        Raises:
            ScorerError: of the first chunk that failed, or for one that never came.
        """
        failures = sorted(number for number, item in self._waiting.items() if isinstance(item, ChunkFailure))
        for number in failures:
            failure = self._waiting[number]
            if isinstance(failure, ChunkFailure):
                raise failure.error
        if self._waiting:
            raise ScorerError(f"chunk {self._next:,} was never scored")
