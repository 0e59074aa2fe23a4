"""Two nights without labels: what was predicted, how surely, of texts how long and in which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scorer.evaluation.rows import Rows
from scorer.evaluation.sections import Drift, LabelShare, LengthQuantiles, LengthShift, VocabularyShift, WordShift
from scorer.metrics.values import Figure

FINE_BINS = 1000
"""Bins that scores are counted in; tenths are found in these."""

SHOWN_BINS = 20

SHOWN_WORDS = 20

ALL_TEXTS = 50_000
"""Texts whose words are all counted; of those after these every :data:`LATER_STEP`-th is."""

LATER_STEP = 16

MAX_WORDS = 500_000
"""Different words that are held; beyond, those seen once are dropped."""


@dataclass
class Profile:
    """Counts of one night, taken in chunk by chunk; their size does not depend on the rows.

    Attributes:
        names: of the label ids.
        score_of: the label whose probability is counted, or ``None`` for that of the predicted one.
        labels: rows by predicted label.
        scores: rows by score, in :data:`FINE_BINS`.
        lengths: texts by length in characters.
        words: how often each occurs.
        n_texts: that were taken in.
        all_rows: those without a prediction included.
    """

    names: Sequence[str]
    score_of: int | None
    labels: Counter[str] = field(default_factory=Counter)
    scores: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(FINE_BINS, np.int64))
    lengths: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    n_texts: int = 0
    all_rows: int = 0

    @property
    def rows(self) -> int:
        """Rows with a prediction."""
        return self.labels.total()

    def add(self, rows: Rows) -> None:
        """Take in the next rows; those without a prediction are left out."""
        there = rows.predicted >= 0
        self.all_rows += len(there)
        counts = np.bincount(rows.predicted[there], minlength=len(self.names))
        for name, count in zip(self.names, counts.tolist(), strict=True):
            if count:
                self.labels[name] += count
        scores = rows.confidence if self.score_of is None else None
        if self.score_of is not None and rows.probabilities is not None:
            scores = rows.probabilities[:, self.score_of]
        if scores is not None:
            places = (scores[there].astype(np.float64) * FINE_BINS).astype(np.int64).clip(0, FINE_BINS - 1)
            self.scores += np.bincount(places, minlength=FINE_BINS)
        if rows.texts is not None:
            self._add_texts(rows, there)

    def _add_texts(self, rows: Rows, there: npt.NDArray[np.bool_]) -> None:
        import polars as pl

        texts = pl.Series("text", rows.texts, dtype=pl.String).filter(pl.Series(there)).drop_nulls()
        values = texts.str.len_chars().value_counts()
        for length, count in values.iter_rows():
            self.lengths[length] += count
        left = max(0, ALL_TEXTS - self.n_texts)
        counted = pl.concat([texts[:left], texts[left::LATER_STEP]])
        self.n_texts += len(texts)
        words = counted.str.to_lowercase().str.extract_all(r"[\p{L}\p{N}']+").explode().drop_nulls()
        for word, count in words.value_counts().iter_rows():
            self.words[word[:64]] += count
        if len(self.words) > MAX_WORDS:
            self.words = Counter({word: count for word, count in self.words.items() if count > 1})


def compare(path: str, baseline: Profile, current: Profile) -> Drift:
    """The two profiles side by side; ``path`` is the baseline's file."""
    names = list(dict.fromkeys([*current.names, *baseline.names]))
    then, now = (np.array([profile.labels[name] for name in names]) for profile in (baseline, current))
    shares = [counts / max(1, counts.sum()) for counts in (then, now)]
    scored = baseline.scores.any() and current.scores.any()
    step = FINE_BINS // SHOWN_BINS
    of = "confidence" if current.score_of is None else f"probability of {current.names[current.score_of]}"
    with_text = bool(baseline.lengths and current.lengths)
    reason = None
    if not with_text:
        reason = f"{'the baseline has' if current.lengths else 'these predictions have'} no texts beside them"
    return Drift(
        baseline=path,
        baseline_rows=baseline.rows,
        current_rows=current.rows,
        label_shares=tuple(
            LabelShare(name, float(before), float(after)) for name, before, after in zip(names, *shares, strict=True)
        ),
        label_psi=stability_index(then, now),
        of=of,
        edges=tuple(np.linspace(0, 1, SHOWN_BINS + 1).round(6).tolist()),
        baseline_scores=tuple(baseline.scores.reshape(-1, step).sum(axis=1).tolist()) if scored else (),
        current_scores=tuple(current.scores.reshape(-1, step).sum(axis=1).tolist()) if scored else (),
        score_psi=stability_index(*tenths(baseline.scores, current.scores))
        if scored
        else Figure(None, "there are no probabilities in both"),
        length=_length_shift(baseline.lengths, current.lengths) if with_text else None,
        vocabulary=_vocabulary_shift(baseline.words, current.words) if with_text else None,
        reason=reason,
    )


