"""Rows that cannot be scored: their place and reason, and the limit on their number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from scorer.errors import InputError, UsageError
from scorer.memory import require_to_write_json

NOT_UTF8 = "holds bytes that are not UTF-8"

# Python turns no text of more than 4,300 digits into an integer.
_MAX_BAD = re.compile(r"(\d{1,4000})|(\d{1,4000})(?:\.(\d{1,4000}))?%")


@dataclass(frozen=True)
class Reject:
    """A bad row that was set aside.

    Attributes:
        file: its file as messages name it.
        row: its number in the data of the file, from 1; a header and blank lines between rows do not count.
        line: the line of a text file where it begins, from 1, as editors count; ``None`` in Parquet.
        byte_offset: place of its first byte in the unpacked file, or ``None`` if rows have no such place.
        reason: what is wrong, without any of its text.
        raw: the row as written in the file, bytes that are not text escaped; only on request.
    """

    file: str
    row: int
    byte_offset: int | None
    reason: str
    raw: str | None = None
    line: int | None = None

    def error(self) -> InputError:
        """The error to raise for this row if bad rows stop the run."""
        other = "fix the row"
        if self.reason == NOT_UTF8:
            other = "pass --encoding if the file has another, or convert it to UTF-8"
        hint = f"{other}, or pass --on-bad-row reject"
        return InputError(self.reason, path=self.file, row=self.row, line=self.line, hint=hint)

    def to_json(self) -> dict[str, Any]:
        """One line of a rejects file; ``raw`` only if it was requested."""
        place = {"file": self.file, "row": self.row, "line": self.line, "byte_offset": self.byte_offset}
        value = {**place, "reason": self.reason}
        if self.raw is None:
            return value
        require_to_write_json(len(self.raw))
        return {**value, "raw": self.raw}


@dataclass(frozen=True)
class MaxBad:
    """Maximum number of bad rows before the run fails: a number of rows, or an exact share of all rows.

    >>> MaxBad.parse("2%").allows(bad=3, rows=100)
    False
    >>> MaxBad.parse("29%").allows(bad=29, rows=100)
    True
    """

    rows: int | None = None
    share: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> MaxBad:
        """Read ``N`` or ``P%``.

        Raises:
            UsageError: it is neither.
        """
        match = _MAX_BAD.fullmatch(text.strip())
        if match is not None and match[1] is not None:
            return cls(rows=int(match[1]))
        tenths = "" if match is None else match[3] or ""
        of = 100 * 10 ** len(tenths)
        if match is None or (part := int(match[2]) * 10 ** len(tenths) + int(tenths or 0)) > of:
            raise UsageError(
                f"--max-bad {text!r} is neither a number of rows nor a percentage",
                hint="pass a number or a percentage, such as 100 or 1%",
            )
        return cls(share=(part, of))

    def allows(self, *, bad: int, rows: int) -> bool:
        """True if ``bad`` bad rows among ``rows`` are within the limit."""
        if self.rows is not None:
            return bad <= self.rows
        return self.share is None or bad * self.share[1] <= self.share[0] * rows

    def __str__(self) -> str:
        if self.rows is not None:
            return f"{self.rows:,}"
        part, of = (1, 1) if self.share is None else self.share
        return f"{100 * part / of:g}%"
