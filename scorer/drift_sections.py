"""The parts of a report that compare two nights without labels."""

from __future__ import annotations

from dataclasses import dataclass

from scorer.metrics import Figure
from scorer.sections import Section


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
        of: what the scores are, see :class:`scorer.sections.Histogram`.
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
