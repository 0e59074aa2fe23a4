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
from scorer.model.tokenization import flat_tokenizer


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
        if self._room <= (preprocessing.stride if preprocessing.long_text == "window" else 0):
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
        mode, room, step = self.preprocessing.long_text, self._room, self._room - self.preprocessing.stride
        found = self._tokenizer(cleaned, ends=None if mode == "window" else room)
        n_prefix, n_suffix = len(self._tokenizer.prefix), len(self._tokenizer.suffix)
        bodies = np.diff(found.offsets) - n_prefix - n_suffix
        blank = pc.fill_null(pc.utf8_is_space(cleaned), True).to_numpy(zero_copy_only=False)
        long = ~blank & (bodies > room)
        n_runs = (~blank & (bodies > 0)).astype(np.int64)
        if mode == "window":
            n_runs[long] = -(-(bodies[long] - room) // step) + 1
        rows = np.repeat(np.arange(len(bodies)), n_runs)
        # A run has three stretches of its text's ids: special tokens, the head, and the tail with special tokens.
        starts, ends = found.offsets[rows], found.offsets[rows + 1]
        skipped = ranges(np.zeros_like(n_runs), n_runs) * step
        tails = np.where(long[rows], room // 2, 0) if mode == "head-tail" else np.zeros_like(rows)
        heads = np.minimum(bodies[rows] - skipped, room) - tails
        begins = np.stack([starts, starts + n_prefix + skipped, ends - n_suffix - tails], axis=1)
        counts = np.stack([np.full_like(rows, n_prefix), heads, n_suffix + tails], axis=1)
        tokens = found.ids[ranges(begins.ravel(), counts.ravel())]
        offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=1))])
        return Encoded(tokens, offsets, rows, long & (mode != "window"))


def ranges(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Each of ``starts`` and the numbers after it, as many as ``counts`` say: 5, 8 and 2, 1 give 5, 6, 8."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)


def _one_array(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    if isinstance(texts, pa.ChunkedArray):
        return in_one_piece(texts.cast(pa.large_string()))
    return texts.cast(pa.large_string()) if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
