"""An output on this machine: its path, its format, and the paths of the files beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scorer.disk.durable import remove_leftover
from scorer.disk.paths import check_folder, check_readable, is_folder, is_plain_file, is_there, refuse_input
from scorer.disk.publishing import Move
from scorer.errors import OutputExistsError, UsageError
from scorer.files.beside_outputs import REJECTS_SUFFIX
from scorer.files.formats import OutputFormat
from scorer.job.provenance import sidecar_of


@dataclass(frozen=True)
class Destination:
    """An output and the files beside it.

    Attributes:
        path: path of the output, as it was given.
        format: format in which it is written.
    """

    path: Path
    format: OutputFormat

    @property
    def partial(self) -> Path:
        """Path of the folder with unfinished work."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def rejects(self) -> Path:
        """Path of the file with the bad rows."""
        return self.path.with_name(self.path.name + REJECTS_SUFFIX)

    @property
    def provenance(self) -> Path:
        """Path of the provenance of an output in a text format."""
        return sidecar_of(self.path)

    @property
    def has_sidecar(self) -> bool:
        """True if the provenance is a file of its own; False if it is in the footer of Parquet."""
        return self.format.kind != "parquet"

    def temporary(self, target: Path) -> Path:
        """Path of the new content of ``target`` until it is published, in the same folder."""
        return target.with_name(f".{target.name}.tmp")

    def clean(self) -> None:
        """Remove temporary files of dead runs; call it under the lock."""
        for target in (self.path, self.rejects, self.provenance):
            remove_leftover(self.temporary(target))
            remove_leftover(Move(None, target).backup)

    def check(self, inputs: Sequence[str], *, overwrite: bool) -> None:
        """Check everything that can be known before any work.

        Raises:
            UsageError: it is a folder, or it or a file beside it is an input.
            OutputExistsError: it already exists and ``overwrite`` is false.
            OutputError: its folder is missing or cannot be written to, or it or a file beside it cannot be read.
        """
        for target in (self.path, self.rejects, self.provenance):
            if is_folder(target):
                raise UsageError("is a folder", path=target, hint="name a file in it")
            check_readable(target)
            for name in (target, self.temporary(target), Move(None, target).backup):
                refuse_input(name, inputs)
        if is_there(self.path) and not is_plain_file(self.path):
            raise UsageError("is not a regular file", path=self.path, hint="write to - and redirect stdout")
        if is_there(self.path) and not overwrite:
            raise OutputExistsError("already exists", path=self.path, hint="pass --overwrite to replace it")
        check_folder(self.path)
        self.check_name()

    def check_name(self) -> None:
        """Check that the files beside the output can have their names, which are longer than its own.

        Raises:
            UsageError: they cannot.
        """
        longest = max(len(os.fsencode(self.temporary(target).name)) for target in (self.rejects, self.provenance))
        try:
            there = next(folder for folder in self.path.absolute().parents if folder.exists())
            allowed = os.pathconf(there, "PC_NAME_MAX")
        except (OSError, ValueError, AttributeError):
            return
        if longest > allowed:
            own = len(os.fsencode(self.path.name))
            most = allowed - longest + own
            raise UsageError(
                f"its name has {own} bytes, and {most} are possible with those of the files beside it",
                path=self.path,
                hint="give the input a shorter name",
            )
