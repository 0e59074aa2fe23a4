"""Text files as one stream of unpacked UTF-8 bytes, and that stream as lines; memory stays bounded."""

from __future__ import annotations

import atexit
import codecs
import gzip
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Protocol, TypeAlias, cast

import pyarrow as pa

from scorer.disk.paths import STDIN
from scorer.errors import InputError
from scorer.files.encodings import ByteReader, Transcoded, decoder_of, marked_encoding, require_byte_order
from scorer.files.source import ReadOptions
from scorer.files.urls import is_url, without_secrets
from scorer.safe_text import first_line

_BLOCK_BYTES = 2**20
_FIRST_BYTES = 2**14

Line: TypeAlias = bytes | bytearray | int
"""A line with its end, or the length in bytes of one that is too long."""

_GZIP = b"\x1f\x8b"

# The start of a frame, and of one that is skipped, as pzstd writes them in front.
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")


class TextReader(ByteReader, Protocol):
    """A stream of UTF-8.

    Attributes:
        start: place of its first byte in the unpacked file; ``None`` if its bytes have other places there.
        expected_bytes: about its size, by what was read so far; ``None`` if nothing tells.
    """

    start: int | None
    expected_bytes: int | None


@contextmanager
def text_bytes(path: str, options: ReadOptions) -> Iterator[TextReader]:
    """The text of a local file, a URL or ``-`` as UTF-8 bytes: unpacked if packed, transcoded from a named encoding.

    Bytes that are wrong in a named encoding stay wrong in UTF-8, so that the row that holds them is found.

    Raises:
        InputError: it is damaged, unpacks to more than the limit, or has another encoding.
        UsageError: the encoding is unknown.
    """
    shown = without_secrets(path)
    decoder = decoder_of(options.encoding)
    with _unpacking_errors(shown), _open_bytes(path) as file:
        reader = _Unpacked(file, shown, options)
        if decoder is not None:
            require_byte_order(reader.head, options.encoding or "", shown)
            yield Transcoded(reader, decoder)
            return
        if options.encoding is None and (wide := marked_encoding(reader.head)):
            hint = f"pass --encoding {wide}, or convert the file to UTF-8"
            raise InputError(f"looks like {wide.upper()}", path=shown, hint=hint)
        if reader.head.startswith(codecs.BOM_UTF8):
            reader.start = len(codecs.BOM_UTF8)
            reader.head = reader.head[reader.start :]
        yield reader


def _open_bytes(path: str) -> IO[bytes]:
    if is_url(path):
        from scorer.files.remote import open_url

        return open_url(path)
    return (stdin_file() if path == STDIN else Path(path)).open("rb")


@cache
def stdin_file() -> Path:
    """A temporary file that holds all of standard input and is removed when the process ends.

    Standard input can be read once, and a file of reviews is read from its start more than once.
    """
    buffer = getattr(sys.stdin, "buffer", None)  # some notebooks and tests have a stream of text alone
    if buffer is None or buffer.closed:
        raise InputError("standard input is closed", path=STDIN, hint="name a file")
    folder = tempfile.mkdtemp(prefix="scorer-stdin-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    whole = Path(folder) / "stdin"
    with whole.open("wb") as file:
        shutil.copyfileobj(buffer, file, _BLOCK_BYTES)
    return whole


class _Unpacked:
    """Bytes of a file that may be gzip or zstd, as its first bytes say; never more than the limit.

    Attributes:
        head: the first block until it is read.
        start: as in :class:`TextReader`.
    """

    def __init__(self, file: IO[bytes], shown: str, options: ReadOptions) -> None:
        self._file = file
        self._shown = shown
        self._options = options
        self._n_bytes = 0
        self._size = _size_of(file)
        self.expected_bytes: int | None = self._size or None
        self.head = b""
        magic = file.read(4)
        if not magic:
            raise InputError("is empty (0 bytes)", path=shown, hint="write it again, or take it away")
        file.seek(0)
        suffix = Path(shown).suffix.lower()
        self._reader: ByteReader = file
        if magic.startswith(_GZIP):
            self._reader = gzip.GzipFile(fileobj=file, mode="rb")
        elif _ZSTD.match(magic):
            self._reader = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        elif suffix in (".gz", ".zst"):
            raise InputError(f"is not compressed as {suffix} says, or is damaged at its first byte", path=shown)
        self.start: int | None = 0
        self.head = self.read(_BLOCK_BYTES)

    def read(self, size: int, /) -> bytes:
        if self.head:
            head, self.head = self.head, b""
            return head
        block = self._reader.read(size)
        self._n_bytes += len(block)
        packed = self._n_bytes if self._reader is self._file else self._file.tell()
        if self._reader is not self._file:
            self.expected_bytes = self._n_bytes * self._size // packed if self._size else None
        self._options.check_unpacked(self._n_bytes, packed, self._shown)
        return block


def _size_of(file: IO[bytes]) -> int:
    """Bytes of a file of this machine, else 0."""
    try:
        return os.fstat(file.fileno()).st_size
    except OSError:  # a file of a store
        return 0


@contextmanager
def _unpacking_errors(shown: str) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise InputError("is truncated: its compressed data end too early", path=shown) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"is damaged gzip: {error}", path=shown) from error
    except (pa.ArrowException, OSError) as error:
        what = first_line(error)
        if "runcated" in what:
            what = "its compressed data end too early"
        elif isinstance(error, OSError) and error.strerror:
            what = error.strerror
        raise InputError(f"cannot be read: {what}", path=shown) from error


