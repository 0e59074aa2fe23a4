"""The order of an epoch's rows, kept for a resumed run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from scorer.errors import InputError

ORDER_FILE = "epoch_order.safetensors"
"""Name of the order inside a checkpoint of an unfinished epoch."""

_STATE = "state"


class EpochOrder(Sampler[int]):
    """Batches of rows of like lengths, in a new order for each epoch, that of Trainer's ``LengthGroupedSampler``.

    The order comes from PyTorch's global generator. A run that resumes in the middle of an epoch needs the state
    that it had at the epoch's start, which this keeps: Trainer itself would continue in another order.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, *, began: torch.Tensor | None = None) -> None:
        """``began`` is the generator's state, uint8, at the start of a first epoch that began before."""
        self._lengths = list(lengths)
        self._batch_size = batch_size
        self._resumed = began
        self._began = began

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(get_length_grouped_indices(self._lengths, self._batch_size, generator=self._generator()))

    def _generator(self) -> torch.Generator | None:
        """The generator of the epoch that begins: ``None`` for the global one, else in the state of a resumed epoch."""
        if self._resumed is None:
            self._began = torch.get_rng_state()
            return None
        generator = torch.Generator()
        generator.set_state(self._resumed)
        self._resumed = None
        return generator

    def save(self, folder: Path) -> None:
        """Write the order into ``folder``, for :func:`load_epoch_order`."""
        assert self._began is not None, "no epoch has begun"
        save_file({_STATE: self._began}, folder / ORDER_FILE)


class TokenBatches(EpochOrder):
    """Batches that are full of tokens, padding included, of rows of like lengths; in a new order for each epoch.

    The cuts between batches depend on the lengths alone, so that every epoch has as many batches; rows of
    equal length change places. The widest batch comes first: memory that is too small shows at once.
    """

    def __init__(self, lengths: Sequence[int], tokens: int, *, began: torch.Tensor | None = None) -> None:
        """At most ``tokens`` in a batch, but for a single row that is longer; ``began`` as of :class:`EpochOrder`."""
        super().__init__(lengths, 1, began=began)
        self._sizes: list[int] = []
        left = sorted(self._lengths)
        while left:
            width = -(-left[-1] // 8) * 8  # the collator pads to multiples of 8
            self._sizes.append(min(len(left), max(1, tokens // width)))
            del left[-self._sizes[-1] :]

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[list[int]]:  # type: ignore[override]  # a sampler of batches
        generator = self._generator()
        rows = torch.randperm(len(self._lengths), generator=generator)
        lengths = torch.tensor(self._lengths)[rows]
        batches = rows[lengths.argsort(descending=True, stable=True)].split(self._sizes)
        widest, *others = batches
        yield widest.tolist()
        for place in torch.randperm(len(others), generator=generator).tolist():
            yield others[place].tolist()


def load_epoch_order(folder: Path) -> torch.Tensor | None:
    """The generator's state at the start of a checkpoint's epoch, or ``None`` for a checkpoint between two epochs.

    Raises:
        InputError: the file is damaged.
    """
    file = folder / ORDER_FILE
    if not file.is_file():
        return None
    try:
        state: torch.Tensor = load_file(file)[_STATE]
        torch.Generator().set_state(state)
    except (OSError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        raise InputError(
            "is not an order of rows to resume with", path=file, hint="start over with --overwrite"
        ) from error
    return state
