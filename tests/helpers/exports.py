"""``export-model`` in this process, and the state of the folders that it writes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from export.cli import export_model as command
from scorer.commands.console import run


def state_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, hidden ones included."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def exit_code(*arguments: object) -> int:
    """The exit code of ``export-model`` on one thread."""
    with pytest.raises(SystemExit) as left:
        run(command, [*map(str, arguments), "--threads", "1"], env_prefix="EXPORT_MODEL")
    assert isinstance(left.value.code, int)
    return left.value.code
