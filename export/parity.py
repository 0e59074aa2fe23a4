"""Comparison of a variant with PyTorch: logits and labels, through the code that scores."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from export.differences import Bucket, Difference, Logits, by_length, compare, rounded
from scorer.errors import ModelError, QualityGateError
from scorer.model.bundle import ModelBundle
from scorer.model.graph import both_labels
from scorer.model.options import ModelOptions
from scorer.model.session import ModelSession
from scorer.model.token_runs import Encoded
from scorer.progress import SHOWS_NOTHING, Progress, ticking

TOLERANCES: Mapping[str, float] = {"fp32": 1e-4, "fp16": 0.01, "int8": 0.25}
"""Largest difference of a logit, as a share of the range of all logits of the reference.

Measured on a trained 384-wide model of six layers: 1e-6, 2e-4 and, on 164 reviews, 0.13.
"""

_LEAST_RANGE = 1e-2  # of a model that gives every text the same logits

_PASSES: Mapping[str, int] = {"fp32": 2, "fp16": 3, "int8": 1}
"""Times that all texts are run: alone, padded where the graph has a mask, and fp16 without a GPU in PyTorch too."""

PADDED_BATCH = 16
"""Reviews in a batch of the padded comparison, of all lengths: a long one, and many padded to it."""


@dataclass(frozen=True)
class Reference:
    """Results of PyTorch in float32.

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
class Parity:
    """The verdict on one variant, which met its tolerance.

    Attributes:
        provider: of onnxruntime, on which it ran.
        texts: number of compared texts.
        tolerance: largest accepted difference of a logit; a label may flip if its lead was at most twice that, as
            both logits may move. On labelled reviews the quality gate judges flips.
        alone: each text run by itself and unpadded; on CUDA in batches, as scoring does there.
        padded: batches of texts of all lengths, padded to the longest; ``None`` for a graph without a mask.
        arithmetic: pure float16 in PyTorch, because onnxruntime's CPU kernels widen to float32; else ``None``.
        buckets: the same by tokens of a text, the worst of all ways.
        reviews_per_second: of these texts, each run alone on the CPU or in batches on CUDA; one pass, so a hint.
    """

    provider: str
    texts: int
    tolerance: float
    alone: Difference
    padded: Difference | None
    arithmetic: Difference | None
    buckets: tuple[Bucket, ...]
    reviews_per_second: float

    @property
    def agreement(self) -> float:
        """Share of the texts with the reference's label, run alone and padded; the lesser of the two."""
        return 1.0 - max(part.flips for part in (self.alone, self.padded) if part is not None) / self.texts

    @property
    def max_logit_difference(self) -> float:
        """Largest difference of a logit in all comparisons."""
        return max(part.max_logit for part in (self.alone, self.padded, self.arithmetic) if part is not None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``bundle.json``."""
        parts = {"alone": self.alone, "padded": self.padded, "float16_arithmetic": self.arithmetic}
        return {
            "provider": self.provider,
            "texts": self.texts,
            "tolerance": rounded(self.tolerance),
            "agreement": rounded(self.agreement),
            **{name: part.to_json() for name, part in parts.items() if part is not None},
            "tokens": {bucket.name: bucket.to_json() for bucket in self.buckets},
            "reviews_per_second": rounded(self.reviews_per_second),
        }


def require_finite_weights(model: PreTrainedModel, *, name: str) -> None:
    """Require that every weight is finite: a bad row of the embeddings shows only in a text with its token.

    Raises:
        QualityGateError: one is not.
    """
    for weight, values in model.named_parameters():
        if not torch.isfinite(values).all():
            raise QualityGateError(
                f"its weights {weight} are not all finite", path=name, hint="the training went wrong; train it again"
            )


def texts_to_run(texts: int, precisions: Iterable[str]) -> int:
    """Texts that :func:`reference_logits` and :func:`prove` tell a progress of, each time that they run one."""
    return texts * (1 + sum(_PASSES[precision] for precision in precisions))


def reference_logits(
    model: PreTrainedModel, encoded: Encoded, *, name: str, progress: Progress = SHOWS_NOTHING
) -> Reference:
    """Run PyTorch in float32; ``progress`` is ticked by each text.

    Raises:
        QualityGateError: the checkpoint itself has logits that are not finite.
    """
    logits = _torch_logits(model, encoded, progress)
    if not np.isfinite(logits).all():
        raise QualityGateError(
            "its logits are not finite in PyTorch", path=name, hint="the training went wrong; train it again"
        )
    return Reference(encoded, logits)


def prove(
    bundle: ModelBundle,
    precision: str,
    reference: Reference,
    model: PreTrainedModel,
    *,
    threads: int | None,
    progress: Progress = SHOWS_NOTHING,
) -> Parity:
    """Compare the variant of ``bundle`` with the reference; ``progress`` is ticked by the texts.

    fp16 runs on CUDA if there is a device. Else its file runs on the CPU, which proves its weights and
    its graph, and PyTorch runs ``model`` in float16, which proves that no activation leaves its range.

    Raises:
        QualityGateError: the variant does not run, has a logit that is not finite or too far off, or
            flips a label whose lead was too large.
    """
    tolerance = TOLERANCES[precision] * reference.logit_range
    device = "auto" if precision == "fp16" else "cpu"
    encoded = reference.encoded
    logits = {}
    try:
        session = ModelSession(bundle, ModelOptions(device=device, precision=precision, threads=threads))
        started = time.perf_counter()
        logits["alone"] = session.logits(encoded, ticking(progress, len(encoded.rows), len(encoded.tokens)))
        seconds = time.perf_counter() - started
        if session.pads:
            logits["padded"] = _padded_logits(bundle, precision, device, encoded, threads, progress)
    except ModelError as error:
        raise QualityGateError(f"{precision} does not run: {error.message}") from error
    if precision == "fp16" and session.device == "cpu":
        logits["in float16 arithmetic"] = _torch_logits(
            copy.deepcopy(model).half(), encoded, progress, pad_shortest=True
        )
    progress.tick((_PASSES[precision] - len(logits)) * len(encoded.rows), 0)
    differences = {
        way: _require_within(found, reference, bundle.activation, tolerance, f"{precision} {way}")
        for way, found in logits.items()
    }
    return Parity(
        provider=session.provider,
        texts=len(reference.logits),
        tolerance=tolerance,
        alone=differences["alone"],
        padded=differences.get("padded"),
        arithmetic=differences.get("in float16 arithmetic"),
        buckets=by_length(logits, reference.logits, encoded.lengths, bundle.activation),
        reviews_per_second=len(reference.logits) / seconds,
    )


def _padded_logits(
    bundle: ModelBundle, precision: str, device: str, encoded: Encoded, threads: int | None, progress: Progress
) -> Logits:
    """Logits of every run, in batches that each hold runs of all lengths and are padded to the longest."""
    widest = PADDED_BATCH * (int(encoded.lengths.max()) + PADDED_BATCH)  # so that no batch is cut in two
    options = ModelOptions(device=device, precision=precision, threads=threads, batching="tokens", batch_tokens=widest)
    session = ModelSession(bundle, options)
    logits = np.empty((len(encoded.rows), len(bundle.labels)), dtype=np.float32)
    for runs in _of_all_lengths(encoded.lengths):
        batch = _only(encoded, runs)
        logits[runs] = session.logits(batch, ticking(progress, len(runs), len(batch.tokens)))
    return logits


def _of_all_lengths(lengths: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Runs dealt like cards, longest first, so that each batch holds long and short ones."""
    order = np.argsort(-lengths, kind="stable")
    batches = -(-len(order) // PADDED_BATCH)
    for first in range(batches):
        yield order[first::batches]


def _only(encoded: Encoded, runs: npt.NDArray[np.int64]) -> Encoded:
    """The given runs, each in a row of its own."""
    offsets = np.concatenate([[0], np.cumsum(encoded.lengths[runs])]).astype(np.int64)
    tokens = np.concatenate([encoded.run(int(run)) for run in runs])
    return Encoded(tokens, offsets, np.arange(len(runs)), np.zeros(len(runs), dtype=np.bool_))


def _require_within(logits: Logits, reference: Reference, activation: str, tolerance: float, what: str) -> Difference:
    # In this form NaN, which is neither above nor below anything, does not pass.
    if not np.isfinite(logits).all():
        raise QualityGateError(f"{what}: logits that are not finite", hint=_HINT)
    found = compare(logits, reference.logits, activation)
    if not found.widest_flip <= 2 * tolerance:
        raise QualityGateError(
            f"{what}: {found.flips} of {len(reference.logits)} texts get another label than in PyTorch, one of them "
            f"against a lead of {found.widest_flip:.3g}; the tolerance is {2 * tolerance:.3g}",
            hint=_HINT,
        )
    if not found.max_logit <= tolerance:
        raise QualityGateError(
            f"{what}: a logit differs from PyTorch's by {found.max_logit:.3g}; the tolerance is {tolerance:.3g}",
            hint=_HINT,
        )
    return found


_HINT = "leave this precision out with --precision, or look at the checkpoint's weights"


def _torch_logits(
    model: PreTrainedModel, encoded: Encoded, progress: Progress, *, pad_shortest: bool = False
) -> Logits:
    """Logits of every run alone, float32 ``(n_runs, n_labels)``; ``pad_shortest`` pads one to the longest."""
    lengths = encoded.lengths
    results = []
    with torch.inference_mode():
        for run, length in enumerate(lengths):
            padding = int(lengths.max() - length) if pad_shortest and run == lengths.argmin() else 0
            ids = torch.from_numpy(np.pad(encoded.run(run).astype(np.int64), (0, padding)))[None, :]
            mask = (torch.arange(ids.shape[1]) < length).long()[None, :]
            results.append(model(input_ids=ids, attention_mask=mask).logits[0].float().numpy())
            progress.tick(1, int(length))
    logits = np.asarray(results, dtype=np.float32)
    return both_labels(logits) if logits.shape[1] == 1 else logits
