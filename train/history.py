"""The table of a training: one row per epoch, printed and saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from scorer.errors import UsageError
from train.calibration import Calibration

HISTORY_FILE = "history.json"

_STEP_KEYS = ("step", "epoch", "loss", "learning_rate", "tokens_per_second")


@dataclass(frozen=True)
class EpochRow:
    """Figures after one epoch: mean training loss over it, and loss, accuracy and F1 in validation.

    ``only_label`` is the label that all validation rows got although they have several; ``None`` if it is not so.
    """

    epoch: float
    training_loss: float
    validation_loss: float
    accuracy: float
    f1: float
    only_label: str | None = None


@dataclass(frozen=True)
class Baseline:
    """The linear baseline's figures on the same validation rows.

    ``seconds`` is the time from the first text to the last probability, calibration included;
    ``command`` is the command that fitted it.
    """

    name: str
    validation_loss: float
    accuracy: float
    f1: float
    seconds: float
    train_rows: int
    eval_rows: int
    command: str | None = None


@dataclass(frozen=True)
class History:
    """A training's epochs and the one whose weights were kept; without epochs, a baseline alone.

    Attributes:
        rows: figures of each epoch.
        best_epoch: the epoch whose weights were kept.
        metric: by which it is best.
        settings: options, versions and the machine.
        baseline: the linear model's row, if one was fitted.
        calibration: of the kept weights, on the validation rows.
        data: as :func:`train.data_record.record_data` gives it.
        steps: along the training, the mean loss since the step before, the rate and the tokens per second.
        start: the checkpoint that the training started from, see :func:`train.lineage.start_of`.
        lineage: the steps that made that checkpoint and the teachers, see :func:`train.lineage.lineage_of`.
    """

    rows: tuple[EpochRow, ...]
    best_epoch: float | None
    metric: str
    settings: dict[str, Any]
    baseline: Baseline | None = None
    calibration: Calibration | None = None
    data: dict[str, Any] = field(default_factory=dict)
    steps: tuple[dict[str, float], ...] = ()
    start: dict[str, Any] = field(default_factory=dict)
    lineage: tuple[dict[str, Any], ...] = ()

    @classmethod
    def from_log(
        cls, log: list[dict[str, Any]], *, metric: str, best_epoch: float, settings: dict[str, Any], **more: Any
    ) -> History:
        """Build it from ``Trainer.state.log_history``; ``more`` are other attributes.

        A logged training loss is the mean over the steps since the one before; weighted by their
        number, those of an epoch give its mean.
        """
        rows: list[EpochRow] = []
        total, logged, evaluated = 0.0, 0, 0
        for entry in log:
            if "loss" in entry:
                total += entry["loss"] * (entry["step"] - logged)
                logged = entry["step"]
            elif "eval_loss" in entry:
                training_loss = total / (logged - evaluated) if logged > evaluated else float("nan")
                rows.append(
                    EpochRow(
                        epoch=entry["epoch"],
                        training_loss=training_loss,
                        validation_loss=entry["eval_loss"],
                        accuracy=entry["eval_accuracy"],
                        f1=entry["eval_f1"],
                        only_label=_name(entry.get("eval_only_label"), more.get("data", {}).get("labels", ())),
                    )
                )
                total, evaluated = 0.0, logged
        kept = next((entry for entry in log if "eval_loss" in entry and entry["epoch"] == best_epoch), {})
        names = [field.name for field in fields(Calibration)]
        return cls(
            tuple(rows),
            best_epoch,
            metric,
            settings,
            calibration=Calibration(**{name: kept[f"eval_{name}"] for name in names})
            if "eval_temperature" in kept
            else None,
            steps=tuple({key: entry[key] for key in _STEP_KEYS if key in entry} for entry in log if "loss" in entry),
            **more,
        )

    @property
    def kept(self) -> EpochRow | None:
        """The row of the epoch whose weights were kept."""
        return next((row for row in self.rows if row.epoch == self.best_epoch), None)

    def table(self) -> str:
        """The epochs as text, the kept one marked with a star."""
        lines = ["epoch  training loss  validation loss  accuracy      F1"]
        for row in self.rows:
            star = " *" if row.epoch == self.best_epoch else ""
            lines.append(
                f"{row.epoch:5.4g}  {row.training_loss:13.4f}  {row.validation_loss:15.4f}"
                f"  {row.accuracy:8.4f}  {row.f1:6.4f}{star}"
            )
        if self.baseline is not None:
            svm = self.baseline
            lines.append(f"  svm  {'-':>13}  {svm.validation_loss:15.4f}  {svm.accuracy:8.4f}  {svm.f1:6.4f}")
            lines.append(f"svm: {svm.name}, {svm.seconds:.0f} s")
        return "\n".join(lines)

    @classmethod
    def load(cls, folder: Path) -> History:
        """Read the history that :meth:`save` wrote into ``folder``.

        Raises:
            UsageError: the file is missing, or holds no history.
        """
        path = folder / HISTORY_FILE
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            rows = tuple(EpochRow(**row) for row in value.pop("rows"))
            baseline = value.pop("baseline", None)
            calibration = value.pop("calibration", None)
            return cls(
                rows=rows,
                baseline=None if baseline is None else Baseline(**baseline),
                calibration=None if calibration is None else Calibration(**calibration),
                steps=tuple(value.pop("steps", ())),
                lineage=tuple(value.pop("lineage", ())),
                **value,
            )
        except FileNotFoundError as error:
            raise UsageError("no such file", path=path, hint="name the folder of a finished training") from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError("is not the history of a training", path=path) from error

    def save(self, folder: Path) -> None:
        """Write :data:`HISTORY_FILE` into ``folder``."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        (folder / HISTORY_FILE).write_text(text, encoding="utf-8")


def _name(label: float | None, names: Sequence[str]) -> str | None:
    """The name of a label id; ``None`` for none, which a training logs as -1."""
    return names[int(label)] if label is not None and 0 <= label < len(names) else None
