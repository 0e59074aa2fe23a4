"""The device that runs a model, and the precision for it."""

from __future__ import annotations

import onnxruntime as ort

from scorer.errors import DeviceError
from scorer.model.bundle import EXPORT_HINT, ModelBundle
from scorer.model.machine import cuda_device_count
from scorer.model.options import ModelOptions


def choose_device(bundle: ModelBundle, options: ModelOptions) -> tuple[str, str, str]:
    """Choose device and precision, and say what a user should know about it: a note, or an empty text.

    A precision that was asked for need not be there: :meth:`ModelBundle.variant` tells.

    Raises:
        DeviceError: the device cannot be used, or not with such a precision.
    """
    wanted = options.device
    for_cuda = next((precision for precision in ("fp16", "fp32") if precision in bundle.variants), None)
    note = ""
    if wanted == "auto":
        wanted = "cpu"
        if cuda_device_count() and "CUDAExecutionProvider" in ort.get_available_providers():
            if for_cuda is None:
                note = f"running on the CPU although a GPU is present: the model has only int8; {EXPORT_HINT}"
            elif options.precision != "int8":  # which runs on the CPU alone, and was asked for
                wanted = "cuda"
    if wanted.startswith("cuda"):
        _require_cuda(wanted)
        precision = options.precision
        if precision == "int8":
            raise DeviceError("int8 does not run on CUDA", path=bundle.folder, hint="pass --precision fp16 or fp32")
        if precision == "auto":
            if for_cuda is None:
                raise DeviceError("has no fp16 or fp32 model for CUDA", path=bundle.folder, hint=EXPORT_HINT)
            precision = for_cuda
        device = wanted if ":" in wanted else "cuda:0"
    else:
        device, precision = "cpu", options.precision
        if precision == "auto":
            precision = next(name for name in ("int8", "fp32", "fp16") if name in bundle.variants)
    return device, precision, note


def _require_cuda(device: str) -> None:
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise DeviceError(
            f"device {device} was requested, but this onnxruntime supports only the CPU",
            hint='pip install "review-scorer[gpu]", or pass --device cpu',
        )
    count = cuda_device_count()
    index = int(device.partition(":")[2] or 0)
    if index >= count:
        there = "no CUDA device was found" if count == 0 else f"this machine has {count}, numbered from 0"
        raise DeviceError(f"device {device} was requested, but {there}", hint="pass --device cpu or auto")
