"""Verification of outputs against their provenance, for ``score --verify``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.disk.checksums import sha256_of
from scorer.disk.paths import is_folder, is_plain_file
from scorer.errors import InputError, OutputError
from scorer.files.beside_outputs import REJECTS_SUFFIX
from scorer.files.counting import count_rows, open_parquet
from scorer.files.formats import OutputFormat
from scorer.files.inputs import expand_inputs
from scorer.job.provenance import changed_file, is_parquet, parsed, read_provenance, sidecar_of
from scorer.safe_text import counted, first_line

log = logging.getLogger(__name__)


def verify(paths: Sequence[Path]) -> Iterator[str]:
    """Verify outputs, and every output in folders; give a line for each that is whole.

    Raises:
        InputError: one is not what was published; with several, once all are verified.
    """
    if len(paths) == 1 and not is_folder(paths[0]):
        yield verify_output(paths[0])
        return
    files: list[Path] = []
    for path in paths:
        files += [Path(file.path) for file in expand_inputs([path])] if is_folder(path) else [path]
    bad = 0
    for file in files:
        try:
            yield verify_output(file)
        except InputError as error:
            log.error("%s", error)
            bad += 1
    if bad:
        where = paths[0] if len(paths) == 1 else None
        raise InputError(f"{bad:,} of {counted(len(files), 'file')} failed verification", path=where)


def verify_output(output: Path) -> str:
    """Verify every byte, the schema and all counts of an output; give a line that says so.

    Raises:
        InputError: it is not what was published, or has no provenance.
    """
    if not is_plain_file(output):
        raise InputError("no such file", path=output, hint="name an output of score")
    text = read_provenance(output)
    if text is None:
        where = "its footer has no provenance" if is_parquet(output) else f"{sidecar_of(output).name} is missing"
        raise InputError(f"cannot be verified: {where}", path=output, hint="pass an output of score")
    value = _checked_bytes(output, text)
    try:
        rows = value["rows"]
        added_up = rows["scored"] + rows["empty"] + rows.get("error", 0)
        if rows["in"] != added_up + rows["rejected"] or rows["out"] != added_up:
            raise InputError("its provenance states counts that do not add up", path=output)
        format = OutputFormat(value["output_format"]["kind"], value["output_format"]["compression"])
        _check_content(output, value, format)
        _check_rejects(output, value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"its provenance is not that of an output: {error}", path=output) from error
    except OutputError as error:
        raise InputError(error.message, path=output) from error
    others = f", {rows['rejected']:,} rejected" if rows["rejected"] else ""
    version = value["versions"]["review-scorer"]
    return (
        f"{output}: whole, {counted(rows['out'], 'row')}{others}; checksums match, written by review-scorer {version}"
    )


def _checked_bytes(output: Path, text: bytes) -> dict[str, Any]:
    """Check that no byte of the provenance or of the output has changed; give the provenance."""
    try:
        changed = changed_file(output, text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=output) from error
    if changed is not None:
        raise InputError("has changed since it was published: its checksum differs", path=changed)
    return parsed(text, output)


def _check_content(output: Path, value: dict[str, Any], format: OutputFormat) -> None:
    rows = value["rows"]["out"]
    found = count_rows(output, format, shown=output)
    if found != rows:
        raise InputError(f"has {counted(found, 'row')}, but its provenance states {rows:,}", path=output)
    if format.kind != "parquet":
        return
    try:
        file = open_parquet(output)
        schema = [[field.name, str(field.type)] for field in file.schema_arrow]
        if schema != value["schema"]:
            raise InputError("has another schema than its provenance states", path=output)
        status = f"{value['options']['prefix']}status"
        by_status: Counter[str] = Counter()
        # Every page of every column is read, so that every checksum is compared.
        for batch in file.iter_batches(8192, use_threads=False):
            by_status.update(batch.column(schema.index([status, "string"])).to_pylist())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"is damaged: {first_line(error)}", path=output) from error
    if dict(by_status) != {name: count for name, count in value["by_status"].items() if count}:
        raise InputError("its rows by status are not those that its provenance states", path=output)


def _check_rejects(output: Path, value: dict[str, Any]) -> None:
    stated = value["rejects"]
    if stated is None:
        return
    path = output.with_name(output.name + REJECTS_SUFFIX)
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise InputError(f"{counted(stated['rows'], 'rejected row')}, but {error.strerror}", path=path) from error
    if digest != stated["sha256"]:
        raise InputError("has changed since it was published: its checksum differs", path=path)
