"""Cross entropy against probabilities instead of label ids."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over rows of ``-sum(targets * log softmax(logits))``, a scalar in float32.

    ``logits`` and ``targets`` are float ``(n, n_labels)``. Equal to the usual cross entropy where
    targets are one-hot (Hinton, Vinyals and Dean 2015, at temperature 1). A target that sums to
    ``w`` weighs its row by ``w``.
    """
    return -(targets.float() * torch.log_softmax(logits.float(), dim=-1)).sum(dim=-1).mean()


class SoftTargetTrainer(Trainer):  # type: ignore[misc]
    """A Trainer that takes label vectors in training; label ids, as in validation, go the usual way."""

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
