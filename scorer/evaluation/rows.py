"""The rows of an evaluation: read or scored chunk by chunk, and kept as a few small arrays.

Texts go by; of each row stay its labels, its probabilities, its length and what it is sliced by, some 30
bytes with two labels. That is what ranking needs, so files may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.inputs import EvaluatedFile, GoldLabels
from scorer.evaluation.labels import LabelSet, listed, shown, to_ids
from scorer.evaluation.slices import SliceValues
from scorer.files.source import text_values
from scorer.overlap import one_ahead

if TYPE_CHECKING:
    from scorer.model.encoding import Encoded
    from scorer.model.scoring import Scorer

CHUNK_ROWS = 65_536
"""Rows with predictions that are read at a time."""

TEXT_CHUNK_ROWS = 1024
"""Texts that are read and scored at a time."""

Probabilities = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Rows:
    """Rows of one file, in order.

    Attributes:
        file: they are of.
        table: the columns that were read, gold labels among them unless these are joined.
        predicted: label ids int64 ``(n_rows,)``, -1 where there is no prediction.
        probabilities: float32 or float64 ``(n_rows, n_labels)``, NaN without a prediction; ``None`` where the
            file has none.
        confidence: float ``(n_rows,)``, of the predicted label; ``None`` where the file does not say.
        status: large strings, or ``None``.
        texts: large strings, or ``None``.
        n_tokens: that the model read for them.
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
        files: they are of.
        starts: rows of all files before each of ``files``.
        gold: label ids int32 ``(n_rows,)``, -1 without one.
        predicted: label ids int32 ``(n_rows,)``, -1 without one.
        probabilities, confidence: as in :class:`Rows`.
        lengths: int32 ``(n_rows,)``, characters of the text, -1 where it is null; ``None`` without texts.
        slices: what each row is sliced by.
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

    def place(self, row: int) -> tuple[EvaluatedFile, int]:
        """The file that ``row``, counted from 0 over all files, lies in, and its number there, from 1."""
        file = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.files[file], row - self.starts[file] + 1


@dataclass
class Collector:
    """Takes chunks in and gives :class:`EvaluatedRows`.

    Attributes:
        gold: the gold labels, or ``None`` where there are none.
        ids: label id of each gold value.
        slice_by: columns to slice by.
    """

    gold: GoldLabels | None
    ids: dict[str, int]
    slice_by: Sequence[str] = ()
    _parts: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)
    _slices: tuple[SliceValues, ...] = ()
    _files: list[EvaluatedFile] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _rows: int = 0

    def __post_init__(self) -> None:
        self._slices = (*(SliceValues(name) for name in self.slice_by), SliceValues("truncation", built_in=True))

    def add(self, rows: Rows) -> None:
        """Take in the next rows."""
        if not self._files or self._files[-1] is not rows.file:
            self._files.append(rows.file)
            self._starts.append(self._rows)
        n_rows = len(rows.predicted)
        without = np.full(n_rows, -1)
        gold = without if self.gold is None else self.gold.ids(rows.file, rows.table, self._rows, self.ids)
        self._keep("gold", gold.astype(np.int32))
        self._keep("predicted", rows.predicted.astype(np.int32))
        if rows.probabilities is not None:
            self._keep("probabilities", rows.probabilities)
        if rows.confidence is not None:
            self._keep("confidence", rows.confidence)
        if rows.texts is not None:
            lengths = pc.utf8_length(rows.texts).fill_null(-1).to_numpy().clip(-1, 2**31 - 1)
            self._keep("lengths", lengths.astype(np.int32))
        for values in self._slices[:-1]:
            values.add_column(rows.table.column(values.by), rows.file.source.path)
        if rows.status is not None:
            self._slices[-1].add(rows.status)
        self._rows += n_rows

    def _keep(self, name: str, values: npt.NDArray[Any]) -> None:
        self._parts.setdefault(name, []).append(values)

    def rows(self, n_rows: int) -> EvaluatedRows:
        """All rows that were taken in.

        Raises:
            InputError: they are not the ``n_rows`` of the first reading.
        """
        if self._rows != n_rows:
            raise InputError(
                f"{n_rows:,} rows were read at first, {self._rows:,} later", hint="the input must not change"
            )
        whole = {name: self._joined(name) for name in list(self._parts)}
        slices = tuple(values for values in self._slices if values.rows == n_rows)
        return EvaluatedRows(
            files=tuple(self._files),
            starts=tuple(self._starts),
            gold=whole["gold"],
            predicted=whole["predicted"],
            probabilities=whole.get("probabilities"),
            confidence=whole.get("confidence"),
            lengths=whole.get("lengths"),
            slices=slices,
        )

    def _joined(self, name: str) -> Any:
        """All parts as one array; ``None`` where a file had none. The parts are let go of on the way."""
        parts = self._parts.pop(name)
        if sum(len(part) for part in parts) != self._rows:
            return None
        joined = np.empty((self._rows, *parts[0].shape[1:]), np.result_type(*parts))
        start = 0
        for place, part in enumerate(parts):
            joined[start : start + len(part)] = part
            start += len(part)
            parts[place] = part[:0]
        joined.setflags(write=False)
        return joined


