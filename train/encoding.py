"""Token ids of labelled reviews, as the data set that ``Trainer`` reads."""

from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa

from scorer.model.token_runs import TextEncoder
from train.data import LabelledReviews


def encode_rows(reviews: LabelledReviews, encoder: TextEncoder) -> datasets.Dataset:
    """``reviews`` as ``labels``, ``input_ids``, ``attention_mask`` and ``length``.

    An empty text becomes the special tokens alone, so that no row is lost.
    """
    encoded = encoder.encode(reviews.texts)
    ids = [encoder.special_tokens] * encoded.n_rows
    for run, row in enumerate(encoded.rows):
        ids[row] = encoded.run(run).tolist()
    labels = pa.array(reviews.labels if reviews.labels.ndim == 1 else reviews.labels.tolist())
    if reviews.labels.dtype == np.float32:
        labels = labels.cast(pa.list_(pa.float32()))
    columns = {
        "labels": labels,
        "input_ids": pa.array(ids, pa.list_(pa.int32())),
        "attention_mask": pa.array([[1] * len(row) for row in ids], pa.list_(pa.int8())),
        "length": pa.array([len(row) for row in ids]),
    }
    return datasets.Dataset(pa.table(columns))


def padding_multiple(length: int, positions: int | None) -> int | None:
    """8, which matrix units like, unless runs of ``length`` tokens would then be longer than ``positions``."""
    return None if positions is not None and -(-length // 8) * 8 > positions else 8
