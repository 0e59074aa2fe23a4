"""From which probability on the positive label should be predicted, and how a bundle learns of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from scorer.bundle import BUNDLE_FILE, BUNDLE_FORMAT, DEFAULT_MODEL, ModelBundle, checksums_of
from scorer.destinations import check_folder
from scorer.durable import write_durably, write_errors
from scorer.errors import InputError, ModelError, UsageError
from scorer.metrics import Figure
from scorer.ranking import Ranking
from scorer.sections import ThresholdRow, Thresholds, WantedThreshold

STEPS = tuple(step / 20 for step in range(1, 20))
"""Of the table."""


def threshold_table(
    ranking: Ranking, *, at_precision: float | None = None, at_recall: float | None = None
) -> Thresholds:
    """The table, the threshold of the best F1, and those of a wanted precision or recall.

    A row has the label from a probability of the threshold on. Candidates are all scores that occur; of
    several with the same figure the highest is taken.
    """
    f1 = 2 * ranking.hits / np.maximum(1, ranking.positives + ranking.hits + ranking.false)
    best = int(np.argmax(f1)) if len(f1) and ranking.positives else None
    wanted = []
    for figure, least in (("precision", at_precision), ("recall", at_recall)):
        if least is not None:
            wanted.append(_wanted(ranking, figure, least))
    return Thresholds(
        label=ranking.name,
        rows=tuple(_row(ranking, step) for step in STEPS),
        best_f1=None if best is None else _row(ranking, float(ranking.thresholds[best])),
        wanted=tuple(wanted),
    )


def chosen_threshold(table: Thresholds) -> float:
    """The threshold to write: that of the one wanted figure, else that of the best F1.

    Raises:
        InputError: none can be had.
    """
    if table.wanted:
        wanted = table.wanted[0]
        if wanted.row is None:
            raise InputError(f"no threshold can be written: {wanted.reason}", hint=f"lower --at-{wanted.figure}")
        return wanted.row.threshold
    if table.best_f1 is None:
        raise InputError("no threshold can be written: F1 is undefined at every one")
    return table.best_f1.threshold


def writable_bundle(folder: Path, labels: tuple[str, ...], positive: int | None) -> ModelBundle:
    """The bundle that a threshold is to be written into, checked before any work.

    Raises:
        ModelError: it is no bundle.
        UsageError: its labels are not those of the predictions, or not two.
        OutputError: it cannot be written to.
    """
    if not folder.is_dir():
        raise ModelError("no such model folder", path=folder, hint="pass the folder of a bundle")
    bundle = ModelBundle.load(folder)
    if len(bundle.labels) != 2:
        raise UsageError(
            f"--write-threshold needs a model of two labels, this one has {len(bundle.labels)}", path=folder
        )
    if bundle.labels != labels:
        raise UsageError(
            f"has the labels {', '.join(bundle.labels)}, the predictions have {', '.join(labels)}",
            path=folder,
            hint="name the bundle that made the predictions",
        )
    if positive != 1:
        raise UsageError(
            f"a bundle's threshold is of its second label, {labels[1]}", path=folder, hint="drop --positive"
        )
    check_folder(folder / BUNDLE_FILE)
    return bundle


def is_embedded(folder: Path) -> bool:
    """Whether ``folder`` is the bundle inside the package."""
    return folder.is_dir() and folder.samefile(DEFAULT_MODEL)


def write_threshold(bundle: ModelBundle, threshold: float) -> None:
    """Set the threshold in ``bundle.json``; all other entries stay, the checksums of the files among them.

    A folder of others has no ``bundle.json`` yet and gets one. The file is replaced whole or not at all.

    Raises:
        OutputError: it could not be written.
    """
    path = bundle.folder / BUNDLE_FILE
    description = dict(bundle.description)
    if not description:
        description = {
            "format": BUNDLE_FORMAT,
            "preprocessing": bundle.preprocessing.to_json(),
            "files": checksums_of(bundle.folder),
        }
    description["threshold"] = threshold
    data = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    with write_errors(path):
        write_durably(path, data.encode("utf-8"), locked=False)


def _wanted(ranking: Ranking, figure: str, least: float) -> WantedThreshold:
    precision = ranking.hits / np.maximum(1, ranking.hits + ranking.false)
    recall = ranking.hits / max(1, ranking.positives)
    own, other = (precision, recall) if figure == "precision" else (recall, precision)
    reaching = np.flatnonzero(own >= least)
    if not len(reaching) or not ranking.positives:
        most = f"; the most is {own.max():.4f}" if len(own) and ranking.positives else ""
        return WantedThreshold(figure, least, None, f"no threshold gives a {figure} of {least:g}{most}")
    best = int(reaching[np.argmax(other[reaching])])
    return WantedThreshold(figure, least, _row(ranking, float(ranking.thresholds[best])))


def _row(ranking: Ranking, threshold: float) -> ThresholdRow:
    # Thresholds fall; the last one that is at least this one has all rows that reach it.
    place = int(np.searchsorted(-ranking.thresholds.astype(np.float64), -_as_scored(ranking, threshold), side="right"))
    hits, false = (int(counts[place - 1]) if place else 0 for counts in (ranking.hits, ranking.false))
    predicted, positives, total = hits + false, ranking.positives, ranking.positives + ranking.negatives
    name = ranking.name
    return ThresholdRow(
        threshold=threshold,
        predicted=predicted,
        precision=_ratio(hits, predicted, f"{name} would never be predicted"),
        recall=_ratio(hits, positives, f"no row has the gold label {name}"),
        f1=_ratio(2 * hits, positives + predicted, f"{name} would neither be gold nor predicted"),
        accuracy=_ratio(hits + ranking.negatives - false, total, "there are no rows"),
    )


def _as_scored(ranking: Ranking, threshold: float) -> float:
    """The threshold as the scorer compares it, in the type of the probabilities."""
    return float(ranking.thresholds.dtype.type(threshold))


def _ratio(part: int, whole: int, reason: str) -> Figure:
    return Figure(part / whole) if whole else Figure(None, reason)
