"""Rows of a written file, counted in the file itself."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import OutputError
from scorer.files.encodings import ByteReader
from scorer.files.formats import OutputFormat
from scorer.safe_text import counted, first_line

_BLOCK_BYTES = 2**20


def count_rows(path: Path, format: OutputFormat, *, shown: Path) -> int:
    """Count the rows of a file that this program wrote, by reading it; messages name it ``shown``.

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
                    f"the footer counts {counted(file.metadata.num_rows, 'row')}, but {delivered} were read back",
                    path=shown,
                )
            return int(delivered)
        with path.open("rb") as raw:
            reader = _unpacked(raw, format.compression)
            return _count_lines(reader) if format.kind == "jsonl" else _count_records(reader)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise OutputError(f"what was written cannot be read back: {first_line(error)}", path=shown) from error


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file that this program wrote; its page checksums are verified while it is read."""
    # By its bytes: pyarrow takes a str for UTF-8, and a name need not be.
    return pq.ParquetFile(pa.OSFile(os.fsencode(path)), page_checksum_verification=True, pre_buffer=False)


def _unpacked(raw: BinaryIO, compression: str) -> ByteReader:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=raw)
    return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd") if compression else raw


def _count_lines(reader: ByteReader) -> int:
    count, last = 0, b"\n"
    while block := reader.read(_BLOCK_BYTES):
        count += block.count(b"\n")
        last = block[-1:]
    if last != b"\n":
        raise ValueError("its last line has no end")
    return count


def _count_records(reader: ByteReader) -> int:
    """Count the records of a CSV file after its header: the line feeds outside quotes."""
    count, inside, last = -1, False, b""
    while block := reader.read(_BLOCK_BYTES):
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
