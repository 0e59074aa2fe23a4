"""The rows of an evaluation, kept as a few small arrays.

Texts are dropped after their chunk. Each row keeps its labels, its probabilities, its length and its slice values,
some 30 bytes with two labels; rankings need no more, so files may be larger than memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.labels import GoldLabels, gold_strings, to_ids
from scorer.evaluation.predictions import PredictedChunk
from scorer.evaluation.slices import SliceValues
from scorer.metrics.values import Probabilities
from scorer.safe_text import counted


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
