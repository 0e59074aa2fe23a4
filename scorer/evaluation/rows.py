"""The rows of an evaluation: read or scored chunk by chunk, and kept as a few small arrays.

Texts are dropped after their chunk. Each row keeps its labels, its probabilities, its length and its slice values,
some 30 bytes with two labels; rankings need no more, so files may be larger than memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.labels import (
    LABEL_CHUNK_ROWS,
    GoldLabels,
    LabelSet,
    gold_strings,
    label_strings,
    listed,
    shown,
    string_array,
    to_ids,
)
from scorer.evaluation.slices import SliceValues
from scorer.files.source import text_values
from scorer.metrics.values import Probabilities
from scorer.overlap import one_ahead
from scorer.progress import Progress, ticking
from scorer.safe_text import counted, quoted

if TYPE_CHECKING:
    from scorer.model.scoring import Scorer
    from scorer.model.token_runs import Encoded

SCORED_CHUNK_ROWS = 1024
"""Rows read and scored at a time."""

TEXT_CHUNK_ROWS = 8 * 1024
"""Rows read at a time together with texts that are not scored."""


@dataclass(frozen=True)
class PredictedChunk:
    """Consecutive rows of one file with their predictions.

    Attributes:
        file: of the rows.
        table: the columns read, gold labels among them unless these are joined.
        predicted: label ids int64 ``(n_rows,)``, -1 for a row without a prediction.
        probabilities: float32 or float64 ``(n_rows, n_labels)``, NaN without a prediction; ``None`` if the
            file has none.
        confidence: float ``(n_rows,)``, probability of the predicted label; ``None`` if the file has none.
        status: large strings, or ``None``.
        texts: large strings, or ``None``.
        n_tokens: read by the model for these rows.
    """

    file: EvaluatedFile
    table: pa.Table
    predicted: npt.NDArray[np.int64]
    probabilities: Probabilities | None
    confidence: Probabilities | None
    status: pa.Array | None
    texts: pa.ChunkedArray | None
    n_tokens: int = 0


@dataclass(frozen=True, eq=False)
class EvaluatedRows:
    """All rows of all files, in order.

    Attributes:
        files: of the rows.
        starts: number of rows before each of ``files``.
        gold: label ids int32 ``(n_rows,)``, -1 for a row without a gold label.
        predicted: label ids int32 ``(n_rows,)``, -1 for a row without a prediction.
        probabilities, confidence: as in :class:`PredictedChunk`.
        lengths: int32 ``(n_rows,)``, characters of the text, -1 for a null one; ``None`` without texts.
        slices: values to slice the rows by.
    """

    files: tuple[EvaluatedFile, ...]
    starts: tuple[int, ...]
    gold: npt.NDArray[np.int32]
    predicted: npt.NDArray[np.int32]
    probabilities: Probabilities | None
    confidence: Probabilities | None
    lengths: npt.NDArray[np.int32] | None
    slices: tuple[SliceValues, ...]

    @property
    def evaluated(self) -> npt.NDArray[np.int64]:
        """Places of the rows that have both labels."""
        return np.flatnonzero((self.gold >= 0) & (self.predicted >= 0))

    def by_file(self) -> Iterator[tuple[EvaluatedFile, int, int]]:
        """Each file with the place of its first row and the place after its last row."""
        for file, (first, end) in zip(self.files, pairwise((*self.starts, len(self.gold))), strict=True):
            yield file, first, end


def collect_rows(
    chunks: Iterable[PredictedChunk], gold: GoldLabels, ids: Mapping[str, int], slice_by: Sequence[str] = ()
) -> EvaluatedRows:
    """Collect all chunks; ``ids`` has the label id of each gold value, ``slice_by`` columns to slice by.

    Raises:
        InputError: the rows have changed since their gold labels were read.
    """
    asked, truncation = [SliceValues(name) for name in slice_by], SliceValues("truncation", built_in=True)
    parts: dict[str, list[npt.NDArray[Any]]] = defaultdict(list)
    files: list[EvaluatedFile] = []
    starts: list[int] = []
    n_rows = 0
    for chunk in chunks:
        if not files or files[-1] is not chunk.file:
            files.append(chunk.file)
            starts.append(n_rows)
        lengths = None
        if chunk.texts is not None:
            lengths = pc.utf8_length(chunk.texts).fill_null(-1).to_numpy().clip(-1, 2**31 - 1).astype(np.int32)
        columns = {
            "gold": _gold_ids(chunk, gold, ids, n_rows).astype(np.int32),
            "predicted": chunk.predicted.astype(np.int32),
            "probabilities": chunk.probabilities,
            "confidence": chunk.confidence,
            "lengths": lengths,
        }
        for name, values in columns.items():
            if values is not None:
                parts[name].append(values)
        for slices in asked:
            slices.add_column(chunk.table.column(slices.by), chunk.file.source.path)
        if chunk.status is not None:
            truncation.add(chunk.status)
        n_rows += len(chunk.predicted)
    if n_rows != gold.rows:
        raise InputError(
            f"{counted(gold.rows, 'row')} at first, {n_rows:,} later", hint="run again once it no longer changes"
        )
    return EvaluatedRows(
        files=tuple(files),
        starts=tuple(starts),
        gold=_joined(parts["gold"], n_rows),
        predicted=_joined(parts["predicted"], n_rows),
        probabilities=_joined(parts["probabilities"], n_rows),
        confidence=_joined(parts["confidence"], n_rows),
        lengths=_joined(parts["lengths"], n_rows),
        slices=tuple(slices for slices in (*asked, truncation) if slices.rows == n_rows),
    )


def _gold_ids(chunk: PredictedChunk, gold: GoldLabels, ids: Mapping[str, int], start: int) -> npt.NDArray[np.int64]:
    """Gold label ids of a chunk that follows ``start`` rows, -1 for a row without one."""
    n_rows, path = len(chunk.predicted), chunk.file.source.path
    if gold.column is None:
        return np.full(n_rows, -1)
    if gold.codes is None:
        strings = gold_strings(chunk.table, str(chunk.file.gold), path)
        found = to_ids(strings, ids)
        known = pc.or_(pc.is_null(strings), pc.is_in(strings, value_set=pa.array(ids, pa.large_string())))
        has_changed = pc.all(known, min_count=0).as_py() is False
    else:
        codes = gold.codes[start : start + n_rows]
        found = np.array([*(ids[value] for value in gold.values.first), -1], np.int64)[codes]
        has_changed = len(codes) < n_rows
    if has_changed:
        raise InputError("changed while it was read", path=path, hint="run again once it no longer changes")
    return found


def _joined(parts: list[npt.NDArray[Any]], n_rows: int) -> Any:
    """All parts as one array, or ``None`` if a file had none; each part is freed once it is copied."""
    if sum(len(part) for part in parts) != n_rows:
        return None
    joined = np.empty((n_rows, *parts[0].shape[1:]), np.result_type(*parts))
    start = 0
    for place, part in enumerate(parts):
        joined[start : start + len(part)] = part
        start += len(part)
        parts[place] = part[:0]
    joined.setflags(write=False)
    return joined


def predicted_chunks(
    files: Sequence[EvaluatedFile], labels: LabelSet, slice_by: Sequence[str] = ()
) -> Iterator[PredictedChunk]:
    """Rows of files that already have predictions.

    Raises:
        InputError: a predicted label is not in ``labels``, or a probability is not within [0, 1].
    """
    ids = labels.ids_of_names()
    for file in files:
        column, path, start = str(file.predicted), file.source.path, 0
        wanted = [file.gold, column, *file.probabilities, file.score, file.status, file.text, *slice_by]
        columns = list(dict.fromkeys(name for name in wanted if name is not None))
        for table in file.source.tables(TEXT_CHUNK_ROWS if file.text else LABEL_CHUNK_ROWS, columns):
            strings = label_strings(table, column, path, predicted=True)
            found = to_ids(strings, ids)
            if int((found < 0).sum()) > strings.null_count:
                place = int(np.flatnonzero((found < 0) & strings.is_valid().to_numpy(zero_copy_only=False))[0])
                value = shown(strings[place].as_py())
                if file.labels:
                    what = f"{value} in column {quoted(column)} has no column of probabilities"
                    hint = f"labels that have one: {listed(labels.names)}"
                else:
                    what = f"{value} in column {quoted(column)} is not a label"
                    hint = f"labels: {listed(labels.names)}"
                raise InputError(what, path=path, row=start + place + 1, hint=hint)
            probabilities, confidence = _probabilities(file, table, found, start)
            yield PredictedChunk(
                file,
                table,
                found,
                probabilities,
                confidence,
                status=None if file.status is None else string_array(table.column(file.status)),
                texts=None if file.text is None else text_values(table.column(file.text)),
            )
            start += table.num_rows


def scored_chunks(
    files: Sequence[EvaluatedFile], labels: LabelSet, scorer: Scorer, slice_by: Sequence[str], progress: Progress
) -> Iterator[PredictedChunk]:
    """Score files with texts; the next chunk is read and tokenized while the model runs."""
    ids = labels.ids_of_names()
    prefix = scorer.prefix

    def encoded() -> Iterator[tuple[EvaluatedFile, pa.Table, pa.ChunkedArray, Encoded]]:
        for file in files:
            text = str(file.text)
            columns = list(dict.fromkeys(name for name in (text, file.gold, *slice_by) if name is not None))
            for table in file.source.tables(SCORED_CHUNK_ROWS, columns):
                values = text_values(table.column(text))
                yield file, table, values, scorer.encode(values)

    for file, table, texts, tokens in one_ahead(encoded()):
        ticks = ticking(progress, table.num_rows, len(tokens.tokens))
        scored = scorer.score_chunk(tokens, on_share=ticks)
        added = scored.predictions
        yield PredictedChunk(
            file,
            table,
            predicted=to_ids(string_array(added.column(f"{prefix}label")), ids),
            probabilities=np.stack([_floats(added.column(f"{prefix}prob_{label}")) for label in labels.names], axis=1),
            confidence=_floats(added.column(f"{prefix}score")),
            status=string_array(added.column(f"{prefix}status")),
            texts=texts,
            n_tokens=scored.n_tokens,
        )


def _probabilities(
    file: EvaluatedFile, table: pa.Table, predicted: npt.NDArray[np.int64], start: int
) -> tuple[Probabilities | None, Probabilities | None]:
    """Probabilities of all labels and of the predicted one, each ``None`` if the file has no such column."""
    wanted = predicted >= 0
    if file.probabilities:
        columns = [_checked(file, name, table, wanted, start) for name in file.probabilities]
        probabilities = np.stack(columns, axis=1)
        _require_sum_of_one(file, probabilities, wanted, start)
        own = probabilities[np.arange(len(predicted)), np.where(wanted, predicted, 0)]
        return probabilities, np.where(wanted, own, np.array(np.nan, own.dtype))
    return None, None if file.score is None else _checked(file, file.score, table, wanted, start)


def _require_sum_of_one(
    file: EvaluatedFile, probabilities: Probabilities, wanted: npt.NDArray[np.bool_], start: int
) -> None:
    """Refuse probabilities ``(n_rows, n_labels)`` that do not sum to 1 in each row that is ``wanted``.

    Two decimals of each are exact enough.
    """
    n_labels = probabilities.shape[1]
    sums = probabilities.sum(axis=1, dtype=np.float64)
    wrong = wanted & (np.abs(sums - 1) > max(0.01, 0.005 * n_labels) + 1e-6)
    if n_labels > 1 and wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"the probabilities of its {counted(n_labels, 'label')} sum to {sums[place]:.4g}, not to 1",
            path=file.source.path,
            row=start + place + 1,
            hint="score the reviews again, or drop the columns of probabilities to evaluate the labels alone",
        )


def _checked(
    file: EvaluatedFile, name: str, table: pa.Table, wanted: npt.NDArray[np.bool_], start: int
) -> Probabilities:
    """Column ``name``, with a probability in each row that is ``wanted``."""
    path = file.source.path
    try:
        values = _floats(table.column(name))
    except pa.ArrowException as error:
        raise InputError(
            f"column {quoted(name)} holds values that are no probabilities", path=path, hint="score the reviews again"
        ) from error
    # NaN compares false with everything.
    wrong = wanted & ~((values >= 0) & (values <= 1))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        value = table.column(name)[place].as_py()
        what = "no value" if value is None or value == "" else str(value)
        raise InputError(
            f"{what} in column {quoted(name)}, where a probability from 0 to 1 belongs",
            path=path,
            row=start + place + 1,
            hint="score the reviews again",
        )
    return values


def _floats(column: pa.ChunkedArray) -> Probabilities:
    """A column as float32 if it is no wider, else as float64; null becomes NaN."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    narrow = pa.types.is_float32(column.type) or pa.types.is_float16(column.type)
    values = pc.cast(column, pa.float32() if narrow else pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False))
