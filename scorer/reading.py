"""Files of reviews, opened by their format; what they give is described in :mod:`scorer.sources`."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError, UsageError
from scorer.locations import FORMATS, STDIN, format_of, is_url, without_secrets
from scorer.sources import Chunk, ReadOptions, Source, check_text_type, holds_json

__all__ = [
    "Chunk",
    "ReadOptions",
    "Source",
    "check_text_type",
    "holds_json",
    "open_source",
    "text_values",
]


def open_source(path: str | os.PathLike[str], options: ReadOptions | None = None) -> Source:
    """Open a file, a URL or ``-``; the format of ``options`` overrides that of the extension.

    Raises:
        InputError: it is missing, empty, of an unknown format, or damaged.
        UsageError: standard input has no format, or an option does not fit the format.
    """
    name = os.fspath(path)
    chosen = options or ReadOptions()
    if name == STDIN and chosen.format is None:
        raise UsageError("standard input has no extension that names its format", hint="pass --format")
    if name != STDIN and not is_url(name):
        _check_file(name)
    kind = chosen.format or format_of(name)
    if kind == "parquet":
        if chosen.encoding is not None or chosen.delimiter is not None:
            option = "--encoding" if chosen.encoding is not None else "--delimiter"
            raise UsageError(
                f"is Parquet, which has no {option[2:]}", path=without_secrets(name), hint=f"drop {option}"
            )
        from scorer.parquet_source import ParquetSource

        return ParquetSource(name, chosen)
    if kind == "jsonl":
        if chosen.delimiter is not None:
            raise UsageError("is JSONL, which has no delimiter", path=without_secrets(name), hint="drop --delimiter")
        from scorer.jsonl_source import JsonlSource

        return JsonlSource(name, chosen)
    if kind not in ("csv", "tsv"):
        raise UsageError(f"unknown --format {kind!r}", hint=f"known: {', '.join(dict.fromkeys(FORMATS.values()))}")
    from scorer.csv_source import CsvSource

    return CsvSource(name, chosen, delimiter="\t" if kind == "tsv" else ",")


def _check_file(name: str) -> None:
    file = Path(name)
    try:
        if file.is_dir():
            raise InputError("is a folder, not a file", path=name)
        if not file.exists():
            raise InputError("no such file", path=name, hint="check the path")
        if not file.is_file():
            raise InputError("is no plain file", path=name, hint="read a pipe as -, with --format")
        with file.open("rb") as opened:
            if not opened.read(1):
                raise InputError("is empty (0 bytes)", path=name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}", path=name) from error


def text_values(column: pa.ChunkedArray, *, name: str, path: str) -> pa.ChunkedArray:
    """A column of :func:`check_text_type` as large strings that are surely UTF-8.

    Raises:
        InputError: it holds other bytes, which Parquet files can.
    """
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InputError(f"column {name!r} holds text that is not UTF-8", path=path) from error
    return pc.cast(column, pa.large_string())
