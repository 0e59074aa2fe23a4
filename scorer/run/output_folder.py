"""The folder of the outputs of a run, and the small files of its own that the run keeps there."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from scorer.disk.durable import create, remove_leftover
from scorer.disk.paths import is_there, note_on
from scorer.files.file_marks import Mark, mark_of
from scorer.files.urls import is_url
from scorer.job.stored_outputs import StoredOutputs
from scorer.safe_text import in_utf8

log = logging.getLogger(__name__)


class OutputFolder(Protocol):
    """A folder of outputs, on this machine or in a store.

    Small files of the run's own go with it. No work needs them: what cannot be read is not there, and a failure to
    write one is said with ``-v`` alone.
    """

    def name(self, target: str) -> str:
        """Path of an output below the folder."""

    def holds(self, name: str) -> bool:
        """True if the file ``name`` is there."""

    def marks(self, target: str, suffixes: Sequence[str]) -> dict[str, Mark | None]:
        """Marks of an output and of the files beside it that are there, by suffix."""

    def refresh(self) -> None:
        """See what has been written since."""

    def place(self, name: str) -> str:
        """Path or URL of a small file."""

    def read(self, name: str) -> bytes | None:
        """Content of a small file; ``None`` if it is not there or cannot be read."""

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, whole."""

    def clear(self, name: str) -> None:
        """Take the content of a small file away; it may stay as an empty one."""


def output_folder(output: str) -> OutputFolder:
    """The folder ``output``, a path or a URL.

    Raises:
        UnreachableError, OutputError: its store cannot be listed.
    """
    return StoredOutputs(output) if is_url(output) else LocalFolder(Path(output))


@dataclass(frozen=True)
class LocalFolder:
    """A folder of outputs on this machine; see :class:`OutputFolder`."""

    folder: Path

    @cached_property
    def _prefix(self) -> str:
        """Beginning of the absolute paths in the folder."""
        return os.path.join(os.path.abspath(self.folder), "")  # noqa: PTH100, PTH118 - links stay links

    def name(self, target: str) -> str:
        """Path of an output below the folder."""
        return in_utf8(os.path.abspath(target)[len(self._prefix) :])  # noqa: PTH100

    def holds(self, name: str) -> bool:
        """True if the file ``name`` is there."""
        return is_there(self.folder / name)

    def marks(self, target: str, suffixes: Sequence[str]) -> dict[str, Mark | None]:
        """Marks of an output and of the files beside it that are there, by suffix."""
        return {suffix: mark for suffix in suffixes if (mark := mark_of(target + suffix)) is not None}

    def refresh(self) -> None:
        """Do nothing: a file of this machine is looked at when it is asked for."""

    def place(self, name: str) -> str:
        """Path of a small file, in the folder or beside it."""
        return str(note_on(self.folder, name))

    def read(self, name: str) -> bytes | None:
        """Content of a small file; ``None`` if it is not there or cannot be read."""
        with suppress(OSError):
            return note_on(self.folder, name).read_bytes()
        return None

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, not durably: its reader sees what a crash of the machine has left."""
        place = note_on(self.folder, name)
        temporary = place.with_name(f"{place.name}.tmp")
        try:
            with create(temporary) as file:
                file.write(data)
            temporary.replace(place)
        except OSError as error:
            log.debug("%s: cannot be written: %s", place, error.strerror)
        finally:
            with suppress(OSError):
                remove_leftover(temporary)

    def clear(self, name: str) -> None:
        """Leave a small file empty: to remove it would be one change of the folder more in every run."""
        self.write(name, b"")
