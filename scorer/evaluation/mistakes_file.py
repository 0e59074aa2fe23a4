"""Every mistake and every suspect label, written into one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.mistakes import most_confident_mistakes, suspect_labels
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.rows_file import Places, RowColumns, RowsFile, check_names
from scorer.safe_text import counted

MISTAKE = "mistake"

SUSPECT = "suspect label"


def check_columns(files: Sequence[EvaluatedFile], options: EvaluateOptions) -> None:
    """Check before any work that the columns of the file have names of their own.

    Raises:
        UsageError: two would share one.
    """
    check_names("--mistakes-file", files, options, ("label_score", "kind", *_added_slices(files, options)))


def _added_slices(files: Sequence[EvaluatedFile], options: EvaluateOptions) -> list[str]:
    """The columns of ``options.slice_by`` that :class:`RowColumns` does not hold under the same name."""

    def is_held(name: str, file: EvaluatedFile) -> bool:
        return name in (options.on, file.predicted, file.score) or (name, name) in (
            ("label", file.gold),
            ("text", file.text),
        )

    return [name for name in options.slice_by if not all(is_held(name, file) for file in files)]


def write_mistakes(file: RowsFile, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> str:
    """Write every wrong row and every row whose gold label is likely wrong, in the order of the input; returns a note.

    Columns: those of :class:`RowColumns`, ``label_score`` (the probability of the gold label, where there are
    probabilities of all labels), ``kind`` (:data:`SUSPECT`, else :data:`MISTAKE`), and those of ``options.slice_by``
    that are not among these.

    Raises:
        InputError: an input cannot be read again.
        OutputError: the file could not be written.
    """
    wrong, doubtful = most_confident_mistakes(rows), np.sort(suspect_labels(rows))
    places = np.union1d(wrong, doubtful)
    columns = RowColumns.of(rows, labels, options)
    added = _added_slices(rows.files, options)
    slices = {values.by: values for values in rows.slices if not values.built_in and values.by in added}
    schema = columns.schema
    if rows.probabilities is not None:
        schema = schema.append(pa.field("label_score", pa.from_numpy_dtype(rows.probabilities.dtype)))
    schema = schema.append(pa.field("kind", pa.string()))
    for name in slices:
        schema = schema.append(pa.field(name, pa.large_string()))
    values = [(pa.array([*each.values], pa.large_string()), each.codes) for each in slices.values()]
    kinds = pa.array([MISTAKE, SUSPECT])

    def tables() -> Iterator[pa.Table]:
        for here, table in columns.tables(places):
            more = [kinds.take(pa.array(_is_in(here, doubtful).astype(np.int8)))]
            if rows.probabilities is not None:
                more.insert(0, pa.array(rows.probabilities[here, rows.gold[here]]))
            more += [names.take(pa.array(codes[here])) for names, codes in values]
            yield pa.Table.from_arrays([*table.columns, *more], schema=schema)

    file.write(schema, tables())
    suspects = f", {len(doubtful):,} of them with suspect labels" if len(doubtful) else ""
    what = "mistake and suspect label" if len(doubtful) else "mistake"
    return f"every {what} is in {file.path}: {counted(len(places), 'row')}{suspects}"


def _is_in(places: Places, wanted: Places) -> npt.NDArray[np.bool_]:
    """True for each of ``places`` that is in ``wanted``, which rises."""
    found = np.searchsorted(wanted, places)
    return np.asarray(np.append(wanted, -1)[found] == places)
