"""Predictions beside gold labels -> :class:`EvaluationReport`; rows are counted chunk by chunk."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scorer.errors import InputError, UsageError
from scorer.evaluation_inputs import CHUNK_ROWS, EvaluatedFile, GoldLabels, labels_of, open_files, read_gold
from scorer.evaluation_options import EvaluateOptions
from scorer.findings import EvaluationReport, Gate, Provenance
from scorer.labels import LabelSet, listed, shown, to_ids
from scorer.metrics import Figure, Matrix, confusion_matrix, headline_figures, label_figures
from scorer.prefetch import one_ahead
from scorer.progress import NoProgress, Progress
from scorer.reading import text_values

if TYPE_CHECKING:
    import pyarrow as pa

    from scorer.encoding import Encoded
    from scorer.scoring import Scorer

__all__ = ["EvaluateOptions", "EvaluationReport", "evaluate_labels"]

log = logging.getLogger(__name__)

TEXT_CHUNK_ROWS = 1024
"""Texts that are read and scored at a time."""


def evaluate_labels(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    options: EvaluateOptions | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> EvaluationReport:
    """Compare predictions with gold labels; keyword arguments are fields of :class:`EvaluateOptions`.

    ``files`` are one or several, evaluated as one: all with predictions, or all with texts, which are
    then scored first. A row whose prediction is null, as for an empty text, is counted as unscored
    and is in no figure. Gates are measured, not enforced: see
    :meth:`EvaluationReport.gate_errors`.

    Raises:
        InputError: a file cannot be read, lacks a column, or has labels or ids that do not fit.
        ModelError: texts have to be scored, and the model or the device cannot be used.
        UsageError: options do not fit one another or the files.
    """
    chosen = _chosen(options, overrides)
    opened = open_files([files] if isinstance(files, str | os.PathLike) else files, chosen)
    gold = read_gold(opened, chosen)
    scorer = _load(chosen) if opened[0].predicted is None else None
    labels, notes = labels_of(opened, gold) if scorer is None else (LabelSet(scorer.bundle.labels, "the model"), ())
    ids = labels.require_ids(gold.values, name=gold.column)
    positive = _positive(labels, chosen.positive)
    rows = _predicted(opened, labels) if scorer is None else _scored(opened, labels, scorer)
    # Predictions that stand already are counted in no time worth showing.
    with progress if progress and scorer else NoProgress() as told:
        told.start(gold.rows)
        matrix, unscored = _count(rows, gold, ids, len(labels.names), told)
    if not matrix.any():
        raise InputError("no row has both a prediction and a label", path=opened[0].source.path)
    figures = headline_figures(matrix, labels.names, positive)
    joined = gold.joined
    return EvaluationReport(
        provenance=_provenance(opened, gold, chosen, scorer),
        labels=labels.names,
        positive=positive,
        rows=gold.rows,
        unscored=unscored,
        rows_unmatched=0 if joined is None else joined.rows_unmatched,
        labels_unmatched=0 if joined is None else joined.labels_unmatched,
        matrix=matrix,
        figures=figures,
        by_label=label_figures(matrix, labels.names),
        gates=_gates(figures, positive, chosen),
        notes=notes,
    )


@dataclass(frozen=True)
class _Rows:
    """Rows of one file, in order.

    Attributes:
        file: they are of.
        table: the columns that were read, gold labels among them unless these are joined.
        predicted: label ids int64 ``(n_rows,)``, -1 where there is no prediction.
        n_tokens: that the model read for them.
    """

    file: EvaluatedFile
    table: pa.Table
    predicted: npt.NDArray[np.int64]
    n_tokens: int = 0


def _count(
    chunks: Iterator[_Rows], gold: GoldLabels, ids: dict[str, int], n_labels: int, progress: Progress
) -> tuple[Matrix, int]:
    """The confusion matrix of all rows, and how many have a gold label but no prediction."""
    matrix = np.zeros((n_labels, n_labels), dtype=np.int64)
    start = unscored = 0
    for rows in chunks:
        wanted = gold.ids(rows.file, rows.table, start, ids)
        both = (wanted >= 0) & (rows.predicted >= 0)
        matrix += confusion_matrix(wanted[both], rows.predicted[both], n_labels)
        unscored += int(((wanted >= 0) & (rows.predicted < 0)).sum())
        start += len(wanted)
        progress.advance(len(wanted), rows.n_tokens)
    if start != gold.rows:
        raise InputError(f"{gold.rows:,} rows were read at first, {start:,} later", hint="the input must not change")
    matrix.setflags(write=False)
    return matrix, unscored


def _predicted(files: Sequence[EvaluatedFile], labels: LabelSet) -> Iterator[_Rows]:
    """Rows of files that have predictions already."""
    ids = labels.ids_of_names()
    for file in files:
        column, path, start = str(file.predicted), file.source.path, 0
        for table in file.source.tables(CHUNK_ROWS, [name for name in (file.gold, column) if name is not None]):
            strings = file.predicted_strings(table)
            found = to_ids(strings, ids)
            if int((found < 0).sum()) > strings.null_count:
                place = int(np.flatnonzero((found < 0) & strings.is_valid().to_numpy(zero_copy_only=False))[0])
                raise InputError(
                    f"{shown(strings[place].as_py())} in column {column!r} has no column of probabilities",
                    path=path,
                    row=start + place + 1,
                    hint=f"labels that have one: {listed(labels.names)}",
                )
            yield _Rows(file, table, found)
            start += table.num_rows


def _scored(files: Sequence[EvaluatedFile], labels: LabelSet, scorer: Scorer) -> Iterator[_Rows]:
    """Rows of files with texts, scored; the next chunk is read and tokenized while the model runs one."""
    ids = labels.ids_of_names()

    def encoded() -> Iterator[tuple[EvaluatedFile, pa.Table, Encoded]]:
        for file in files:
            text = str(file.text)
            for table in file.source.tables(TEXT_CHUNK_ROWS, [name for name in (text, file.gold) if name is not None]):
                values = text_values(table.column(text), name=text, path=file.source.path)
                yield file, table, scorer.encode(values)

    for file, table, tokens in one_ahead(encoded()):
        scored = scorer.score_chunk(tokens)
        predicted = scored.predictions.column(f"{scorer.prefix}label").combine_chunks()
        yield _Rows(file, table, to_ids(predicted.cast("large_string"), ids), scored.n_tokens)


def _chosen(options: EvaluateOptions | None, overrides: Mapping[str, Any]) -> EvaluateOptions:
    known = {field.name for field in fields(EvaluateOptions)}
    unknown = sorted(overrides.keys() - known)
    if unknown:
        raise TypeError(f"evaluate_labels() got an unexpected keyword argument {unknown[0]!r}")
    chosen = options or EvaluateOptions()
    return EvaluateOptions(**{**{name: getattr(chosen, name) for name in known}, **overrides})


def _load(options: EvaluateOptions) -> Scorer:
    from scorer.scoring import Scorer

    scorer = Scorer.load(
        options.model,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        batch_tokens=options.batch_tokens,
    )
    if scorer.session.note:
        log.warning("%s", scorer.session.note)
    return scorer


def _positive(labels: LabelSet, wanted: str | int | None) -> int | None:
    if wanted is None:
        return 1 if len(labels.names) == 2 else None
    found = labels.ids_of([str(wanted)])[str(wanted)]
    if found is None:
        raise UsageError(f"--positive {wanted} is no label of {labels.owner}", hint=f"labels: {labels.described()}")
    return found


def _gates(figures: Mapping[str, Figure], positive: int | None, options: EvaluateOptions) -> tuple[Gate, ...]:
    f1 = "macro_f1" if positive is None else "f1"
    gates = (("--min-accuracy", "accuracy", options.min_accuracy), ("--min-f1", f1, options.min_f1))
    return tuple(Gate(option, name, figures[name], least) for option, name, least in gates if least is not None)


def _provenance(
    files: Sequence[EvaluatedFile], gold: GoldLabels, options: EvaluateOptions, scorer: Scorer | None
) -> Provenance:
    return Provenance(
        files=tuple(file.source.path for file in files),
        labels_file=None if options.labels is None else os.fspath(options.labels),
        label_column=gold.column,
        model=None if scorer is None else os.fspath(options.model or "embedded"),
        precision=None if scorer is None else scorer.session.precision,
        device=None if scorer is None else scorer.session.device,
    )
