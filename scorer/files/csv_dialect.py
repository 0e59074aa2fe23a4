"""The characters that have a meaning in a CSV file, and what a field with them says."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scorer.files.file_options import NO_QUOTE, FileOptions


@dataclass(frozen=True)
class Dialect:
    """The characters that have a meaning in a CSV file.

    Attributes:
        delimiter: between fields.
        quote: around fields; a doubled one inside stands for one. ``None``: quotes are plain characters.
        escape: makes the character behind it plain, if that has a meaning; before any other it is plain itself, as
            Spark reads it. ``None`` for no such character.
    """

    delimiter: str
    quote: str | None = '"'
    escape: str | None = None

    @classmethod
    def of(cls, options: FileOptions, delimiter: str) -> Dialect:
        """The dialect that ``options`` name; ``delimiter`` is the format's."""
        quote = None if options.quote == NO_QUOTE else options.quote or '"'
        return cls(options.delimiter or delimiter, quote, options.escape)

    def rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """Rows by Python's ``csv``, which has no such escape."""
        if self.quote is None:
            return csv.reader(lines, strict=True, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, strict=True, delimiter=self.delimiter, quotechar=self.quote)

    @cached_property
    def delimiter_bytes(self) -> bytes:
        """The delimiter in UTF-8."""
        return self.delimiter.encode()

    @cached_property
    def quote_bytes(self) -> bytes:
        """The quote in UTF-8; empty for none."""
        return (self.quote or "").encode()

    @cached_property
    def escape_bytes(self) -> bytes:
        """The escape in UTF-8; empty for none."""
        return (self.escape or "").encode()

    @cached_property
    def quoted(self) -> re.Pattern[bytes]:
        """The inside of quotes, up to the closing one."""
        quote, escape = re.escape(self.quote_bytes), re.escape(self.escape_bytes)
        escaped = rb"|%b(?:%b|%b)?" % (escape, quote, escape) if escape else b""
        return re.compile(rb"(?:%b%b|%b%b)*+" % (_text(self.quote_bytes, self.escape_bytes), escaped, quote, quote))

    @cached_property
    def unquoted(self) -> re.Pattern[bytes]:
        """A field without quotes, up to the delimiter."""
        escape = re.escape(self.escape_bytes)
        escaped = rb"|%b(?:%b)?" % (escape, self._special) if escape else b""
        return re.compile(rb"(?:%b%b)*+" % (_text(self.delimiter_bytes, self.escape_bytes), escaped))

    @cached_property
    def _special(self) -> bytes:
        # Those who escape in place of quoting escape the quote too.
        chars = (self.delimiter_bytes, self.escape_bytes, self.quote_bytes or b'"')
        return b"|".join(re.escape(char) for char in chars)

    @cached_property
    def _pairs(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        quote, escape = re.escape(self.quote_bytes), re.escape(self.escape_bytes)
        return (
            re.compile(rb"%b(%b)" % (escape, self._special)),
            re.compile(rb"%b(%b|%b)|%b(%b)" % (escape, quote, escape, quote, quote)),
        )

    def plain(self, content: bytes | bytearray, *, quoted: bool) -> bytes | bytearray:
        """``content`` of a field without the characters that make others plain."""
        if self.escape and self.escape_bytes in content:
            return self._pairs[quoted].sub(lambda pair: pair[1] or pair[pair.lastindex or 0], content)
        quote = self.quote_bytes
        return content.replace(quote * 2, quote) if quoted and quote in content else content

    def is_continued(self, content: bytes | bytearray) -> bool:
        """True if a field without quotes goes on in the next line: an escape, itself not escaped, ends this one."""
        escape = self.escape_bytes
        n_escapes = 0
        while escape and content.endswith(escape, 0, len(content) - n_escapes * len(escape)):
            n_escapes += 1
        return n_escapes % 2 == 1


def _text(*chars: bytes) -> bytes:
    """Pattern of text without any of ``chars``; the first byte of one may be that of another character."""
    firsts = b"".join(re.escape(char[:1]) for char in chars)
    longer = b"|".join(re.escape(char) for char in chars if char)
    alike = rb"|(?!%b)[%b]" % (longer, firsts) if any(len(char) > 1 for char in chars) else b""
    return rb"[^%b]++%b" % (firsts, alike)
