"""The parts of an evaluation report, as values: curves, slices, mistakes, thresholds, comparison, drift.

Every part is frozen and plain. ``to_json`` gives a JSON object with one key per attribute; figures
become ``{"value": …, "reason": …, "interval": …}``. ``None`` stands for a part that there is no data for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scorer.metrics.values import Figure, Section


@dataclass(frozen=True)
class ReadFile(Section):
    """A file that was read.

    Attributes:
        path: as it was given.
        role: ``evaluated``, ``labels``, ``baseline`` or ``drift``.
        rows: that it has.
        bytes: its size.
        sha256: of its bytes, in hexadecimal; ``None`` where it is not a plain file.
    """

    path: str
    role: str
    rows: int
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Method(Section):
    """How intervals were made.

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
        of: what is counted: ``probability of positive`` with two labels and their probabilities, else ``confidence``.
        edges: of the bins, one more than there are bins.
        series: counts by name; the gold labels where probabilities are counted, else ``right`` and ``wrong``.
    """

    of: str
    edges: tuple[float, ...]
    series: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Slice(Section):
    """The figures of some of the rows.

    Attributes:
        value: that these rows share, as text; ``null`` and ``(other values)`` included.
        rows: evaluated ones in it.
        share: of all evaluated rows.
        accuracy: with its interval.
        f1: of the positive label, or macro F1 where there is none.
        uncertain: it has too few rows for its figures to mean much.
    """

    value: str
    rows: int
    share: float
    accuracy: Figure
    f1: Figure
    uncertain: bool


@dataclass(frozen=True)
class SliceGroup(Section):
    """All rows, cut by one thing.

    Attributes:
        by: a column's name, or ``length``, ``truncation``, ``confidence``.
        built_in: whether it is one of the latter.
        slices: weakest accuracy first.
    """

    by: str
    built_in: bool
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Review(Section):
    """One row, named so that it can be found.

    Attributes:
        file: it is in.
        row: counted from 1.
        id: its value in the column of ids, where one is named.
        gold: its gold label.
        predicted: its predicted label.
        confidence: probability of the predicted label, where there are probabilities.
        text: its first characters, or ``None`` where the file has no text.
        cut: whether ``text`` is shorter than the review.
    """

    file: str
    row: int
    id: str | None
    gold: str
    predicted: str
    confidence: float | None
    text: str | None
    cut: bool


@dataclass(frozen=True)
class Suspect(Review):
    """A row whose gold label is likely wrong.

    Attributes:
        self_confidence: probability that the model gives to the gold label; the lower, the more suspect.
    """

    self_confidence: float


@dataclass(frozen=True)
class ThresholdRow(Section):
    """What predicting the label from a probability of ``threshold`` on would give.

    Attributes:
        threshold: probability.
        predicted: rows that would have the label.
        precision, recall, f1: of the label.
        accuracy: share of right rows; with more than two labels, of this label against the others.
    """

    threshold: float
    predicted: int
    precision: Figure
    recall: Figure
    f1: Figure
    accuracy: Figure


@dataclass(frozen=True)
class WantedThreshold(Section):
    """The threshold for a wanted precision or recall.

    Attributes:
        figure: ``precision`` or ``recall``.
        wanted: least value of it.
        row: of the thresholds that reach it, the one with the most of the other figure; ``None`` where none does.
        reason: why there is none.
    """

    figure: str
    wanted: float
    row: ThresholdRow | None
    reason: str | None = None


@dataclass(frozen=True)
class Thresholds(Section):
    """Thresholds of the positive label.

    Attributes:
        label: the positive one.
        rows: a table of even steps.
        best_f1: the threshold with the highest F1; ``None`` where F1 is undefined at every one.
        wanted: as asked for with ``--at-precision`` and ``--at-recall``.
        written: the threshold that was written into a bundle, and ``None`` where none was.
        written_to: that bundle.
    """

    label: str
    rows: tuple[ThresholdRow, ...]
    best_f1: ThresholdRow | None
    wanted: tuple[WantedThreshold, ...] = ()
    written: float | None = None
    written_to: str | None = None


@dataclass(frozen=True)
class Difference(Section):
    """One figure now and in the baseline, over the rows that both have.

    Attributes:
        figure: its name.
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
        only_current_right: rows that only the current predictions have right.
        only_baseline_right: rows that only the baseline has right.
        p_value: two-sided, exact binomial; 1 where the two never differ.
    """

    only_current_right: int
    only_baseline_right: int
    p_value: float


@dataclass(frozen=True)
class ChangedReview(Section):
    """A review whose predicted label is another than in the baseline.

    Attributes:
        review: as predicted now.
        baseline: the label that the baseline has.
        change: ``repaired`` (right now, wrong before), ``broken`` (the other way), or ``other`` (wrong in both).
    """

    review: Review
    baseline: str
    change: str


@dataclass(frozen=True)
class Comparison(Section):
    """Current predictions beside those of a baseline, over the rows that both predict.

    Attributes:
        baseline: the file.
        paired_by: the column of ids, or ``None`` where the rows are paired in order.
        rows: that both predict.
        unpaired: rows of either that the other does not predict, left out.
        differences: of each headline figure that both have.
        mcnemar: the test.
        repaired, broken, other: rows that changed sides, see :class:`ChangedReview`.
        changed: the first of them, broken ones first, most confident first.
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


@dataclass(frozen=True)
class LabelShare(Section):
    """Share of rows with a predicted label; of all rows that have a prediction.

    Attributes:
        label: predicted.
        baseline, current: shares in [0, 1].
    """

    label: str
    baseline: float
    current: float


@dataclass(frozen=True)
class LengthQuantiles(Section):
    """Lengths of texts in characters, from counts: quantiles are exact."""

    mean: float
    median: float
    p90: float
    p99: float


@dataclass(frozen=True)
class LengthShift(Section):
    """Lengths then and now.

    Attributes:
        baseline, current: lengths in characters.
        psi: population stability index over the tenths of the baseline.
    """

    baseline: LengthQuantiles
    current: LengthQuantiles
    psi: Figure


@dataclass(frozen=True)
class WordShift(Section):
    """A word whose share changed.

    Attributes:
        word: in lower case.
        baseline, current: share of all words.
    """

    word: str
    baseline: float
    current: float


@dataclass(frozen=True)
class VocabularyShift(Section):
    """Words then and now.

    Attributes:
        distance: Jensen-Shannon distance of the two word distributions, base 2, in [0, 1].
        unseen: share of the current words (with repetition) that the baseline does not have.
        words: that changed most.
    """

    distance: Figure
    unseen: Figure
    words: tuple[WordShift, ...]


@dataclass(frozen=True)
class Drift(Section):
    """The current predictions beside a baseline's, without labels.

    Attributes:
        baseline: the file.
        baseline_rows, current_rows: rows with a prediction.
        label_shares: in the order of the labels.
        label_psi: population stability index of the predicted labels.
        of: what the scores are, see :class:`scorer.evaluation.sections.Histogram`.
        edges: of the bins of scores.
        baseline_scores, current_scores: counts in them; empty where there are no probabilities.
        score_psi: population stability index of the scores, over the tenths of the baseline.
        length: ``None`` where one of the two has no text.
        vocabulary: ``None`` where one of the two has no text.
        reason: why the last two are ``None``.
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
