"""Untrusted text made safe for a terminal, a log or a page: names of files and columns, reviews, errors."""

from __future__ import annotations

import re


def first_line(error: BaseException) -> str:
    """First line of the text of ``error``, or the name of its class if it has no text."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun in singular or plural, which ends in s unless it is given.

    >>> counted(1, "row"), counted(2048, "row")
    ('1 row', '2,048 rows')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def in_utf8(text: str) -> str:
    r"""``text`` with bytes that are not UTF-8 escaped, as names of files can have them.

    >>> in_utf8(os.fsdecode(b"caf\xe9.csv"))
    'caf\\udce9.csv'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


_SHOWN_NAME = 60


def quoted(name: object) -> str:
    """The name of a column in quotes, cut at 60 characters: where a header is missing, a review stands in its place."""
    text = str(name)
    return repr(text if len(text) <= _SHOWN_NAME else f"{text[:_SHOWN_NAME]}…")


_EMOJI = "[\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_JOINER = re.compile(f"(?:(?<={_EMOJI})|(?<={_EMOJI}\ufe0f))\u200d(?={_EMOJI})")
"""U+200D within an emoji: between two, the first with a variation selector or without."""


def printable(text: str) -> str:
    """``text`` on one line, with control characters and what is invisible escaped, except the joiners of emoji."""
    return "\u200d".join(map(_without_invisible, _JOINER.split(text)))


def _without_invisible(text: str) -> str:
    return "".join(
        char if char.isprintable() or char == " " else char.encode("unicode_escape").decode("ascii") for char in text
    )


# Control characters except line breaks and tabs, marks that turn a line around, separators, halves of
# surrogate pairs and non-characters. Joiners stay: emoji and several scripts need them.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""``text`` with control characters, marks of direction and the like as ``\x07`` or ``\u202e``.

    Line breaks and tabs stay; ``\r\n`` becomes a line break.
    """
    return HIDDEN.sub(escaped, text.replace("\r\n", "\n"))


def escaped(match: re.Match[str]) -> str:
    r"""A match of :data:`HIDDEN` as ``\x07`` or ``\u202e``."""
    return match[0].encode("unicode_escape").decode("ascii")
