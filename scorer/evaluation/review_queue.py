"""The rows that the model is least sure of, written for people to label."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.disk.durable import create, sync, sync_folder, write_errors
from scorer.disk.paths import check_folder
from scorer.errors import InputError, UsageError
from scorer.evaluation.coverage import rows_for_people
from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.labels import label_strings
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.rows import TEXT_CHUNK_ROWS, EvaluatedRows
from scorer.files.formats import OutputFormat
from scorer.files.opening import open_writer
from scorer.files.source import text_values


@dataclass(frozen=True)
class ReviewQueue:
    """Where to write the least sure rows, and how many.

    Attributes:
        path: of the file.
        format: by its extension.
        share: of all rows with a prediction, in (0, 1].
    """

    path: Path
    format: OutputFormat
    share: float

    @classmethod
    def of(cls, options: EvaluateOptions, inputs: Sequence[str]) -> ReviewQueue | None:
        """The queue that ``options`` ask for, its destination checked before any work; ``None`` if they ask for none.

        Raises:
            UsageError: it is a folder, one of ``inputs``, or of an unknown format.
            OutputError: its folder is missing or cannot be written to.
        """
        if options.review_queue is None:
            return None
        path = Path(options.review_queue)
        if path.is_dir():
            raise UsageError("is a folder", path=path, hint="name a file in it")
        if any(path.exists() and Path(name).exists() and path.samefile(name) for name in inputs):
            raise UsageError("--review-queue names a file that is read", path=path, hint="write to another file")
        check_folder(path)
        return cls(path, OutputFormat.of(os.fspath(path)), options.share_for_people)

    def write(self, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> str:
        """Write the least sure of ``rows``, the most doubtful first, whole or not at all; returns a note on it.

        Columns: ``file``, ``row``, the ids of ``options.on``, ``text``, ``label`` (of gold, null without one), and
        the prediction, so that the file can be evaluated once its labels are filled in.

        Raises:
            InputError: the predictions have no probabilities, or the input cannot be read again.
            OutputError: it could not be written.
        """
        places = self._places(rows)
        table = _table(rows, places, labels, options)
        path = self.path.resolve()
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with write_errors(self.path), create(temporary) as file:
                with open_writer(file, self.format, table.schema) as writer:
                    writer.write(table)
                    writer.finish()
                sync(file)
                temporary.replace(path)
                sync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return f"the {len(places):,} least sure rows ({self.share:.3g} of all) are in {self.path}, most doubtful first"

    def _places(self, rows: EvaluatedRows) -> npt.NDArray[np.int64]:
        if rows.confidence is None:
            raise InputError(
                "--review-queue needs probabilities, and these predictions have none",
                path=rows.files[0].source.path,
                hint="score the reviews again",
            )
        predicted = np.flatnonzero(rows.predicted >= 0)
        order = np.argsort(rows.confidence[predicted], kind="stable")
        return predicted[order[: rows_for_people(self.share, len(predicted))]]


def _table(
    rows: EvaluatedRows, places: npt.NDArray[np.int64], labels: Sequence[str], options: EvaluateOptions
) -> pa.Table:
    """The rows at ``places``, in that order; their files are read again for texts and ids."""
    wanted = np.sort(places)
    starts = np.array(rows.starts)
    of_file = np.searchsorted(starts, places, side="right") - 1
    names = pa.array([file.source.path for file in rows.files])
    columns: dict[str, Any] = {
        "file": names.take(pa.array(of_file)),
        "row": pa.array(places - starts[of_file] + 1),
    }
    back = pa.array(np.searchsorted(wanted, places))
    carried = [
        _carried(file, wanted[(wanted >= first) & (wanted < end)] - first, options.on)
        for file, first, end in rows.by_file()
    ]
    for name in dict.fromkeys((options.on, "text")):
        pieces = [piece[name] for piece in carried if name is not None]
        if name is not None and any(piece.null_count < len(piece) for piece in pieces):
            columns[name] = pa.concat_arrays(pieces).take(back)
    known = pa.array(labels, pa.string())
    for name, ids in (("label", rows.gold[places]), (f"{options.prefix}label", rows.predicted[places])):
        columns[name] = known.take(pa.array(ids, pa.int32(), mask=ids < 0))
    if rows.confidence is not None:
        columns[f"{options.prefix}score"] = pa.array(rows.confidence[places])
    if rows.probabilities is not None:
        for label, name in enumerate(labels):
            columns[f"{options.prefix}prob_{name}"] = pa.array(rows.probabilities[places, label])
    return pa.table(columns)


def _carried(file: EvaluatedFile, places: npt.NDArray[np.int64], on: str | None) -> dict[str, pa.Array]:
    """Texts and ids of the rows at ``places`` of a file, which rise; null without such a column."""
    nothing = pa.nulls(len(places), pa.large_string())
    found: dict[str, list[pa.Array]] = {name: [] for name in (on, "text") if name is not None}
    wanted = list(dict.fromkeys(name for name in (on, file.text) if name is not None))
    if not wanted or not len(places):
        return dict.fromkeys(found, nothing)
    start = 0
    for table in file.source.tables(TEXT_CHUNK_ROWS, wanted):
        low, high = np.searchsorted(places, [start, start + table.num_rows]).tolist()
        if low < high:
            picked = table.take(pa.array(places[low:high] - start))
            if on is not None:
                found[on].append(label_strings(picked, on, file.source.path))
            if file.text is not None:
                found["text"].append(text_values(picked.column(file.text)).combine_chunks())
        start += table.num_rows
    return {
        name: pa.concat_arrays(pieces).cast(pa.large_string()) if pieces else nothing for name, pieces in found.items()
    }
