"""Drift between two sets of predictions, without gold labels: shares, scores, text lengths and words."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.gold import read_gold
from scorer.evaluation.inputs import open_predictions
from scorer.evaluation.labels import LabelSet, values_in_order
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.predictions import PredictedChunk, predicted_chunks
from scorer.evaluation.scored_by import ScoredBy, scored_by
from scorer.evaluation.sections import (
    Chance,
    Drift,
    LabelShare,
    LengthQuantiles,
    LengthShift,
    VocabularyShift,
    WordShift,
)
from scorer.metrics.values import Figure, Probabilities

Counts = npt.NDArray[np.int64]

FINE_BINS = 1000
"""Bins in which scores are counted; their tenths are made of these."""

_SHOWN_BINS = 20

_SHOWN_WORDS = 20

ROWS_PER_BIN = 10
"""Rows of the smaller side for each bin, up to ten bins."""

_DRAWS = 1000
"""Pairs of draws for the index by chance."""

ALL_TEXTS = 50_000
"""Number of texts whose words are all counted; of later ones, every :data:`LATER_STEP`-th is."""

LATER_STEP = 16

MAX_WORDS = 500_000
"""Maximum number of different words to keep; above it, words seen once are dropped."""

_BETWEEN_WORDS = r"[^\p{L}\p{N}']+"


@dataclass
class Profile:
    """Counts of one set of predictions, added chunk by chunk; their size does not depend on the rows.

    Attributes:
        names: of the labels, by id.
        score_of: id of the label whose probability is counted, or ``None`` for the predicted label.
        labels: rows by predicted label.
        scores: int64 ``(FINE_BINS,)``, rows by score.
        lengths: texts by length in characters.
        words: occurrences of each word.
        n_texts: number of texts.
        all_rows: number of rows, those without a prediction included.
        model: that made the predictions, if their file states it.
    """

    names: Sequence[str]
    score_of: int | None
    labels: Counter[str] = field(default_factory=Counter)
    scores: Counts = field(default_factory=lambda: np.zeros(FINE_BINS, np.int64))
    lengths: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    n_texts: int = 0
    all_rows: int = 0
    model: ScoredBy | None = None

    @property
    def rows(self) -> int:
        """Number of rows with a prediction."""
        return self.labels.total()

    def add(self, chunk: PredictedChunk) -> None:
        """Count the next rows; those without a prediction only count in ``all_rows``."""
        predicted = chunk.predicted >= 0
        self.all_rows += len(predicted)
        counts = np.bincount(chunk.predicted[predicted], minlength=len(self.names))
        for name, count in zip(self.names, counts.tolist(), strict=True):
            if count:
                self.labels[name] += count
        scores = chunk.confidence if self.score_of is None else None
        if self.score_of is not None and chunk.probabilities is not None:
            scores = chunk.probabilities[:, self.score_of]
        if scores is not None:
            self._add_scores(scores[predicted])
        if chunk.texts is not None:
            self._add_texts(chunk.texts, predicted)

    def _add_scores(self, scores: Probabilities) -> None:
        # In float32, so that a score falls into the same bin whether it was kept as float32 or as float64.
        places = (scores.astype(np.float32) * np.float32(FINE_BINS)).astype(np.int64).clip(0, FINE_BINS - 1)
        self.scores += np.bincount(places, minlength=FINE_BINS)

    def _add_texts(self, column: pa.ChunkedArray, predicted: npt.NDArray[np.bool_]) -> None:
        texts = column.cast(pa.large_string()).filter(pa.array(predicted)).drop_null()
        for length, count in _counted(pc.utf8_length(texts)):
            self.lengths[length] += count
        left = max(0, ALL_TEXTS - self.n_texts)
        self.n_texts += len(texts)
        later = texts[left:].take(pa.array(range(0, max(0, len(texts) - left), LATER_STEP), pa.int64()))
        lowered = pc.utf8_lower(pa.chunked_array([*texts[:left].chunks, *later.chunks], pa.large_string()))
        spaced = pc.replace_substring_regex(lowered, _BETWEEN_WORDS, " ")
        for word, count in _counted(pc.list_flatten(pc.split_pattern(spaced, " "))):
            if word:
                self.words[word[:64]] += count
        if len(self.words) > MAX_WORDS:
            self.words = Counter({word: count for word, count in self.words.items() if count > 1})


def baseline_profile(
    path: str | os.PathLike[str], options: EvaluateOptions, labels: LabelSet, positive: int | None
) -> Profile:
    """Count the predictions at ``path``; ``labels`` and ``positive`` are those of the current predictions.

    The labels of the two may differ unless both have columns of probabilities.

    Raises:
        InputError: the file cannot be read, has no predictions, or has columns of probabilities of other labels.
    """
    file = open_predictions(path, options, labels.names if labels.complete else ())
    names = file.labels or values_in_order(list(read_gold([file], EvaluateOptions()).predicted.first))
    profile = Profile(names, None)
    if file.labels and labels.complete and positive is not None and len(names) == 2:
        profile = Profile(names, names.index(labels.names[positive]))
    for chunk in predicted_chunks([file], LabelSet(names, "the baseline")):
        profile.add(chunk)
    profile.model = scored_by(file.source)
    if not profile.all_rows:
        raise InputError("holds no rows", path=file.source.path, hint="there is nothing to compare with")
    if not profile.rows:
        raise InputError("no row has a prediction", path=file.source.path, hint="there is nothing to compare with")
    return profile


def drift_of(path: str, baseline: Profile, current: Profile) -> Drift:
    """The two profiles side by side; ``path`` is the file of the baseline."""
    names = list(dict.fromkeys([*current.names, *baseline.names]))
    then, now = (np.array([profile.labels[name] for name in names]) for profile in (baseline, current))
    shares = [counts / max(1, counts.sum()) for counts in (then, now)]
    scored = baseline.scores.any() and current.scores.any()
    step = FINE_BINS // _SHOWN_BINS
    of = "confidence" if current.score_of is None else f"probability of {current.names[current.score_of]}"
    score_psi, score_chance = Figure(None, "there are no probabilities in both"), None
    if scored:
        bins = tenths(baseline.scores, current.scores)
        score_psi, score_chance = stability_index(*bins), chance_of(*bins)
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
        edges=tuple(np.linspace(0, 1, _SHOWN_BINS + 1).round(6).tolist()),
        baseline_scores=tuple(baseline.scores.reshape(-1, step).sum(axis=1).tolist()) if scored else (),
        current_scores=tuple(current.scores.reshape(-1, step).sum(axis=1).tolist()) if scored else (),
        score_psi=score_psi,
        label_chance=chance_of(then, now),
        score_chance=score_chance,
        length=_length_shift(baseline.lengths, current.lengths) if with_text else None,
        vocabulary=_vocabulary_shift(baseline.words, current.words) if with_text else None,
        reason=reason,
    )


def stability_index(baseline: npt.NDArray[np.integer], current: npt.NDArray[np.integer]) -> Figure:
    """Population stability index of counts in the same bins: the sum of ``(c - b) ln(c / b)`` of shares.

    Siddiqi, 2006, "Credit Risk Scorecards"; by custom, below 0.1 is no change and above 0.25 a large one.
    A bin that is empty in one of the two counts as half a row there, because the logarithm of 0 is undefined.
    """
    if not baseline.sum() or not current.sum():
        return Figure(None, "there are no rows with a prediction in both")
    filled = (baseline > 0) | (current > 0)
    return Figure(float(_index(baseline[filled], current[filled])))


def _index(baseline: npt.NDArray[np.integer], current: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """The index of each pair of rows of counts ``(..., n_bins)`` in bins that one of the two fills."""
    before, after = (np.maximum(side, 0.5) / side.sum(axis=-1, keepdims=True) for side in (baseline, current))
    used = (baseline > 0) | (current > 0)
    return np.asarray((used * (after - before) * np.log(after / before)).sum(axis=-1))


def chance_of(baseline: npt.NDArray[np.integer], current: npt.NDArray[np.integer]) -> Chance | None:
    """The index that two draws of one distribution have, as many rows each and in the same bins; ``None`` without rows.

    The index is not 0 then: times ``1 / (1 / n + 1 / m)`` it is about chi-squared with a degree of freedom less than
    there are bins (Yurdakul, 2018, "Statistical Properties of Population Stability Index"). That does not hold for
    bins of a few rows, so the draws are simulated.
    """
    if not baseline.sum() or not current.sum():
        return None
    together = baseline + current
    together = together[together > 0]
    rng = np.random.default_rng(0)
    draws = (rng.multinomial(int(side.sum()), together / together.sum(), _DRAWS) for side in (baseline, current))
    found = _index(*draws)
    return Chance(float(found.mean()), float(np.quantile(found, 0.99)))


def tenths(baseline: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Merge counts in fine bins ``(n_bins,)`` into bins that each hold about a tenth of the baseline.

    A fine bin that holds a tenth or more by itself is a bin of its own: a pile, as the scores of a sure model. With
    less than 100 rows in one of the two there are fewer bins, of about ten rows each, but at least two.
    """
    n_bins = int(np.clip(min(baseline.sum(), current.sum()) // ROWS_PER_BIN, 2, 10))
    reached = np.cumsum(baseline)
    edges = np.searchsorted(reached, np.linspace(0, reached[-1], n_bins + 1)[1:-1]) + 1
    piles = np.flatnonzero(baseline * n_bins >= reached[-1])
    edges = np.unique(np.concatenate([[0], edges, piles, piles + 1]))
    starts = edges[edges < len(baseline)]
    return np.add.reduceat(baseline, starts), np.add.reduceat(current, starts)


def _length_shift(baseline: Counter[int], current: Counter[int]) -> LengthShift:
    lengths = np.array(sorted(baseline.keys() | current.keys()))
    then, now = (np.array([counts[int(length)] for length in lengths]) for counts in (baseline, current))
    bins = tenths(then, now)
    return LengthShift(_quantiles(lengths, then), _quantiles(lengths, now), stability_index(*bins), chance_of(*bins))


def _quantiles(lengths: Counts, counts: Counts) -> LengthQuantiles:
    reached, total = np.cumsum(counts), counts.sum()
    median, p90, p99 = (float(lengths[np.searchsorted(reached, share * total)]) for share in (0.5, 0.9, 0.99))
    return LengthQuantiles(float((lengths * counts).sum() / total), median, p90, p99)


def _vocabulary_shift(baseline: Counter[str], current: Counter[str]) -> VocabularyShift:
    if not baseline or not current:
        nothing = Figure(None, "one of the two has no words")
        return VocabularyShift(nothing, nothing, ())
    words = sorted(baseline.keys() | current.keys())
    counts = [np.array([side[word] for word in words], np.float64) for side in (baseline, current)]
    before, after = (values / values.sum() for values in counts)
    middle = (before + after) / 2
    terms = _information(before, middle) + _information(after, middle)
    distance = float(np.sqrt(max(0.0, min(1.0, terms.sum() / 2))))
    changed = np.argsort(-terms, kind="stable")[:_SHOWN_WORDS]
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


def _counted(values: pa.ChunkedArray) -> Iterator[tuple[Any, int]]:
    """Each different value and its number of occurrences."""
    counted = pc.value_counts(values)
    return zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
