"""Single reviews of a report: the most confident mistakes, and rows whose gold label is likely wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.labels import label_strings
from scorer.evaluation.predictions import TEXT_CHUNK_ROWS
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.sections import Review, Suspect
from scorer.evaluation.slices import Cut
from scorer.files.source import text_values

_BLOCK = 2_000_000
"""Probabilities looked at together."""

SHOWN_CHARACTERS = 1000
"""Characters of a review's text in a report."""


def most_confident_mistakes(rows: EvaluatedRows) -> npt.NDArray[np.int64]:
    """Places of the wrong rows, most confident first; in file order without confidences."""
    evaluated = rows.evaluated
    return by_confidence(rows, evaluated[rows.gold[evaluated] != rows.predicted[evaluated]])


def by_confidence(rows: EvaluatedRows, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """``places``, most confident first; unchanged without confidences."""
    if rows.confidence is None:
        return places
    return places[np.argsort(-rows.confidence[places], kind="stable")]


def suspect_labels(rows: EvaluatedRows) -> npt.NDArray[np.int64]:
    """Places of rows whose gold label is likely wrong, most suspect first.

    Confident learning (Northcutt, Jiang and Chuang, 2021, "Confident Learning: Estimating Uncertainty in
    Dataset Labels", section 3.1): a label is confident for a row if its probability reaches the mean over the
    rows with this gold label. A row is suspect if its most probable confident label is not its gold label, and
    neither is its most probable label.
    Suspects are ranked by self-confidence, the probability of the gold label, least first, as in cleanlab's
    ``find_label_issues(filter_by="confident_learning", return_indices_ranked_by="self_confidence")``.
    """
    if rows.probabilities is None:
        return np.zeros(0, np.int64)
    evaluated = rows.evaluated
    n_labels = rows.probabilities.shape[1]
    own = rows.probabilities[evaluated, rows.gold[evaluated]]
    counts = np.bincount(rows.gold[evaluated], minlength=n_labels)
    sums = np.bincount(rows.gold[evaluated], weights=own, minlength=n_labels)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    suspects = [np.zeros(0, np.int64)]
    at_once = max(1, _BLOCK // n_labels)
    for start in range(0, len(evaluated), at_once):
        here = evaluated[start : start + at_once]
        gold, probabilities = rows.gold[here], rows.probabilities[here]
        # The tolerance absorbs the rounding of the mean, as in cleanlab.
        confident = np.where(probabilities >= means - 1e-6, probabilities, -1.0)
        disputed = (confident.argmax(axis=1) != gold) & (probabilities.argmax(axis=1) != gold)
        suspects.append(here[(confident.max(axis=1) >= 0) & disputed])
    places = np.concatenate(suspects)
    return np.asarray(places[np.argsort(rows.probabilities[places, rows.gold[places]], kind="stable")])


def reviews_at(
    rows: EvaluatedRows, places: Sequence[int], labels: Sequence[str], on: str | None, cuts: Sequence[Cut]
) -> dict[int, Review]:
    """The rows at ``places`` as reviews, by place; their files are read again, up to the last of them.

    ``on`` is the column of ids, if there is one; ``cuts`` are of all evaluated rows.

    Raises:
        InputError: a file cannot be read again.
    """
    wanted = np.unique(np.array(places, np.int64))
    found: dict[int, Review] = {}
    evaluated = np.searchsorted(rows.evaluated, wanted)
    sliced = dict(zip(wanted.tolist(), evaluated.tolist(), strict=True))
    for file, first, end in rows.by_file():
        here = wanted[(wanted >= first) & (wanted < end)]
        texts, ids = _texts_and_ids(file, here - first, on)
        for row, text, name in zip(here.tolist(), texts, ids, strict=True):
            found[row] = Review(
                file=file.source.path,
                row=row - first + 1,
                id=name,
                gold=labels[rows.gold[row]],
                predicted=labels[rows.predicted[row]],
                confidence=None if rows.confidence is None else float(rows.confidence[row]),
                text=text and text[:SHOWN_CHARACTERS],
                cut=text is not None and len(text) > SHOWN_CHARACTERS,
                slices=tuple(cut.slice_of(sliced[row]) for cut in cuts),
            )
    return found


def suspect(rows: EvaluatedRows, place: int, review: Review) -> Suspect:
    """``review``, the row at ``place``, with the probability of its gold label."""
    if rows.probabilities is None:
        raise ValueError("there are no probabilities")
    return Suspect(**vars(review), self_confidence=float(rows.probabilities[place, rows.gold[place]]))


def _texts_and_ids(
    file: EvaluatedFile, places: npt.NDArray[np.int64], on: str | None
) -> tuple[list[str | None], list[str | None]]:
    """Texts and ids of the rows at ``places`` of a file, which rise; texts one character longer than is shown."""
    texts: list[str | None] = [None] * len(places)
    ids: list[str | None] = [None] * len(places)
    columns = list(dict.fromkeys(name for name in (file.text, on) if name is not None))
    if not len(places) or not columns:
        return texts, ids
    path, start = file.source.path, 0
    for table in file.source.tables(TEXT_CHUNK_ROWS, columns):
        low, high = np.searchsorted(places, [start, start + table.num_rows]).tolist()
        picked = table.take(places[low:high] - start)
        if file.text is not None:
            values = text_values(picked.column(file.text))
            texts[low:high] = pc.utf8_slice_codeunits(values, 0, SHOWN_CHARACTERS + 1).to_pylist()
        if on is not None:
            ids[low:high] = label_strings(picked, on, path).to_pylist()
        start += table.num_rows
        if start > places[-1]:
            break
    return texts, ids
