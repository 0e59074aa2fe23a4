"""The end of a training in words: a collapse, the gate on F1, and the command to type next."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace
from pathlib import Path

from scorer.errors import QualityGateError
from train.calibration import TEMPERATURES, Calibration
from train.history import History
from train.options import TrainOptions

log = logging.getLogger(__name__)

_KEEP_OR_NOT = "change the recipe and pass --overwrite; to keep this training, leave --min-f1 out and pass --resume"
_TOLERANCE = 1.01  # the search for a temperature ends a little before its bounds


def judge(history: History, options: TrainOptions) -> None:
    """Log a line if the training collapsed, and hold it against ``options.min_f1``.

    Raises:
        QualityGateError: there is such a gate, and the training collapsed or its F1 is lower.
    """
    collapse = collapse_of(history)
    if options.min_f1 is None:
        if collapse is not None:
            log.warning(
                "the training collapsed: %s; train more epochs, lower --learning-rate or pass --warmup-ratio 0.06",
                collapse,
            )
        return
    try:
        if collapse is not None:
            raise QualityGateError(f"the training collapsed: {collapse}", path=options.output, hint=_KEEP_OR_NOT)
        if history.kept is not None:
            require_f1(history.kept.f1, options, hint=_KEEP_OR_NOT)
    except QualityGateError:
        for line in history.table().splitlines():
            log.info("%s", line)
        raise


def require_f1(f1: float, options: TrainOptions, *, hint: str) -> None:
    """Require that ``f1`` reaches ``options.min_f1``, if there is such a gate.

    Raises:
        QualityGateError: it does not.
    """
    if options.min_f1 is not None and f1 < options.min_f1:
        raise QualityGateError(f"F1 {f1:.4f} is below --min-f1 {options.min_f1:g}", path=options.output, hint=hint)


def collapse_of(history: History) -> str | None:
    """The signs that the kept weights tell nothing about a text; ``None`` without any."""
    kept = history.kept
    if kept is None or (kept.only_label is None and kept.f1 > 0):
        return None
    signs = [] if kept.only_label is None else [f"every validation row got the label {kept.only_label}"]
    if kept.f1 == 0:
        signs.append("F1 is 0")
    bound = None if history.calibration is None else _bound(history.calibration)
    if bound is not None:
        signs.append(f"the temperature is at its bound of {bound:g}")
    return ", ".join(signs)


def next_command(options: TrainOptions) -> str:
    """The command that follows a training or, of a baseline alone, the training that has to beat it."""
    if options.output is None:
        return replace(options, output=Path("my-model"), baseline=False, predict=(), predictions=None).command(
            as_typed=True
        )
    name = str(options.output)
    evaluated = [word for file in options.eval[:1] if Path(file).is_file() for word in ("--eval", file)]
    return shlex.join(["export-model", name, "-o", f"{name.rstrip('/')}-bundle", *evaluated])


def _bound(calibration: Calibration) -> float | None:
    low, high = TEMPERATURES
    if calibration.temperature <= low * _TOLERANCE:
        return low
    return high if calibration.temperature >= high / _TOLERANCE else None
