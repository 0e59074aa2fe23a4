"""Coverage of the intervals of ``evaluate-labels``: how often each holds the true value, by simulation.

``make coverage`` writes the table into ``docs/evaluation.md``. The settings are those in which intervals are known to
fail: few positives, sure and overconfident probabilities, skewed classes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from scorer.evaluation.analysis import LabelledPredictions
from scorer.evaluation.comparison import differences_of
from scorer.evaluation.findings import FIGURES
from scorer.evaluation.sections import Method
from scorer.metrics.values import Figure

ROWS = (50, 200, 1000, 2000)

_POPULATION = 1_000_000
"""Rows from which the true values are computed."""

_MARKS = ("<!-- coverage -->\n", "<!-- end of coverage -->\n")

Floats = npt.NDArray[np.float64]
Draw = Callable[[int, np.random.Generator], tuple[npt.NDArray[np.int64], Floats]]


@dataclass(frozen=True)
class Setting:
    """A population: ``draw(n, rng)`` gives gold ids ``(n,)`` and probabilities ``(n, n_labels)``."""

    name: str
    n_labels: int
    draw: Draw


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))


def _binary(gold: npt.NDArray[np.bool_], positive: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    return gold.astype(np.int64), np.stack([1 - positive, positive], axis=1)


def _calibrated(n: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
    positive = _sigmoid(rng.normal(0, 2, n))
    return _binary(rng.random(n) < positive, positive)


def _rare(n: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
    gold = rng.random(n) < 0.1
    seen = rng.normal(np.where(gold, 2.0, 0.0))
    return _binary(gold, _sigmoid(2 * seen - 2 + np.log(0.1 / 0.9)))


def _sharp(n: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
    gold = rng.random(n) < 0.5
    return _binary(gold, _sigmoid(12 * rng.normal(np.where(gold, 2.0, -2.0))))


def _classes(*shares: float) -> Draw:
    def draw(n: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
        gold = rng.choice(len(shares), p=shares, size=n)
        logits = np.log(shares) + 1.2 * rng.normal(2.5 * np.eye(len(shares))[gold])
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return gold, exponents / exponents.sum(axis=1, keepdims=True)

    return draw


SETTINGS = (
    Setting("two labels, calibrated", 2, _calibrated),
    Setting("10 % positives", 2, _rare),
    Setting("sure and overconfident, 2 % wrong", 2, _sharp),
    Setting("three labels, 70/20/10 %", 3, _classes(0.7, 0.2, 0.1)),
    Setting("five labels, 50 to 5 %", 5, _classes(0.5, 0.2, 0.15, 0.1, 0.05)),
)


def main(arguments: list[str]) -> None:
    """Print the coverage of every figure; ``--write FILE`` puts the table between its marks in FILE."""
    trials = int(arguments[arguments.index("--trials") + 1]) if "--trials" in arguments else 400
    started = time.monotonic()
    table = "\n".join(_table(trials)) + "\n"
    click.echo(table)
    click.echo(f"{time.monotonic() - started:.0f} s", err=True)
    if "--write" in arguments:
        page = Path(arguments[arguments.index("--write") + 1])
        before, rest = page.read_text(encoding="utf-8").split(_MARKS[0])
        page.write_text(before + _MARKS[0] + table + _MARKS[1] + rest.split(_MARKS[1])[1], encoding="utf-8")


def _table(trials: int) -> Iterator[str]:
    """The lines of the table: a row for each figure, a column for each setting, coverage in % by rows."""
    found = {setting.name: [_coverage(setting, rows, trials) for rows in ROWS] for setting in SETTINGS}
    names = {name: None for cells in found.values() for cell in cells for name in cell}
    rows = ", ".join(map(str, ROWS))
    yield f"Coverage in % of {trials} samples of {rows} rows each; ~ where most of the intervals carry a warning.\n"
    yield "| figure | " + " | ".join(setting.name for setting in SETTINGS) + " |"
    yield "|---|" + "---|" * len(SETTINGS)
    for name in names:
        shown = [", ".join(_percent(cell.get(name)) for cell in cells) for cells in found.values()]
        yield f"| {name} | " + " | ".join(shown) + " |"


def _percent(coverage: tuple[float, float] | None) -> str:
    return "–" if coverage is None else f"{'~' if coverage[1] > 0.5 else ''}{100 * coverage[0]:.0f}"


def _coverage(setting: Setting, rows: int, trials: int) -> dict[str, tuple[float, float]]:
    """The share of samples whose interval holds the true value, and the share with a warning, by figure."""
    rng = np.random.default_rng(20)
    truth = _figures(*_sample(setting, _POPULATION, rng), Method(resamples=2))
    hits: dict[str, list[bool]] = {}
    warned: dict[str, list[bool]] = {}
    for trial in range(trials):
        found = _figures(*_sample(setting, rows, rng), Method(resamples=600, seed=trial))
        for name, figure in found.items():
            interval, value = figure.interval, truth[name].value
            if interval is not None and value is not None:
                hits.setdefault(name, []).append(interval.low <= value <= interval.high)
                warned.setdefault(name, []).append(interval.warning is not None)
    return {name: (float(np.mean(hits[name])), float(np.mean(warned[name]))) for name in truth if name in hits}


def _sample(setting: Setting, rows: int, rng: np.random.Generator) -> tuple[LabelledPredictions, LabelledPredictions]:
    """Rows of a setting, and those of a noisier model of the same rows."""
    gold, probabilities = setting.draw(rows, rng)
    logits = np.log(np.maximum(probabilities, 1e-30))
    spread = 0.15 * logits.std()
    noisy = logits + rng.normal(0, spread, logits.shape)
    noisy = np.exp(noisy - noisy.max(axis=1, keepdims=True))
    now = LabelledPredictions(
        gold,
        probabilities.argmax(axis=1),
        probabilities,
        probabilities.max(axis=1),
        tuple(map(str, range(setting.n_labels))),
        1 if setting.n_labels == 2 else None,
    )
    other = noisy / noisy.sum(axis=1, keepdims=True)
    return now, replace(now, predicted=other.argmax(axis=1), probabilities=other, confidence=other.max(axis=1))


def _figures(now: LabelledPredictions, then: LabelledPredictions, method: Method) -> dict[str, Figure]:
    """Headline figures, and the differences to ``then``."""
    found = {FIGURES[name]: figure for name, figure in now.analysis(method).figures.items()}
    gaps = {f"difference in {FIGURES[gap.figure]}": gap.difference for gap in differences_of(now, then, method)}
    return {**found, **gaps}


if __name__ == "__main__":
    main(sys.argv[1:])
