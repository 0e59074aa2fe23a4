"""Hugging Face ``Trainer`` with an exact resume, label vectors as targets, and averaged weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import SAFE_WEIGHTS_NAME

from scorer.errors import InputError
from scorer.progress import BarProgress, NoProgress, on_a_terminal
from train.averaging import WeightAverage
from train.best_epoch import evaluations, place_of_best
from train.callbacks import AverageWeights, LogAtEpochEnd, LogProgress, StopEarly, StopOnNaN, between_epochs
from train.device import has_bfloat16, loading, mixed_precision
from train.epoch_order import EpochOrder, TokenBatches, load_epoch_order
from train.options import TrainOptions
from train.saving import saving
from train.soft_targets import soft_cross_entropy

log = logging.getLogger(__name__)


def shared_arguments(options: TrainOptions, kind: str, folder: Path) -> dict[str, Any]:
    """Arguments of every stage of a training of an encoder of ``kind``, which works in ``folder``.

    Raises:
        UsageError: the device cannot do what is wanted.
    """
    cuda = torch.cuda.is_available()
    # transformers takes it for a setting where neither float16 nor bfloat16 is wanted, and leaves its own there.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no"
    return {
        "output_dir": str(folder),
        "use_cpu": not cuda,
        "group_by_length": options.group_by_length,
        "length_column_name": "length",
        "save_total_limit": 2,
        "logging_steps": 25,
        "logging_nan_inf_filter": False,
        "seed": options.seed,
        "data_seed": options.seed,
        "disable_tqdm": True,
        **mixed_precision(options, kind, cuda=cuda, bfloat16=has_bfloat16()),
        **loading(cuda=cuda),
    }


class ResumableTrainer(Trainer):  # type: ignore[misc]
    """Resumes in the middle of an epoch with the rows that are still to come, and logs its progress."""

    def __init__(
        self,
        *arguments: Any,
        callbacks: Sequence[TrainerCallback] = (),
        batch_tokens: int | None = None,
        **more: Any,
    ) -> None:
        self._batch_tokens = batch_tokens
        self._bar = BarProgress("training", "steps") if on_a_terminal() and log.isEnabledFor(logging.INFO) else None
        own = [LogAtEpochEnd(), LogProgress(self._bar), StopOnNaN()]
        super().__init__(*arguments, callbacks=[*own, *callbacks], **more)
        for printing in (PrinterCallback, ProgressCallback):
            self.remove_callback(printing)
        self._order: EpochOrder | None = None
        self._epoch_began: torch.Tensor | None = None

    def get_train_dataloader(self) -> Any:
        """The training rows in batches of a fixed number of rows or, with ``batch_tokens``, of tokens."""
        if self._batch_tokens is None:
            return super().get_train_dataloader()
        lengths = self.train_dataset[self.args.length_column_name]
        self._order = TokenBatches(lengths, self._batch_tokens, began=self._epoch_began)
        loader = DataLoader(
            self._remove_unused_columns(self.train_dataset, description="training"),
            batch_sampler=self._order,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            prefetch_factor=self.args.dataloader_prefetch_factor,
            persistent_workers=self.args.dataloader_persistent_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    def _get_train_sampler(self, train_dataset: datasets.Dataset | None = None) -> Any:
        if not self.args.group_by_length:
            return super()._get_train_sampler(train_dataset)  # from a generator seeded for each epoch
        batch_size = self.args.train_batch_size * self.args.gradient_accumulation_steps
        # Not from the argument, which has only the columns that the model reads.
        lengths = self.train_dataset[self.args.length_column_name]
        self._order = EpochOrder(lengths, batch_size, began=self._epoch_began)
        return self._order

    def resume(self, checkpoint: Path | None) -> None:
        """Train to the end, from ``checkpoint`` on if there is one.

        A checkpoint of the last step is trained no further. Trainer would make one more step if that
        step ends no epoch, and knows nothing of :class:`StopEarly`.

        Raises:
            OutputError: a checkpoint could not be written.
        """
        if checkpoint is not None:
            state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            place = f"epoch {state.epoch:.2f}, step {state.global_step:,} of {state.max_steps:,}"
            log.info("resuming behind %s", place)
            callbacks = self.callback_handler.callbacks
            stopped = any(isinstance(callback, StopEarly) and callback.has_ended(state) for callback in callbacks)
            if stopped or state.global_step >= state.max_steps:
                self.args.num_train_epochs = int(state.epoch)
        with self._bar or NoProgress():
            self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        with saving(folder):
            folder.mkdir(exist_ok=True)
            # First, because Trainer writes its own state file last, which makes a checkpoint complete.
            self._save_more(folder)
            super()._save_checkpoint(model, trial)

    def _save_more(self, folder: Path) -> None:
        """Write the parts of a checkpoint that Trainer does not know."""
        if self._order is not None and not between_epochs(self.state):
            self._order.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._epoch_began = load_epoch_order(Path(resume_from_checkpoint))


class ReviewTrainer(ResumableTrainer):
    """Trains on label ids or label vectors; evaluates, saves and keeps the averaged weights if they are averaged."""

    label_smoother: Any

    def __init__(self, *arguments: Any, average: WeightAverage | None = None, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._average = average
        if average is not None:
            self.add_callback(AverageWeights(average))

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The loss of a batch, with the model's outputs if ``return_outputs``."""
        labels = inputs.get("labels")
        if labels is None or not labels.is_floating_point():
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        loss = soft_cross_entropy(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *arguments: Any, **more: Any) -> Any:
        """Evaluate the averaged weights, on unsmoothed labels."""
        smoother, self.label_smoother = self.label_smoother, None
        if self._average is not None:
            self._average.swap(self.model)
        try:
            return super().evaluate(*arguments, **more)
        finally:
            self.label_smoother = smoother
            if self._average is not None:
                self._average.swap(self.model)

    def _get_learning_rate(self) -> float:
        """The rate of the last group, the head; Trainer's own is that of the first, which ``layer_decay`` lowers."""
        return float(self.lr_scheduler.get_last_lr()[-1])

    def _determine_best_metric(self, **_evaluation: Any) -> bool:
        """True if the epoch that was just evaluated is the best so far; Trainer's own keeps the first of equal ones."""
        metric = str(self.args.metric_for_best_model)
        evaluated = evaluations(self.state.log_history)
        best = evaluated[place_of_best(evaluated, metric)]
        self.state.best_metric, self.state.best_global_step = best[f"eval_{metric}"], best["step"]
        return bool(best["step"] == self.state.global_step)

    def _save_more(self, folder: Path) -> None:
        super()._save_more(folder)
        if self._average is not None:
            self._average.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self._average is not None:
            self._average.load(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        best = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.best_global_step}"
        if not (best / SAFE_WEIGHTS_NAME).is_file():  # Trainer would keep the last weights
            raise InputError("has lost the weights of the best epoch", path=best, hint="start over with --overwrite")
        # The state has the path as of when it was written; since then the folder may have moved.
        self.state.best_model_checkpoint = str(best)
        super()._load_best_model()
        if self._average is not None:
            self._average.load(best)
            self._average.swap(self.model)
