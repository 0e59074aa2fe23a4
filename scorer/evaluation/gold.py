"""The gold labels of an evaluation, and the label set of its predictions.

All gold labels are read and checked before the first text is scored, so that a wrong one costs seconds
instead of the time of a whole run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scorer.errors import InputError
from scorer.evaluation.inputs import EvaluatedFile, open_as_written
from scorer.evaluation.joining import join_labels
from scorer.evaluation.labels import (
    LABEL_CHUNK_ROWS,
    GoldLabels,
    LabelSet,
    LabelValues,
    gold_strings,
    label_strings,
    listed,
    no_label,
    shown,
    values_in_order,
)
from scorer.evaluation.options import EvaluateOptions
from scorer.safe_text import quoted


def read_gold(files: Sequence[EvaluatedFile], options: EvaluateOptions) -> GoldLabels:
    """Read the label columns of ``files`` once, or join their labels from ``options.labels``.

    Raises:
        InputError: there are no rows, no row has a label although ``options`` need some, or ids do not match, see
            :func:`scorer.evaluation.joining.join_labels`.
    """
    if options.labels is not None:
        labels = open_as_written(options.labels, options)
        with labels.advised():
            joined = join_labels(
                [file.source for file in files],
                labels,
                on=str(options.on),
                label=options.label_column,
                allow_missing=options.allow_missing,
            )
        for file in files:
            if file.predicted is not None and not file.labels:
                _read_values(file, joined.values, joined.predicted)
        return joined
    values, predicted = LabelValues(), LabelValues(predicted=True)
    rows = unlabelled = 0
    for file in files:
        read, without = _read_values(file, values, predicted)
        rows, unlabelled = rows + read, unlabelled + without
    first = files[0]
    if not rows:
        raise InputError("holds no rows", path=first.source.path, hint="there is nothing to evaluate")
    if first.gold is not None and not values.first:
        tells = first.predicted is None or bool(first.probabilities) or first.score is not None
        if not options.does_without_gold(tells=tells):
            raise no_label(first.gold, first.source.path)
        return GoldLabels(None, values, rows, predicted=predicted)
    names = dict.fromkeys(file.gold for file in files if file.gold is not None)
    return GoldLabels(", ".join(names) or None, values, rows, unlabelled, predicted=predicted)


def labels_of(
    files: Sequence[EvaluatedFile], gold: GoldLabels, label_map: Mapping[str, str]
) -> tuple[LabelSet, tuple[str, ...]]:
    """The label set of the predictions of ``files``, and notes on how it was found; ``label_map`` is of gold labels.

    It is that of the columns of probabilities, in order. Without such columns it is the predicted labels, by
    alphabet, and with them the gold labels that were never predicted, where gold labels are written as the predicted
    ones are.

    Raises:
        InputError: no row has a prediction.
    """
    first = files[0]
    if first.labels:
        return LabelSet(first.labels, "the predictions"), ()
    values = list(gold.predicted.first)
    if not values:
        raise InputError(f"no row has a value in {first.predicted!r}", path=first.source.path, hint="score it again")
    meant = [name for name in dict.fromkeys(gold.values.meant(label_map, values).values()) if name]
    unpredicted = [name for name in meant if name not in values]
    if not unpredicted:
        return LabelSet(values_in_order(values), "the predictions", complete=False), ()
    # A name in another case is a slip, no other class.
    folded = {value.strip().casefold() for value in values}
    if len(unpredicted) < len(meant) and folded.isdisjoint(name.strip().casefold() for name in unpredicted):
        note = f"{first.source.path}: gold labels that are never predicted: {listed(unpredicted)}"
        return LabelSet(values_in_order([*values, *unpredicted]), "the predictions", complete=False), (note,)
    names = values_in_order(values)
    numbered = ", ".join(f"{label} = {name}" for label, name in enumerate(names))
    return LabelSet(names, "the predictions", complete=False), (
        f"{first.source.path} has no columns of probabilities that give its labels an order,"
        f" so gold ids were read by alphabet: {numbered}",
    )


def require_two_labels(files: Sequence[EvaluatedFile], gold: GoldLabels, ids: Mapping[str, int]) -> None:
    """Refuse gold labels of a single class, for which hardly any figure means anything.

    Raises:
        InputError: all rows of ``files`` have the same gold label, or none that is not left out.
    """
    values = list(gold.values.first)
    if gold.codes is not None:
        codes = np.unique(gold.codes)
        values = [values[code] for code in codes[codes >= 0]]
    values = [value for value in values if ids[value] >= 0]
    if not values:
        raise no_label(str(gold.column), ", ".join(file.source.path for file in files))
    if len({ids[value] for value in values}) < 2:
        raise InputError(
            f"column {quoted(gold.column)} holds one class only: every gold label is {shown(values[0])}",
            path=", ".join(file.source.path for file in files),
            hint="evaluate rows of at least two classes",
        )


def _read_values(file: EvaluatedFile, gold: LabelValues, predicted: LabelValues) -> tuple[int, int]:
    """Add the gold labels of one file, and its predicted ones if it has no columns of probabilities.

    Returns the number of its rows, and that of those without a gold label if it has a column of them.
    """
    path, start, unlabelled = file.source.path, 0, 0
    unnamed = None if file.labels else file.predicted
    columns = [name for name in (file.gold, unnamed) if name is not None]
    for table in file.source.tables(LABEL_CHUNK_ROWS, columns or [file.predicted or str(file.text)]):
        if file.gold is not None:
            labels = gold_strings(table, file.gold, path)
            gold.add(labels, name=file.gold, path=path, start=start)
            unlabelled += labels.null_count
        if unnamed is not None:
            strings = label_strings(table, unnamed, path, predicted=True)
            predicted.add(strings, name=unnamed, path=path, start=start)
        start += table.num_rows
    return start, unlabelled
