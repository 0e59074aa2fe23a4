"""A running mean of the weights: often better than the last weights, and never noisier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel

from scorer.errors import InputError

AVERAGE_FILE = "average.safetensors"
"""Name of the average inside a checkpoint of an unfinished run."""


class WeightAverage:
    """An exponential moving average of a model's weights.

    After update ``t`` it is ``d * average + (1 - d) * weights`` with ``d = min(decay, (1 + t) / (10 + t))``:
    the shorter memory of the first steps keeps the untrained weights out of it.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self._average = AveragedModel(model, multi_avg_fn=self._mix)

    def _mix(
        self, averages: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], updates: torch.Tensor | int
    ) -> None:
        done = int(updates)
        decay = min(self._decay, (1 + done) / (10 + done))
        torch._foreach_lerp_(list(averages), list(weights), 1 - decay)

    def update(self, model: torch.nn.Module) -> None:
        """Take in the weights of ``model`` after a step; the first call copies them."""
        self._average.update_parameters(model)

    def swap(self, model: torch.nn.Module) -> None:
        """Exchange the average and the weights of ``model``; a second call undoes the first."""
        with torch.no_grad():
            for average, weight in zip(self._average.module.parameters(), model.parameters(), strict=True):
                kept = weight.detach().clone()
                weight.copy_(average)
                average.copy_(kept)

    def save(self, folder: Path) -> None:
        """Write the average and the number of its updates into ``folder``."""
        tensors = {name: value.detach().clone() for name, value in self._average.module.named_parameters()}
        save_file({**tensors, "n_averaged": self._average.n_averaged.clone()}, folder / AVERAGE_FILE)

    def load(self, folder: Path) -> None:
        """Read the average that :meth:`save` wrote into ``folder``.

        Raises:
            InputError: the checkpoint has no average, or another model's.
        """
        path = folder / AVERAGE_FILE
        try:
            tensors = load_file(path)
            with torch.no_grad():
                self._average.n_averaged.copy_(tensors.pop("n_averaged"))
                for name, value in self._average.module.named_parameters():
                    value.copy_(tensors[name])
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise InputError(
                "has no average of this model's weights", path=path, hint="start over with --overwrite"
            ) from error
