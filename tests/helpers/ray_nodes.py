"""A real Ray cluster for tests: two nodes as processes on this machine, all of them ended afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.processes import ROOT

_RAY = "import sys; from ray.scripts.scripts import main; sys.argv[0] = 'ray'; main()"
_START_SECONDS = 120


@dataclass(frozen=True)
class RayNodes:
    """A cluster of two nodes with two CPUs each.

    Attributes:
        address: for ``--ray-address``.
        token: the secret of the cluster; a process with it in the environment belongs to it.
        folder: with the output of the nodes.
    """

    address: str
    token: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """The environment of a process that connects."""
        return _environment(self.token)

    def add(self, n_cpus: int) -> None:
        """Start another node."""
        more = [f"--address={self.address}"]
        failure = _start(more, self.environment(), self.folder / "another.log", n_cpus=n_cpus)
        assert not failure, failure

    def actors(self) -> list[int]:
        """Process ids of the actors that score."""
        found = []
        for pid in _processes(self.token):
            with suppress(OSError):
                if b"ray::_Actor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


@contextmanager
def ray_nodes(extra: Mapping[str, str]) -> Iterator[RayNodes]:
    """Start the nodes, with ``extra`` in their environment; end all their processes with the block."""
    token = secrets.token_hex(32)
    # Short, for the sockets in it.
    folder = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))
    environment = {**_environment(token), **extra}
    try:
        for attempt in ("a", "b", "c"):  # another process may take the port before Ray does
            port = _free_port()
            head = [
                "--head", f"--port={port}", f"--temp-dir={folder / attempt}", "--include-dashboard=false",
                f"--ray-client-server-port={_free_port()}", f"--dashboard-port={_free_port()}",
            ]  # fmt: skip
            failure = _start(head, environment, folder / "head.log")
            if not failure:
                break
            _end(token)
        assert not failure, failure
        failure = _start([f"--address=127.0.0.1:{port}"], environment, folder / "second.log")
        assert not failure, failure
        yield RayNodes(f"127.0.0.1:{port}", token, folder)
    finally:
        _end(token)
        shutil.rmtree(folder, ignore_errors=True)


def _start(arguments: list[str], environment: Mapping[str, str], output: Path, *, n_cpus: int = 2) -> str:
    """Start a node; returns its output if that failed."""
    options = [
        f"--num-cpus={n_cpus}", "--num-gpus=0", "--object-store-memory=80000000", "--disable-usage-stats",
        "--node-ip-address=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0",
        "--dashboard-agent-listen-port=0", "--include-log-monitor=false",
    ]  # fmt: skip
    # Into a file: the daemons keep the stream open, and a pipe would never end.
    with output.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", _RAY, "start", *arguments, *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=_START_SECONDS,
            check=False,
        )
    return "" if done.returncode == 0 else output.read_text(errors="replace") or f"exit status {done.returncode}"


def _environment(token: str) -> dict[str, str]:
    return {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_prestart_worker_first_driver": "0",
        "PYTHONPATH": str(ROOT),
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _processes(token: str) -> list[int]:
    """Other processes that were started with ``token`` in their environment."""
    mark = f"RAY_AUTH_TOKEN={token}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
    return found


def _end(token: str) -> None:
    """End the processes of the cluster, which alone know its token."""
    until = time.monotonic() + 60
    while pids := _processes(token):
        assert time.monotonic() < until, pids
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
