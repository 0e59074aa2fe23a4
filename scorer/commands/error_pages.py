"""The page of errors: the address of the row that explains a message."""

from __future__ import annotations

import re
from importlib.resources import files

from scorer.version import DOCUMENTATION

SECTIONS = {
    1: "1-internal-error",
    2: "2-usage",
    3: "3-bad-input-data",
    4: "4-bad-model-or-device",
    5: "5-output-could-not-be-written",
    6: "6-another-run-holds-the-output",
    7: "7-out-of-memory",
    8: "8-a-quality-gate-was-not-met",
    9: "9-a-store-or-network-does-not-answer",
}
"""Anchors of the sections by exit code."""

HOLE = "…"
"""Stands for names and numbers in the messages of the page."""

_TABLE = "error_pages.tsv"


def address_of(message: str, exit_code: int) -> str:
    """Address of the row that explains ``message``, or of the section of its exit code."""
    return f"{DOCUMENTATION}/errors.md#{anchor_of(message, exit_code)}"


def anchor_of(message: str, exit_code: int) -> str:
    """Anchor of the row whose message has most words in common with ``message``; else that of the section."""
    fitting = [
        (len(template.replace(HOLE, "")), -template.count(HOLE), anchor)
        for code, anchor, template in table()
        if code == exit_code and _pattern(template).fullmatch(message)
    ]
    return max(fitting)[2] if fitting else SECTIONS[exit_code]


def table() -> list[tuple[int, str, str]]:
    """Exit code, anchor and message of every row of the page; ``make docs`` writes it."""
    lines = (files(__package__) / _TABLE).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return [(int(code), anchor, template) for code, anchor, template in rows]


def _pattern(template: str) -> re.Pattern[str]:
    words = ".*".join(map(re.escape, template.split(HOLE))) + r"\.?"
    # A number before it may be 1: the page has the plural.
    return re.compile(re.sub(r"(?<=\.\*)((?:\\ \w+)?\\ \w+)s\b", r"\1s?", words), re.DOTALL)
