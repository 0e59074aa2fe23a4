"""Text files as one stream of unpacked UTF-8 bytes, and that stream as lines; memory stays bounded."""

from __future__ import annotations

import codecs
import gzip
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa

from scorer.disk.paths import STDIN
from scorer.errors import InputError
from scorer.files.encodings import ByteReader, Transcoded, decoder_of, require_byte_order, wide_encoding
from scorer.files.source import BOMB_BYTES, ReadOptions
from scorer.files.urls import is_url, without_secrets

_BLOCK = 2**20

_GZIP = b"\x1f\x8b"

# Of a frame, and of one that is skipped, as pzstd writes them in front.
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")


class TextReader(ByteReader, Protocol):
    """What gives a text as UTF-8.

    Attributes:
        start: where its first byte stands in the unpacked file, ``None`` where the places of its bytes are others.
    """

    start: int | None


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a local file, a URL or standard input, which is kept in a temporary file."""
    if path == STDIN:
        file: IO[bytes] = _spooled_stdin()
    elif is_url(path):
        from scorer.files.remote import open_url

        file = open_url(path)
    else:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below, like the others
    with file:
        yield file


_stdin: Path | None = None


def _spooled_stdin() -> IO[bytes]:
    """Standard input can be read once, and a file of reviews is read from its start more than once."""
    global _stdin  # there is one standard input in a process
    if _stdin is None:
        if sys.stdin is None or sys.stdin.buffer.closed:
            raise InputError("standard input is closed", path=STDIN)
        # Not unlinked at once: Parquet is opened by name.
        folder = tempfile.mkdtemp(prefix="scorer-stdin-")
        import atexit

        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        whole = Path(folder) / "stdin"
        with whole.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, _BLOCK)
        _stdin = whole
    return _stdin.open("rb")


def stdin_file() -> Path:
    """The temporary file that holds all of standard input; it goes away with the process."""
    _spooled_stdin().close()
    assert _stdin is not None
    return _stdin


@contextmanager
def text_bytes(path: str, options: ReadOptions) -> Iterator[TextReader]:
    """The text of a file as UTF-8 bytes: unpacked where it is packed, transcoded where an encoding is named.

    Bytes that are wrong in a named encoding stay wrong in UTF-8, so that the row that holds them is found.

    Raises:
        InputError: it is damaged, unpacks to more than the limit, or is of another encoding.
        UsageError: the encoding is unknown.
    """
    shown = without_secrets(path)
    decoder = decoder_of(options.encoding)
    with opened(path) as file, _unpacking_errors(shown):
        reader: ByteReader = _Unpacked(file, path, options)
        head = reader.read(_BLOCK)
        if decoder is None:
            if options.encoding is None and (wide := wide_encoding(head)):
                raise InputError(f"looks like {wide[:6].upper()}", path=shown, hint=f"pass --encoding {wide}")
            start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
            yield _Rejoined(head[start:], reader, start)
        else:
            require_byte_order(head, options.encoding or "", shown)
            yield Transcoded(_Rejoined(head, reader), decoder)


class _Unpacked:
    """Bytes of a file that may be gzip or zstd, as its first bytes say; never more than the limit."""

    def __init__(self, file: IO[bytes], path: str, options: ReadOptions) -> None:
        self._file = file
        self._path = without_secrets(path)
        self._options = options
        magic = file.read(4)
        if not magic:
            raise InputError("is empty (0 bytes)", path=self._path)
        file.seek(0)
        self._packed = True
        suffix = Path(self._path).suffix.lower()
        if magic.startswith(_GZIP):
            self._reader: ByteReader = gzip.GzipFile(fileobj=file, mode="rb")
        elif _ZSTD.match(magic):
            self._reader = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        elif suffix in (".gz", ".zst"):
            raise InputError(f"is not packed as {suffix} says, or damaged at its first byte", path=self._path)
        else:
            self._reader = file
            self._packed = False
        self._n_bytes = 0

    def read(self, size: int, /) -> bytes:
        block = self._reader.read(size)
        self._n_bytes += len(block)
        if self._options.max_file_bytes is not None:
            self._options.check_unpacked(self._n_bytes, self._n_bytes, self._path)
        elif self._packed and self._n_bytes > BOMB_BYTES:
            self._options.check_unpacked(self._n_bytes, self._file.tell(), self._path)
        return block


class _Rejoined:
    """A reader whose first block was read already."""

    def __init__(self, head: bytes, rest: ByteReader, start: int = 0) -> None:
        self.start: int | None = start
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._rest.read(size)


@contextmanager
def _unpacking_errors(shown: str) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise InputError("is cut short: its packed data end too early", path=shown) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"is damaged gzip: {error}", path=shown) from error
    except (pa.ArrowException, OSError) as error:
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "runcated" in what:
            what = "its packed data end too early"
        elif isinstance(error, OSError) and error.strerror:
            what = error.strerror
        raise InputError(f"cannot be read: {what}", path=shown) from error


def lines_of(
    reader: ByteReader, *, limit: int, together: Callable[[], bool] = lambda: False
) -> Iterator[bytes | bytearray | int]:
    r"""Lines with the ``\n`` that ends them; of a line of over ``limit`` bytes, which is passed over, their number.

    A line that reaches over blocks comes as a ``bytearray``, so that a long one is held only once. Where
    ``together`` says so, as many lines come at once as are at hand, whatever they hold.
    """
    waiting = bytearray()
    passed_over = 0
    while block := reader.read(_BLOCK):
        first = block.find(b"\n") + 1
        if not first or waiting or passed_over:
            size = len(waiting) + (first or len(block))
            if passed_over or size > limit:
                passed_over += size
                waiting = bytearray()
            else:
                waiting += memoryview(block)[: first or len(block)]
            if not first:
                continue
            if passed_over:
                yield passed_over
                passed_over = 0
            else:
                line, waiting = waiting, bytearray()
                yield line
                del line
            block = block[first:]
        if together():
            whole = block.rfind(b"\n") + 1
            waiting = bytearray(block[whole:])
            if whole:
                yield block[:whole]
            continue
        lines = block.split(b"\n")
        del block
        waiting = bytearray(lines.pop())
        for number, each in enumerate(lines):
            if together():
                yield b"\n".join(lines[number:]) + b"\n"
                break
            yield each + b"\n" if len(each) < limit else len(each) + 1
    size = passed_over + len(waiting)
    if size > limit:
        yield size
    elif waiting:
        yield waiting
