"""Where it is wrong, review by review: the most confident mistakes, and labels that are likely wrong themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from scorer.evaluation.labels import label_strings
from scorer.evaluation.rows import TEXT_CHUNK_ROWS, EvaluatedRows
from scorer.evaluation.sections import Review, Suspect
from scorer.files.source import text_values

SHOWN_CHARACTERS = 1000
"""Of the text of a review in a report."""


@dataclass(frozen=True)
class Found:
    """The text and the id of a row."""

    text: str | None
    id: str | None
    cut: bool


def most_confident_mistakes(rows: EvaluatedRows) -> npt.NDArray[np.int64]:
    """Places of the wrong rows, most confident first; in order where there is no confidence."""
    evaluated = rows.evaluated
    wrong = evaluated[rows.gold[evaluated] != rows.predicted[evaluated]]
    return by_confidence(rows, wrong)


def by_confidence(rows: EvaluatedRows, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """``places``, most confident first."""
    if rows.confidence is None:
        return places
    return places[np.argsort(-rows.confidence[places], kind="stable")]


def suspect_labels(rows: EvaluatedRows) -> npt.NDArray[np.int64]:
    """Places of rows whose gold label is likely wrong, most suspect first.

    Confident learning (Northcutt, Jiang and Chuang, 2021, "Confident Learning: Estimating Uncertainty in
    Dataset Labels", section 3.1): a label is confident for a row whose probability of it reaches the mean over
    the rows that have it as gold label; rows whose most probable confident label is another than their own
    are suspect. They are ranked by self-confidence, the probability of their own label, least first, as
    cleanlab's ``find_label_issues(filter_by="confident_learning", return_indices_ranked_by="self_confidence")``.
    """
    if rows.probabilities is None:
        return np.zeros(0, np.int64)
    evaluated = rows.evaluated
    gold, probabilities = rows.gold[evaluated], rows.probabilities[evaluated]
    n_labels = probabilities.shape[1]
    means = np.full(n_labels, np.inf)
    for label in range(n_labels):
        own = gold == label
        if own.any():
            means[label] = probabilities[own, label].mean(dtype=np.float64)
    # Some slack for the rounding of the mean, as cleanlab has it.
    confident = np.where(probabilities >= means - 1e-6, probabilities, -1.0)
    best = confident.argmax(axis=1)
    suspect = (confident.max(axis=1) >= 0) & (best != gold)
    places = evaluated[suspect]
    return np.asarray(places[np.argsort(self_confidence(rows, places), kind="stable")])


def self_confidence(rows: EvaluatedRows, places: npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
    """Probability of the gold label of the rows at ``places``."""
    if rows.probabilities is None:
        raise ValueError("there are no probabilities")
    return np.asarray(rows.probabilities[places, rows.gold[places]])


def fetch(rows: EvaluatedRows, places: Sequence[int], on: str | None) -> dict[int, Found]:
    """Text and id of the rows at ``places``: their files are read again, up to the last of them.

    Raises:
        InputError: a file cannot be read again.
    """
    wanted = np.unique(np.array(places, np.int64))
    found: dict[int, Found] = {}
    for number, (file, first) in enumerate(zip(rows.files, rows.starts, strict=True)):
        last = rows.starts[number + 1] if number + 1 < len(rows.starts) else len(rows.gold)
        here = wanted[(wanted >= first) & (wanted < last)] - first
        columns = list(dict.fromkeys(name for name in (file.text, on) if name is not None))
        if not len(here) or not columns:
            continue
        start = 0
        for table in file.source.tables(TEXT_CHUNK_ROWS * 8, columns):
            inside = here[(here >= start) & (here < start + table.num_rows)] - start
            picked = table.take(inside)
            texts: list[str | None] = [None] * len(inside)
            if file.text is not None and len(inside):
                values = text_values(picked.column(file.text), name=file.text, path=file.source.path)
                texts = pc.utf8_slice_codeunits(values, 0, SHOWN_CHARACTERS + 1).to_pylist()
            ids: list[str | None] = [None] * len(inside)
            if on is not None and len(inside):
                ids = label_strings(picked.column(on), name=on, path=file.source.path).to_pylist()
            for place, text, name in zip(inside.tolist(), texts, ids, strict=True):
                cut = text is not None and len(text) > SHOWN_CHARACTERS
                found[first + start + place] = Found(text[:SHOWN_CHARACTERS] if text else text, name, cut)
            start += table.num_rows
            if start > here[-1]:
                break
    return found


def review(rows: EvaluatedRows, place: int, labels: Sequence[str], found: dict[int, Found]) -> Review:
    """The row at ``place`` as a report shows it."""
    file, number = rows.place(place)
    fetched = found.get(place, Found(None, None, False))
    return Review(
        file=file.source.path,
        row=number,
        id=fetched.id,
        gold=labels[rows.gold[place]],
        predicted=labels[rows.predicted[place]],
        confidence=None if rows.confidence is None else float(rows.confidence[place]),
        text=fetched.text,
        cut=fetched.cut,
    )


def suspect(rows: EvaluatedRows, place: int, labels: Sequence[str], found: dict[int, Found]) -> Suspect:
    """The row at ``place`` as a report shows it among suspect labels."""
    shown = review(rows, place, labels, found)
    own = float(self_confidence(rows, np.array([place]))[0])
    return Suspect(**shown.__dict__, self_confidence=own)
