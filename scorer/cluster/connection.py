"""A connection to Ray: a cluster that runs, or a Ray of this run's own on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from scorer.cluster.quiet import ToLog, signals_kept, without_noise
from scorer.errors import ModelError, UsageError
from scorer.model.machine import cuda_device_count, usable_cpus

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0

_DEFAULT_PORT = 6379

_OWN_OBJECT_STORE_BYTES = 2**30

# What an HTTP/2 client says first, and how the answer of a server begins: a frame of type SETTINGS.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + b"\x04" + b"\0" * 5

_SETTINGS = 4


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to Ray for the time of the block.

    ``address`` is ``HOST:PORT`` or ``auto``; ``None`` is what ``RAY_ADDRESS`` says, else a Ray that
    starts and ends with the block. A process that is connected already stays so.

    Raises:
        ModelError: no cluster can be reached there.
    """
    # Read by Ray: else it warns of a change to come in how processes without a GPU are kept from one.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    with ExitStack() as stack:
        # Ray prints messages of its machines to stdout, which is for data.
        stack.enter_context(contextlib.redirect_stdout(ToLog()))
        wanted = _wanted(address)
        stack.enter_context(without_noise())
        stack.callback(ray.shutdown)
        with signals_kept():
            if wanted == "local":
                _start(stack)
            else:
                try:
                    ray.init(address=wanted, log_to_driver=False, logging_level=logging.CRITICAL)
                except Exception as error:  # ConnectionError, RuntimeError and errors of gRPC alike
                    raise _unreachable(wanted, _last_line(str(error))) from error
        yield


def require_ray() -> None:
    """Say what to install where Ray is missing.

    Raises:
        UsageError: it is.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--engine ray needs a package that is not installed",
            hint='install it with: pip install "review-scorer[ray]"',
        ) from error


def _start(stack: ExitStack) -> None:
    """Ray on this machine alone, with nothing left behind."""
    import ray

    # Short: the paths of sockets below it may not be longer than 107 bytes.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if os.path.isdir("/tmp") else None)  # noqa: PTH112
    stack.callback(_remove, folder)
    stack.callback(ray.shutdown)
    _make_token()
    try:
        ray.init(
            address="local",
            num_cpus=usable_cpus(),
            num_gpus=cuda_device_count(),
            object_store_memory=_OWN_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            _temp_dir=folder,
        )
    except Exception as error:
        raise ModelError(
            f"Ray could not be started on this machine: {_last_line(str(error))}", hint="try --engine local"
        ) from error


def _remove(folder: str) -> None:
    """Remove the files of a Ray that has ended, or is just about to: its last processes may still write."""
    for _ in range(30):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):  # noqa: PTH110
            return
        time.sleep(0.1)


def _make_token() -> None:
    """A key for a Ray of our own, for this process's life: Ray remembers the first, and would write it to the home."""
    known = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    if not any(name in os.environ for name in known) and not (Path.home() / ".ray" / "auth_token").exists():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def require_address(wanted: str | None) -> None:
    """Make sure, within seconds, that what answers can be a cluster: Ray itself tries for minutes, deaf to signals.

    ``wanted`` is as in :func:`connected`.

    Raises:
        UsageError: it is no address of a cluster.
        ModelError: nothing of that kind answers.
    """
    address = _wanted(wanted)
    if "://" in address:
        raise UsageError(
            f"--ray-address {address} is no HOST:PORT", hint="run this command on a machine of the cluster"
        )
    if address in ("auto", "local"):
        return  # found in files of this machine, or not at all
    host, _, port = address.rpartition(":") if ":" in address else (address, "", str(_DEFAULT_PORT))
    if not port.isdigit() or not host:
        raise UsageError(f"--ray-address {address} is no HOST:PORT", hint="pass for example 10.0.0.5:6379, or auto")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            connection.settimeout(_CONNECT_SECONDS)
            connection.sendall(_HELLO)
            answer = b""
            while len(answer) < 4 and (more := connection.recv(4 - len(answer))):
                answer += more
    except (OSError, OverflowError) as error:
        raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from error
    if answer[3:] != bytes([_SETTINGS]):
        raise _unreachable(address, "what answers there is no Ray")


def _wanted(address: str | None) -> str:
    return address or os.environ.get("RAY_ADDRESS") or "local"


def _unreachable(address: str, reason: str) -> ModelError:
    return ModelError(
        f"no Ray cluster can be reached at {address}: {reason}",
        hint="check the address, and that this machine is part of the cluster",
    )


def _last_line(text: str) -> str:
    """The first sentence of the last line of an error, without the class in front of it."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    last = re.sub(r"^[\w.]+(Error|Exception): ", "", lines[-1] if lines else "no reason was given")
    return last.partition(". ")[0].rstrip(".")[:300]


def resources() -> tuple[float, float, list[dict[str, Any]]]:
    """CPUs and GPUs of the cluster, and what each of its nodes has."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(node.get("CPU", 0.0) for node in nodes), sum(node.get("GPU", 0.0) for node in nodes), nodes
