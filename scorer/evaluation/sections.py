"""The parts of an evaluation report as frozen values: files, reviews, comparison, drift.

The JSON form of each is an object with one key per attribute, see :class:`scorer.metrics.values.Section`; figures
become ``{"value": …, "reason": …, "interval": …}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scorer.evaluation.scored_by import ScoredBy
from scorer.evaluation.slices import SliceOf
from scorer.metrics.values import Curves, Figure, Section


@dataclass(frozen=True)
class ReadFile(Section):
    """A file that was read.

    Attributes:
        path: as given.
        role: ``evaluated``, ``labels``, ``baseline`` or ``drift``.
        rows: number of rows.
        bytes: size.
        sha256: in hexadecimal; ``None`` for anything but a regular file.
        model: that made its predictions, if the file states it.
    """

    path: str
    role: str
    rows: int
    bytes: int
    sha256: str | None
    model: ScoredBy | None = None


@dataclass(frozen=True)
class Method(Section):
    """Method of the intervals.

    Attributes:
        level: of every interval.
        resamples: of the bootstrap.
        seed: of its random numbers.
    """

    level: float = 0.95
    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Histogram(Section):
    """Rows by score.

    Attributes:
        of: the score, such as ``probability of positive`` with two labels and their probabilities, else ``confidence``.
        edges: of the bins, one more than there are bins.
        series: counts by gold label for probabilities, else by ``right`` and ``wrong``.
    """

    of: str
    edges: tuple[float, ...]
    series: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Review(Section):
    """One row with its place in a file.

    Attributes:
        file: path.
        row: counted from 1.
        id: value in the column of ids, or ``None`` without such a column.
        gold: label.
        predicted: label.
        confidence: probability of the predicted label, or ``None``.
        text: its first characters, or ``None`` without a text.
        cut: true if ``text`` is shorter than the review.
        slices: of the row, one of each group.
    """

    file: str
    row: int
    id: str | None
    gold: str
    predicted: str
    confidence: float | None
    text: str | None
    cut: bool
    slices: tuple[SliceOf, ...] = ()


@dataclass(frozen=True)
class Suspect(Review):
    """A row whose gold label is likely wrong.

    Attributes:
        self_confidence: predicted probability of the gold label; the lower, the more suspect.
    """

    self_confidence: float = 0.0


@dataclass(frozen=True)
class Difference(Section):
    """One figure of the current predictions and of the baseline, over the rows that both predict.

    Attributes:
        figure: name, see :data:`scorer.evaluation.findings.FIGURES`.
        current, baseline: the two figures.
        difference: current minus baseline, with its paired interval.
    """

    figure: str
    current: Figure
    baseline: Figure
    difference: Figure


@dataclass(frozen=True)
class McNemar(Section):
    """McNemar's exact test of two classifiers on the same rows.

    Attributes:
        only_current_right: rows that are right only in the current predictions.
        only_baseline_right: rows that are right only in the baseline.
        p_value: two-sided, exact binomial; 1 if there are no such rows.
    """

    only_current_right: int
    only_baseline_right: int
    p_value: float


@dataclass(frozen=True)
class ChangedReview(Section):
    """A review whose predicted label has changed since the baseline.

    Attributes:
        review: as predicted now.
        baseline: label predicted in the baseline.
        change: ``repaired`` (right now, wrong before), ``broken`` (the other way), or ``other`` (wrong in both).
    """

    review: Review
    baseline: str
    change: str


@dataclass(frozen=True)
class Comparison(Section):
    """The current predictions and those of a baseline, over the rows that both predict.

    Attributes:
        baseline: path of the file.
        paired_by: column of ids, or ``None`` if rows were paired in order.
        rows: number of rows that both predict.
        unpaired: rows that only one of the two predicts; left out.
        differences: of each headline figure that both have.
        mcnemar: test of the two on these rows.
        repaired, broken, other: number of changed rows, see :class:`ChangedReview`.
        changed: the first of each kind, broken ones first, most confident first.
        curves: of the baseline, of the same labels as those of the report, over these rows.
    """

    baseline: str
    paired_by: str | None
    rows: int
    unpaired: int
    differences: tuple[Difference, ...]
    mcnemar: McNemar
    repaired: int
    broken: int
    other: int
    changed: tuple[ChangedReview, ...]
    curves: tuple[Curves, ...] = ()


@dataclass(frozen=True)
class LabelShare(Section):
    """Share of a predicted label among all rows with a prediction.

    Attributes:
        label: its name.
        baseline, current: shares in [0, 1].
    """

    label: str
    baseline: float
    current: float


@dataclass(frozen=True)
class LengthQuantiles(Section):
    """Mean and exact quantiles of text lengths in characters."""

    mean: float
    median: float
    p90: float
    p99: float


@dataclass(frozen=True)
class Chance(Section):
    """The population stability index of as many rows if nothing had changed.

    Attributes:
        mean: of two draws of one distribution.
        high: 99 in 100 such pairs have less.
    """

    mean: float
    high: float


@dataclass(frozen=True)
class LengthShift(Section):
    """Text lengths of both.

    Attributes:
        baseline, current: lengths in characters.
        psi: population stability index over the tenths of the baseline.
        chance: the index by chance alone.
    """

    baseline: LengthQuantiles
    current: LengthQuantiles
    psi: Figure
    chance: Chance | None = None


@dataclass(frozen=True)
class WordShift(Section):
    """A word whose share changed.

    Attributes:
        word: in lower case.
        baseline, current: shares of all words, in [0, 1].
    """

    word: str
    baseline: float
    current: float


@dataclass(frozen=True)
class VocabularyShift(Section):
    """Words of both.

    Attributes:
        distance: Jensen-Shannon distance of the two word distributions, base 2, in [0, 1].
        unseen: share of the current words (with repetition) that are not in the baseline.
        words: the most changed ones.
    """

    distance: Figure
    unseen: Figure
    words: tuple[WordShift, ...]


@dataclass(frozen=True)
class Drift(Section):
    """The current predictions and those of a baseline, without gold labels.

    Attributes:
        baseline: path of the file.
        baseline_rows, current_rows: number of rows with a prediction.
        label_shares: in the order of the labels.
        label_psi: population stability index of the predicted labels.
        of: the score, as in :class:`Histogram`.
        edges: of the bins of scores.
        baseline_scores, current_scores: rows in these bins; empty unless both have scores.
        score_psi: population stability index of the scores, over the tenths of the baseline.
        length, vocabulary: ``None`` unless both have texts.
        reason: why these two are ``None``.
        label_chance, score_chance: the indexes by chance alone; ``None`` without rows.
    """

    baseline: str
    baseline_rows: int
    current_rows: int
    label_shares: tuple[LabelShare, ...]
    label_psi: Figure
    of: str
    edges: tuple[float, ...]
    baseline_scores: tuple[int, ...]
    current_scores: tuple[int, ...]
    score_psi: Figure
    length: LengthShift | None
    vocabulary: VocabularyShift | None
    reason: str | None = None
    label_chance: Chance | None = None
    score_chance: Chance | None = None
