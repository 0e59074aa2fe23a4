"""The temperature that a training fits, and the error that it mends."""

from __future__ import annotations

import numpy as np
import pytest

from train.calibration import expected_calibration_error, fit_temperature


def test_a_known_temperature_is_found() -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(scale=1.5, size=(20_000, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) < draw.random((20_000, 1))).sum(axis=1)
    found = fit_temperature(3 * logits, labels)
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert found.ece_after < 0.02 < 0.1 < found.ece_before


def test_the_error_is_the_gap_between_confidence_and_accuracy() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10)
    labels = np.array([0] * 6 + [1] * 4)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.3)
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0.0


def test_it_stays_in_bounds_and_never_makes_the_loss_worse() -> None:
    assert 0.2 <= fit_temperature(np.array([[2.0, -2.0], [-2.0, 2.0]]), np.array([0, 1])).temperature < 1
    assert 1 < fit_temperature(np.array([[2.0, -2.0], [-2.0, 2.0]]), np.array([1, 0])).temperature <= 5
    assert fit_temperature(np.array([[np.nan, 1.0]]), np.array([0])).temperature == 1.0
