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
from scorer.files.arrow import in_one_piece
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

    Special tokens are those of the tokenizer's own template, so that any single-sequence
    classifier works: ``[CLS] … [SEP]``, ``<s> … </s>`` and so on.
    """

    def __init__(self, tokenizer: Tokenizer, preprocessing: Preprocessing, choice: TokenizerChoice = "auto") -> None:
        self.preprocessing = preprocessing
        self._tokenizer = flat_tokenizer(tokenizer, choice)
        self._room = preprocessing.max_length - len(self.special_tokens)
        if self._room < 1:
            raise ModelError(f"max_length {preprocessing.max_length} leaves no room beside the special tokens")

    @property
    def tokenizer(self) -> str:
        """The package that tokenizes: ``nanotoken`` or ``tokenizers``."""
        return self._tokenizer.name

    @property
    def special_tokens(self) -> list[int]:
        """Ids of an empty text: those that the template puts around one."""
        return [*self._tokenizer.prefix, *self._tokenizer.suffix]

    def encode(self, texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> Encoded:
        """Token ids of ``texts``.

        A text that is null, blank, or has no token left after cleaning gets no run.
        """
        cleaned = self.preprocessing.cleaned(_one_array(texts))
        in_windows = self.preprocessing.long_text == "window"
        found = self._tokenizer(cleaned, ends=None if in_windows else self._room)
        starts, lengths = found.offsets[:-1], np.diff(found.offsets)
        blank = pc.fill_null(pc.utf8_is_space(cleaned), True).to_numpy(zero_copy_only=False)
        there = ~blank & (lengths > len(self.special_tokens))
        long = there & (lengths > self.preprocessing.max_length)
        if in_windows and long.any():
            return self._windows(found, there)
        tail = self._room // 2 if self.preprocessing.long_text == "head-tail" else 0
        head = len(self._tokenizer.prefix) + self._room - tail
        dropped = np.where(long, lengths - self.preprocessing.max_length, np.where(there, 0, lengths))
        ids = found.ids
        if dropped.any():
            is_kept = np.ones(len(ids), dtype=np.bool_)
            is_kept[np.repeat(np.where(long, starts + head, starts), dropped) + ranges(dropped)] = False
            ids = ids[is_kept]
        kept = (lengths - dropped)[there]
        return Encoded(ids, np.concatenate([[0], np.cumsum(kept)]), np.flatnonzero(there), long)

    def _windows(self, found: FlatIds, there: npt.NDArray[np.bool_]) -> Encoded:
        """Overlapping windows of all texts, each between the special tokens."""
        prefix, suffix = self._tokenizer.prefix, self._tokenizer.suffix
        lengths = np.where(there, np.diff(found.offsets) - len(prefix) - len(suffix), 0)
        step = self._room - self.preprocessing.stride
        counts = np.where(lengths > self._room, -(-(lengths - self.preprocessing.stride) // step), there.astype(int))
        rows = np.repeat(np.arange(len(lengths)), counts)
        skipped = ranges(counts) * step
        sizes = np.minimum(lengths[rows] - skipped, self._room)
        bodies = np.repeat(found.offsets[rows] + len(prefix) + skipped, sizes) + ranges(sizes)
        offsets = np.concatenate([[0], np.cumsum(sizes + len(prefix) + len(suffix))])
        tokens = np.empty(offsets[-1], dtype=np.int32)
        places = np.arange(len(tokens)) - np.repeat(offsets[:-1], np.diff(offsets))
        is_body = (places >= len(prefix)) & (places < len(prefix) + np.repeat(sizes, np.diff(offsets)))
        tokens[is_body] = found.ids[bodies]
        tokens[~is_body] = np.tile([*prefix, *suffix], len(rows))
        return Encoded(tokens, offsets, rows, np.zeros(len(lengths), dtype=np.bool_))


def ranges(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, … up to each of ``counts``, one after another: ``[2, 3]`` gives ``[0, 1, 0, 1, 2]``."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def _one_array(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        return pa.array(texts, pa.large_string())
    if isinstance(texts, pa.ChunkedArray):
        texts = in_one_piece(texts) if texts.num_chunks else pa.array([], texts.type)
    return texts.cast(pa.large_string())
