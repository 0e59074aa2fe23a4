"""The end of a training in words: a collapse, the gate on F1, and the command to type next."""

from __future__ import annotations

import logging
import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from scorer.errors import QualityGateError
from train.calibration import TEMPERATURES, Calibration
from train.history import History
from train.options import FEW_ROWS, TrainOptions

log = logging.getLogger(__name__)

_KEEP_OR_NOT = "change the recipe and pass --overwrite; to keep this training, leave --min-f1 out and pass --resume"
_MANY_ROWS = 2000  # training rows from which on the defaults are the better start
_TOLERANCE = 1.01  # the search for a temperature ends a little before its bounds


def judge(history: History, options: TrainOptions) -> None:
    """Log a line if the training collapsed, and hold it against ``options.min_f1``.

    Raises:
        QualityGateError: there is such a gate, and the training collapsed or its F1 is lower.
    """
    collapse = collapse_of(history)
    if options.min_f1 is None:
        if collapse is not None:
            log.warning("the training collapsed: %s; %s", collapse, way_out(history))
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


def way_out(history: History) -> str:
    """The change that a training which collapsed needs: more epochs if it was still learning, else smaller steps."""
    if _still_learns(history):
        return "its loss was still falling, so pass more --epochs"
    return "lower --learning-rate, or pass --warmup-ratio 0.06"


def _still_learns(history: History) -> bool:
    """True if the last epoch has the lowest validation loss, and a lower one than equal chances for all labels."""
    *before, last = [row.validation_loss for row in history.rows]
    return last < min([math.log(max(2, len(history.data.get("labels", ())))), *before])


def next_command(options: TrainOptions, history: History) -> str | None:
    """The command that follows: a training that has to beat a baseline, another one after a collapse, or the export.

    ``None`` for a baseline beside a training that collapsed.
    """
    if options.output is None:
        few = history.baseline is not None and history.baseline.train_rows < _MANY_ROWS
        recipe = {name: value for name, value in FEW_ROWS.items() if few and _is_default(options, name)}
        alone = {"output": Path("my-model"), "baseline": False, "predict": (), "predictions": None}
        return replace(options, **{**alone, **recipe}).command(as_typed=True)
    if collapse_of(history) is not None:
        if options.baseline:
            return None
        learns = _still_learns(history)
        change: dict[str, Any] = (
            {"epochs": 2 * options.epochs} if learns else {"learning_rate": options.learning_rate / 4}
        )
        return f"{replace(options, **change).command(as_typed=True)} --overwrite"
    name = str(options.output)
    evaluated = [word for file in options.eval[:1] if Path(file).is_file() for word in ("--eval", file)]
    return shlex.join(["export-model", name, "-o", f"{name.rstrip('/')}-bundle", *evaluated])


def _is_default(options: TrainOptions, name: str) -> bool:
    own = getattr(options, name) == getattr(TrainOptions, name)
    return own and (name != "batch_size" or options.batch_tokens is None)


def _bound(calibration: Calibration) -> float | None:
    low, high = TEMPERATURES
    if calibration.temperature <= low * _TOLERANCE:
        return low
    return high if calibration.temperature >= high / _TOLERANCE else None
