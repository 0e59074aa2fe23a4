"""Logits to probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from scorer.model.probabilities import probabilities_of


def test_sigmoid_is_elementwise() -> None:
    logits = np.array([[0.0, 2.0]], np.float32)
    assert probabilities_of(logits, activation="sigmoid")[0] == pytest.approx([0.5, 1 / (1 + np.exp(-2))])
