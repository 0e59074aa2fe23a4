"""Encodings of text files: transcoding to UTF-8, byte order marks, and what a file looks like."""

from __future__ import annotations

import codecs
from typing import Protocol

from scorer.errors import InputError, UsageError
from scorer.files.huge_texts import is_utf8

# The marks of UTF-32 first: that of UTF-16 is the start of one of them.
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

# Where they have no mark: which bytes of a character are zero in Latin letters.
_ZERO_BYTES = {
    "utf-16-le": (False, True),
    "utf-16-be": (True, False),
    "utf-32-le": (False, True, True, True),
    "utf-32-be": (True, True, True, False),
}


class ByteReader(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class Transcoded:
    """Text of another encoding as UTF-8."""

    def __init__(self, reader: ByteReader, decoder: codecs.IncrementalDecoder) -> None:
        self.start: int | None = None
        self._reader = reader
        self._decoder = decoder
        self._first = True
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """The next bytes of UTF-8, of up to ``size`` bytes of the file; none at the end."""
        while not self._ended:
            block = self._reader.read(size)
            self._ended = not block
            text = self._decoder.decode(block, final=self._ended)
            if self._first and text:
                self._first = False
                text = text.removeprefix("\ufeff")
            if text:
                return text.encode("utf-8", "surrogatepass")
        return b""


def decoder_of(encoding: str | None) -> codecs.IncrementalDecoder | None:
    """A decoder for ``encoding``; ``None`` if the bytes are UTF-8 already.

    Raises:
        UsageError: the encoding is unknown, or none of text.
    """
    if encoding is None:
        return None
    try:
        codec = codecs.lookup(encoding)
        if not codec._is_text_encoding:  # base64 and others that are no encodings of text
            raise LookupError
        decoder = codecs.getincrementaldecoder(encoding)("scorer-marked")
        decoder.decode(b"", final=True)  # those of domain names and others cannot pass over a wrong byte
    except (LookupError, UnicodeError, ValueError) as error:
        raise UsageError(
            f"unknown --encoding {encoding!r}", hint="pass a name such as utf-8, utf-16 or cp1252"
        ) from error
    if codec.name in ("utf-8", "utf-8-sig"):
        return None
    decoder.reset()
    return decoder


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Each wrong byte becomes a lone surrogate, which no UTF-8 decoder lets through."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("scorer-marked", _marked)


def wide_encoding(head: bytes) -> str | None:
    """The encoding of text in two or four bytes for each character, ``None`` for any other text."""
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return name
    sample = head[:4096]
    if len(sample) < 4 or _begins_with_a_line(sample):
        return None
    # Text of mostly Latin letters has a zero in nearly every other place; NULs in UTF-8 keep no such step.
    for name, places in _ZERO_BYTES.items():
        bytes_at = [sample[place :: len(places)] for place in range(len(places))]
        shares = [some.count(0) / len(some) for some in bytes_at]
        if all(share > 0.4 if zero else share < 0.1 for share, zero in zip(shares, places, strict=True)):
            return name
    return None


def _begins_with_a_line(sample: bytes) -> bool:
    """Whether the first line is UTF-8 without a NUL, which wide text has in every Latin letter and end of a line."""
    line, end, rest = sample.partition(b"\n")
    return bool(end) and b"\0" not in line and not rest.startswith(b"\0") and is_utf8(memoryview(line))


def require_byte_order(head: bytes, encoding: str, shown: str) -> None:
    """Check for the byte order mark with which UTF-16 and UTF-32 begin under those names.

    Raises:
        InputError: ``head`` begins with none.
    """
    name = codecs.lookup(encoding).name
    marks = tuple(mark for mark, encoded in _BOMS.items() if encoded == name)
    if not head or not marks or head.startswith(marks):
        return
    found = wide_encoding(head)
    raise InputError(
        f"does not begin with the byte order mark of {name.upper()}",
        path=shown,
        hint=f"pass --encoding {found}" if found else f"pass --encoding {name}-le or {name}-be, or the one it has",
    )
