"""Formats of files, by their extensions: of inputs, of outputs, packed or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from scorer.errors import InputError, UsageError
from scorer.files.urls import without_secrets

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""Input formats by extension."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Compressions of text formats by the second extension."""

KINDS = tuple(dict.fromkeys(FORMATS.values()))
"""Names of the formats."""

_WRITABLE = f"{', '.join(FORMATS)}, those of text also with {' or '.join(COMPRESSIONS)}"
KNOWN_FORMATS = f"known: {', '.join([*FORMATS, *COMPRESSIONS])}"


class Extension(NamedTuple):
    """What the end of a file's name says.

    Attributes:
        kind: ``parquet``, ``csv``, ``tsv``, ``jsonl``, or an empty string for any other.
        compression: ``gzip``, ``zstd``, or an empty string.
        suffix: the part of the name that says so, such as ``.csv.gz``; empty without a ``kind``.
    """

    kind: str
    compression: str
    suffix: str

    @property
    def is_input(self) -> bool:
        """True for every format that can be read: packed Parquet cannot."""
        return self.kind != "" and not (self.kind == "parquet" and self.compression)


def extension_of(name: str) -> Extension:
    """Read the extensions of ``name``.

    >>> extension_of("reviews.csv.gz")
    Extension(kind='csv', compression='gzip', suffix='.csv.gz')
    """
    path = Path(name)
    compression = COMPRESSIONS.get(path.suffix.lower(), "")
    inner = Path(path.stem).suffix if compression else path.suffix
    kind = FORMATS.get(inner.lower(), "")
    return Extension(kind, compression, (inner + path.suffix if compression else inner) if kind else "")


def format_of(path: str) -> str:
    """The format that the extension of ``path`` names, a ``.gz`` or ``.zst`` after it ignored.

    Raises:
        InputError: it names no known format.
    """
    shown = without_secrets(path)
    extension = extension_of(shown)
    if extension.is_input:
        return extension.kind
    if extension.kind:
        raise InputError("is packed Parquet, which is packed already", path=shown, hint="unpack it first")
    suffix = Path(shown).suffix.lower()
    raise InputError(
        f"unknown format {suffix!r}" if suffix else "has no extension that names its format",
        path=shown,
        hint=f"known: {_WRITABLE}; or pass --format",
    )


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
        extension = extension_of(name)
        if chosen is not None:
            kind, _, packed = chosen.lower().partition(".")
            compression = COMPRESSIONS.get(f".{packed}" if packed else Path(name).suffix.lower(), "")
            if kind not in FORMATS.values() or (packed and not compression):
                raise UsageError(f"--output-format {chosen!r} is no format", hint=f"known: {', '.join(KINDS)}")
            found = cls(kind, compression, csv_safe)
        elif not extension.kind:
            raise UsageError(
                "its extension names no format that can be written",
                path=name,
                hint=f"known: {_WRITABLE}; or pass --output-format",
            )
        else:
            found = cls(extension.kind, extension.compression, csv_safe)
        if found.kind == "parquet" and found.compression:
            packed = found.suffix.removeprefix(f".{found.kind}")
            raise UsageError("Parquet is packed already", path=name, hint=f"leave {packed} away")
        return replace(found, csv_safe=csv_safe and found.kind in ("csv", "tsv"))
