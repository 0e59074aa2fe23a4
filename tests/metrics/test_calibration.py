"""Log loss, Brier score and calibration error, against scikit-learn and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from scorer.evaluation.analysis import LabelledPredictions
from scorer.metrics.calibration import BINS, Calibration

quick = settings(max_examples=100)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of 2 to 4 labels that sum to one, some of them 0 or 1, and gold ids."""
    n_labels, n_rows = draw(st.integers(2, 4)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    probabilities = rng.dirichlet(np.full(n_labels, draw(st.sampled_from([0.05, 0.5, 5.0]))), n_rows)
    sure = rng.random(n_rows) < 0.2
    probabilities[sure] = np.eye(n_labels)[rng.integers(n_labels, size=sure.sum())]
    return probabilities.astype(draw(st.sampled_from(["f4", "f8"]))), rng.integers(n_labels, size=n_rows)


def calibration_of(probabilities: np.ndarray, gold: np.ndarray) -> Calibration:
    names = tuple("abcd"[: probabilities.shape[1]])
    predicted = probabilities.argmax(axis=1)
    positive = 1 if len(names) == 2 else None
    return LabelledPredictions(gold, predicted, probabilities, probabilities.max(axis=1), names, positive).calibration()


@quick
@given(predictions())
def test_losses_are_scikit_learns(case):
    probabilities, gold = case
    labels = range(probabilities.shape[1])
    found = calibration_of(probabilities, gold).figures(resamples=10, seed=0)
    # scikit-learn keeps probabilities from 0 by the epsilon of their type, we by that of float32, which score writes.
    least = float(np.finfo(np.float32).eps)
    told = np.clip(probabilities.astype(float), least, 1 - least)
    assert found["log_loss"].value == pytest.approx(reference.log_loss(gold, told, labels=labels), rel=1e-5)
    # For two labels scikit-learn takes the probability of the second.
    given_to = probabilities[:, 1] if len(labels) == 2 else probabilities
    same = {"pos_label": 1} if len(labels) == 2 else {"labels": labels}
    assert found["brier"].value == pytest.approx(reference.brier_score_loss(gold, given_to, **same), abs=1e-6)


@quick
@given(predictions())
def test_calibration_error_is_its_definition(case):
    probabilities, gold = case
    confidence, right = probabilities.max(axis=1).astype(float), probabilities.argmax(axis=1) == gold
    total = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    found = calibration_of(probabilities, gold)
    assert found.figures(resamples=10, seed=0)["ece"].value == pytest.approx(total, abs=1e-9)
    bins = found.reliability()
    assert sum(one.rows for one in bins) == len(gold)
    assert all((one.accuracy is None) == (one.rows == 0) for one in bins)


def test_chunks_sum_to_the_whole():
    rng = np.random.default_rng(5)
    probabilities, gold = rng.dirichlet([1, 1], 1000), rng.integers(2, size=1000)
    whole = calibration_of(probabilities, gold).figures(resamples=10, seed=0)
    parts = Calibration()
    for start in range(0, 1000, 130):
        here = slice(start, start + 130)
        parts.add_probabilities(probabilities[here], gold[here], 1)
        confidence = probabilities[here].max(axis=1)
        parts.add_confidence(confidence, probabilities[here].argmax(axis=1) == gold[here])
    found = parts.figures(resamples=10, seed=0)
    assert {name: figure.value for name, figure in found.items()} == pytest.approx(
        {name: figure.value for name, figure in whole.items()}
    )


def test_without_probabilities_there_is_a_reason():
    found = Calibration().figures(resamples=10, seed=0)
    assert {figure.reason for figure in found.values()} == {"there are no probabilities"}
    assert Calibration().reliability() == ()
