"""The steps between a text and the model: a value that travels with the model.

Training writes it beside the checkpoint, export copies it into the bundle, and scoring reads it
there, so that all three clean and cut a review in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from scorer.errors import ModelError, UsageError
from scorer.model.json_files import read_object

if TYPE_CHECKING:
    import pyarrow as pa

LongText = Literal["truncate", "head-tail", "window"]
"""Modes of reading a text of more tokens than ``max_length``.

``truncate`` keeps its first tokens, ``head-tail`` the first and the last halves, ``window`` reads
all of it in overlapping windows and takes the mean of their probabilities.
"""

PREPROCESSING_FILE = "preprocessing.json"
"""Its name beside a checkpoint; a bundle holds the same object in ``bundle.json``."""

_WHITE = "\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space as Python's ``re`` has it; that of RE2 is ASCII alone."""

CLEANERS: Mapping[str, tuple[str, str]] = {"html-breaks": (f"<[bB][rR][{_WHITE}]*/?>", " ")}
"""Cleaning steps by name: a pattern of RE2, and the text in place of each match.

``html-breaks``: each ``<br>``, ``<br/>`` or ``<br />`` is one space.
"""


@dataclass(frozen=True)
class Preprocessing:
    """Settings by which texts are cleaned and cut.

    Attributes:
        max_length: tokens that the model sees at most, special tokens included.
        long_text: what to do with a longer text, see :data:`LongText`.
        stride: tokens by which two windows overlap; read only when ``long_text`` is ``window``.
        clean: names of :data:`CLEANERS`, applied in order.
    """

    max_length: int = 512
    long_text: LongText = "truncate"
    stride: int = 128
    clean: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_length < 3:
            raise UsageError(f"--max-length {self.max_length} leaves no room for text", hint="pass at least 3")
        if self.long_text not in get_args(LongText):
            choices = ", ".join(get_args(LongText))
            raise UsageError(f"unknown long-text mode {self.long_text!r}", hint=f"choose one of {choices}")
        if not 0 <= self.stride < self.max_length - 2:
            raise UsageError(
                f"a stride of {self.stride} does not fit windows of {self.max_length} tokens",
                hint="pass a --stride smaller than --max-length less 2",
            )
        for name in self.clean:
            if name not in CLEANERS:
                raise UsageError(f"unknown cleaning step {name!r}", hint=f"known: {', '.join(CLEANERS)}")

    def cleaned(self, texts: pa.LargeStringArray) -> pa.LargeStringArray:
        """``texts`` after every cleaning step; null stays null."""
        import pyarrow.compute as pc

        for name in self.clean:
            pattern, replacement = CLEANERS[name]
            texts = pc.replace_substring_regex(texts, pattern=pattern, replacement=replacement)
        return texts

    def with_options(
        self, *, max_length: int | None = None, long_text: LongText | None = None, stride: int | None = None
    ) -> Preprocessing:
        """A copy in which what is not ``None`` replaces the model's own value."""
        length = self.max_length if max_length is None else max_length
        if stride is None:
            stride = min(self.stride, max(0, (length - 2) // 2))
        return replace(self, max_length=length, long_text=long_text or self.long_text, stride=stride)

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key per attribute."""
        return {**asdict(self), "clean": list(self.clean)}

    @classmethod
    def from_json(cls, value: object, *, source: Path) -> Preprocessing:
        """The inverse of :meth:`to_json`; ``source`` is named in errors.

        Raises:
            ModelError: a key is unknown or a value is of the wrong type or out of range.
        """
        if not isinstance(value, dict):
            raise ModelError("preprocessing is not a JSON object", path=source)
        known: dict[str, Any] = {"max_length": int, "long_text": str, "stride": int, "clean": list}
        for key, item in value.items():
            # bool is an int to isinstance, but true is no length.
            if key not in known or not isinstance(item, known[key]) or isinstance(item, bool):
                raise ModelError(
                    f"preprocessing has {key}={item!r}, which this version does not know",
                    path=source,
                    hint="upgrade review-scorer or export the model again",
                )
        try:
            return cls(**{**value, "clean": tuple(value.get("clean", ()))})
        except (UsageError, TypeError) as error:
            raise ModelError(f"preprocessing: {error}", path=source) from error


def save_preprocessing(preprocessing: Preprocessing, folder: Path) -> None:
    """Write ``preprocessing`` beside the checkpoint in ``folder``."""
    text = json.dumps(preprocessing.to_json(), indent=2) + "\n"
    (folder / PREPROCESSING_FILE).write_text(text, encoding="utf-8")


def load_preprocessing(folder: Path) -> Preprocessing | None:
    """Read the file of :func:`save_preprocessing`; ``None`` if a folder of others has none.

    Raises:
        ModelError: the file cannot be read or holds something else.
    """
    path = folder / PREPROCESSING_FILE
    value = read_object(path)
    return None if value is None else Preprocessing.from_json(value, source=path)
