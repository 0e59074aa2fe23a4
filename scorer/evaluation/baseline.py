"""Baselines: other predictions of the same rows, read, paired with the current ones, and written for later."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.disk.durable import create, sync, sync_folder
from scorer.disk.paths import check_folder
from scorer.errors import InputError, OutputError, UsageError
from scorer.evaluation.inputs import EvaluatedFile, open_predictions
from scorer.evaluation.joining import join_rows
from scorer.evaluation.labels import LabelSet, label_strings
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.predictions import TEXT_CHUNK_ROWS, predicted_chunks
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.scored_by import stated
from scorer.files.source import Source, text_values
from scorer.metrics.values import Probabilities
from scorer.safe_text import counted, first_line, quoted


@dataclass(frozen=True, eq=False)
class Baseline:
    """Predictions to compare with.

    Attributes:
        file: of the predictions.
        predicted: label ids int64 ``(n_rows,)``, -1 for a row without a prediction.
        probabilities: ``(n_rows, n_labels)``, in the order of the current labels; ``None`` if the file has none.
    """

    file: EvaluatedFile
    predicted: npt.NDArray[np.int64]
    probabilities: Probabilities | None

    @classmethod
    def read(cls, path: str | os.PathLike[str], options: EvaluateOptions, labels: LabelSet) -> Baseline:
        """Read the predictions at ``path``; ``labels`` are the current ones.

        Raises:
            InputError: the file cannot be read, has no predictions or no rows, has other labels, or has a
                probability that is not within [0, 1].
        """
        file = open_predictions(path, options, labels.names)
        predicted, probabilities = [], []
        for chunk in predicted_chunks([replace(file, text=None)], labels):
            predicted.append(chunk.predicted)
            if chunk.probabilities is not None:
                probabilities.append(chunk.probabilities)
        if not predicted:
            raise InputError("holds no rows", path=file.source.path, hint="there is nothing to compare with")
        order = [file.labels.index(name) for name in labels.names] if file.labels else []
        return cls(file, np.concatenate(predicted), np.concatenate(probabilities)[:, order] if probabilities else None)

    @property
    def n_rows(self) -> int:
        """All rows of the file."""
        return len(self.predicted)


def pair(
    files: Sequence[EvaluatedFile], n_rows: int, baseline: Baseline, options: EvaluateOptions
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The row of ``baseline`` for each row of ``files``, int64 ``(n_rows,)``, -1 for none; and notes.

    Rows are paired by the ids of ``options.on``, else in order.

    Raises:
        InputError: ids do not match, or the rows are not the same.
    """
    path = baseline.file.source.path
    if options.on is not None:
        sources = [file.source for file in files]
        return join_rows(sources, baseline.file.source, on=options.on, allow_missing=options.allow_missing), ()
    if n_rows != baseline.n_rows:
        raise InputError(
            f"has {counted(baseline.n_rows, 'row')}, but the current predictions have {n_rows:,}:"
            " these are not the same rows",
            path=path,
            hint="name the predictions of the same rows, or pass --on with a column of ids, and --allow-missing",
        )
    common = _common_columns(files, baseline.file)
    for name in common:
        _require_equal(files, baseline.file.source, name)
    note = f"{path} was paired row by row, and no common column shows that the rows are the same"
    return np.arange(baseline.n_rows), () if common else (note,)


def check_baseline_destination(path: Path, inputs: Sequence[Path]) -> None:
    """Check the destination of a baseline before any work.

    Raises:
        UsageError: it is not a Parquet file, a folder, or one of the evaluated files.
        OutputError: its folder is missing or cannot be written to.
    """
    if path.suffix.lower() not in (".parquet", ".pq"):
        raise UsageError("a baseline is a Parquet file", path=path, hint="name a file that ends in .parquet")
    if path.is_dir():
        raise UsageError("is a folder", path=path, hint="name a file in it")
    if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
        raise UsageError("--write-baseline names a file that is evaluated", path=path, hint="write to another file")
    check_folder(path)


def check_kept_columns(files: Sequence[EvaluatedFile], labels: Sequence[str], options: EvaluateOptions) -> None:
    """Check that the column of ids can be kept in a baseline beside the other columns.

    Raises:
        UsageError: it has the name of another column.
    """
    added = ("label", "score", *(f"prob_{name}" for name in labels))
    names = {"label", *(f"{options.prefix}{name}" for name in added)}
    if options.on in names or (options.on == "text" and _keeps_texts(files, options)):
        raise UsageError(
            f"--on {quoted(options.on)} is the name of another column of a baseline", hint="rename the column of ids"
        )


def without_first_baseline(options: EvaluateOptions) -> tuple[EvaluateOptions, tuple[str, ...]]:
    """Drop comparisons with the file that is to be written, if it does not exist yet; and a note on that.

    A nightly job names one file to compare with and to write, which does not exist on the first night.
    """
    kept = options.write_baseline
    if kept is None or Path(kept).exists():
        return options, ()

    def is_kept(path: str | os.PathLike[str] | None) -> bool:
        return path is not None and Path(path).absolute() == Path(kept).absolute()

    dropped: dict[str, Any] = {}
    if is_kept(options.baseline):
        strict = options.strict and (options.min_accuracy is not None or options.min_f1 is not None)
        dropped |= {"baseline": None, "max_drop": None, "strict": strict}
    if is_kept(options.drift):
        gates = ("max_psi", "max_share_shift", "max_length_psi", "max_vocabulary_shift")
        dropped |= dict.fromkeys(("drift", *gates))
    if not dropped:
        return options, ()
    note = f"{os.fspath(kept)} does not exist yet, so nothing was compared with it"
    return replace(options, **dropped), (note,)


