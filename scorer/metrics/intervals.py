"""Confidence intervals of 95 % in closed form: of shares, means of shares, F1, skewed means and paired differences.

How often each holds the true value is measured by ``make coverage`` and listed in ``docs/evaluation.md``. Below
:data:`CHECKED_ROWS` rows only those of single shares are called intervals of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.metrics.values import Interval

Z = 1.959963984540054
"""Two-sided quantile of the normal distribution for 95 %."""

CHECKED_ROWS = 50
"""Rows from which on the coverage of the intervals was measured."""


def wilson(part: float, whole: float, quantile: float = Z) -> Interval | None:
    """Wilson's score interval (1927, without continuity correction) of a share; ``None`` if ``whole`` is 0."""
    if not whole:
        return None
    share, z2 = part / whole, quantile * quantile
    middle = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    half = quantile / (1 + z2 / whole) * math.sqrt(share * (1 - share) / whole + z2 / (4 * whole * whole))
    # At the ends, rounding would put the share itself outside.
    low = 0.0 if part == 0 else max(0.0, middle - half)
    high = 1.0 if part == whole else min(1.0, middle + half)
    return Interval(low, high, "wilson")


def f1_interval(right: int, gold: int, predicted: int) -> Interval | None:
    """Interval of F1 ``2 right / (gold + predicted)`` from Wilson's of Jaccard's index; ``None`` if it is undefined.

    Given the rows that have the label or got it, the right ones among them are binomial, and F1 rises with their
    share ``J`` as ``2 J / (1 + J)``: "Wilson indirect" in Lam et al., 2023, "Confidence Intervals for the F1 Score: A
    Comparison of Four Methods". The number of rows is random too, which Student's quantile makes up for.
    """
    rows = gold + predicted - right
    found = wilson(right, rows, student_quantile(max(5, rows - 1)))
    if found is None:
        return None
    return Interval(2 * found.low / (1 + found.low), 2 * found.high / (1 + found.high), "wilson")


def interval_of_mean(values: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of the mean of independent figures from theirs, by squares of the distances to their ends.

    Zou and Donner, 2008, "Construction of confidence limits about effect measures: a general approach" (MOVER).
    """
    mean, count = math.fsum(values) / len(values), len(values)
    pairs = list(zip(values, intervals, strict=True))
    below = math.sqrt(math.fsum((value - interval.low) ** 2 for value, interval in pairs)) / count
    above = math.sqrt(math.fsum((interval.high - value) ** 2 for value, interval in pairs)) / count
    return Interval(mean - below, mean + above, "wilson")


def logit_interval(value: float, variance: float) -> Interval:
    """Interval of a figure within (0, 1), symmetric on the scale of ``ln(x / (1 - x))``."""
    middle, half = math.log(value / (1 - value)), Z * math.sqrt(variance) / (value * (1 - value))
    # Beyond 700 an exponential overflows.
    low, high = (1 / (1 + math.exp(-max(-700.0, min(700.0, end)))) for end in (middle - half, middle + half))
    return Interval(low, high, "logit")


@dataclass(frozen=True)
class Moments:
    """Sums of values, enough for the interval of their mean.

    Attributes:
        rows: number of values.
        total, squares, cubes: sums of their first three powers.
    """

    rows: float = 0
    total: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Moments:
        """Moments of values ``(n,)``."""
        squares = values * values
        return cls(len(values), float(values.sum()), float(squares.sum()), float((squares * values).sum()))

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.rows + other.rows,
            self.total + other.total,
            self.squares + other.squares,
            self.cubes + other.cubes,
        )


def interval_of_skewed_mean(moments: Moments) -> Interval:
    """Interval of a mean of skewed values, by the cubic transformation of Hall, with Student's quantile.

    Hall, 1992, "On the removal of skewness by transformation". Without it the rare large losses of a sure model are
    forgotten: the normal interval of a log loss then holds the true one in 59 to 94 of 100 samples of 50 rows.
    """
    n, mean = moments.rows, moments.total / moments.rows
    variance = max(0.0, moments.squares / n - mean * mean)
    if not variance:
        return Interval(mean, mean, "skewed")
    third = moments.cubes / n - 3 * mean * moments.squares / n + 2 * mean**3
    spread, skew = math.sqrt(variance * n / (n - 1)), third / variance**1.5
    quantile = student_quantile(n - 1)
    ends = [mean - spread * _hall(end, skew, n) for end in (quantile, -quantile)]
    return Interval(ends[0], ends[1], "skewed")


def _hall(quantile: float, skew: float, n: float) -> float:
    """The studentized error, in standard deviations of one row, whose transformation is ``quantile``."""
    if abs(skew) < 1e-6:
        return quantile / math.sqrt(n)
    return 3 / skew * (math.cbrt(1 + skew * (quantile / math.sqrt(n) - skew / (6 * n))) - 1)


def student_quantile(freedom: float) -> float:
    """Two-sided quantile of Student's t for 95 %, by the series of Abramowitz and Stegun, 1964, 26.7.5.

    Exact to a thousandth from 5 degrees of freedom on.
    """
    z = Z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


def paired_interval(only_first: int, only_second: int, rows: int) -> Interval:
    """Interval of the difference of two shares of the same rows, first minus second.

    ``only_first`` and ``only_second`` count the rows that only one of the two has. Tango, 1998, "Equivalence test and
    confidence interval for the difference in proportions for the paired-sample design": the differences that a score
    test does not reject.
    """

    def score(difference: float) -> float:
        b = -only_first - only_second + (2 * rows - only_first + only_second) * difference
        c = -only_second * difference * (1 - difference)
        share = (math.sqrt(max(0.0, b * b - 8 * rows * c)) - b) / (4 * rows)
        variance = rows * (2 * share + difference * (1 - difference))
        distance = only_first - only_second - rows * difference
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)

    value = (only_first - only_second) / rows
    low = _where_it_falls(lambda end: score(end) - Z, -1.0, value)
    high = _where_it_falls(lambda end: score(end) + Z, value, 1.0)
    return Interval(min(low, value), max(high, value), "tango")


def _where_it_falls(function: Callable[[float], float], low: float, high: float) -> float:
    """The place in ``[low, high]`` where a falling function passes 0."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


FEW_DECIDING = 20
"""With fewer rows that decide about a mean, its interval is approximate."""


def deciding(values: npt.NDArray[np.float64], counts: npt.NDArray[np.float64] | float = 1.0) -> float:
    """Number of rows that carry the variance of centred values ``(n,)``, as if all of these were alike."""
    squares = values**2
    return float((counts * squares).sum() ** 2 / max(float((counts * squares**2).sum()), 1e-300))


def within(interval: Interval, value: float, low: float, high: float) -> Interval:
    """``interval`` cut to the range of its figure, and wide enough to hold ``value``."""
    ends = min(value, max(low, interval.low)), max(value, min(high, interval.high))
    return replace(interval, low=ends[0], high=ends[1])


def with_warning(interval: Interval, rows: float, reason: str | None = None) -> Interval:
    """``interval``, called approximate with fewer rows than its coverage was measured for, or for ``reason``."""
    if interval.warning is not None:
        return interval
    return replace(interval, warning=f"fewer than {CHECKED_ROWS} rows" if rows < CHECKED_ROWS else reason)
