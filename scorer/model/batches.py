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

from scorer.model.encoding import Encoded

log = logging.getLogger(__name__)

_ROUND_TO = 16


@dataclass(frozen=True)
class BatchShape:
    """How batches are cut.

    Attributes:
        budget: tokens per batch, padding included.
        max_width: positions that the model has; ``None`` where it does not say.
        pads: whether reviews of different lengths can share a batch.
    """

    budget: int
    max_width: int | None
    pads: bool

    def width(self, longest: int) -> int:
        """Tokens per row of a batch whose longest review has ``longest``.

        Rounded up, so that a GPU sees few different shapes, but not past the model's positions.
        """
        if not self.pads:
            return longest
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
            batch = order[start : start + max(1, self.budget // self.width(int(longest)))]
            if not self.pads:
                batch = batch[lengths[batch] == longest]  # the longest stand in front
            yield batch
            start += len(batch)


class BatchBuffers:
    """Token ids and masks of one batch at a time, int32 or int64 ``(batch, width)``, in memory that is used again.

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
        ids, mask, types = (self._view(place, shape) for place in range(3))
        lengths = encoded.lengths[runs]
        mask[:] = np.arange(width) < lengths[:, np.newaxis]
        ids[:] = 0
        starts = encoded.offsets[runs]
        for row in range(len(runs)):
            ids[row, : lengths[row]] = encoded.tokens[starts[row] : starts[row] + lengths[row]]
        types[:] = 0
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


def _cuda_runtime() -> ctypes.CDLL | None:
    """The library that onnxruntime has loaded by now, found by its name alone."""
    for version in (13, 12):
        with suppress(OSError):
            return ctypes.CDLL(f"cudart64_{version}.dll" if sys.platform == "win32" else f"libcudart.so.{version}")
    return None
