"""Differences of a variant's logits from the reference's: as a whole, and by the length of the reviews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scorer.model.probabilities import probabilities_of

Logits = npt.NDArray[np.float32]

BUCKETS = (32, 128, 256, 512)
"""Most tokens of a review in each bucket of lengths, special tokens included; longer ones have one of their own."""


@dataclass(frozen=True)
class Difference:
    """Differences of logits from the reference's.

    Attributes:
        max_logit, mean_logit: absolute difference of logits.
        max_probability, mean_probability: the same of probabilities.
        flips: texts with another label.
        widest_flip: the largest lead, in the reference's logits, that a label lost; 0 without flips.
    """

    max_logit: float
    mean_logit: float
    max_probability: float
    mean_probability: float
    flips: int
    widest_flip: float

    @classmethod
    def worst(cls, parts: Sequence[Difference]) -> Difference:
        """The largest of each figure."""
        return cls(**{name: max(getattr(part, name) for part in parts) for name in vars(parts[0])})

    def to_json(self) -> dict[str, float]:
        """A JSON object, to four significant digits, because later ones differ between machines."""
        return {name: rounded(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Bucket:
    """The differences of reviews of like lengths.

    Attributes:
        name: of the bucket, as ``33-128`` tokens.
        texts: reviews in it.
        difference: the worst of all ways of running them.
    """

    name: str
    texts: int
    difference: Difference

    @property
    def agreement(self) -> float:
        """Share of the reviews with the reference's label."""
        return 1.0 - self.difference.flips / self.texts

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``bundle.json``."""
        return {"texts": self.texts, "agreement": rounded(self.agreement), **self.difference.to_json()}


def compare(logits: Logits, expected: Logits, activation: str) -> Difference:
    """Difference of two arrays of logits, float32 ``(n, n_labels)``, ``n`` at least 1."""
    by_logit = np.abs(logits - expected)
    by_probability = np.abs(
        probabilities_of(logits, activation=activation) - probabilities_of(expected, activation=activation)
    )
    chosen = logits.argmax(axis=1)
    flipped = chosen != expected.argmax(axis=1)
    leads = expected.max(axis=1) - expected[np.arange(len(expected)), chosen]
    return Difference(
        max_logit=float(by_logit.max()),
        mean_logit=float(by_logit.mean()),
        max_probability=float(by_probability.max()),
        mean_probability=float(by_probability.mean()),
        flips=int(flipped.sum()),
        widest_flip=float(leads.max()),
    )


def bucket_names(lengths: npt.NDArray[np.int64]) -> list[str]:
    """The bucket of each length in tokens."""
    starts = (1, *(end + 1 for end in BUCKETS))
    names = [f"{start}-{end}" for start, end in zip(starts, BUCKETS, strict=False)] + [f"{starts[-1]}-"]
    return [names[place] for place in np.searchsorted(BUCKETS, lengths).tolist()]


def by_length(
    ways: Mapping[str, Logits], expected: Logits, lengths: npt.NDArray[np.int64], activation: str
) -> tuple[Bucket, ...]:
    """The buckets that occur, shortest first; each way of running the reviews is an array like ``expected``."""
    names = np.asarray(bucket_names(lengths))
    buckets = []
    for name in dict.fromkeys(names[np.argsort(lengths, kind="stable")].tolist()):
        rows = names == name
        parts = [compare(logits[rows], expected[rows], activation) for logits in ways.values()]
        buckets.append(Bucket(name, int(rows.sum()), Difference.worst(parts)))
    return tuple(buckets)


def rounded(value: float) -> float:
    """``value`` to four significant digits; an integer stays as it is."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
