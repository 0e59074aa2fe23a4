"""Memory that this process may still take, asked before work that a library would end the process over."""

from __future__ import annotations

from pathlib import Path

from scorer.errors import OutOfMemoryError

_MIB = 2**20

_ORJSON_BYTES, _ORJSON_TIMES = 8 * _MIB, 8
"""What orjson takes: its copy of the text, 16 bytes for each value and some, and the Python objects of them."""

_WRITTEN_TIMES = 20
"""What orjson takes to write: it doubles its buffer until 8 bytes fit for each one of a string; and the strings."""

_CGROUP = Path("/sys/fs/cgroup")

_RECLAIMED = ("inactive_file", "active_file")
"""Pages of files, which a cgroup counts and gives back when memory is wanted."""


def require_address_space(n_bytes: int, *, lower: str | None = None) -> None:
    """Check that ``n_bytes`` more fit under the limit of address space (``ulimit -v``), if there is one.

    Libraries in C and Rust end the process where they cannot allocate. ``lower`` is the option that asks for so much.

    Raises:
        OutOfMemoryError: they do not fit.
    """
    left = _address_space_left()
    if left is not None and left < n_bytes:
        raise OutOfMemoryError(
            f"memory ran out: {n_bytes // _MIB:,} MiB more are needed, ulimit -v leaves {max(0, left) // _MIB:,} MiB",
            hint="raise it" if lower is None else f"raise it, or lower {lower}",
        )


def require_for_json(n_bytes: int) -> None:
    """Check that a call of orjson over ``n_bytes`` fits: it looks at no failed allocation, and the process would crash.

    Raises:
        OutOfMemoryError: it does not.
    """
    require_address_space(_ORJSON_BYTES + _ORJSON_TIMES * n_bytes)


def require_to_write_json(n_bytes: int, *, lower: str | None = None) -> None:
    """Check that orjson can write strings of ``n_bytes``, see :func:`require_for_json`.

    Raises:
        OutOfMemoryError: it cannot.
    """
    require_address_space(_ORJSON_BYTES + _WRITTEN_TIMES * n_bytes, lower=lower)


def memory_left() -> int | None:
    """Bytes that this process may still take: of its address space, its cgroup and the machine; ``None`` if unknown."""
    found = (_address_space_left(), _cgroup_left(), _machine_left())
    return min((left for left in found if left is not None), default=None)


def _address_space_left() -> int | None:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        return limit - pages * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return None


def _cgroup_left() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        lines = (line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        return int(limit) - used + sum(int(size) for name, size in lines if name in _RECLAIMED)
    except (OSError, ValueError):
        return None


def _machine_left() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None
