"""Encodings of text files: transcoding to UTF-8, and byte order marks."""

from __future__ import annotations

import codecs
from typing import Protocol

from scorer.errors import InputError, UsageError

# The marks of UTF-32 first: that of UTF-16 is the start of one of them.
_WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class ByteReader(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class Transcoded:
    """Text of another encoding as UTF-8.

    Attributes:
        start, expected_bytes: always ``None``: places in UTF-8 are not those in the file.
    """

    start: int | None = None
    expected_bytes: int | None = None

    def __init__(self, reader: ByteReader, decoder: codecs.IncrementalDecoder) -> None:
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
        UsageError: the encoding is unknown, or not one of text.
    """
    if encoding is None:
        return None
    try:
        codec = codecs.lookup(encoding)
        if not codec._is_text_encoding:  # base64 and others
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


def _mark_wrong_bytes(error: UnicodeError) -> tuple[str, int]:
    """Turn each wrong byte into a lone surrogate, which no UTF-8 decoder lets through."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("scorer-marked", _mark_wrong_bytes)


def marked_encoding(head: bytes) -> str | None:
    """``utf-16`` or ``utf-32`` if ``head`` begins with the byte order mark of one, else ``None``."""
    return next((name for mark, name in _WIDE_MARKS.items() if head.startswith(mark)), None)


def require_byte_order(head: bytes, encoding: str, shown: str) -> None:
    """Check for the byte order mark with which UTF-16 and UTF-32 begin under those names.

    Raises:
        InputError: ``head`` begins without it.
    """
    name = codecs.lookup(encoding).name
    marks = tuple(mark for mark, marked in _WIDE_MARKS.items() if marked == name)
    if not head or not marks or head.startswith(marks):
        return
    raise InputError(
        f"does not begin with the byte order mark of {name.upper()}",
        path=shown,
        hint=f"pass --encoding {marked_encoding(head) or f'{name}-le or {name}-be'}, or convert the file to UTF-8",
    )
