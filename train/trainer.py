"""Hugging Face ``Trainer`` with two things more: label vectors as targets, and averaged weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from train.averaging import WeightAverage
from train.callbacks import AveragesWeights
from train.soft_targets import soft_cross_entropy


class ReviewTrainer(Trainer):  # type: ignore[misc]
    """Trains on label ids or on label vectors; evaluates, keeps and returns averaged weights where there are any."""

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
        """Trainer's own, with the averaged weights."""
        if self._average is None:
            return super().evaluate(*arguments, **more)
        self._average.swap(self.model)
        try:
            return super().evaluate(*arguments, **more)
        finally:
            self._average.swap(self.model)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        if self._average is not None:
            # Before the rest: Trainer's own state file is the last to be written, and makes a checkpoint whole.
            folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            folder.mkdir(exist_ok=True)
            self._average.save(folder)
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