def write_baseline(path: Path, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> None:
    """Write the current predictions for a later ``--baseline`` or ``--drift``, whole or not at all.

    Columns: the ids of ``options.on``, texts and gold labels, each if there are any, and the predictions.

    Raises:
        OutputError: it could not be written.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write_table(temporary, rows, labels, options)
        with pq.ParquetFile(temporary) as written:
            if written.metadata.num_rows != len(rows.gold):
                raise OutputError(
                    f"wrote {counted(len(rows.gold), 'row')}, but the file has {written.metadata.num_rows:,}", path=path
                )
        temporary.replace(path)
        sync_folder(path.parent)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise OutputError(f"could not be written: {reason}", path=path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_table(temporary: Path, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> None:
    writer: pq.ParquetWriter | None = None
    start = 0
    texts = _keeps_texts(rows.files, options)
    model = stated(rows.files[0].source)
    with create(temporary) as sink:
        try:
            for file in rows.files:
                for columns, n_rows in _carried(file, options.on, texts=texts):
                    here = slice(start, start + n_rows)
                    table = pa.table({**columns, **_predictions(rows, here, labels, options.prefix)})
                    table = table.replace_schema_metadata(model)
                    if writer is None:
                        writer = pq.ParquetWriter(sink, table.schema, compression="zstd", write_page_checksum=True)
                    writer.write_table(table)
                    start += n_rows
        finally:
            if writer is not None:
                writer.close()
        sync(sink)


def _keeps_texts(files: Sequence[EvaluatedFile], options: EvaluateOptions) -> bool:
    """True if the baseline gets a column of texts: if all files have one, other than that of the ids."""
    return all(file.text not in (None, options.on) for file in files)


def _carried(file: EvaluatedFile, on: str | None, *, texts: bool) -> Iterator[tuple[dict[str, pa.Array], int]]:
    """Ids and texts of a file, chunk by chunk, and the number of rows."""
    path, text = file.source.path, file.text if texts else None
    names = list(dict.fromkeys(name for name in (on, text) if name is not None)) or file.source.schema.names[:1]
    for table in file.source.tables(TEXT_CHUNK_ROWS, names):
        columns = {}
        if on is not None:
            columns[on] = label_strings(table, on, path)
        if text is not None:
            columns["text"] = text_values(table.column(text)).combine_chunks()
        yield columns, table.num_rows


def _predictions(rows: EvaluatedRows, here: slice, labels: Sequence[str], prefix: str) -> dict[str, pa.Array]:
    names = pa.array(labels, pa.string())
    columns = {}
    for name, ids in (("label", rows.gold[here]), (f"{prefix}label", rows.predicted[here])):
        if name != "label" or (rows.gold >= 0).any():
            columns[name] = names.take(pa.array(ids, pa.int32(), mask=ids < 0))
    missing = rows.predicted[here] < 0
    if rows.confidence is not None:
        columns[f"{prefix}score"] = pa.array(rows.confidence[here], mask=missing)
    if rows.probabilities is not None:
        for label, name in enumerate(labels):
            columns[f"{prefix}prob_{name}"] = pa.array(rows.probabilities[here, label], mask=missing)
    return columns


def _common_columns(files: Sequence[EvaluatedFile], baseline: EvaluatedFile) -> list[str]:
    """Columns that show whether the rows are the same: ids and texts of both sides, or else gold labels."""
    theirs = set(baseline.source.schema.names)
    common = [name for name in files[0].source.schema.names if name in theirs and name.casefold() == "id"]
    if baseline.text is not None and {file.text for file in files} == {baseline.text}:
        common.append(baseline.text)
    gold = {file.gold for file in files}
    return common or [name for name in gold if name is not None and name in theirs and len(gold) == 1]


def _require_equal(files: Sequence[EvaluatedFile], baseline: Source, name: str) -> None:
    ours, theirs = _values([file.source for file in files], name), _values([baseline], name)
    left, right = pa.array([], pa.large_string()), pa.array([], pa.large_string())
    row = 0
    while True:
        left = left if len(left) else next(ours, left)
        right = right if len(right) else next(theirs, right)
        size = min(len(left), len(right))
        if not size:
            return
        same = pc.equal(left[:size].fill_null("\0"), right[:size].fill_null("\0"))
        if not pc.all(same).as_py():
            place = row + pc.index(same, False).as_py() + 1
            raise InputError(
                f"its column {quoted(name)} differs from that of the current predictions:"
                " these are other rows, or another order",
                path=baseline.path,
                row=place,
                hint="name the predictions of the same rows, or pass --on with a column of ids",
            )
        left, right, row = left[size:], right[size:], row + size


def _values(sources: Sequence[Source], name: str) -> Iterator[pa.Array]:
    for source in sources:
        for table in source.tables(TEXT_CHUNK_ROWS, [name]):
            yield label_strings(table, name, source.path)
