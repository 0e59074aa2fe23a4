"""Hugging Face ``Trainer`` with three things more: an exact resume, label vectors as targets, and averaged weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from train.averaging import WeightAverage
from train.callbacks import AveragesWeights, between_epochs
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

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        if self._order is not None and not between_epochs(self.state):
            # Before the rest: Trainer's own state file is the last to be written, and makes a checkpoint whole.
            self._order.save(self._checkpoint_folder())
        super()._save_checkpoint(model, trial)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._epoch_began = load_epoch_order(Path(resume_from_checkpoint))

    def _checkpoint_folder(self) -> Path:
        folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        folder.mkdir(exist_ok=True)
        return folder


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

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        if self._average is not None:
            self._average.save(self._checkpoint_folder())
        super()._save_checkpoint(model, trial)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self._average is not None:
            self._average.load(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self._average is not None:
            self._average.load(Path(self.state.best_model_checkpoint))
            self._average.copy_to(self.model)
