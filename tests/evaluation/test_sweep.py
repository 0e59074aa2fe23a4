"""Every point figure of a report beside scikit-learn's and SciPy's, on random small data with ties and skew."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest
from sklearn import metrics as reference

from scorer.evaluation.evaluate import evaluate_labels

NAMES = (
    ("negative", "positive"),
    ("a", "b", "c"),
    ("w", "x", "y", "z"),
    ("0", "1"),
    ("1", "0"),
    ("0", "1", "2"),
    ("1", "2", "10"),
    ("10", "2"),
    ("2", "10", "1", "0"),
)
EPS = float(np.finfo(np.float32).eps)


def same(found: Any, wanted: float, tolerance: float = 1e-6) -> bool:
    value = found["value"] if isinstance(found, dict) else found
    if value is None or np.isnan(wanted):
        return value is None and bool(np.isnan(wanted))
    return bool(value == pytest.approx(wanted, rel=tolerance, abs=tolerance))


def drawn(rng: np.random.Generator, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gold ids, probabilities now and before: skewed, often with ties."""
    rows, width = int(rng.integers(4, 120)), len(names)
    gold = rng.choice(width, rows, p=rng.dirichlet(np.full(width, rng.choice([0.3, 1, 10]))))
    gold[:2] = rng.permutation(width)[:2]
    sides = []
    for _ in range(2):
        held = rng.dirichlet(np.full(width, rng.choice([0.2, 1.0, 5.0])), rows)
        held[np.arange(rows), gold] += rng.choice([0, 0.3, 2])
        held /= held.sum(axis=1, keepdims=True)
        if rng.random() < 0.5:
            steps = np.floor(held * 8) / 8
            steps[np.arange(rows), held.argmax(axis=1)] += 1 - steps.sum(axis=1)
            held = steps
        sides.append(held.astype(np.float32))
    return gold, sides[0], sides[1]


def saved(path: Path, names: tuple[str, ...], gold: np.ndarray, held: np.ndarray, kind: np.ndarray) -> Path:
    columns = {
        "label": pa.array([names[label] for label in gold]),
        "pred_label": pa.array([names[label] for label in held.argmax(axis=1)]),
        **{f"pred_prob_{name}": pa.array(held[:, label]) for label, name in enumerate(names)},
        "kind": pa.array(kind),
    }
    table = pa.table(columns)
    if path.suffix == ".csv":
        pacsv.write_csv(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, path)
    return path


def mean_of_labels(score: Any, gold: np.ndarray, held: np.ndarray, positive: int | None) -> float:
    if positive is not None:
        return float(score(gold == positive, held[:, positive]))
    occurs = sorted({*gold.tolist(), *held.argmax(axis=1).tolist()})
    values = [score(gold == one, held[:, one]) if (gold == one).any() else float("nan") for one in occurs]
    return float(np.mean(values))


