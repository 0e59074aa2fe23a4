"""Commands on a terminal of their own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

from tests.helpers.processes import environment


def on_a_terminal(
    code: str, *arguments: object, cwd: Path, columns: int = 80, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run Python ``code`` with stdout and stderr on a terminal: exit code, and all that it was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {**environment(), "TERM": "xterm-256color", **(env or {})}
    for name in ("COLUMNS", "LINES", *(() if env and "NO_COLOR" in env else ("NO_COLOR",))):
        variables.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=theirs, stderr=theirs, cwd=cwd, env=variables
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while block := os.read(ours, 65536):
                seen += block
        except OSError:  # Linux tells so that the other end is closed
            pass
        os.close(ours)
    return process.returncode, seen.decode().replace("\r\n", "\n")
