"""The path of an output, and of everything that lies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scorer.disk.paths import check_folder, is_folder, is_plain_file, is_there, refuse_input
from scorer.disk.publishing import Move
from scorer.errors import OutputExistsError, UsageError
from scorer.files.formats import OutputFormat
from scorer.files.inputs import REJECTS_SUFFIX
from scorer.job.provenance import sidecar_of


@dataclass(frozen=True)
class Destination:
    """An output and everything that lies beside it.

    Attributes:
        path: of the output, as it was given.
        format: how it is written.
    """

    path: Path
    format: OutputFormat

    @property
    def partial(self) -> Path:
        """Folder of unfinished work."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def rejects(self) -> Path:
        """The rows that were set aside."""
        return self.path.with_name(self.path.name + REJECTS_SUFFIX)

    @property
    def provenance(self) -> Path:
        """Where an output that has no place for it inside keeps its provenance."""
        return sidecar_of(self.path)

    @property
    def has_sidecar(self) -> bool:
        """Whether the provenance lies beside the output, not in it."""
        return self.format.kind != "parquet"

    def temporary(self, target: Path) -> Path:
        """Where the new content of ``target`` is written, in the same folder."""
        return target.with_name(f".{target.name}.tmp")

    def clean(self) -> None:
        """Remove what dead runs left under temporary names; to be called under the lock."""
        for target in (self.path, self.rejects, self.provenance):
            self.temporary(target).unlink(missing_ok=True)
            Move(None, target).kept.unlink(missing_ok=True)

    def check(self, inputs: Sequence[str], *, overwrite: bool) -> None:
        """Everything that can be known before any work.

        Raises:
            UsageError: it is a folder, or it or what lies beside it is an input.
            OutputExistsError: it stands already and ``overwrite`` is false.
            OutputError: its folder is missing or cannot be written to.
        """
        for target in (self.path, self.rejects, self.provenance):
            if is_folder(target):
                raise UsageError("is a folder", path=target, hint="name a file in it")
            for name in (target, self.temporary(target), Move(None, target).kept):
                refuse_input(name, inputs)
        if is_there(self.path) and not is_plain_file(self.path):
            raise UsageError("is no regular file", path=self.path, hint="write to - and redirect stdout")
        if is_there(self.path) and not overwrite:
            raise OutputExistsError("stands already", path=self.path, hint="pass --overwrite to replace it")
        check_folder(self.path)
