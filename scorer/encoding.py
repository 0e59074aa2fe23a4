"""Texts to token ids, with ``tokenizers`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from scorer.errors import ModelError
from scorer.preprocessing import Preprocessing


@dataclass(frozen=True)
class Encoded:
    """Token ids of one chunk: runs of the model, each belonging to a row.

    A row has one run, several when it is read in windows, or none when it is empty.

    Attributes:
        tokens: int32 ``(n_tokens,)``, the runs one after another, special tokens included.
        offsets: int64 ``(n_runs + 1,)``, where each run starts in ``tokens``; the last is its length.
        rows: int64 ``(n_runs,)``, ascending: the row of the chunk that each run belongs to.
        truncated: bool ``(n_rows,)``, whether some tokens of the row are not seen by the model.
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

    @property
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

    def __init__(self, tokenizer: Tokenizer, preprocessing: Preprocessing) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.preprocessing = preprocessing
        self._prefix, self._suffix = _special_tokens(tokenizer)
        self._body_length = preprocessing.max_length - len(self._prefix) - len(self._suffix)
        if self._body_length < 1:
            raise ModelError(f"max_length {preprocessing.max_length} leaves no room beside the special tokens")

    @property
    def special_tokens(self) -> list[int]:
        """Ids of an empty text: what the template puts around one."""
        return self._prefix + self._suffix

    def encode(self, texts: Sequence[str | None]) -> Encoded:
        """Token ids of ``texts``.

        A text that is null, blank, or has no token left after cleaning gets no run.
        """
        present = [row for row, text in enumerate(texts) if text and not text.isspace()]
        cleaned = [self.preprocessing.cleaned(str(texts[row])) for row in present]
        encodings = self._tokenizer.encode_batch_fast(cleaned, add_special_tokens=False)
        truncated = np.zeros(len(texts), dtype=np.bool_)
        runs: list[list[int]] = []
        rows: list[int] = []
        for row, text, encoding in zip(present, cleaned, encodings, strict=True):
            body = encoding.ids
            if not body or text.isspace():
                continue
            pieces = self._cut(body)
            truncated[row] = len(body) > self._body_length and self.preprocessing.long_text != "window"
            for piece in pieces:
                runs.append(self._prefix + piece + self._suffix)
                rows.append(row)
        offsets = np.zeros(len(runs) + 1, dtype=np.int64)
        np.cumsum([len(run) for run in runs], out=offsets[1:])
        tokens = np.fromiter((token for run in runs for token in run), dtype=np.int32, count=int(offsets[-1]))
        return Encoded(tokens, offsets, np.asarray(rows, dtype=np.int64), truncated)

    def _cut(self, body: list[int]) -> list[list[int]]:
        room = self._body_length
        if len(body) <= room:
            return [body]
        mode = self.preprocessing.long_text
        if mode == "truncate":
            return [body[:room]]
        if mode == "head-tail":
            tail = room // 2
            return [body[: room - tail] + body[len(body) - tail :]]
        step = room - self.preprocessing.stride
        starts = range(0, max(1, len(body) - self.preprocessing.stride), step)
        return [body[start : start + room] for start in starts]


def _special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer's template puts before and after a single sequence."""
    body = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    for start in range(len(whole) - len(body) + 1):
        if whole[start : start + len(body)] == body:
            return whole[:start], whole[start + len(body) :]
    raise ModelError("the tokenizer's template does not keep the text in one piece")
