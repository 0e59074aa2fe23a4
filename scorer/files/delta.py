"""Delta tables: the Parquet files that the current version of a table consists of."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scorer.disk.paths import is_folder
from scorer.errors import InputError, UsageError
from scorer.files.urls import without_secrets
from scorer.safe_text import first_line

LOG = "_delta_log"
"""Name of the folder that makes the folder around it a Delta table."""

# Features of a table that leave its files whole; a table that uses any other is refused.
_HARMLESS = {"deletionVectors", "columnMapping", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_HARMLESS |= {"variantType", "variantType-preview"}


def current_files(table: str) -> list[str]:
    """Paths below the folder or URL ``table`` of the files of its current version, sorted.

    Raises:
        InputError: the table cannot be read, or its rows are not the rows of its files.
        UsageError: the package ``deltalake`` is not installed.
    """
    shown = without_secrets(table)
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        hint = 'pip install "review-scorer[delta]"'
        raise UsageError(
            "is a Delta table, which needs a package that is not installed", path=shown, hint=hint
        ) from error
    try:
        opened = DeltaTable(table)
        files = opened.file_uris()
        deleted = opened.deletion_vectors().read_all().num_rows
    except (DeltaError, OSError, ValueError) as error:
        reason = f" ({type(error).__name__})" if shown != table else f": {first_line(error)}"
        raise InputError(f"is a Delta table that cannot be read{reason}", path=shown, hint="repair its log") from error
    root = opened.table_uri.removeprefix("file://").rstrip("/") + "/"
    below = sorted(file.removeprefix(root) for file in files)
    if unsupported := _unsupported(opened, below, deleted):
        raise InputError(
            f"is a Delta table with {unsupported}", path=shown, hint="write its rows to Parquet files and pass these"
        )
    return below


def check_of_versions() -> Callable[[str], bool]:
    """Make a check that is false for files of the Delta table around them that its current version lacks.

    It takes paths of this machine, reads each table once, and raises the errors of :func:`current_files`.
    """

    @cache
    def table_around(folder: Path) -> Path | None:
        if is_folder(folder / LOG):
            return folder
        return None if folder == folder.parent else table_around(folder.parent)

    @cache
    def table_of(folder: str) -> Path | None:
        return table_around(Path(os.path.abspath(folder)))  # noqa: PTH100 - not Path.resolve: a link may lead out

    @cache
    def files_of(table: Path) -> set[Path]:
        return {table / below for below in current_files(str(table))}

    def is_current(path: str) -> bool:
        table = table_of(os.path.dirname(path.rstrip("/")))  # noqa: PTH120
        return table is None or Path(os.path.abspath(path)) in files_of(table)  # noqa: PTH100

    return is_current


def _unsupported(table: Any, files: list[str], deleted: int) -> str:
    """Features of the table that its files alone do not show; empty without any."""
    protocol, about = table.protocol(), table.metadata()
    if deleted:
        return "deletion vectors"
    if about.configuration.get("delta.columnMapping.mode", "none") != "none":
        return "column mapping"
    if unknown := sorted(set(protocol.reader_features or ()) - _HARMLESS):
        return f"the feature {unknown[0]}"
    if any(file.startswith("/") or "://" in file for file in files):
        return "files outside its folder"
    levels = [{unquote(level.partition("=")[0]) for level in file.split("/")[:-1]} for file in files]
    if any(not names.issuperset(about.partition_columns) for names in levels):
        return "partitions that are not folders named key=value"
    return ""
