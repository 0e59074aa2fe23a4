"""The rows that the model is least sure of, written for people to label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from scorer.errors import InputError
from scorer.evaluation.coverage import rows_for_people
from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.rows_file import Places, RowColumns, RowsFile, check_names
from scorer.safe_text import counted


def check_columns(files: Sequence[EvaluatedFile], labels: Sequence[str], options: EvaluateOptions) -> None:
    """Check before any work that the columns of the file have names of their own.

    Raises:
        UsageError: two would share one.
    """
    check_names("--review-queue", files, options, [f"{options.prefix}prob_{name}" for name in labels])


def write_review_queue(file: RowsFile, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> str:
    """Write the least sure of ``rows``, the most doubtful first; returns a note on it.

    Columns: those of :class:`RowColumns`, whose ``label`` is null without gold, and the probabilities, so that the
    file can be evaluated once its labels are filled in.

    Raises:
        InputError: the predictions have no probabilities, or an input cannot be read again.
        OutputError: it could not be written.
    """
    places = _least_sure(rows, options.share_for_people)
    columns = RowColumns.of(rows, labels, options)
    added = [] if rows.probabilities is None else [f"{options.prefix}prob_{name}" for name in labels]
    in_order = np.sort(places)
    pieces = [table for _, table in columns.tables(in_order)]
    table = pa.concat_tables(pieces or [columns.schema.empty_table()])
    table = table.take(pa.array(np.searchsorted(in_order, places)))
    if rows.probabilities is not None:
        for label, name in enumerate(added):
            table = table.append_column(name, pa.array(rows.probabilities[places, label]))
    file.write(table.schema, [table])
    share = f"{options.share_for_people:.3g} of all"
    are = "is" if len(places) == 1 else "are"
    return f"the {counted(len(places), 'least sure row')} ({share}) {are} in {file.path}, most doubtful first"


def _least_sure(rows: EvaluatedRows, share: float) -> Places:
    """Places of the rows with a prediction that are the least sure ``share`` of them, least sure first."""
    if rows.confidence is None:
        raise InputError(
            "--review-queue needs probabilities, and these predictions have none",
            path=rows.files[0].source.path,
            hint="score the reviews again",
        )
    predicted = np.flatnonzero(rows.predicted >= 0)
    order = np.argsort(rows.confidence[predicted], kind="stable")
    return predicted[order[: rows_for_people(share, len(predicted))]]