def lines_of(reader: ByteReader, *, limit: int, together: Callable[[], bool] = lambda: False) -> Iterator[Line]:
    r"""Lines with the ``\n`` that ends them; for a line of over ``limit`` bytes, which is skipped, its length.

    A line across blocks is a ``bytearray``, so that a long one is held only once. While ``together()`` is
    true, as many lines as are at hand come at once, whatever they hold.
    """
    for first, whole in _cut(reader, limit):
        if first is not None:
            yield first
        lines = whole.split(b"\n")[:-1]
        for number, line in enumerate(lines):
            if together():
                yield b"\n".join(lines[number:]) + b"\n"
                break
            yield line + b"\n" if len(line) < limit else len(line) + 1


def line_blocks_of(reader: ByteReader, *, limit: int) -> Iterator[Line]:
    """The lines of :func:`lines_of`, many at a time as ``bytes``, for :func:`lines_in` to cut; a long one is alone.

    The first ones are few: what they show may help with all others.
    """
    is_first = True
    for first, whole in _cut(reader, limit):
        block = whole
        if isinstance(first, bytearray) and len(first) < _BLOCK_BYTES:
            block = bytes(first) + whole
        elif first is not None:
            yield first
        if is_first and (few := block.find(b"\n", _FIRST_BYTES) + 1):
            yield block[:few]
            block = block[few:]
        is_first = False
        if block:
            yield block


def lines_in(block: Line, *, limit: int) -> list[Line]:
    """The lines of a block of :func:`line_blocks_of`, as :func:`lines_of` gives them."""
    if not isinstance(block, bytes):
        return [block]
    lines = BytesIO(block).readlines()
    if max(map(len, lines)) <= limit:
        return cast("list[Line]", lines)
    return [line if len(line) <= limit else len(line) for line in lines]


def _cut(reader: ByteReader, limit: int) -> Iterator[tuple[bytearray | int | None, bytes]]:
    """The line, or the length of one that is too long, that ends first in a block, and the others as they are.

    It is ``None`` where a block begins with a line.
    """
    waiting = bytearray()  # the beginning of a line
    skipped = 0  # bytes of a line that is too long
    while block := reader.read(_BLOCK_BYTES):
        first: bytearray | int | None = None
        start, end = 0, block.rfind(b"\n") + 1
        if end and (waiting or skipped):
            start = block.index(b"\n") + 1
            size = skipped + len(waiting) + start
            if size <= limit:
                waiting += block[:start]
            first, waiting, skipped = waiting if size <= limit else size, bytearray(), 0
        whole, rest = block[start:end], block[end:]
        del block
        if skipped or len(waiting) + len(rest) > limit:
            skipped += len(waiting) + len(rest)
            waiting = bytearray()
        else:
            waiting += rest
        if first is not None or whole:
            yield first, whole
        del first, whole
    size = skipped + len(waiting)
    if size > limit:
        yield size, b""
    elif waiting:
        yield waiting, b""
