"""Processes that fork from one in which the libraries are loaded: whole processes, without the seconds of a cold start.

For commands that run to their end. What a command does while it loads, and limits of memory, need a start of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import fork_server
from tests.helpers.processes import ROOT, base_environment


@dataclass(frozen=True)
class Forks:
    """A process that forks.

    Attributes:
        address: its socket.
    """

    address: Path

    def run(self, code: str, *arguments: object, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """``python -c CODE ARGUMENTS`` in ``folder`` to its end, in the environment with the variables ``more``."""
        words = [str(argument) for argument in arguments]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open() as nothing:
            streams = [nothing.fileno(), out.fileno(), err.fileno()]
            variables = {**base_environment(), **more}
            status = fork_server.hand_over(str(self.address), code, words, str(folder), variables, streams)
            texts = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (out, err)]
        return subprocess.CompletedProcess(words, status, *texts)

    def executable(self, code: str) -> str:
        """The line of a shell script that is ``python -c CODE`` with the arguments of the script."""
        return f"exec {sys.executable} -I -S {fork_server.__file__} {self.address} '{code}' \"$@\""


@contextmanager
def forks(folder: Path, modules: Sequence[str], variables: Mapping[str, str]) -> Iterator[Forks]:
    """Start a process that has loaded ``modules`` in the environment ``variables``; it ends with the block."""
    address = folder / "socket"
    command = [sys.executable, "-m", fork_server.__name__, str(address), *modules]
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield Forks(address)
        server.stdin.close()
