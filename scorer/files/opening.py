"""Files of reviews, opened for reading or writing by their format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from scorer.disk.paths import STDIN
from scorer.errors import InputError, UsageError
from scorer.files.csv_writer import CsvTableWriter
from scorer.files.formats import KINDS, OutputFormat, extension_of, format_of
from scorer.files.jsonl_writer import JsonlTableWriter
from scorer.files.parquet_writer import ParquetTableWriter
from scorer.files.sinks import BlockSink, PackedSink, arrow_errors
from scorer.files.source import ReadOptions, Source
from scorer.files.urls import is_url, without_secrets
from scorer.files.writing import TableWriter, check_schema

# Formats, as messages name them, and the options that do not fit them.
_OF_CSV = ("delimiter", "quote", "escape", "no_header")
_WITHOUT = {"parquet": ("Parquet", ("encoding", *_OF_CSV)), "jsonl": ("JSONL", _OF_CSV)}


def open_source(path: str | os.PathLike[str], options: ReadOptions | None = None) -> Source:
    """Open a file, a URL or ``-``; the format of ``options`` overrides that of the extension.

    Raises:
        InputError: it is missing, empty, of an unknown format, or damaged.
        UsageError: standard input has no format, or an option does not fit the format.
    """
    name = os.fspath(path)
    chosen = options or ReadOptions()
    if name == STDIN and chosen.format is None:
        raise UsageError("standard input needs a format", hint="pass --format, or name a file")
    if name != STDIN and not is_url(name):
        _check_file(name)
    kind = chosen.format or format_of(name)
    if kind not in KINDS:
        raise UsageError(f"unknown --format {kind!r}", hint=f"known: {', '.join(KINDS)}")
    _check_options(name, kind, chosen)
    if kind == "parquet":
        from scorer.files.parquet_source import ParquetSource

        return ParquetSource(name, chosen)
    if kind == "jsonl":
        from scorer.files.jsonl_source import JsonlSource

        return JsonlSource(name, chosen)
    from scorer.files.csv_source import CsvSource

    return CsvSource(name, chosen, delimiter="\t" if kind == "tsv" else ",")


def fitting(path: str | os.PathLike[str], options: ReadOptions) -> ReadOptions:
    """``options`` for one of several files, without those that its format lacks; a Parquet file stays one."""
    kind = _kind(os.fspath(path), options)
    nothing = ReadOptions()
    without = {option: getattr(nothing, option) for option in _WITHOUT.get(kind, ("", ()))[1]}
    return replace(options, **without, format=None if kind == "parquet" else options.format)


def check_fit(paths: Iterable[str | os.PathLike[str]], options: ReadOptions) -> None:
    """Check that each option fits one of several files at least.

    Raises:
        UsageError: an option fits none.
    """
    names = [os.fspath(path) for path in paths]
    for option in ("encoding", *_OF_CSV):
        if getattr(options, option) and not any(getattr(fitting(name, options), option) for name in names):
            for name in names:
                _check_options(name, _kind(name, options), options)


def _kind(name: str, options: ReadOptions) -> str:
    kind = extension_of(without_secrets(name)).kind
    return kind if kind == "parquet" else options.format or kind


def _check_options(name: str, kind: str, options: ReadOptions) -> None:
    shown, without = _WITHOUT.get(kind, ("", ()))
    for option in without:
        if getattr(options, option):
            flag = f"--{option.replace('_', '-')}"
            raise UsageError(f"is {shown}, which {flag} is not for", path=without_secrets(name), hint=f"drop {flag}")


def _check_file(name: str) -> None:
    path = Path(name)
    try:
        if path.is_dir():
            raise InputError("is a folder, not a file", path=name)
        if not path.exists():
            raise InputError("no such file", path=name, hint="check the path")
        if not path.is_file():
            raise InputError("is not a regular file", path=name, hint="read a pipe as -, with --format, or name a file")
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError("is empty (0 bytes)", path=name, hint="write it again, or take it away")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}", path=name) from error


@contextmanager
def open_writer(
    file: BinaryIO, format: OutputFormat, schema: pa.Schema, *, long_texts: str | None = None
) -> Iterator[TableWriter]:
    """A writer of ``schema`` into ``file``; after an error in the block it no longer touches the file.

    ``long_texts`` names the column with the reviews, which Parquet writes without a dictionary and without
    least and greatest values: both cost copies of them. Errors of pyarrow in the writer are :class:`OSError`.

    Raises:
        UsageError: the format cannot hold such a schema.
    """
    check_schema(format, schema)
    with arrow_errors():
        writer = _new_writer(file, format, schema, long_texts)
    try:
        yield writer
    except BaseException:
        writer.abandon()
        raise


def _new_writer(file: BinaryIO, format: OutputFormat, schema: pa.Schema, long_texts: str | None) -> TableWriter:
    if format.kind == "parquet":
        return ParquetTableWriter(file, schema, long_texts)
    sink = PackedSink(file, format.compression) if format.compression else BlockSink(file)
    if format.kind == "jsonl":
        return JsonlTableWriter(sink, schema)
    return CsvTableWriter(sink, schema, delimiter="\t" if format.kind == "tsv" else ",", safe=format.csv_safe)
