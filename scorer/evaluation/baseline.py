"""Other predictions of the same rows: read, paired with the current ones, and written for the next night."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.disk.durable import sync_folder
from scorer.disk.paths import check_folder
from scorer.errors import InputError, OutputError, UsageError
from scorer.evaluation.inputs import EvaluatedFile, open_predictions
from scorer.evaluation.joining import join_rows
from scorer.evaluation.labels import LabelSet, label_strings, listed
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.rows import TEXT_CHUNK_ROWS, EvaluatedRows, Rows, predicted_rows
from scorer.files.source import Source, text_values

_CHUNK_ROWS = TEXT_CHUNK_ROWS * 8


class Baseline:
    """A file of predictions to compare with.

    Attributes:
        file: it, opened.
        predicted, probabilities, confidence: as in :class:`scorer.evaluation.rows.Rows`, of all its rows.
    """

    def __init__(self, file: EvaluatedFile, labels: LabelSet) -> None:
        """Read the predictions of ``file``.

        Raises:
            InputError: its labels are others, it holds no rows, or a probability is none.
        """
        self.file = file
        path = file.source.path
        if file.labels and set(file.labels) != set(labels.names):
            raise InputError(
                f"its columns of probabilities name the labels {listed(file.labels)},"
                f" the current predictions have {listed(labels.names)}",
                path=path,
                hint="compare predictions of the same labels",
            )
        chunks = list(_without_tables(predicted_rows([file], labels)))
        if not chunks:
            raise InputError("holds no rows", path=path, hint="there is nothing to compare with")
        self.predicted = np.concatenate([rows.predicted for rows in chunks])
        self.probabilities = _joined([rows.probabilities for rows in chunks])
        if self.probabilities is not None and file.labels:
            self.probabilities = self.probabilities[:, [file.labels.index(name) for name in labels.names]]

    @property
    def n_rows(self) -> int:
        """All rows of the file."""
        return len(self.predicted)


def open_baseline(path: str | os.PathLike[str], options: EvaluateOptions, *, texts: bool) -> EvaluatedFile:
    """Open a file of predictions to compare with; ``texts`` asks for its texts too, where it has them.

    Raises:
        InputError: it cannot be read or has no predictions.
    """
    file = open_predictions(path, options)
    return file if texts else file.without_text()


def pair(
    files: Sequence[EvaluatedFile], rows: EvaluatedRows, baseline: Baseline, options: EvaluateOptions
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The row of ``baseline`` that belongs to each current row, int64 ``(n_rows,)``, -1 for none; and notes.

    Rows are paired by the ids of ``options.on``, else in order.

    Raises:
        InputError: ids do not match, or the rows are evidently others.
    """
    path = baseline.file.source.path
    if options.on is not None:
        sources = [file.source for file in files]
        return join_rows(sources, baseline.file.source, on=options.on, allow_missing=options.allow_missing), ()
    if len(rows.gold) != baseline.n_rows:
        raise InputError(
            f"has {baseline.n_rows:,} rows, the current predictions have {len(rows.gold):,}: these are other rows",
            path=path,
            hint="name the predictions of the same rows, or pass --on with a column of ids",
        )
    proof = _require_same_rows(files, baseline.file)
    notes = () if proof else (f"{path} was paired row by row, and no common column shows that the rows are the same",)
    return np.arange(baseline.n_rows), notes


