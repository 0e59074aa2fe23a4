"""Texts to token ids, with ``tokenizers`` alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from scorer.errors import ModelError
from scorer.files.huge_texts import HugeText
from scorer.model.long_texts import Cutter
from scorer.model.preprocessing import Preprocessing
from scorer.model.token_ids import TokenIds

# Characters per token to begin with where a long text is cut; English has four to five.
_CHARACTERS_PER_TOKEN = 8

# Longer pieces are tokenized one after another: a tokenizer takes a hundred bytes for each character.
_PIECE = 2**18

# Characters of a huge text that are kept, endless words left out, until it is dealt with as a whole.
_MOST_KEPT = 2**23


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
        self._token_ids = TokenIds(tokenizer)
        self.preprocessing = preprocessing
        self._prefix, self._suffix = _special_tokens(tokenizer)
        self._body_length = preprocessing.max_length - len(self._prefix) - len(self._suffix)
        if self._body_length < 1:
            raise ModelError(f"max_length {preprocessing.max_length} leaves no room beside the special tokens")
        self._cutter = Cutter.of(tokenizer, cleans_breaks="html-breaks" in preprocessing.clean)
        window = preprocessing.long_text == "window"
        self._long = _PIECE if window else 4 * _CHARACTERS_PER_TOKEN * (self._body_length + 1)

    @property
    def special_tokens(self) -> list[int]:
        """Ids of an empty text: what the template puts around one."""
        return self._prefix + self._suffix

    def encode(self, texts: Sequence[str | HugeText | None]) -> Encoded:
        """Token ids of ``texts``, huge ones by their bytes.

        A text that is null, blank, or has no token left after cleaning gets no run.
        """
        present = [(row, text) for row, text in enumerate(texts) if text and not text.isspace()]
        bodies = self._bodies([text for _, text in present])
        truncated = np.zeros(len(texts), dtype=np.bool_)
        runs: list[list[int]] = []
        rows: list[int] = []
        for (row, _), body in zip(present, bodies, strict=True):
            if not body:
                continue
            pieces = self._cut(body)
            truncated[row] = len(body) > self._body_length and self.preprocessing.long_text != "window"
            for piece in pieces:
                runs.append(self._prefix + piece + self._suffix)
                rows.append(row)
        offsets = np.zeros(len(runs) + 1, dtype=np.int64)
        np.cumsum([len(run) for run in runs], out=offsets[1:])
        tokens = np.fromiter(chain.from_iterable(runs), dtype=np.int32, count=int(offsets[-1]))
        return Encoded(tokens, offsets, np.asarray(rows, dtype=np.int64), truncated)

    def _bodies(self, texts: list[str | HugeText]) -> list[list[int]]:
        """Token ids of every text without special tokens, of a long one as many as :meth:`_cut` tells apart."""
        bodies: list[list[int]] = [[] for _ in texts]
        short = [place for place, text in enumerate(texts) if len(text) <= self._long or self._cutter is None]
        cleaned = [self.preprocessing.cleaned(_whole(texts[place])) for place in short]
        for place, words, ids in zip(short, cleaned, self._token_ids(cleaned), strict=True):
            bodies[place] = [] if words.isspace() else ids
        del cleaned
        for place, text in enumerate(texts):
            if self._cutter is not None and len(text) > self._long:
                bodies[place] = self._body_of_long(text, self._cutter)
        return bodies

    def _body_of_long(self, text: str | HugeText, cutter: Cutter) -> list[int]:
        """Ids that :meth:`_cut` cuts as it would those of the whole text, which is tokenized only where it must be."""
        if isinstance(text, HugeText):
            body = self._body_of_huge(text, cutter)
            if body is not None:
                return body
            text = text.whole()
        mode, room = self.preprocessing.long_text, self._body_length
        if mode == "window":
            return self._all_ids(cutter.squeezed(text), cutter)
        tail_length = room // 2 if mode == "head-tail" else 0
        for candidate in (text, None):
            if candidate is None:
                candidate = text = cutter.squeezed(text)
            head = self._first_ids(candidate, room + 1, cutter)
            if head is None:
                continue
            if not tail_length:
                return head
            tail = self._last_ids(candidate, tail_length, cutter)
            if tail is not None:
                # One id stands for all that is left out between the two.
                return head[: room - tail_length + 1] + tail[len(tail) - tail_length :]
        return self._all_ids(text, cutter)

    def _body_of_huge(self, text: HugeText, cutter: Cutter) -> list[int] | None:
        """The same for a text in pieces, as few of them as show enough; ``None`` where only the whole does."""
        mode, room = self.preprocessing.long_text, self._body_length
        if mode == "window":
            return self._all_ids("".join(map(cutter.squeezed, text.pieces())), cutter)
        head = self._ids_of_pieces(text.pieces(), room + 1, cutter)
        if not isinstance(head, list) or mode != "head-tail" or room < 2:
            return self._body_of_long(head, cutter) if isinstance(head, str) else head
        tail = self._ids_of_pieces(text.pieces_from_the_end(), room // 2, cutter, from_the_end=True)
        if not isinstance(tail, list):
            return self._body_of_long(tail, cutter) if isinstance(tail, str) else tail
        return head[: room - room // 2 + 1] + tail[len(tail) - room // 2 :]

    def _ids_of_pieces(
        self, pieces: Iterator[str], count: int, cutter: Cutter, *, from_the_end: bool = False
    ) -> list[int] | str | None:
        """At least the first ``count`` ids of a text in pieces, or the last of one in pieces from the end.

        Each piece is squeezed for itself: what is left out stands within one word or space of one piece, so
        that all together have the tokens of the text. Where no part shows the ids, that is returned, or
        ``None`` where it is too long.
        """
        seen, tried = "", 0
        for piece in pieces:
            short = cutter.squeezed(piece)
            seen = short + seen if from_the_end else seen + short
            if len(seen) > _MOST_KEPT:
                return None
            if len(seen) < 2 * tried:  # so that all tries cost little more than the last one
                continue
            tried = len(seen)
            # At the start of what is only an end of the text, it cannot be seen whether that can be cut.
            ids = (
                self._last_ids(seen, count, cutter, leave=cutter.sight)
                if from_the_end
                else self._first_ids(seen, count, cutter)
            )
            if ids is not None:
                return ids
        return seen

    def _first_ids(self, text: str, count: int, cutter: Cutter) -> list[int] | None:
        """At least the first ``count`` ids of a text, or ``None`` where a part of it does not show them."""
        near = _CHARACTERS_PER_TOKEN * count
        while near < len(text):
            place = cutter.place_before(text, near)
            if place is None:
                return None
            ids = self._ids(text[:place])
            if len(ids) >= count:
                return ids
            near *= 4
        return None

    def _last_ids(self, text: str, count: int, cutter: Cutter, leave: int = 0) -> list[int] | None:
        """As :meth:`_first_ids`, for the end of the text; it is not cut in its first ``leave`` characters."""
        length = _CHARACTERS_PER_TOKEN * count
        while length < len(text) - leave:
            place = cutter.place_after(text, len(text) - length)
            if place is None:
                return None
            ids = self._ids(text[place:])
            if len(ids) >= count:
                return ids
            length *= 4
        return None

    def _all_ids(self, text: str, cutter: Cutter) -> list[int]:
        """All ids of a long text, tokenized piece by piece where it can be cut."""
        cleaned = self.preprocessing.cleaned(text)
        if cleaned.isspace():
            return []
        ids: list[int] = []
        start = 0
        while start < len(cleaned):
            place = cutter.place_before(cleaned, start + _PIECE) if len(cleaned) - start > _PIECE else None
            if place is None or place <= start:
                place = len(cleaned)
            ids += self._token_ids([cleaned[start:place]])[0]
            start = place
        return ids

    def _ids(self, text: str) -> list[int]:
        cleaned = self.preprocessing.cleaned(text)
        return [] if cleaned.isspace() else self._token_ids([cleaned])[0]

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


def _whole(text: str | HugeText) -> str:
    return text if isinstance(text, str) else text.whole()


def _special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer's template puts before and after a single sequence."""
    body = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    for start in range(len(whole) - len(body) + 1):
        if whole[start : start + len(body)] == body:
            return whole[:start], whole[start + len(body) :]
    raise ModelError("the tokenizer's template does not keep the text in one piece")
