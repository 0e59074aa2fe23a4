"""Texts to the runs of token ids that the model sees: cleaned, tokenized, cut, with special tokens around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from scorer.errors import ModelError
from scorer.model.options import TokenizerChoice
from scorer.model.preprocessing import Preprocessing
from scorer.model.tokenization import FlatIds, flat_tokenizer


@dataclass(frozen=True)
class Encoded:
    """Token ids of one chunk: runs of the model, each belonging to a row.

    A row has one run, several when it is read in windows, or none when it is empty.

    Attributes:
        tokens: int32 ``(n_tokens,)``, the runs one after another, special tokens included.
        offsets: int64 ``(n_runs + 1,)``, where each run starts in ``tokens``; the last is its length.
        rows: int64 ``(n_runs,)``, ascending: the row of the chunk that each run belongs to.
        truncated: bool ``(n_rows,)``, true where the model does not see some tokens of the row.
    """

    tokens: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if len(self.offsets) != len(self.rows) + 1 or self.offsets[-1] != len(self.tokens):
            raise ValueError("offsets do not fit the rows and tokens of this chunk")

    @property
    def n_rows(self) -> int:
        """Rows of the chunk, the empty ones included."""
        return len(self.truncated)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens per run, int64 ``(n_runs,)``."""
        return np.diff(self.offsets)

    def run(self, index: int) -> npt.NDArray[np.int32]:
        """Token ids of one run, int32 ``(length,)``."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


class TextEncoder:
    """Cleans, tokenizes and cuts texts as a :class:`Preprocessing` says.

    Special tokens are taken from the tokenizer's own template, so that any single-sequence
    classifier works: ``[CLS] … [SEP]``, ``<s> … </s>`` and so on.
    """

    def __init__(self, tokenizer: Tokenizer, preprocessing: Preprocessing, choice: TokenizerChoice = "auto") -> None:
        self.preprocessing = preprocessing
        self._prefix, self._suffix = _special_tokens(tokenizer)
        self._room = preprocessing.max_length - len(self._prefix) - len(self._suffix)
        if self._room < 1:
            raise ModelError(f"max_length {preprocessing.max_length} leaves no room beside the special tokens")
        self._flat_ids = flat_tokenizer(tokenizer, choice)

    @property
    def tokenizer(self) -> str:
        """The package that tokenizes: ``nanotoken`` or ``tokenizers``."""
        return self._flat_ids.name

    @property
    def special_tokens(self) -> list[int]:
        """Ids of an empty text: those that the template puts around one."""
        return [*self._prefix.tolist(), *self._suffix.tolist()]

    def encode(self, texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> Encoded:
        """Token ids of ``texts``.

        A text that is null, blank, or has no token left after cleaning gets no run.
        """
        cleaned = self.preprocessing.cleaned(_one_array(texts))
        ends = None if self.preprocessing.long_text == "window" else self._room
        found = self._flat_ids(cleaned, ends=ends)
        lengths = np.diff(found.offsets)
        lengths[pc.fill_null(pc.utf8_is_space(cleaned), True).to_numpy(zero_copy_only=False)] = 0
        long = lengths > self._room
        if self.preprocessing.long_text == "window":
            starts, lengths, rows = self._windows(found.offsets[:-1], lengths)
            return self._joined(found.ids, starts, lengths, rows, np.zeros(len(long), dtype=np.bool_))
        rows = np.flatnonzero(lengths)
        starts, kept = found.offsets[rows], np.minimum(lengths[rows], self._room)
        if self.preprocessing.long_text == "head-tail" and long.any():
            ids = _without_middles(found, long, self._room)
            return self._joined(ids.ids, ids.offsets[rows], kept, rows, long)
        return self._joined(found.ids, starts, kept, rows, long)

    def _windows(
        self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Starts, lengths and rows of the overlapping windows of texts, int64 ``(n_windows,)`` each."""
        stride, room = self.preprocessing.stride, self._room
        counts = np.where(lengths > room, -(-(lengths - stride) // (room - stride)), (lengths > 0).astype(np.int64))
        rows = np.repeat(np.arange(len(lengths)), counts)
        skipped = ranges(counts) * (room - stride)
        return starts[rows] + skipped, np.minimum(lengths[rows] - skipped, room), rows

    def _joined(
        self,
        ids: npt.NDArray[np.int32],
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        truncated: npt.NDArray[np.bool_],
    ) -> Encoded:
        """Pieces of ``ids``, each between the special tokens."""
        n_prefix, n_suffix = len(self._prefix), len(self._suffix)
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths + (n_prefix + n_suffix), out=offsets[1:])
        tokens = np.empty(offsets[-1], dtype=np.int32)
        is_body = np.ones(len(tokens), dtype=np.bool_)
        for place, special in enumerate(self._prefix):
            tokens[offsets[:-1] + place] = special
            is_body[offsets[:-1] + place] = False
        for place, special in enumerate(self._suffix):
            tokens[offsets[1:] - n_suffix + place] = special
            is_body[offsets[1:] - n_suffix + place] = False
        ends = np.cumsum(lengths)
        is_all = len(ends) > 0 and ends[-1] == len(ids) and np.array_equal(starts, ends - lengths)
        tokens[is_body] = ids if is_all else ids[np.repeat(starts, lengths) + ranges(lengths)]
        return Encoded(tokens, offsets, rows, truncated)


def _one_array(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        return pa.array(texts, pa.large_string())
    if isinstance(texts, pa.ChunkedArray):
        texts = (
            texts.chunk(0) if texts.num_chunks == 1 else pa.concat_arrays(texts.chunks or [pa.array([], texts.type)])
        )
    return texts.cast(pa.large_string())


def ranges(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, … up to each of ``counts``, one after another: ``[2, 3]`` gives ``[0, 1, 0, 1, 2]``."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def _without_middles(found: FlatIds, long: npt.NDArray[np.bool_], room: int) -> FlatIds:
    """The ids of texts, those of ``long`` ones reduced to ``room``: the first half and the last."""
    starts, lengths = found.offsets[:-1], np.diff(found.offsets)
    head = np.where(long, room - room // 2, lengths)
    tail = np.where(long, room // 2, 0)
    pieces = np.stack([starts, found.offsets[1:] - tail], axis=1).ravel()
    sizes = np.stack([head, tail], axis=1).ravel()
    offsets = np.concatenate([[0], np.cumsum(head + tail)])
    return FlatIds(found.ids[np.repeat(pieces, sizes) + ranges(sizes)], offsets)


def _special_tokens(tokenizer: Tokenizer) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The ids that the tokenizer's template puts before and after a single sequence."""
    body = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    for start in range(len(whole) - len(body) + 1):
        if whole[start : start + len(body)] == body:
            return np.array(whole[:start], np.int32), np.array(whole[start + len(body) :], np.int32)
    raise ModelError("the tokenizer's template does not keep the text in one piece")
