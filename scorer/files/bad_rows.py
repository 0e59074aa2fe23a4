"""Rows that cannot be scored: what is known of each, and how many may be left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from scorer.errors import InputError, UsageError

NOT_UTF8 = "holds bytes that are not UTF-8"

# Python turns no text of more than 4,300 digits into an integer.
_MAX_BAD = re.compile(r"(\d{1,4000})|(\d{1,4000}(?:\.\d{1,4000})?)%")


@dataclass(frozen=True)
class Reject:
    """A row that was set aside.

    Attributes:
        file: its file as messages name it.
        row: of the file's data, from 1; a header and blank lines between rows do not count.
        byte_offset: of its first byte in the unpacked file, or ``None`` where rows have none.
        reason: what is wrong, without any of its text.
        raw: the row as it stands in the file, bytes that are no text escaped; only on request.
    """

    file: str
    row: int
    byte_offset: int | None
    reason: str
    raw: str | None = None

    def error(self) -> InputError:
        """The error that this row is where bad rows are not set aside."""
        other = "pass --encoding if the file has another" if self.reason == NOT_UTF8 else "mend it"
        return InputError(self.reason, path=self.file, row=self.row, hint=f"{other}, or pass --on-bad-row reject")

    def to_json(self) -> dict[str, Any]:
        """One line of a rejects file; ``raw`` only where it was asked for."""
        value: dict[str, Any] = {
            "file": self.file,
            "row": self.row,
            "byte_offset": self.byte_offset,
            "reason": self.reason,
        }
        if self.raw is not None:
            value["raw"] = self.raw
        return value


@dataclass(frozen=True)
class MaxBad:
    """How many bad rows a run bears: a number of rows, or a share of all rows, which is exact.

    >>> MaxBad.parse("2%").allows(bad=3, rows=100)
    False
    >>> MaxBad.parse("29%").allows(bad=29, rows=100)
    True
    """

    rows: int | None = None
    share: Fraction | None = None

    @classmethod
    def parse(cls, text: str) -> MaxBad:
        """Read ``N`` or ``P%``.

        Raises:
            UsageError: it is neither.
        """
        match = _MAX_BAD.fullmatch(text.strip())
        if match is None or (match[2] is not None and Fraction(match[2]) > 100):
            raise UsageError(f"--max-bad {text!r} is no number of rows and no share", hint="pass N or P%, as 100 or 1%")
        return cls(rows=int(match[1])) if match[1] is not None else cls(share=Fraction(match[2]) / 100)

    def allows(self, *, bad: int, rows: int) -> bool:
        """Whether ``bad`` of ``rows`` rows are borne."""
        if self.rows is not None:
            return bad <= self.rows
        return self.share is None or bad <= self.share * rows

    def __str__(self) -> str:
        if self.rows is not None:
            return f"{self.rows:,}"
        return f"{float(100 * (1 if self.share is None else self.share)):g}%"


def check_bad_rows(limit: MaxBad | None, *, bad: int, rows: int, path: str, finished: bool) -> None:
    """Stop a run that has more bad rows than it bears; to be asked after every chunk and at the end.

    A share is judged at the end only: a file may begin badly.

    Raises:
        InputError: there are too many.
    """
    if limit is None or (limit.share is not None and not finished) or limit.allows(bad=bad, rows=rows):
        return
    raise InputError(
        f"{bad:,} of {rows:,} rows are bad, more than --max-bad {limit}", path=path, hint="mend them or raise --max-bad"
    )