def stability_index(baseline: npt.NDArray[np.integer], current: npt.NDArray[np.integer]) -> Figure:
    """Population stability index of counts in the same bins: the sum of ``(c - b) ln(c / b)`` of shares.

    Siddiqi, 2006, "Credit Risk Scorecards"; below 0.1 is taken for no change, above 0.25 for a large one.
    A bin that one of the two leaves empty counts as half a row there, as the logarithm of nothing is none.
    """
    if not baseline.sum() or not current.sum():
        return Figure(None, "there are no rows with a prediction in both")
    there = (baseline > 0) | (current > 0)
    before, after = (np.maximum(counts[there], 0.5) / counts.sum() for counts in (baseline, current))
    return Figure(float(((after - before) * np.log(after / before)).sum()))


def tenths(
    baseline: npt.NDArray[np.int64], current: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Counts in fine bins ``(n_bins,)`` as counts in bins that each hold about a tenth of the baseline."""
    reached = np.cumsum(baseline)
    edges = np.unique(np.searchsorted(reached, np.linspace(0, reached[-1], 11)[1:-1])) + 1
    starts = np.concatenate([[0], edges[edges < len(baseline)]])
    return np.add.reduceat(baseline, starts), np.add.reduceat(current, starts)


def _length_shift(baseline: Counter[int], current: Counter[int]) -> LengthShift:
    lengths = np.array(sorted(baseline.keys() | current.keys()))
    then, now = (np.array([counts[int(length)] for length in lengths]) for counts in (baseline, current))
    return LengthShift(_quantiles(lengths, then), _quantiles(lengths, now), stability_index(*tenths(then, now)))


def _quantiles(lengths: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> LengthQuantiles:
    reached, total = np.cumsum(counts), counts.sum()
    median, p90, p99 = (float(lengths[np.searchsorted(reached, share * total)]) for share in (0.5, 0.9, 0.99))
    return LengthQuantiles(float((lengths * counts).sum() / total), median, p90, p99)


def _vocabulary_shift(baseline: Counter[str], current: Counter[str]) -> VocabularyShift:
    if not baseline or not current:
        nothing = Figure(None, "one of the two has no words")
        return VocabularyShift(nothing, nothing, ())
    words = sorted(baseline.keys() | current.keys())
    counts = [np.array([held[word] for word in words], np.float64) for held in (baseline, current)]
    before, after = (values / values.sum() for values in counts)
    middle = (before + after) / 2
    terms = _information(before, middle) + _information(after, middle)
    distance = float(np.sqrt(max(0.0, min(1.0, terms.sum() / 2))))
    changed = np.argsort(-terms, kind="stable")[:SHOWN_WORDS]
    return VocabularyShift(
        distance=Figure(distance),
        unseen=Figure(float(after[counts[0] == 0].sum())),
        words=tuple(
            WordShift(words[place], float(before[place]), float(after[place]))
            for place in changed.tolist()
            if before[place] != after[place]
        ),
    )


def _information(shares: npt.NDArray[np.float64], middle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Terms of the Jensen-Shannon divergence in bits, Lin, 1991, "Divergence measures based on Shannon entropy"."""
    return shares * np.log2(np.divide(shares, middle, out=np.ones_like(shares), where=shares > 0))
