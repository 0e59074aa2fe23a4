"""Batches by a budget of tokens: which reviews run together, and the buffers that carry them to the device."""

from __future__ import annotations

import ctypes
import logging
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.model.token_runs import Encoded, ranges

log = logging.getLogger(__name__)

_ROUND_TO = 16


@dataclass(frozen=True)
class BatchShape:
    """The rule by which batches are cut.

    Attributes:
        budget: tokens per batch, padding included.
        max_width: positions that the model has; ``None`` where it does not say.
        pads: true where reviews of different lengths can share a batch.
        fills: true where the last batch is filled with its own reviews again, so that a width has one number of
            rows: cuDNN plans each new shape, which takes longer than a batch.
        rows: of every batch, and
        tokens: per row, where the graph has no other; they go before all else.
    """

    budget: int
    max_width: int | None
    pads: bool
    fills: bool = False
    rows: int | None = None
    tokens: int | None = None

    def width(self, longest: int) -> int:
        """Tokens per row of a batch whose longest review has ``longest``.

        Rounded up, so that a GPU sees few different shapes, but not past the model's positions.
        """
        if self.tokens is not None or not self.pads:
            return self.tokens or longest
        rounded = -(-longest // _ROUND_TO) * _ROUND_TO
        return rounded if self.max_width is None else max(longest, min(rounded, self.max_width))

    def batches(self, lengths: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
        """Places in ``lengths``, longest first, cut where a batch would pass the budget.

        The largest shape comes first: memory that it gets is enough for all that follow.
        """
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            longest = lengths[order[start]]
            batch = order[start : start + self._rows(int(longest))]
            if not self.pads:
                batch = batch[lengths[batch] == longest]  # the longest are in front
            yield batch
            start += len(batch)

    def filled(self, batch: npt.NDArray[np.int64], longest: int) -> npt.NDArray[np.int64]:
        """``batch``, repeated up to the number of rows of its width where this shape fills."""
        fills = self.rows is not None or (self.fills and self.pads)
        return np.resize(batch, self._rows(longest)) if fills else batch

    @property
    def is_fixed(self) -> bool:
        """True if every batch has the same rows or tokens per row."""
        return self.rows is not None or self.tokens is not None

    def alone(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """One input of one review, ``(1, length)``, in the shape that the graph has: zeros behind it, and repeated."""
        missing = 0 if self.tokens is None else self.tokens - values.shape[1]
        return np.repeat(np.pad(values, ((0, 0), (0, missing))), self.rows or 1, axis=0)

    def _rows(self, longest: int) -> int:
        return self.rows or max(1, self.budget // self.width(longest))


class BatchBuffers:
    """Token ids, mask and token types of one batch, int32 or int64 ``(batch, width)``, in memory that is used again.

    On CUDA the memory is pinned, which lets the device fetch it at full speed and without a copy on the way.
    """

    def __init__(self, dtype: npt.DTypeLike, *, pinned: bool) -> None:
        self._dtype = dtype
        self._pinned = pinned
        self._memory = [np.empty(0, dtype) for _ in range(3)]

    def fill(
        self, encoded: Encoded, runs: npt.NDArray[np.int64], width: int
    ) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], npt.NDArray[np.generic]]:
        """Ids, mask and token types of ``runs``, padded on the right to ``width``; valid until the next call."""
        shape = (len(runs), width)
        ids, mask, types = (self._view(place, shape) for place in range(3))  # token types are always 0
        lengths = encoded.lengths[runs]
        there = np.arange(width) < lengths[:, np.newaxis]
        mask[:] = there
        ids[:] = 0
        ids[there] = encoded.tokens[ranges(encoded.offsets[runs], lengths)]
        return ids, mask, types

    def _view(self, place: int, shape: tuple[int, int]) -> npt.NDArray[np.generic]:
        size = shape[0] * shape[1]
        if self._memory[place].size < size:
            self._memory[place] = np.zeros(size, self._dtype)
            if self._pinned:
                self._pin(self._memory[place])
        return self._memory[place][:size].reshape(shape)

    def _pin(self, memory: npt.NDArray[np.generic]) -> None:
        """Pin ``memory`` for as long as it lives; where that fails, it is fetched at the usual speed."""
        runtime = _cuda_runtime()
        address = ctypes.c_void_p(memory.ctypes.data)
        if runtime is None or runtime.cudaHostRegister(address, ctypes.c_size_t(memory.nbytes), 0) != 0:
            self._pinned = False
            log.debug("memory could not be pinned")
            return
        weakref.finalize(memory, runtime.cudaHostUnregister, address)


def distinct_runs(encoded: Encoded) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first run of each different content, and for every run the place of its own among them.

    Both integers; ``(n_distinct,)`` ascending, and ``(n_runs,)``.
    """
    buffers = [None, pa.py_buffer(encoded.offsets * encoded.tokens.itemsize), pa.py_buffer(encoded.tokens)]
    runs = pa.Array.from_buffers(pa.large_binary(), len(encoded.rows), buffers)
    places = runs.dictionary_encode().indices.to_numpy()  # in the order of first appearance
    return np.unique(places, return_index=True)[1], places


def _cuda_runtime() -> ctypes.CDLL | None:
    """The library that onnxruntime has loaded by now, found by its name alone."""
    for version in (13, 12):
        with suppress(OSError):
            return ctypes.CDLL(f"cudart64_{version}.dll" if sys.platform == "win32" else f"libcudart.so.{version}")
    return None
