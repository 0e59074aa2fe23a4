"""Measured turns to medians, ratios within a round, goals met or not, and a table for a person."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A figure and what it should reach.

    Attributes:
        name: what is measured.
        value: measured; ``None`` if it could not be.
        target: to reach.
        at_most: True if less is better.
        unit: of both.
    """

    name: str
    value: float | None
    target: float
    at_most: bool = False
    unit: str = "×"

    @property
    def met(self) -> bool | None:
        """True if the target is reached; ``None`` if nothing was measured."""
        if self.value is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def line(self) -> str:
        """The goal as a line of the table."""
        verdict = {True: "met", False: "NOT MET", None: "not measured"}[self.met]
        value = "-" if self.value is None else f"{self.value:.2f} {self.unit}"
        return f"  {verdict:<13}{value:>14}   {'≤' if self.at_most else '≥'} {self.target:g} {self.unit}  {self.name}"

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        value = None if self.value is None else round(self.value, 4)
        return {"name": self.name, "value": value, "target": self.target, "unit": self.unit, "met": self.met}


@dataclass(frozen=True)
class Growth:
    """The cost of a number of rows, in a process of its own.

    Attributes:
        rows: scored.
        seconds: from the first import to the published file.
        start_up: of these, what ten rows take.
        peak_mib: of the process's memory.
    """

    rows: int
    seconds: float
    start_up: float
    peak_mib: float

    @property
    def rows_per_second(self) -> float:
        """Rows by seconds, start-up included."""
        return self.rows / self.seconds

    @property
    def per_row(self) -> float:
        """Seconds per row, start-up left out."""
        return max(0.0, self.seconds - self.start_up) / self.rows

    def to_json(self) -> dict[str, float]:
        """A JSON object."""
        return {
            "rows": self.rows,
            "rows_per_second": round(self.rows_per_second),
            "microseconds_per_row": round(self.per_row * 1e6, 1),
            "peak_mib": round(self.peak_mib),
        }


@dataclass(frozen=True)
class Series:
    """One figure of one contestant, a value for each round.

    Attributes:
        values: reviews or operations per second.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Largest less smallest value, as a share of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    def over(self, other: Series) -> float:
        """Median over the rounds of this one's value by the other's in the same round."""
        return statistics.median(a / b for a, b in zip(self.values, other.values, strict=True))

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"median": float(f"{self.median:.5g}"), "values": [float(f"{value:.5g}") for value in self.values]}


def speed_table(rates: Mapping[str, Series], first: str) -> list[str]:
    """Lines of reviews per second, spread, and how many times as fast ``first`` is."""
    width = max(len(name) for name in rates)
    lines = [f"  {'reviews/s':<{width}}   median  spread   {first} is"]
    for name, series in rates.items():
        lines.append(
            f"  {name:<{width}} {series.median:8.1f}  {series.spread:5.0%}   {rates[first].over(series):6.2f} × as fast"
        )
    return lines


def ceiling_table(ceilings: Mapping[str, Series], session: Series) -> list[str]:
    """Lines of tera-operations per second, and the share that the session reaches of each."""
    width = max(len(name) for name in ceilings)
    lines = [f"  {'tera-operations/s':<{width}}   median  spread   the session reaches"]
    lines.append(f"  {'the session, as published':<{width}} {session.median / 1e12:8.3f}  {session.spread:5.0%}")
    for name, series in ceilings.items():
        share = session.over(series)
        lines.append(f"  {name:<{width}} {series.median / 1e12:8.3f}  {series.spread:5.0%}   {share:6.2f} of it")
    return lines


def share_table(title: str, parts: Mapping[str, float], unit: str = "ms per review") -> list[str]:
    """Lines of the parts of a whole, and their shares."""
    total = sum(parts.values()) or 1.0
    width = max(len(title), *(len(name) for name in parts))
    lines = [f"  {title:<{width}}  {unit}   share"]
    return lines + [
        f"  {name:<{width}}  {value:>{len(unit)}.3f}  {value / total:5.1%}" for name, value in parts.items()
    ]


def growth_table(found: Sequence[Growth]) -> list[str]:
    """Lines of rows, speed and memory."""
    lines = ["  short rows      rows/s   µs per row   peak memory"]
    for step in found:
        lines.append(
            f"  {step.rows:<12,} {step.rows_per_second:9,.0f}   {step.per_row * 1e6:10.1f}   {step.peak_mib:7,.0f} MiB"
        )
    return lines


def goal_lines(goals: Sequence[Goal]) -> list[str]:
    """Lines of all goals, below the number of those met."""
    met = sum(goal.met is True for goal in goals)
    return [f"goals: {met} of {len(goals)} met", *[goal.line() for goal in goals]]