def check_baseline_destination(path: Path, inputs: Sequence[Path]) -> None:
    """Everything about the destination of a baseline that can be known before any work.

    Raises:
        UsageError: it is no Parquet file, a folder, or a file that is evaluated.
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
    """Whether the ids have a column of their own in a baseline, beside those that it always has.

    Raises:
        UsageError: the column of ids has the name of another.
    """
    names = {"label", *(f"{options.prefix}{name}" for name in ("label", "score", *(f"prob_{one}" for one in labels)))}
    if options.on in names or (options.on == "text" and _keeps_texts(files, options)):
        raise UsageError(
            f"--on {options.on!r} is the name of another column of a baseline", hint="rename the column of ids"
        )


def without_first_baseline(options: EvaluateOptions) -> tuple[EvaluateOptions, tuple[str, ...]]:
    """A nightly job names one file to compare with and to write; the first night it does not stand yet."""
    if options.write_baseline is None or Path(options.write_baseline).exists():
        return options, ()
    own = Path(options.write_baseline).absolute()
    first = {
        name: None
        for name in ("baseline", "drift")
        if getattr(options, name) and Path(getattr(options, name)).absolute() == own
    }
    if not first:
        return options, ()
    gone = dict.fromkeys(("max_psi", "max_share_shift", "max_length_psi", "max_vocabulary_shift"))
    dropped: dict[str, Any] = {**first}
    if "baseline" in first:
        dropped["max_drop"] = None
        dropped["strict"] = options.strict and (options.min_accuracy is not None or options.min_f1 is not None)
    if "drift" in first:
        dropped |= gone
    note = f"{os.fspath(options.write_baseline)} does not stand yet, so nothing was compared with it"
    return replace(options, **dropped), (note,)


def write_baseline(path: Path, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> None:
    """Write the current predictions as a later ``--baseline`` or ``--drift``: whole, or not at all.

    Columns: ids where ``options.on`` names them, texts and gold labels where there are any, and predictions.

    Raises:
        OutputError: it could not be written.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write_table(temporary, rows, labels, options)
        with pq.ParquetFile(temporary) as written:
            if written.metadata.num_rows != len(rows.gold):
                raise OutputError(f"{len(rows.gold)} rows were written, {written.metadata.num_rows} stand", path=path)
        temporary.replace(path)
        sync_folder(path.parent)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OutputError(f"could not be written: {reason}", path=path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_table(temporary: Path, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> None:
    writer: pq.ParquetWriter | None = None
    start = 0
    texts = _keeps_texts(rows.files, options)
    with temporary.open("xb") as sink:
        try:
            for file in rows.files:
                for columns, n_rows in _carried(file, options.on, texts=texts):
                    here = slice(start, start + n_rows)
                    table = pa.table({**columns, **_predictions(rows, here, labels, options.prefix)})
                    if writer is None:
                        writer = pq.ParquetWriter(sink, table.schema, compression="zstd", write_page_checksum=True)
                    writer.write_table(table)
                    start += n_rows
        finally:
            if writer is not None:
                writer.close()
        sink.flush()
        os.fsync(sink.fileno())


def _keeps_texts(files: Sequence[EvaluatedFile], options: EvaluateOptions) -> bool:
    """Whether a baseline has a column of texts: where all files have one that is not that of the ids already."""
    return all(file.text not in (None, options.on) for file in files)


def _carried(file: EvaluatedFile, on: str | None, *, texts: bool) -> Iterator[tuple[dict[str, pa.Array], int]]:
    """Ids and texts of a file, chunk by chunk, and the rows of the chunk."""
    path, text = file.source.path, file.text if texts else None
    names = list(dict.fromkeys(name for name in (on, text) if name is not None)) or file.source.schema.names[:1]
    for table in file.source.tables(_CHUNK_ROWS, names):
        columns = {}
        if on is not None:
            columns[on] = label_strings(table.column(on), name=on, path=path)
        if text is not None:
            values = text_values(table.column(text), name=text, path=path)
            columns["text"] = pa.concat_arrays([*values.chunks, pa.array([], pa.large_string())])
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


def _require_same_rows(files: Sequence[EvaluatedFile], baseline: EvaluatedFile) -> bool:
    """Compare the texts, ids and gold labels that both sides have; returns whether there were any."""
    texts = {file.text for file in files} == {baseline.text} and baseline.text is not None
    theirs = set(baseline.source.schema.names)
    common = [name for name in files[0].source.schema.names if name in theirs and name.casefold() == "id"]
    if texts:
        common.append(str(baseline.text))
    if not common:
        gold = {file.gold for file in files}
        common = [str(name) for name in gold if name is not None and len(gold) == 1 and name in theirs]
    for name in common:
        _require_equal(files, baseline.source, name)
    return bool(common)


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
                f"its column {name!r} is not that of the current predictions: these are other rows, or another order",
                path=baseline.path,
                row=place,
                hint="name the predictions of the same rows, or pass --on with a column of ids",
            )
        left, right, row = left[size:], right[size:], row + size


def _values(sources: Sequence[Source], name: str) -> Iterator[pa.Array]:
    for source in sources:
        for table in source.tables(_CHUNK_ROWS, [name]):
            yield label_strings(table.column(name), name=name, path=source.path)


def _without_tables(chunks: Iterator[Rows]) -> Iterator[Rows]:
    """Chunks whose columns are let go of, so that a long list of them is small."""
    for rows in chunks:
        yield Rows(rows.file, rows.table.slice(0, 0), rows.predicted, rows.probabilities, None, None, None)


def _joined(parts: Sequence[npt.NDArray[np.floating] | None]) -> npt.NDArray[np.floating] | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if len(there) == len(parts) else None
