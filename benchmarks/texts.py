"""Reviews for the benchmark: made up of common words, as long as film reviews are, or read from a file."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np

from scorer.files.columns import text_column
from scorer.files.opening import open_source
from scorer.files.source import text_values

_TEXT = (
    "the a and of to is in it that this film movie was as with for but his her on are not one be have you all at by "
    "they an who from so like just or about out has if some there what good very when more would even my their really "
    "story which well up than time no acting scene plot director character characters performance ending beautiful "
    "boring wonderful terrible dialogue camera music slow funny moving script watch watched cast role played plays "
    "predictable brilliant masterpiece disappointing audience humour dark light quiet loud soundtrack photography "
    "unbelievable overacted underrated nevertheless extraordinarily sentimental cinematography 1950s 10/10 didn't"
)

_WORDS = _TEXT.split()

_MEDIAN_WORDS, _SPREAD = 185.0, 0.62

LENGTHS = "made-up reviews, log-normal lengths as of film reviews: 185 words in the middle, 225 in the mean"
"""Lengths of :func:`made_up_reviews`. With BERT's tokenizer and cut at 512 tokens the mean is 271 tokens."""


def made_up_reviews(count: int, seed: int = 0) -> list[str]:
    """``count`` different reviews without meaning, the same ones for the same ``seed``.

    Their lengths are evenly spaced quantiles of the distribution, so that even a few have its mean.
    """
    random = np.random.default_rng(seed)
    normal = NormalDist()
    quantiles = [normal.inv_cdf((place + 0.5) / count) for place in range(count)]
    lengths = np.clip(_MEDIAN_WORDS * np.exp(_SPREAD * np.asarray(quantiles)), 8, 1500).astype(int)
    reviews = []
    for length in random.permutation(lengths).tolist():
        words = random.choice(_WORDS, length).tolist()
        for place in range(11, length, 13):
            words[place] += random.choice([".", ",", "!", ". <br /><br />"])
        reviews.append(" ".join(words))
    return reviews


def reviews_of(path: Path, column: str | None, count: int) -> list[str]:
    """The first ``count`` reviews of a file that hold text.

    Raises:
        InputError: the file cannot be read, or has no such column.
    """
    source = open_source(str(path))
    name = text_column(source.schema.names, column, source.path)
    found: list[str] = []
    for chunk in source.with_text(name).chunks(2048, [name]):
        values = text_values(chunk.rows.column(name)).to_pylist()
        found += [text for text in values if text and not text.isspace()]
        if len(found) >= count:
            break
    return found[:count]
