"""The bar of a training moves with every step, and is gone when the training has ended or failed."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from scorer.progress import BarProgress
from train.callbacks import LogProgress


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


def draw(bar: BarProgress) -> None:
    """Draw the bar, which is drawn ten times a second otherwise."""
    assert bar._bar is not None
    bar._bar.refresh()


def test_a_step_moves_the_bar_and_losses_stand_before_it(shown: io.StringIO, tmp_path: object) -> None:
    state, control = TrainerState(max_steps=40, global_step=10), TrainerControl()
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to=[], use_cpu=True)
    console = Console(file=shown, force_terminal=True, color_system=None, width=80)
    with BarProgress("training", "steps", console) as bar:
        callback = LogProgress(bar)
        callback.on_train_begin(arguments, state, control)
        for state.global_step in (11, 12):
            callback.on_step_end(arguments, state, control)
        draw(bar)
        state.log_history.append({})
        callback.on_log(arguments, state, control, logs={"loss": 0.25, "epoch": 0.3})
        callback.on_step_end(arguments, state, control)
        draw(bar)
        callback.on_prediction_step(arguments, state, control)
    text = shown.getvalue()
    assert re.search("training ━.* 2/30 steps", text)
    assert "epoch 1, loss 0.2500 ━" in text
    assert "validating ━" in text
    assert text.endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), "the bar is gone and the cursor is back"


def test_without_a_terminal_there_is_none(shown: io.StringIO) -> None:
    assert LogProgress()._bar is None
