"""Processors, their instruction sets, and CUDA devices that this process may use; the latter by the driver alone."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")

_OWN_CGROUP = Path("/proc/self/cgroup")

_CPU_INFO = Path("/proc/cpuinfo")

_INSTRUCTION_SETS = (
    *("sse4_1", "avx", "avx2", "fma", "avx_vnni", "avx_vnni_int8"),
    *("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "amx_tile", "amx_int8"),
    *("fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Flags of x86-64 and of Arm by which onnxruntime and numpy choose their kernels."""

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute of the driver's API

_HOPPER = (9, 0)

_CUDNN_WITH_ATTENTION = (9, 3, 0)
_CUDNN_WITH_BUGS = ((9, 10, 0), (9, 10, 1))


@cache
def processor_class() -> str:
    """Architecture and instruction sets of this processor, such as ``x86_64 sse4_1 avx avx2 fma``.

    Two classes can give one text two scores: onnxruntime has other kernels for each, which add in another order and
    saturate at other places. Without ``/proc/cpuinfo`` it is the architecture alone.
    """
    words: list[str] = []
    with suppress(OSError), _CPU_INFO.open(encoding="utf-8", errors="replace") as lines:
        flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
        words = flags.partition(":")[2].split()
    return " ".join([platform.machine().lower(), *(name for name in _INSTRUCTION_SETS if name in words)])


def usable_cpus() -> int:
    """CPUs that this process may use: its affinity mask, bounded by the quota of its cgroup, 1 at least."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota in _quotas():
        count = min(count, max(1, int(quota)))
    return count


def _quotas() -> Iterator[float]:
    """CPUs that each cgroup above this process grants, of version 2 or 1; nothing without a bound."""
    folders = [_CGROUPS, _CGROUPS / "cpu"]
    try:
        lines = _OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers or "cpu" in controllers.split(","):
            root = _CGROUPS / "cpu" if controllers else _CGROUPS
            parts = [part for part in path.split("/") if part not in ("", "..")]
            folders += [root.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    for folder in folders:
        try:
            if (folder / "cpu.max").is_file():
                quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
                period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
            if quota != "max" and int(quota) > 0 and int(period) > 0:
                yield int(quota) / int(period)
        except (OSError, ValueError):
            continue


def cuda_device_count() -> int:
    """Devices that the CUDA driver counts; 0 where there is no driver."""
    driver = _cuda_driver()
    count = ctypes.c_int(0)
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def compute_capability(index: int) -> tuple[int, int] | None:
    """Compute capability of CUDA device ``index``, such as ``(9, 0)``; ``None`` without such a device."""
    driver = _cuda_driver()
    if driver is None:
        return None
    device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuDeviceGet(ctypes.byref(device), index) != 0:
        return None
    for value, attribute in ((major, _CAPABILITY_MAJOR), (minor, _CAPABILITY_MINOR)):
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device) != 0:
            return None
    return major.value, minor.value


def cudnn_version() -> tuple[int, int, int] | None:
    """Version of the cuDNN that onnxruntime loads, such as ``(9, 19, 0)``; ``None`` without one."""
    try:
        library = ctypes.CDLL("cudnn64_9.dll" if sys.platform == "win32" else "libcudnn.so.9")
        library.cudnnGetVersion.restype = ctypes.c_size_t
    except (OSError, AttributeError):
        return None
    number = int(library.cudnnGetVersion())
    return number // 10000, number // 100 % 100, number % 100


def slow_attention(capability: tuple[int, int] | None, cudnn: tuple[int, int, int] | None) -> str:
    """The reason why fused attention cannot run on a device, as far as it can be known; empty if it can.

    On compute capability 9.0 onnxruntime's fused attention is cuDNN's, from version 9.3 on and not of 9.10.0 or
    9.10.1, which have known bugs; without it the products run one by one, several times slower.
    """
    if capability != _HOPPER or (
        cudnn is not None and cudnn >= _CUDNN_WITH_ATTENTION and cudnn not in _CUDNN_WITH_BUGS
    ):
        return ""
    found = "no cuDNN was found" if cudnn is None else f"cuDNN is {'.'.join(map(str, cudnn))}"
    needed = "cuDNN 9.10.2 or later" if cudnn in _CUDNN_WITH_BUGS else "cuDNN 9.3 or later"
    return f"attention runs unfused and slowly on this GPU: it needs {needed}, and {found}"


def _cuda_driver() -> ctypes.CDLL | None:
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    return driver if driver.cuInit(0) == 0 else None
