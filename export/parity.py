"""Does a variant give what PyTorch gives? Logits and labels compared, through the code that scores."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from scorer.bundle import ModelBundle
from scorer.encoding import Encoded
from scorer.errors import ModelError, QualityGateError
from scorer.scoring import probabilities_of
from scorer.session import ModelSession, SessionOptions

Logits = npt.NDArray[np.float32]

TOLERANCES: Mapping[str, float] = {"fp32": 1e-4, "fp16": 0.01, "int8": 0.15}
"""Largest difference of a logit, as a share of the range of all logits of the reference.

Measured on a 384-wide model of six layers: 1e-7, 2e-4 and 0.04.
"""

_LEAST_RANGE = 1e-2  # of a model that gives every text the same logits


@dataclass(frozen=True)
class Reference:
    """What PyTorch gives in float32.

    Attributes:
        encoded: the texts.
        logits: float32 ``(n_runs, n_labels)``, each run alone and unpadded.
    """

    encoded: Encoded
    logits: Logits

    @property
    def logit_range(self) -> float:
        """Largest less smallest logit, the unit of :data:`TOLERANCES`."""
        return max(float(np.ptp(self.logits)), _LEAST_RANGE)


@dataclass(frozen=True)
class Difference:
    """How far logits are from the reference's.

    Attributes:
        max_logit, mean_logit: absolute difference of logits.
        max_probability, mean_probability: the same of probabilities.
        flips: texts whose label is another.
        widest_flip: the largest lead, in the reference's logits, that a label lost; 0 without flips.
    """

    max_logit: float
    mean_logit: float
    max_probability: float
    mean_probability: float
    flips: int
    widest_flip: float


@dataclass(frozen=True)
class Parity:
    """The verdict on one variant, which met its tolerance.

    Attributes:
        provider: of onnxruntime, that it ran on.
        texts: that were compared.
        tolerance: largest difference of a logit that is let pass; a label may flip where its lead was no larger.
        alone: each text run by itself and unpadded; on CUDA in batches, as scoring does there.
        padded: batches of texts of all lengths, padded to the longest; ``None`` for a graph without a mask.
        arithmetic: float16 through and through in PyTorch, where onnxruntime's CPU kernels widen to float32.
        reviews_per_second: of these texts, each run alone on the CPU or in batches on CUDA; one pass, so a hint.
    """

    provider: str
    texts: int
    tolerance: float
    alone: Difference
    padded: Difference | None
    arithmetic: Difference | None
    reviews_per_second: float

    @property
    def agreement(self) -> float:
        """Share of the texts with the reference's label, run alone and padded; the lesser of the two."""
        return 1.0 - max(part.flips for part in (self.alone, self.padded) if part is not None) / self.texts

    @property
    def max_logit_difference(self) -> float:
        """The largest of all comparisons."""
        return max(part.max_logit for part in (self.alone, self.padded, self.arithmetic) if part is not None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``bundle.json``."""
        parts = {"alone": self.alone, "padded": self.padded, "float16_arithmetic": self.arithmetic}
        return {
            "provider": self.provider,
            "texts": self.texts,
            "tolerance": _rounded(self.tolerance),
            "agreement": _rounded(self.agreement),
            **{
                name: {key: _rounded(value) for key, value in vars(part).items()}
                for name, part in parts.items()
                if part is not None
            },
        }


def reference_logits(model: PreTrainedModel, encoded: Encoded, *, name: str) -> Reference:
    """Run PyTorch in float32.

    Raises:
        QualityGateError: the checkpoint itself gives logits that are not finite.
    """
    logits = _torch_logits(model, encoded)
    if not np.isfinite(logits).all():
        raise QualityGateError(
            "its logits are not finite in PyTorch", path=name, hint="the training went wrong; train it again"
        )
    return Reference(encoded, logits)


def prove(
    bundle: ModelBundle, precision: str, reference: Reference, model: PreTrainedModel, *, threads: int | None
) -> Parity:
    """Compare the variant of ``bundle`` with the reference.

    fp16 runs on CUDA where there is a device. Where there is none, its file runs on the CPU, which
    proves its weights and its graph, and PyTorch runs ``model`` in float16, which proves that
    no activation leaves its range.

    Raises:
        QualityGateError: the variant does not run, gives a logit that is not finite or too far off, or
            flips a label whose lead was larger than the tolerance.
    """
    tolerance = TOLERANCES[precision] * reference.logit_range
    device = "auto" if precision == "fp16" else "cpu"
    encoded = reference.encoded
    logits = {}
    try:
        session = ModelSession(bundle, SessionOptions(device=device, precision=precision, threads=threads))
        in_batches = SessionOptions(device=device, precision=precision, threads=threads, batching="tokens")
        started = time.perf_counter()
        logits["alone"] = session.logits(encoded)
        seconds = time.perf_counter() - started
        if session.pads:
            logits["padded"] = ModelSession(bundle, in_batches).logits(encoded)
    except ModelError as error:
        raise QualityGateError(f"{precision} does not run: {error.message}") from error
    if precision == "fp16" and session.device == "cpu":
        logits["in float16 arithmetic"] = _torch_logits(copy.deepcopy(model).half(), encoded, pad_shortest=True)
    differences = {
        way: _require_within(_compare(found, reference, bundle), found, tolerance, f"{precision} {way}", reference)
        for way, found in logits.items()
    }
    return Parity(
        provider=session.provider,
        texts=len(reference.logits),
        tolerance=tolerance,
        alone=differences["alone"],
        padded=differences.get("padded"),
        arithmetic=differences.get("in float16 arithmetic"),
        reviews_per_second=len(reference.logits) / seconds,
    )


def _compare(logits: Logits, reference: Reference, bundle: ModelBundle) -> Difference:
    expected = reference.logits
    by_logit = np.abs(logits - expected)
    by_probability = np.abs(
        probabilities_of(logits, activation=bundle.activation)
        - probabilities_of(expected, activation=bundle.activation)
    )
    rows = np.arange(len(expected))
    chosen = logits.argmax(axis=1)
    leads = expected.max(axis=1) - expected[rows, chosen]
    return Difference(
        max_logit=float(by_logit.max()),
        mean_logit=float(by_logit.mean()),
        max_probability=float(by_probability.max()),
        mean_probability=float(by_probability.mean()),
        flips=int((chosen != expected.argmax(axis=1)).sum()),
        widest_flip=float(leads.max()),
    )


def _require_within(found: Difference, logits: Logits, tolerance: float, what: str, reference: Reference) -> Difference:
    # Written so that NaN, which is neither above nor below anything, does not pass.
    if not np.isfinite(logits).all():
        raise QualityGateError(f"{what}: logits that are not finite", hint=_HINT)
    if not found.widest_flip <= tolerance:
        raise QualityGateError(
            f"{what}: {found.flips} of {len(reference.logits)} texts get another label than in PyTorch, one of them "
            f"against a lead of {found.widest_flip:.3g} where {tolerance:.3g} is tolerated",
            hint=_HINT,
        )
    if not found.max_logit <= tolerance:
        raise QualityGateError(
            f"{what}: a logit differs from PyTorch's by {found.max_logit:.3g} where {tolerance:.3g} is tolerated",
            hint=_HINT,
        )
    return found


_HINT = "leave this precision out with --precision, or look at the checkpoint's weights"


def _torch_logits(model: PreTrainedModel, encoded: Encoded, *, pad_shortest: bool = False) -> Logits:
    """Logits of every run alone, float32 ``(n_runs, n_labels)``; on demand, the shortest is padded to the longest."""
    lengths = encoded.lengths
    results = []
    with torch.inference_mode():
        for run, length in enumerate(lengths):
            padding = int(lengths.max() - length) if pad_shortest and run == lengths.argmin() else 0
            ids = torch.from_numpy(np.pad(encoded.run(run).astype(np.int64), (0, padding)))[None, :]
            mask = (torch.arange(ids.shape[1]) < length).long()[None, :]
            results.append(model(input_ids=ids, attention_mask=mask).logits[0].float().numpy())
    return np.asarray(results, dtype=np.float32)


def _rounded(value: float) -> float:
    """Four significant digits: what is below differs between machines. Counts stay as they are."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
