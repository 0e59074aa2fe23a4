"""The rule by which one epoch is better than another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def evaluations(log: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries of ``Trainer.state.log_history`` that an evaluation wrote, one for each epoch."""
    return [entry for entry in log if "eval_loss" in entry]


def place_of_best(evaluated: Sequence[Mapping[str, Any]], metric: str) -> int:
    """Place of the best of ``evaluated``: the highest ``metric``, of equal ones the lowest loss, then the first.

    With ``metric`` loss, the lowest loss.
    """

    def rank(place: int) -> tuple[float, float]:
        entry = evaluated[place]
        return (0.0 if metric == "loss" else entry[f"eval_{metric}"], -entry["eval_loss"])

    return max(range(len(evaluated)), key=rank)
