"""The accuracy to expect without gold labels: its interval in a simulation, its gate, and what makes it worthless."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import evaluate_labels, score_file
from scorer.commands.evaluate_labels import evaluate_labels as command_of
from scorer.errors import InputError
from scorer.evaluation.expectation import CalibrationCheck, expectation_of
from scorer.files.formats import OutputFormat
from scorer.files.opening import open_writer
from scorer.model.bundle import ModelBundle
from train.calibration import fit_temperature

NAMES = ("negative", "positive")


def night(n: int, rng: np.random.Generator, *, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``(n, 2)`` that are ``scale`` times calibrated ones, and gold ids."""
    logit = rng.normal(0, 2.2, n)
    gold = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    return np.stack([np.zeros(n), scale * logit], axis=1), gold


def shares(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("scale", "checked", "rows"), [(1.0, 500, 1000), (2.0, 850, 5000), (0.6, 3000, 200)])
def test_the_interval_holds_the_true_accuracy_as_often_as_it_says(scale, checked, rows):
    rng = np.random.default_rng(41)
    hits = []
    for _ in range(100):
        logits, gold = night(checked, rng, scale=scale)
        fitted = fit_temperature(logits, gold)
        logits, gold = night(rows, rng, scale=scale)
        told = shares(logits / fitted.temperature)
        predicted = told.argmax(axis=1)
        found = expectation_of(predicted, told.max(axis=1), NAMES, CalibrationCheck(checked, fitted.ece_after))
        interval = found.accuracy.interval
        hits.append(interval.low <= (predicted == gold).mean() <= interval.high)
    # 0.95 and three standard errors of 100 trials.
    assert np.mean(hits) >= 0.885


@pytest.mark.parametrize(("sure", "rows"), [(0.99, 60), (0.97, 200), (0.8, 100), (0.995, 1000)])
def test_the_chance_of_the_rows_is_covered_for_sure_models_and_short_nights(sure, rows):
    rng = np.random.default_rng(44)
    confidence = np.clip(rng.beta(20 * sure, 20 * (1 - sure), rows), 0.5, 1)
    found = expectation_of(np.zeros(rows, int), confidence, ("a", "b"), CalibrationCheck(10**9, 0.0))
    interval = found.accuracy.interval
    right = (rng.random((4000, rows)) < confidence).mean(axis=1)
    held = np.mean((interval.low <= right) & (right <= interval.high))
    # Steps of a row make it hold more often than 95 %, by at most a step on either side.
    assert 0.94 <= held <= 0.995


def test_without_a_check_only_the_sampling_is_known_and_the_interval_says_so():
    confidence = np.array([0.6, 0.8, 0.9, 0.7])
    found = expectation_of(np.array([0, 1, 1, 1]), confidence, ("a", "b", "c"), None)
    assert found.accuracy.value == pytest.approx(0.75)
    spread = np.sqrt((confidence * (1 - confidence)).sum()) / 4
    assert found.accuracy.interval.high == 1.0
    third = (confidence * (1 - confidence) * (1 - 2 * confidence)).sum() / 4**3
    skewed = third / spread**2 * (1.959964**2 - 1) / 6
    assert found.accuracy.interval.low == pytest.approx(0.75 + skewed - 1.959964 * spread - 0.5 / 4)
    assert found.accuracy.interval.warning == "holds only if the probabilities are calibrated"
    assert [item.precision.value for item in found.by_label] == [0.6, pytest.approx(0.8), None]
    assert found.by_label[2].precision.reason == "c was never predicted"
    assert found.calibration is None


def test_the_fewer_rows_were_checked_the_wider_the_interval():
    confidence = np.linspace(0.6, 0.99, 1000)
    widths = []
    for rows in (100, 1000, 100_000):
        found = expectation_of(np.zeros(1000, int), confidence, ("a", "b"), CalibrationCheck(rows, 0.0))
        widths.append(found.accuracy.interval.high - found.accuracy.interval.low)
        assert found.calibration == pytest.approx(1.959964 * np.sqrt((confidence * (1 - confidence)).mean() / rows))
    assert widths[0] > 2 * widths[1] > 2 * widths[2]
    # A calibration error beyond that of noise widens it too.
    wide = expectation_of(np.zeros(1000, int), confidence, ("a", "b"), CalibrationCheck(100_000, 0.05))
    assert wide.calibration > 0.05


@pytest.mark.parametrize(
    "description", [{}, {"training": None}, {"training": {"calibration": {"ece_after": 0.1}, "data": {"eval": {}}}}]
)
def test_a_bundle_that_states_no_check_has_none(description):
    assert CalibrationCheck.of(description) is None


