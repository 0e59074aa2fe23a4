"""A connection to Ray: a running cluster, or a Ray of this run's own on this machine."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path

from scorer.errors import ModelError, UsageError
from scorer.model.machine import cuda_device_count, usable_cpus
from scorer.safe_text import first_line

_CONNECT_SECONDS = 5.0

_DEFAULT_PORT = 6379

_OWN_OBJECT_STORE_BYTES = 2**30


def require_ray() -> None:
    """Check that Ray is installed.

    Raises:
        UsageError: it is missing.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--engine ray needs a package that is not installed",
            hint='pip install "review-scorer[ray]"',
        ) from error


def require_address(wanted: str | None) -> None:
    """Check, within seconds, that something answers at the address of a cluster: Ray itself tries for longer.

    ``wanted`` is the address of :func:`connected`.

    Raises:
        UsageError: it is not an address of a cluster.
        ModelError: nothing answers there.
    """
    address = _address(wanted)
    if "://" in address:
        raise UsageError(
            f"--ray-address {address} is not HOST:PORT", hint="run this command on a machine of the cluster"
        )
    if address in ("auto", "local"):
        return  # Ray finds it in files of this machine
    host, _, port = address.rpartition(":") if ":" in address else (address, "", str(_DEFAULT_PORT))
    if not port.isdigit() or not host:
        raise UsageError(f"--ray-address {address} is not HOST:PORT", hint="pass for example 10.0.0.5:6379, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from error


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to Ray for the time of the block; a process that is already connected stays so.

    ``address`` is ``HOST:PORT`` or ``auto``; ``None`` is ``RAY_ADDRESS`` if that is set, else a Ray that
    starts and ends with the block. Standard output stays free of what Ray prints.

    Raises:
        ModelError: no cluster can be reached there, or Ray cannot be started.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    wanted = _address(address)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))
        _calm_ray(stack)
        stack.callback(ray.shutdown)
        with _signals_kept(), _first_line_dropped():
            if wanted == "local":
                _start(stack)
            else:
                # One attempt of about 40 s to reach a server that is not Ray; the default is 20 attempts.
                os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
                try:
                    ray.init(address=wanted, log_to_driver=False, logging_level=logging.CRITICAL)
                except Exception as error:  # ConnectionError, RuntimeError and errors of gRPC alike
                    raise _unreachable(wanted, first_line(error)) from error
        yield


def _start(stack: ExitStack) -> None:
    """Start Ray on this machine; nothing of it is left after ``stack``."""
    import ray

    # Short: the paths of its sockets may not be longer than 107 bytes.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if os.path.isdir("/tmp") else None)  # noqa: PTH112
    stack.callback(_remove, folder)
    stack.callback(ray.shutdown)
    known = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    if not any(name in os.environ for name in known) and not (Path.home() / ".ray" / "auth_token").exists():
        # For the life of this process: Ray remembers its first key, and would write one into the home folder.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
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
            f"Ray could not be started on this machine: {first_line(error)}", hint="try --engine local"
        ) from error


def _remove(folder: str) -> None:
    """Remove the files of a Ray that is ending: its last processes may still write."""
    for _ in range(30):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):  # noqa: PTH110
            return
        time.sleep(0.1)


def _calm_ray(stack: ExitStack) -> None:
    """Keep Ray's warnings off stderr until ``stack`` ends, unless the log tells everything."""
    # Without it Ray warns of a coming change for processes without a GPU.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if logging.getLogger().isEnabledFor(logging.INFO):  # -vv
        return
    # Its C++ code writes to stderr past every logger: for each job, a line about restarts of actors.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logger = logging.getLogger("ray")
    stack.callback(logger.setLevel, logger.level)
    logger.setLevel(logging.CRITICAL + 1)
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")


@contextmanager
def _first_line_dropped() -> Iterator[None]:
    """Drop the line that Ray's C++ code writes to stderr, past every logger, when it heeds the level of its log."""
    if logging.getLogger().isEnabledFor(logging.INFO):  # -vv
        yield
        return
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the handlers of signals: Ray replaces them by its own, which exit with another code."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        with suppress(ValueError):  # outside the main thread, where Ray sets none either
            for number, handler in handlers.items():
                signal.signal(number, handler)

    try:
        yield
    except SystemExit:  # from Ray's handler
        restore()
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        restore()


def _address(wanted: str | None) -> str:
    return wanted or os.environ.get("RAY_ADDRESS") or "local"


def _unreachable(address: str, reason: str) -> ModelError:
    return ModelError(
        f"no Ray cluster can be reached at {address}: {reason}",
        hint="check the address, and that this machine is part of the cluster",
    )
