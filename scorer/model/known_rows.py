"""Rows of a chunk whose predictions are known before the model runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class KnownRows:
    """Predictions that an earlier output has for some rows of a chunk.

    Attributes:
        rows: int64 ``(n,)``, ascending: their places in the chunk.
        probabilities: float32 ``(n, n_labels)``.
        statuses: int8 ``(n,)``: places in :data:`scorer.model.scoring.STATUSES`.
    """

    rows: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    statuses: npt.NDArray[np.int8]