def test_the_embedded_model_states_its_check():
    check = CalibrationCheck.of(ModelBundle.load().description)
    assert check.rows > 100
    assert 0 <= check.error < 0.1


@pytest.fixture
def unlabelled(tmp_path, monkeypatch):
    """A night of 500 predictions without gold labels."""
    monkeypatch.chdir(tmp_path)
    logits, _ = night(500, np.random.default_rng(42))
    save(shares(logits)[:, 1], "now.parquet")


def save(positive: np.ndarray, name: str) -> None:
    """Write predictions as Parquet, CSV or JSONL, by the extension of `name`."""
    held = {
        "id": [str(number) for number in range(len(positive))],
        "text": [f"review {number}" for number in range(len(positive))],
        "pred_label": [NAMES[int(p >= 0.5)] for p in positive],
        "pred_score": np.maximum(positive, 1 - positive).astype("f4"),
        "pred_prob_negative": (1 - positive).astype("f4"),
        "pred_prob_positive": positive.astype("f4"),
    }
    table = pa.table(held)
    with Path(name).open("wb") as file, open_writer(file, OutputFormat.of(name), table.schema) as writer:
        writer.write(table)
        writer.finish()


def test_a_file_without_labels_tells_what_to_expect(unlabelled, in_process):
    code, out, err = in_process(command_of)("now.parquet")
    assert (code, err) == (0, "")
    assert "500 rows without gold labels" in out
    assert "expected without gold labels, if the probabilities are calibrated" in out
    assert "nothing says how well these probabilities are calibrated" in out
    report = evaluate_labels("now.parquet")
    scores = pq.read_table("now.parquet")["pred_score"].to_numpy()
    assert report.expectation.accuracy.value == pytest.approx(scores.mean(), abs=1e-6)
    assert json.dumps(report.to_json()["expectation"], allow_nan=False)


def test_labels_alone_tell_nothing_and_are_asked_for(tmp_path):
    pq.write_table(pa.table({"pred_label": ["a", "b"]}), tmp_path / "now.parquet")
    with pytest.raises(InputError, match="no column is named label"):
        evaluate_labels(tmp_path / "now.parquet")


def test_the_gate_on_the_expected_accuracy(unlabelled, in_process):
    value = evaluate_labels("now.parquet").expectation.accuracy.value
    command = in_process(command_of)
    assert command("now.parquet", "--min-expected-accuracy", f"{value - 0.01}")[0] == 0
    code, _, err = command("now.parquet", "--min-expected-accuracy", f"{value + 0.01}")
    assert code == 8
    assert "expected accuracy" in err
    # Nothing says how well these are calibrated, so no interval can decide.
    code, _, err = command("now.parquet", "--min-expected-accuracy", "0.1", "--strict")
    assert code == 8
    assert "expected accuracy is undefined (it has no interval)" in err


def test_drift_makes_it_worthless_and_fails_its_gate(unlabelled, in_process):
    save(np.full(500, 0.9), "then.parquet")
    code, out, err = in_process(command_of)("now.parquet", "--drift", "then.parquet", "--min-expected-accuracy", "0.1")
    assert code == 8
    assert "worthless: the scores have drifted much (stability index" in out
    assert "expected accuracy is undefined (drift makes it worthless: the" in err
    save(shares(night(500, np.random.default_rng(43))[0])[:, 1], "then.parquet")
    report = evaluate_labels("now.parquet", drift="then.parquet", min_expected_accuracy=0.1)
    assert (report.expectation.doubts, report.expectation.drift_checked) == ((), True)
    assert report.gates[0].passed


@pytest.mark.parametrize("name", ["preds.parquet", "preds.csv", "preds.jsonl"])
def test_predictions_of_the_embedded_model_name_their_check(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"text": ["A warm film.", "Dull and loud.", "Great value!"] * 20}), "reviews.parquet")
    score_file("reviews.parquet", name)
    found = evaluate_labels(name).expectation
    rows = CalibrationCheck.of(ModelBundle.load().description).rows
    assert found.basis.startswith(f"calibrated on {rows:,} labelled rows of its training")
    assert found.accuracy.interval.warning is None
    assert found.calibration > 0
    # A file of another model beside it leaves no single check.
    save(np.full(60, 0.9), f"other{name[5:]}")
    assert evaluate_labels([name, f"other{name[5:]}"]).expectation.calibration is None
