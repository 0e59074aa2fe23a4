"""Rows of a written file, counted in the file itself."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import OutputError
from scorer.files.formats import OutputFormat

_BLOCK_BYTES = 2**20


def count_rows(path: Path, format: OutputFormat, *, shown: Path) -> int:
    """Rows of a file that this program wrote, counted in the file itself.

    Raises:
        OutputError: it cannot be read back.
    """
    try:
        if format.kind == "parquet":
            file = open_parquet(path)
            last = file.schema_arrow.names[-1:]
            delivered = sum(batch.num_rows for batch in file.iter_batches(65536, columns=last, use_threads=False))
            if delivered != file.metadata.num_rows:
                raise OutputError(
                    f"the footer counts {file.metadata.num_rows} rows, {delivered} are read back", path=shown
                )
            return int(delivered)
        with path.open("rb") as raw:
            stream = _unpacked(raw, format.compression)
            return _count_lines(stream) if format.kind == "jsonl" else _count_records(stream)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OutputError(f"what was written cannot be read back: {first}", path=shown) from error


def open_parquet(path: Path) -> pq.ParquetFile:
    """A Parquet file that this program wrote, its page checksums compared while it is read."""
    # By its bytes: pyarrow takes a str for UTF-8, and a name need not be.
    return pq.ParquetFile(pa.OSFile(os.fsencode(path)), page_checksum_verification=True, pre_buffer=False)


def _unpacked(raw: BinaryIO, compression: str) -> BinaryIO:
    if compression == "gzip":
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    if compression == "zstd":
        return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")))
    return raw


def _count_lines(stream: BinaryIO) -> int:
    count, last = 0, b"\n"
    while block := stream.read(_BLOCK_BYTES):
        count += block.count(b"\n")
        last = block[-1:]
    if last != b"\n":
        raise ValueError("its last line has no end")
    return count


def _count_records(stream: BinaryIO) -> int:
    """Records of a CSV file behind its header: line feeds that stand outside of quotes."""
    count, inside, last = -1, False, b""
    while block := stream.read(_BLOCK_BYTES):
        # Two quotes side by side change nothing, and texts may be full of them.
        for piece in block.replace(b'""', b"").split(b'"'):
            if not inside:
                count += piece.count(b"\n")
            inside = not inside
        inside = not inside  # n quotes make n + 1 pieces
        last = block[-1:]
    if inside or last != b"\n":
        raise ValueError("its last record has no end")
    return count