def predicted_rows(files: Sequence[EvaluatedFile], labels: LabelSet, slice_by: Sequence[str] = ()) -> Iterator[Rows]:
    """Rows of files that have predictions already.

    Raises:
        InputError: a predicted label is none of ``labels``, or a probability is none.
    """
    ids = labels.ids_of_names()
    for file in files:
        column, path, start = str(file.predicted), file.source.path, 0
        wanted = [file.gold, column, *file.probabilities, file.score, file.status, file.text, *slice_by]
        columns = list(dict.fromkeys(name for name in wanted if name is not None))
        for table in file.source.tables(TEXT_CHUNK_ROWS * 8 if file.text else CHUNK_ROWS, columns):
            strings = file.predicted_strings(table)
            found = to_ids(strings, ids)
            if int((found < 0).sum()) > strings.null_count:
                place = int(np.flatnonzero((found < 0) & strings.is_valid().to_numpy(zero_copy_only=False))[0])
                value = shown(strings[place].as_py())
                if file.labels:
                    what = f"{value} in column {column!r} has no column of probabilities"
                    hint = f"labels that have one: {listed(labels.names)}"
                else:
                    what, hint = f"{value} in column {column!r} is no label", f"labels: {listed(labels.names)}"
                raise InputError(what, path=path, row=start + place + 1, hint=hint)
            probabilities, confidence = _probabilities(file, table, found, start)
            yield Rows(
                file,
                table,
                found,
                probabilities,
                confidence,
                status=None if file.status is None else _strings(table.column(file.status)),
                texts=None if file.text is None else text_values(table.column(file.text), name=file.text, path=path),
            )
            start += table.num_rows


def scored_rows(
    files: Sequence[EvaluatedFile], labels: LabelSet, scorer: Scorer, slice_by: Sequence[str] = ()
) -> Iterator[Rows]:
    """Rows of files with texts, scored; the next chunk is read and tokenized while the model runs one."""
    ids = labels.ids_of_names()
    prefix = scorer.prefix

    def encoded() -> Iterator[tuple[EvaluatedFile, pa.Table, pa.ChunkedArray, Encoded]]:
        for file in files:
            text = str(file.text)
            columns = list(dict.fromkeys(name for name in (text, file.gold, *slice_by) if name is not None))
            for table in file.source.tables(TEXT_CHUNK_ROWS, columns):
                values = text_values(table.column(text), name=text, path=file.source.path)
                yield file, table, values, scorer.encode(values)

    for file, table, texts, tokens in one_ahead(encoded()):
        scored = scorer.score_chunk(tokens)
        added = scored.predictions
        predicted = to_ids(added.column(f"{prefix}label").combine_chunks().cast("large_string"), ids)
        columns = [_floats(added.column(f"{prefix}prob_{label}")) for label in labels.names]
        status = _strings(added.column(f"{prefix}status"))
        confidence = _floats(added.column(f"{prefix}score"))
        yield Rows(file, table, predicted, np.stack(columns, axis=1), confidence, status, texts, scored.n_tokens)


def _probabilities(
    file: EvaluatedFile, table: pa.Table, predicted: npt.NDArray[np.int64], start: int
) -> tuple[Probabilities | None, Probabilities | None]:
    """Probabilities of all labels, and of the predicted one; each ``None`` where the file has no such column."""
    there = predicted >= 0
    if file.probabilities:
        columns = [_checked(file, name, table, there, start) for name in file.probabilities]
        probabilities = np.stack(columns, axis=1)
        own = probabilities[np.arange(len(predicted)), np.where(there, predicted, 0)]
        return probabilities, np.where(there, own, np.array(np.nan, own.dtype))
    return None, None if file.score is None else _checked(file, file.score, table, there, start)


def _checked(
    file: EvaluatedFile, name: str, table: pa.Table, there: npt.NDArray[np.bool_], start: int
) -> Probabilities:
    path = file.source.path
    try:
        values = _floats(table.column(name))
    except pa.ArrowException as error:
        raise InputError(
            f"column {name!r} holds values that are no probabilities", path=path, hint="score the reviews again"
        ) from error
    # NaN compares false with everything.
    wrong = there & ~((values >= 0) & (values <= 1))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        value = table.column(name)[place].as_py()
        what = "no value" if value is None or value == "" else str(value)
        raise InputError(
            f"{what} in column {name!r}, where a probability from 0 to 1 belongs",
            path=path,
            row=start + place + 1,
            hint="score the reviews again",
        )
    return values


def _floats(column: pa.ChunkedArray) -> Probabilities:
    """A column as float32 where it is that, else float64; null is NaN."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    narrow = pa.types.is_float32(column.type) or pa.types.is_float16(column.type)
    values = pc.cast(column, pa.float32() if narrow else pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _strings(column: pa.ChunkedArray) -> pa.Array:
    values = pc.cast(column, pa.large_string()).combine_chunks()
    return pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
