"""Text that a file brought, made fit for a page: nothing invisible, nothing endless."""

from __future__ import annotations

from markupsafe import Markup, escape

from scorer.evaluation.sections import Review
from scorer.safe_text import HIDDEN, escaped, visible

TEXT_CHARACTERS = 4000
"""Of a review that a page shows."""

_EXCERPT_CHARACTERS = 160


def review_text(text: str) -> Markup:
    r"""The first :data:`TEXT_CHARACTERS` of ``text`` as markup; escaped characters stand out from a typed ``\x07``."""
    text = text[:TEXT_CHARACTERS].replace("\r\n", "\n")
    pieces, start = [], 0
    for match in HIDDEN.finditer(text):
        pieces += [
            escape(text[start : match.start()]),
            Markup('<span class="control">{}</span>').format(escaped(match)),
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
