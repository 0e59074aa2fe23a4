"""Options by which files of reviews are read, the same in every command; light to import."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypedDict

from scorer.errors import UsageError

NO_QUOTE = "none"
"""Value of ``--quote`` for files in which quotation marks are plain characters."""

_NAMES = {"\\t": "\t", "\\\\": "\\"}  # as shells hand them over
_HINTS = {"delimiter": "pass , or ; or $'\\t'", "quote": f"pass a quotation mark, or {NO_QUOTE}", "escape": "pass '\\'"}


class FileArguments(TypedDict, total=False):
    """:class:`FileOptions` as keyword arguments of a function, for type checkers."""

    format: str | None
    encoding: str | None
    delimiter: str | None
    quote: str | None
    escape: str | None
    no_header: bool


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Options of reading files; ``None`` leaves a choice to the file.

    Attributes:
        format: ``parquet``, ``csv``, ``tsv`` or ``jsonl``; ``None`` goes by the extension.
        encoding: of text formats, a name that Python knows; ``None`` is UTF-8, a byte order mark dropped.
        delimiter: between the fields of a CSV file, one character; ``None`` is the format's.
        quote: around fields of a CSV file, one character; ``none`` takes quotation marks as plain characters, and
            ``None`` is ``"``.
        escape: takes the special meaning from the quote, the escape and, outside quotes, the delimiter or line break
            behind it; one character. ``None``: only a doubled quote stands for a quote.
        no_header: true if the first row of a CSV file is data; the columns are ``column_1``, ``column_2``, ….
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    no_header: bool = False

    def __post_init__(self) -> None:
        for name in _HINTS:
            value = getattr(self, name)
            if value is None or (name == "quote" and value == NO_QUOTE):
                continue
            value = _NAMES.get(value, value)
            object.__setattr__(self, name, value)
            if len(value) != 1 or value in "\r\n\0\ufeff" or "\ud800" <= value <= "\udfff":
                raise UsageError(f"--{name} {value!r} is not one character that can stand there", hint=_HINTS[name])
        if self.escape == (self.quote or '"'):
            object.__setattr__(self, "escape", None)  # a quote before a quote is how quotes are doubled
        chars = {"--delimiter": self.delimiter, "--quote": self.quote or '"', "--escape": self.escape}
        first: dict[str, str] = {}
        for option, char in chars.items():
            if char is not None and (other := first.setdefault(char, option)) != option:
                raise UsageError(f"{other} and {option} are both {char!r}", hint="pass different characters")

    def file_options(self) -> dict[str, Any]:
        """These options by name."""
        return {item.name: getattr(self, item.name) for item in fields(FileOptions)}

    def column(self, name: str) -> str:
        """``name``, or without a header the name of the column with the number ``name``, counted from 1."""
        return f"column_{int(name)}" if self.no_header and name.isdecimal() else name

    def number_columns(self, *names: str) -> None:
        """Put :meth:`column` into these fields of a new value: a column, or a sequence of columns."""
        for name in names:
            value = getattr(self, name)
            if value is not None and self.no_header:
                new = self.column(value) if isinstance(value, str) else tuple(map(self.column, value))
                object.__setattr__(self, name, new)