def wanted_figures(gold: np.ndarray, held: np.ndarray, positive: int | None) -> dict[str, float]:
    predicted, width = held.argmax(axis=1), held.shape[1]
    wanted = {
        "accuracy": reference.accuracy_score(gold, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(gold, predicted),
        "mcc": reference.matthews_corrcoef(gold, predicted) if len(set(predicted.tolist())) > 1 else float("nan"),
        "log_loss": reference.log_loss(gold, np.clip(held.astype(float), EPS, 1 - EPS), labels=range(width)),
        "roc_auc": mean_of_labels(reference.roc_auc_score, gold, held, positive),
        "average_precision": mean_of_labels(reference.average_precision_score, gold, held, positive),
    }
    each = reference.precision_recall_fscore_support(gold, predicted, labels=range(width), zero_division=np.nan)
    occurs = [label for label in range(width) if (gold == label).any() or (predicted == label).any()]
    for place, name in enumerate(("precision", "recall", "f1")):
        values = each[place]
        wanted[f"macro_{name}"] = float(np.mean(values[occurs]))
        counted = each[3] > 0
        wanted[f"weighted_{name}"] = float(np.average(values[counted], weights=each[3][counted]))
        wanted[name] = float("nan") if positive is None else float(values[positive])
    one_hot = np.eye(width)[gold]
    square = ((held.astype(float) - one_hot) ** 2).sum(axis=1).mean()
    wanted["brier"] = square if width > 2 else ((held[:, positive].astype(float) - (gold == positive)) ** 2).mean()
    top = held.max(axis=1)
    places = np.searchsorted(np.linspace(0, 1, 16).astype(np.float32)[1:-1], top)
    right = predicted == gold
    wanted["ece"] = sum(
        abs(right[places == one].sum() - top[places == one].astype(float).sum()) for one in range(15)
    ) / len(gold)
    return wanted


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(200))
def test_every_point_figure_is_the_references(tmp_path: Path, seed: int) -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    names = NAMES[seed % len(NAMES)]
    gold, held, before = drawn(rng, names)
    kind = rng.choice(["p", "q", "r"], len(gold))
    positive = 1 if len(names) == 2 else None
    suffix = ("parquet", "csv", "jsonl")[seed // len(NAMES) % 3]
    now = saved(tmp_path / f"now.{suffix}", names, gold, held, kind)
    then = saved(tmp_path / f"then.{suffix}", names, gold, before, kind)
    found = evaluate_labels(now, baseline=then, drift=then, slice_by="kind").to_json()

    assert found["labels"] == list(names)
    predicted, old = held.argmax(axis=1), before.argmax(axis=1)
    width = len(names)
    matrix = reference.confusion_matrix(gold, predicted, labels=range(width))
    assert found["confusion_matrix"] == matrix.tolist()
    wanted = wanted_figures(gold, held, positive)
    assert found["figures"].keys() == wanted.keys()
    wrong = {
        name: (found["figures"][name], value)
        for name, value in wanted.items()
        if not same(found["figures"][name], value)
    }
    assert not wrong
    wanted_before = wanted_figures(gold, before, positive)
    for one in found["comparison"]["differences"]:
        name = one["figure"]
        assert same(one["current"], wanted[name]), name
        assert same(one["baseline"], wanted_before[name]), name
        assert same(one["difference"], wanted[name] - wanted_before[name]), name
    mine, theirs = ((predicted == gold) & (old != gold)).sum(), ((predicted != gold) & (old == gold)).sum()
    test = found["comparison"]["mcnemar"]
    assert (test["only_current_right"], test["only_baseline_right"]) == (mine, theirs)
    assert same(test["p_value"], binomtest(int(mine), int(mine + theirs)).pvalue if mine + theirs else 1.0)

    each = reference.precision_recall_fscore_support(gold, predicted, labels=range(width), zero_division=np.nan)
    for label, one in enumerate(found["by_label"]):
        assert (one["label"], one["gold"]) == (names[label], (gold == label).sum())
        assert one["predicted"] == (predicted == label).sum()
        for place, name in enumerate(("precision", "recall", "f1")):
            assert same(one[name], each[place][label]), (names[label], name)
        area = reference.roc_auc_score(gold == label, held[:, label]) if (gold == label).any() else float("nan")
        assert same(one["roc_auc"], area)

    by_kind = next(group for group in found["slices"] if group["by"] == "kind")
    for one in by_kind["slices"]:
        here = kind == one["value"]
        assert one["rows"] == here.sum()
        assert same(one["accuracy"], (predicted == gold)[here].mean())

    shares = np.array([[one["baseline"], one["current"]] for one in found["drift"]["label_shares"]])
    by_label = np.stack([np.bincount(side, minlength=width) for side in (old, predicted)], axis=1)
    assert shares == pytest.approx(by_label / len(gold))
    used = by_label.any(axis=1)
    halves = np.maximum(by_label[used], 0.5) / len(gold)
    assert same(
        found["drift"]["label_psi"], ((halves[:, 1] - halves[:, 0]) * np.log(halves[:, 1] / halves[:, 0])).sum()
    )
    assert same(found["expectation"]["accuracy"], held.max(axis=1).astype(float).mean())
    for label, one in enumerate(found["expectation"]["by_label"]):
        chosen = held.max(axis=1)[predicted == label].astype(float)
        assert same(one["precision"], chosen.mean() if len(chosen) else float("nan"))

    if positive is not None:
        for row in found["thresholds"]["rows"]:
            over = held[:, positive].astype(float) >= row["threshold"]
            assert row["predicted"] == over.sum()
            p, r, f, _ = reference.precision_recall_fscore_support(
                gold == positive, over, average="binary", zero_division=np.nan
            )
            for name, value in (("precision", p), ("recall", r), ("f1", f)):
                assert same(row[name], value), (row["threshold"], name)
            assert same(row["accuracy"], reference.accuracy_score(gold == positive, over))
        assert same(
            found["thresholds"]["best_f1"]["f1"],
            max(
                reference.f1_score(gold == positive, held[:, positive] >= one)
                for one in set(held[:, positive].tolist())
            ),
        )

    ranked = np.sort(held.max(axis=1).astype(float))
    for row in found["coverage"]["rows"]:
        assert row["taken"] == min(int(np.ceil(round(row["share"] * len(gold), 9))), len(gold) - 1)
        assert same(row["expected"], ranked[row["taken"] :].mean())
    assert found["mistakes"]["total"] == (predicted != gold).sum()
    assert found["suspects"]["total"] == suspects(gold, held)


def suspects(gold: np.ndarray, held: np.ndarray) -> int:
    """Rows whose most probable confident label, and most probable label, are not the gold one, by definition."""
    held = held.astype(float)
    least = [held[gold == label, label].mean() if (gold == label).any() else np.inf for label in range(held.shape[1])]
    number = 0
    for row, label in zip(held, gold, strict=True):
        confident = [one for one in range(held.shape[1]) if row[one] >= least[one] - 1e-9]
        number += bool(confident) and max(confident, key=lambda one: row[one]) != label != row.argmax()
    return number


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(60))
def test_so_is_every_figure_of_labels_alone(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = NAMES[seed % len(NAMES)]
    gold, held, _ = drawn(rng, names)
    predicted = held.argmax(axis=1)
    columns = {"label": [names[one] for one in gold], "pred_label": [names[one] for one in predicted]}
    path = tmp_path / ("plain.parquet" if seed % 2 else "plain.csv")
    if seed % 2:
        pq.write_table(pa.table(columns), path)
    else:
        pacsv.write_csv(pa.table(columns), path)
    occurs = {*columns["label"], *columns["pred_label"]}
    found = evaluate_labels(path).to_json()
    assert set(found["labels"]) == occurs
    matrix = reference.confusion_matrix(columns["label"], columns["pred_label"], labels=found["labels"])
    assert found["confusion_matrix"] == matrix.tolist()
    assert same(found["figures"]["accuracy"], (gold == predicted).mean())
