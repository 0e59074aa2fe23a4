"""Hugging Face ``Trainer`` with three things more: an exact resume, label vectors as targets, and averaged weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import SAFE_WEIGHTS_NAME

from scorer.errors import InputError
from train.averaging import WeightAverage
from train.callbacks import AveragesWeights, StopEarly, between_epochs
from train.checkpoints import saving
from train.epoch_order import EpochOrder, load_epoch_order
from train.soft_targets import soft_cross_entropy


class ResumableTrainer(Trainer):  # type: ignore[misc]
    """Goes on from a checkpoint in the middle of an epoch with the rows that were still to come."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._order: EpochOrder | None = None
        self._epoch_began: torch.Tensor | None = None

    def _get_train_sampler(self, train_dataset: datasets.Dataset | None = None) -> Any:
        if not self.args.group_by_length:
            return super()._get_train_sampler(train_dataset)  # of a generator that is seeded for each epoch
        batch_size = self.args.train_batch_size * self.args.gradient_accumulation_steps
        # Not of the argument, which has only the columns that the model reads.
        lengths = self.train_dataset[self.args.length_column_name]
        self._order = EpochOrder(lengths, batch_size, began=self._epoch_began)
        return self._order

    def resume(self, checkpoint: Path | None) -> None:
        """Train to the end from ``checkpoint`` on, or from the start where there is none.

        A checkpoint of the last step is trained no further. Trainer would make one step more where
        that step ends no epoch, and knows nothing of :class:`StopEarly`.

        Raises:
            OutputError: a checkpoint could not be written.
        """
        if checkpoint is not None:
            state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            callbacks = self.callback_handler.callbacks
            stopped = any(isinstance(callback, StopEarly) and callback.has_ended(state) for callback in callbacks)
            if stopped or state.global_step >= state.max_steps:
                self.args.num_train_epochs = int(state.epoch)
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        with saving(folder):
            folder.mkdir(exist_ok=True)
            # Before the rest: Trainer's own state file is the last to be written, and makes a checkpoint whole.
            self._save_more(folder)
            super()._save_checkpoint(model, trial)

    def _save_more(self, folder: Path) -> None:
        """Write into a checkpoint what Trainer itself does not."""
        if self._order is not None and not between_epochs(self.state):
            self._order.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._epoch_began = load_epoch_order(Path(resume_from_checkpoint))


class ReviewTrainer(ResumableTrainer):
    """Trains on label ids or on label vectors; evaluates, keeps and returns averaged weights where there are any."""

    label_smoother: Any

    def __init__(self, *arguments: Any, average: WeightAverage | None = None, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._average = average
        if average is not None:
            self.add_callback(AveragesWeights(average))

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The loss of a batch, and the model's outputs where they are asked for."""
        labels = inputs.get("labels")
        if labels is None or not labels.is_floating_point():
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        loss = soft_cross_entropy(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *arguments: Any, **more: Any) -> Any:
        """Trainer's own, with the averaged weights, and with the labels themselves where training smooths them."""
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
        """The head's, whose group is the last: Trainer's own is the first one's, which ``layer_decay`` lowers."""
        return float(self.lr_scheduler.get_last_lr()[-1])

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
        if not (best / SAFE_WEIGHTS_NAME).is_file():  # Trainer would go on with the last weights
            raise InputError("has lost the weights of the best epoch", path=best, hint="begin anew with --overwrite")
        # The state names it as it was called when it was written; since then the folder may have moved.
        self.state.best_model_checkpoint = str(best)
        super()._load_best_model()
        if self._average is not None:
            self._average.load(best)
            self._average.copy_to(self.model)
