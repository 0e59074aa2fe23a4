"""Files that the writers of text write to: packed or not, in blocks of one size."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa

from scorer.safe_text import first_line

_BLOCK_BYTES = 2**20


class BlockSink:
    """Passes bytes on in blocks of one size, so that the result does not depend on the sizes of the writes."""

    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        self._file = file
        self._held = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """Pass on the blocks that are complete with ``data``, and hold the rest."""
        self._held += data
        whole = len(self._held) - len(self._held) % _BLOCK_BYTES
        for start in range(0, whole, _BLOCK_BYTES):
            self._file.write(bytes(self._held[start : start + _BLOCK_BYTES]))
        del self._held[:whole]

    def end(self) -> None:
        """Pass on the rest."""
        self._file.write(bytes(self._held))
        self._held.clear()


class PackedSink(BlockSink):
    """Packs its bytes by gzip, without a time stamp, or by zstd."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        self._packed: Any = (
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
            if compression == "gzip"
            else pa.CompressedOutputStream(pa.PythonFile(_StaysOpen(file), mode="w"), "zstd")
        )
        super().__init__(self._packed)

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
    """Raise errors of pyarrow as :class:`OSError`."""
    try:
        yield
    except OSError:
        raise
    except pa.ArrowException as error:
        raise OSError(first_line(error)) from error
