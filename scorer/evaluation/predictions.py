"""Predictions chunk by chunk: read from files that have them, or made of texts by a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.labels import LABEL_CHUNK_ROWS, LabelSet, label_strings, listed, shown, string_array, to_ids
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


@contextmanager
def scored_chunks(
    files: Sequence[EvaluatedFile], labels: LabelSet, scorer: Scorer, slice_by: Sequence[str], progress: Progress
) -> Iterator[Iterator[PredictedChunk]]:
    """Score files with texts, in the block; the next chunk is read and tokenized while the model runs."""
    ids = labels.ids_of_names()
    prefix = scorer.prefix

    def encoded() -> Iterator[tuple[EvaluatedFile, pa.Table, pa.ChunkedArray, Encoded]]:
        for file in files:
            text = str(file.text)
            columns = list(dict.fromkeys(name for name in (text, file.gold, *slice_by) if name is not None))
            for table in file.source.tables(SCORED_CHUNK_ROWS, columns):
                values = text_values(table.column(text))
                yield file, table, values, scorer.encode(values)

    def predicted(chunk: tuple[EvaluatedFile, pa.Table, pa.ChunkedArray, Encoded]) -> PredictedChunk:
        file, table, texts, tokens = chunk
        ticks = ticking(progress, table.num_rows, len(tokens.tokens))
        scored = scorer.score_chunk(tokens, on_share=ticks)
        added = scored.predictions
        return PredictedChunk(
            file,
            table,
            predicted=to_ids(string_array(added.column(f"{prefix}label")), ids),
            probabilities=np.stack([_floats(added.column(f"{prefix}prob_{label}")) for label in labels.names], axis=1),
            confidence=_floats(added.column(f"{prefix}score")),
            status=string_array(added.column(f"{prefix}status")),
            texts=texts,
            n_tokens=scored.n_tokens,
        )

    with one_ahead(encoded()) as chunks:
        yield map(predicted, chunks)


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
