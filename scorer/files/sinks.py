"""Where the writers of text put their bytes: into a file, packed or not, in pieces of one size."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

_BLOCK_BYTES = 2**20


class Sink(Protocol):
    """What a text writer needs of a file."""

    def write(self, data: bytes, /) -> Any:
        """Take ``data``."""


class Blocks:
    """Passes bytes on in pieces of one size, so that what is behind sees no difference between callers."""

    def __init__(self, file: Sink) -> None:
        self._file = file
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        """Pass on what is whole with ``data``, and keep the rest."""
        self._held += data
        whole = len(self._held) - len(self._held) % _BLOCK_BYTES
        for start in range(0, whole, _BLOCK_BYTES):
            self._file.write(bytes(self._held[start : start + _BLOCK_BYTES]))
        del self._held[:whole]

    def end(self) -> None:
        """Pass on the rest."""
        self._file.write(bytes(self._held))
        self._held.clear()


class Packer(Blocks):
    """The same into gzip without a time stamp, or zstd."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        packed: Any = (
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
            if compression == "gzip"
            else pa.CompressedOutputStream(pa.PythonFile(_StaysOpen(file), mode="w"), "zstd")
        )
        super().__init__(packed)
        self._packed = packed

    def end(self) -> None:
        """Pass on the rest, and end the packed data."""
        super().end()
        with arrow_errors():
            self._packed.close()


class _StaysOpen(io.RawIOBase):
    """A file that pyarrow may close without closing the one behind it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._file.write(data)


@contextmanager
def arrow_errors() -> Iterator[None]:
    """Errors of pyarrow that are not ``OSError`` already, as one."""
    try:
        yield
    except OSError:
        raise
    except pa.ArrowException as error:
        raise OSError((str(error).strip().splitlines() or [type(error).__name__])[0]) from error
