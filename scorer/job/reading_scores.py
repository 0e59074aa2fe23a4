"""Predictions read from an output of an earlier run, once it is proved whole and of the same model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorer import interrupts
from scorer.errors import InputError
from scorer.files.arrow import in_one_piece
from scorer.files.opening import open_source
from scorer.files.source import ReadOptions, text_values
from scorer.job.chunk_work import ModelIdentity
from scorer.job.known_scores import KnownScores
from scorer.job.options import Versions
from scorer.job.provenance import changed_file, parsed, read_provenance
from scorer.job.up_to_date import differing_part
from scorer.model.scoring import STATUSES

log = logging.getLogger(__name__)

_ROWS_AT_A_TIME = 8_192

_NO_LIMIT = 2**62

_SCORED = ("ok", "truncated", "windowed")
"""Statuses of rows that have predictions."""


def read_scores(path: Path, table: KnownScores, model: ModelIdentity, versions: Versions) -> Mapping[str, Any] | None:
    """Add the predictions of an output of ``model`` to ``table``; give its provenance, or ``None`` if it is of another.

    Raises:
        InputError: it has changed since it was published, or its provenance is not that of an output.
    """
    text = read_provenance(path)
    if text is None:
        return None  # it has been taken away
    value = parsed(text, path)
    try:
        reason = _why_not(value, model, versions)
        if reason:
            log.info("%s: nothing is reused from it: %s", path, reason)
            return None
        if changed_file(path, text) is not None:
            raise InputError("has changed since it was published: its checksum differs", path=path)
        _add_rows(path, value, table)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except (KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise InputError("its provenance is not that of an output", path=path) from error
    return value


def _why_not(value: Mapping[str, Any], model: ModelIdentity, versions: Versions) -> str:
    """The reason why predictions of an output are not those that ``model`` would give; empty if they are."""
    if part := differing_part(value, model, versions):
        model_differs = "it was made with another model, with other options of it or on another device"
        return "it was made by other versions" if part == "versions" else model_differs
    if value["options"]["batching"] != model.batching:
        return f"it was made with --batching {value['options']['batching']}"
    if value.get("processor") != model.processor:
        return "it was made on another kind of processor"
    if value["options"]["text_column"] not in [name for name, _ in value["schema"]]:
        return "it does not hold the texts"
    if value["options"]["csv_safe"] and value["output_format"]["kind"] in ("csv", "tsv"):
        return "--csv-safe may have changed its texts"
    return ""


def _add_rows(path: Path, value: Mapping[str, Any], table: KnownScores) -> None:
    column, prefix, labels = value["options"]["text_column"], value["options"]["prefix"], value["bundle"]["labels"]
    kind = value["output_format"]["kind"]
    options = ReadOptions(
        format=kind,
        on_bad_row="reject",  # rows whose text is no string
        max_row_bytes=_NO_LIMIT,
        max_chunk_bytes=_NO_LIMIT,
        max_file_bytes=_NO_LIMIT,
    )
    source = open_source(path, options).with_text(column)
    names = [column, f"{prefix}status", *(f"{prefix}prob_{label}" for label in labels)]
    for rows in source.tables(_ROWS_AT_A_TIME, names):
        interrupts.check()
        status = pc.cast(rows.column(1), pa.string())
        rows = rows.filter(pc.and_(pc.is_in(status, pa.array(_SCORED)), pc.is_valid(rows.column(0))))
        if not rows.num_rows:
            continue
        statuses = pc.index_in(pc.cast(rows.column(1), pa.string()), pa.array(STATUSES)).to_numpy().astype(np.int8)
        probabilities = np.stack([pc.cast(one, pa.float32()).to_numpy() for one in rows.columns[2:]], axis=1)
        table.add(in_one_piece(text_values(rows.column(0))), probabilities, statuses)
