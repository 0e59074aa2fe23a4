"""The baseline's predictions as a file: the columns that ``score`` adds, and a sealed provenance as it writes it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from scorer.disk.checksums import sha256_of
from scorer.disk.durable import sync, write_errors
from scorer.disk.publishing import Move, publish, stage
from scorer.errors import InputError, UsageError
from scorer.files.beside_outputs import PROVENANCE_KEY
from scorer.files.columns import text_column
from scorer.files.jsonl_writer import JsonlTableWriter
from scorer.files.sinks import BlockSink
from scorer.job.provenance import seal_parquet, sealed_text, sidecar_of, unsealed_text
from scorer.safe_text import counted, quoted
from scorer.version import package_version
from train.data import LabelledReviews
from train.data_files import advised, data_files, read_rows, texts_of
from train.data_record import hashes_by_name
from train.options import TrainOptions
from train.preflight import PREDICTION_KINDS

log = logging.getLogger(__name__)

Probabilities = Callable[[Sequence[str]], npt.NDArray[np.float64]]
"""Texts to the probability of each label, float64 ``(n, n_labels)``."""


def write_predictions(
    probabilities: Probabilities, eval_set: LabelledReviews, path: Path, options: TrainOptions
) -> None:
    """Write predictions for the rows of ``options.predict``, or else for the validation rows.

    Raises:
        InputError: the rows cannot be used.
        UsageError: the format cannot hold one of their columns.
        OutputError: the file cannot be written.
    """
    names = eval_set.label_names
    if options.predict:
        sources: Sequence[str] = options.predict
        rows = read_rows(sources, "predict", options)
        with advised(sources, options):
            text = text_column(rows.column_names, options.text_column, ", ".join(sources))
    else:
        sources = options.eval or options.train
        rows = pa.table({"text": eval_set.texts, "label": [names[label] for label in eval_set.labels]})
        text = "text"
    nested = next((field.name for field in rows.schema if pa.types.is_nested(field.type)), None)
    if nested is not None and PREDICTION_KINDS[path.suffix] == "csv":
        raise UsageError(
            f"column {quoted(nested)} holds lists or objects, which CSV cannot hold",
            path=path,
            hint="choose .parquet or .jsonl, or drop it first",
        )
    table = with_predictions(rows, text, probabilities, names)
    provenance = _provenance(table, path, sources, options)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with write_errors(path):
            sidecar = _write(table, unfinished, PREDICTION_KINDS[path.suffix], provenance)
            with unfinished.open("r+b") as file:
                sync(file)
        beside = [] if sidecar is None else [stage(sidecar_of(path), sidecar)]
        publish([*beside, Move(unfinished, path)], last=False)
    finally:
        unfinished.unlink(missing_ok=True)
    log.info("%s: predictions for %s", path, counted(rows.num_rows, "row"))


def with_predictions(rows: pa.Table, text: str, probabilities: Probabilities, names: Sequence[str]) -> pa.Table:
    """``rows`` with the columns that ``score`` adds; a null or blank text has null predictions.

    Raises:
        InputError: the rows already have a column of such a name, or the text is of another type.
    """
    texts = texts_of(rows, text, None)
    clash = next((column for column in rows.column_names if column.startswith("pred_")), None)
    if clash is not None:
        raise InputError(f"already has a column {quoted(clash)}", hint="drop it first")
    blank = np.array([not text.strip() for text in texts])
    found = probabilities(texts).astype(np.float32)
    table = rows.replace_schema_metadata(None)
    added = {
        "pred_label": pa.array([names[label] for label in found.argmax(axis=1)], mask=blank),
        "pred_score": pa.array(found.max(axis=1), mask=blank),
        **{
            f"pred_prob_{name}": pa.array(np.ascontiguousarray(found[:, number]), mask=blank)
            for number, name in enumerate(names)
        },
        "pred_status": pa.array(np.where(blank, "empty", "ok")),
    }
    for name, column in added.items():
        table = table.append_column(name, column)
    return table


def _provenance(table: pa.Table, path: Path, sources: Sequence[str], options: TrainOptions) -> dict[str, Any]:
    """The provenance that ``score --verify`` checks an output against, and the command that made it."""
    by_status = Counter(table["pred_status"].to_pylist())
    n_rows, empty = table.num_rows, by_status["empty"]
    hashes = hashes_by_name([file for source in sources for file in data_files(source)])
    return {
        "command": options.command(),
        "inputs": [{"name": name, "sha256": sha256} for name, sha256 in hashes.items()],
        "rows": {"in": n_rows, "scored": n_rows - empty, "empty": empty, "rejected": 0, "out": n_rows},
        "by_status": dict(by_status),
        "options": {"prefix": "pred_"},
        "output_format": {"kind": PREDICTION_KINDS[path.suffix], "compression": ""},
        "schema": [[field.name, str(field.type)] for field in table.schema],
        "versions": {"review-scorer": package_version(), "scikit-learn": version("scikit-learn")},
        "rejects": None,
    }


def _write(table: pa.Table, path: Path, kind: str, provenance: dict[str, Any]) -> bytes | None:
    """Write ``table``; returns the provenance for a file beside it, if the format has no place for it inside."""
    if kind == "parquet":
        table = table.replace_schema_metadata({PROVENANCE_KEY: unsealed_text(provenance)})
        pq.write_table(table, path, write_page_checksum=True)
        with path.open("r+b") as file:
            seal_parquet(file)
        return None
    if kind == "csv":
        pyarrow.csv.write_csv(table, path)
    else:
        with path.open("wb") as file:
            writer = JsonlTableWriter(BlockSink(file), table.schema)
            writer.write(table)
            writer.finish()
    return sealed_text({**provenance, "output": {"bytes": path.stat().st_size, "sha256": sha256_of(path)}}) + b"\n"
