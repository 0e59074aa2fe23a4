"""Callbacks of a training: checkpoints, log lines, speed, early stops, and the stop at a loss of NaN."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from scorer.errors import InputError
from scorer.progress import BarProgress
from train.averaging import WeightAverage
from train.best_epoch import evaluations, place_of_best

log = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 30.0
_STEPS_MEASURED = 500
"""The last steps, whose mean tells the time that is left: batches of long and of short texts among them."""


class SaveBetweenEpochs(TrainerCallback):  # type: ignore[misc]
    """Saves a checkpoint every so many steps, beside the one per epoch that choosing the best epoch needs.

    ``save_strategy="steps"`` would not do: Trainer then evaluates at the same steps.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # After the last step of an epoch, its evaluation and its checkpoint are still to come; so they are after
        # the last step of all, which may end no epoch.
        if state.global_step % self._steps == 0 and state.global_step < state.max_steps and not between_epochs(state):
            # Logged as well, or a resumed run would lose the loss since the last line.
            control.should_log = control.should_save = True


class StopEarly(TrainerCallback):  # type: ignore[misc]
    """Ends the run after so many epochs without a better one; Trainer's own forgets their number in a resumed run."""

    def __init__(self, metric: str, patience: int) -> None:
        self._metric = metric
        self._patience = patience

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.has_ended(state):
            control.should_training_stop = True

    def has_ended(self, state: TrainerState) -> bool:
        """True if the run makes no further step."""
        return epochs_without_gain(state, self._metric) >= self._patience


def epochs_without_gain(state: TrainerState, metric: str) -> int:
    """Evaluated epochs since the best one by ``metric``, see :func:`train.best_epoch.place_of_best`."""
    evaluated = evaluations(state.log_history)
    return len(evaluated) - 1 - place_of_best(evaluated, metric) if evaluated else 0


def between_epochs(state: TrainerState) -> bool:
    """True at the end of an epoch, False in the middle of one."""
    return bool(abs(state.epoch - round(state.epoch)) < 0.5 / max(1, state.max_steps))


class LogAtEpochEnd(TrainerCallback):  # type: ignore[misc]
    """Logs the training loss at the end of an epoch too, so that every step counts in the table."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True  # before a checkpoint of this step, which an adaptation saves at once

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log = True


class LogProgress(TrainerCallback):  # type: ignore[misc]
    """Logs the progress of the run, a line every half minute and one per evaluation, and measures its speed.

    With a ``bar``, that moves with every step in place of the lines of every half minute. Replaces Trainer's
    own callbacks, which print to stdout.
    """

    def __init__(self, bar: BarProgress | None = None) -> None:
        self._bar = bar
        self._told = self._logged = time.monotonic()
        self._tokens = 0
        self._stepped: float | None = None
        self._steps: deque[float] = deque(maxlen=_STEPS_MEASURED)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._told = self._logged = time.monotonic()
        self._tokens = int(state.num_input_tokens_seen)
        if self._bar is not None:
            self._bar.start(state.max_steps - state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        now = time.monotonic()
        if self._stepped is not None:
            self._steps.append(now - self._stepped)
        self._stepped = now
        if self._bar is not None:
            self._bar.advance(1, 0)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._stepped = None  # what comes before the next step is none

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._stepped = None

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._bar is not None and self._bar.what != "validating":
            self._bar.what = "validating"
            self._bar.advance(0, 0)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs.get("logs") or {}
        now = time.monotonic()
        if "loss" in logs and now > self._logged:
            # Into the log of the checkpoints, so that a resumed run has the speed of its first part too.
            tokens = int(state.num_input_tokens_seen)
            state.log_history[-1]["tokens_per_second"] = round((tokens - self._tokens) / (now - self._logged), 1)
            self._tokens = tokens
        self._logged = now
        if "eval_loss" in logs:
            figures = ", ".join(f"{name} {logs[f'eval_{name}']:.4f}" for name in ("loss", "accuracy", "f1"))
            log.info("epoch %g: validation %s", logs["epoch"], figures)
        elif "loss" in logs and self._bar is not None:
            self._bar.what = f"epoch {math.ceil(logs['epoch'])}, loss {logs['loss']:.4f}"
        elif "loss" in logs and now - self._told >= _LOG_EVERY_SECONDS:
            self._told = now
            left = sum(self._steps) / max(1, len(self._steps)) * (state.max_steps - state.global_step)
            time_left = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
            step = f"step {state.global_step:,} of {state.max_steps:,}"
            log.info("%s, epoch %.2f, loss %.4f, %s left", step, logs["epoch"], logs["loss"], time_left)


class StopOnNaN(TrainerCallback):  # type: ignore[misc]
    """Ends the run at the first loss that is not a finite number: nothing after it could be used."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs.get("logs") or {}
        for key in ("loss", "eval_loss"):
            if key in logs and not math.isfinite(logs[key]):
                raise InputError(
                    f"the {key.replace('_', ' ')} is {logs[key]} at step {state.global_step}",
                    hint="lower --learning-rate, or pass --no-fp16" if args.fp16 else "lower --learning-rate",
                )


class AverageWeights(TrainerCallback):  # type: ignore[misc]
    """Adds the weights to their average after each step, before anything is saved."""

    def __init__(self, average: WeightAverage) -> None:
        self._average = average

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._average.update(kwargs["model"])
