"""What an output is called, what lies beside it, and what can be known about it before any work."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scorer.errors import OutputError, OutputExistsError, UsageError
from scorer.locations import COMPRESSIONS, FORMATS, REJECTS_SUFFIX, STDIN, is_folder, is_plain_file, is_there
from scorer.provenance import sidecar_of
from scorer.publishing import Move

STDOUT = "-"


@dataclass(frozen=True)
class OutputFormat:
    """How an output is written.

    Attributes:
        kind: ``parquet``, ``csv``, ``tsv`` or ``jsonl``.
        compression: ``gzip``, ``zstd`` or, for none, empty; of text formats alone.
        csv_safe: whether cells that a spreadsheet would run are escaped.
    """

    kind: str
    compression: str = ""
    csv_safe: bool = False

    @property
    def suffix(self) -> str:
        """The extension that names it."""
        packed = {compression: suffix for suffix, compression in COMPRESSIONS.items()}
        return f".{self.kind}{packed.get(self.compression, '')}"

    @classmethod
    def of(cls, name: str, chosen: str | None = None, *, csv_safe: bool = False) -> OutputFormat:
        """The format that the extension of ``name`` names, or the one ``chosen`` as ``csv`` or ``csv.gz``.

        Raises:
            UsageError: it names none, or Parquet is to be packed.
        """
        suffixes = [suffix.lower() for suffix in Path(name).suffixes]
        compression = COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
        if chosen is not None:
            kind, _, packed = chosen.lower().partition(".")
            compression = COMPRESSIONS.get(f".{packed}", "") if packed else compression
            found = cls(kind, compression, csv_safe)
            if kind not in FORMATS.values() or (packed and not found.compression):
                raise UsageError(f"--output-format {chosen!r} is no format", hint=f"known: {', '.join(_kinds())}")
        else:
            named = FORMATS.get(suffixes[-2 if compression else -1], "") if len(suffixes) > bool(compression) else ""
            if not named:
                raise UsageError(
                    "its extension names no format that can be written",
                    path=name,
                    hint=f"known: {', '.join(FORMATS)}, those of text also with {' or '.join(COMPRESSIONS)}; "
                    "or pass --output-format",
                )
            found = cls(named, compression, csv_safe)
        if found.kind == "parquet" and found.compression:
            packed = found.suffix.removeprefix(f".{found.kind}")
            raise UsageError("Parquet is packed already", path=name, hint=f"leave {packed} away")
        return replace(found, csv_safe=csv_safe and found.kind in ("csv", "tsv"))


def _kinds() -> list[str]:
    return list(dict.fromkeys(FORMATS.values()))


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


def refuse_input(target: Path, inputs: Sequence[str]) -> None:
    """Whether ``target`` is one of ``inputs``, by whatever name or link; ``-`` is what standard input is read from.

    Raises:
        UsageError: it is.
    """
    states = {identity for name in inputs if (identity := identity_of(0 if name == STDIN else name)) is not None}
    if states and identity_of(target) in states:
        raise UsageError("is the input itself", path=target, hint="write to another file")


def identity_of(file: str | os.PathLike[str] | int) -> tuple[int, int] | None:
    """What tells a regular file, or what a descriptor is open on, from all others; ``None`` where there is none."""
    try:
        state = os.stat(file)  # noqa: PTH116 - of a descriptor, too
    except (OSError, ValueError):
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None


def check_folder(target: Path) -> None:
    """Whether a file can be made beside ``target``.

    Raises:
        OutputError: its folder is missing or cannot be written to.
    """
    folder = target.absolute().parent
    if not is_folder(folder):
        raise OutputError("no such folder", path=folder, hint="make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError("the folder cannot be written to", path=folder, hint="choose another or change its mode")
