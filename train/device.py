"""The device of a training: mixed precision, and the batches that are made ready while a step runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from scorer.errors import UsageError
from scorer.model.machine import usable_cpus
from train.encoders import FLOAT32_ONLY
from train.options import TrainOptions


def has_bfloat16() -> bool:
    """True if the GPU or, without one, the CPU has instructions for bfloat16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def mixed_precision(options: TrainOptions, kind: str, *, cuda: bool, bfloat16: bool) -> dict[str, bool]:
    """``fp16`` and ``bf16`` of ``TrainingArguments``: bfloat16 where the device has it, else float16 on CUDA.

    Both are off for a ``kind`` of encoder in :data:`~train.encoders.FLOAT32_ONLY`.

    Raises:
        UsageError: float16 is wanted without CUDA, or either of an encoder that cannot be trained in it.
    """
    if options.fp16 and not cuda:
        raise UsageError("--fp16 needs CUDA, and none was found", hint="drop it, or pass --bf16")
    if kind in FLOAT32_ONLY:
        if options.fp16 or options.bf16:
            name = "--fp16" if options.fp16 else "--bf16"
            raise UsageError(
                f"{name} cannot be used with a {kind} encoder, which is trained in float32", hint="drop it"
            )
        return {"fp16": False, "bf16": False}
    bf16 = bfloat16 if options.bf16 is None else options.bf16
    bf16 = bf16 and not options.fp16
    return {"fp16": cuda and not bf16 and options.fp16 is not False, "bf16": bf16}


@contextmanager
def threads(wanted: int | None) -> Iterator[None]:
    """Run PyTorch on ``wanted`` threads of the CPU; ``None`` is its own number, if the process may use as many CPUs.

    Its own number is that of the machine's cores or ``OMP_NUM_THREADS``; a container may have less.
    """
    own = torch.get_num_threads()
    torch.set_num_threads(wanted or min(own, usable_cpus()))
    try:
        yield
    finally:
        torch.set_num_threads(own)


def loading(*, cuda: bool) -> dict[str, Any]:
    """Settings of ``TrainingArguments`` by which processes of their own make the next batches, in pinned memory.

    Those end with each epoch: if they lived on, a resumed run would draw other random numbers.
    """
    if not cuda:
        return {}
    return {
        "dataloader_num_workers": 2,
        "dataloader_prefetch_factor": 4,
        "dataloader_pin_memory": True,
        "accelerator_config": {"non_blocking": True},
    }
