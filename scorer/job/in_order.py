"""Outcomes of chunks in the order of the input, so that errors and limits do not depend on speed."""

from __future__ import annotations

from collections.abc import Iterator

from scorer.errors import ScorerError
from scorer.job.engine import ChunkFailure, RemainingChunks
from scorer.job.parts import ChunkResult, PackedPart
from scorer.job.summary import ChunkCounts


class InOrder:
    """Takes outcomes in any order and gives the counts of each chunk once all chunks before it have come."""

    def __init__(self, remaining: RemainingChunks) -> None:
        self._done = remaining.done
        self._next = remaining.first
        # Without their rows: many chunks may wait for a slow one.
        self._waiting: dict[int, ChunkCounts | ChunkFailure] = {}

    def ready(self, outcome: ChunkResult | PackedPart | ChunkFailure) -> Iterator[ChunkCounts]:
        """Take one outcome, and give the counts of the chunks whose turn has come.

        Raises:
            ScorerError: of the first chunk that failed, once all before it have come.
        """
        self._waiting[outcome.number] = outcome if isinstance(outcome, ChunkFailure) else outcome.counts
        while self._next in self._waiting or self._next in self._done:
            item = self._waiting.pop(self._next, None)
            self._next += 1
            if isinstance(item, ChunkFailure):
                raise item.error
            if item is not None:
                yield item

    def end(self) -> None:
        """Check, once no more outcomes come, that no chunk failed or is lacking.

        Raises:
            ScorerError: of the first chunk that failed, or for one that never came.
        """
        for _, item in sorted(self._waiting.items()):
            if isinstance(item, ChunkFailure):
                raise item.error
        if self._waiting:
            raise ScorerError(f"chunk {self._next:,} was never scored")
