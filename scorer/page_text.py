"""Text that a file brought, made fit for a page: nothing invisible, nothing endless."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from scorer.sections import Review

TEXT_CHARACTERS = 4000
"""Of a review that a page shows."""

_EXCERPT_CHARACTERS = 160

# Control characters but line breaks and tabs, marks that turn a line around, separators, halves of
# surrogate pairs and non-characters. Joiners stay: emoji and several scripts need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""``text`` with control characters, marks of direction and the like as ``\x07`` or ``\u202e``.

    Line breaks and tabs stay; ``\r\n`` becomes a line break.
    """
    return _HIDDEN.sub(_escaped, text.replace("\r\n", "\n"))


def review_text(text: str) -> Markup:
    r"""The first :data:`TEXT_CHARACTERS` of ``text`` as markup; escaped characters stand out from a typed ``\x07``."""
    text = text[:TEXT_CHARACTERS].replace("\r\n", "\n")
    pieces, start = [], 0
    for match in _HIDDEN.finditer(text):
        pieces += [
            escape(text[start : match.start()]),
            Markup('<span class="control">{}</span>').format(_escaped(match)),
        ]
        start = match.end()
    return Markup("").join([*pieces, escape(text[start:])])


def excerpt(text: str) -> str:
    """The beginning of ``text`` on one line."""
    head = " ".join(visible(text[: 2 * _EXCERPT_CHARACTERS]).split())
    return head if len(head) <= _EXCERPT_CHARACTERS else head[:_EXCERPT_CHARACTERS] + "…"


def shortened(review: Review) -> str:
    """How much of a review :func:`review_text` shows, where that is not all of it; else an empty string."""
    length = len(review.text or "")
    if length <= TEXT_CHARACTERS and not review.cut:
        return ""
    if review.cut:
        return f"These are the first {min(length, TEXT_CHARACTERS):,} characters; the review is longer."
    return f"These are the first {TEXT_CHARACTERS:,} of {length:,} characters."


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
