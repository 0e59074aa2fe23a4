"""Formats of files by their extensions: of inputs and outputs, packed or not."""

from __future__ import annotations

from dataclasses import dataclass
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
    ".json": "jsonl",
}
"""Formats by extension."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Compressions of text formats by the second extension."""

KINDS = tuple(dict.fromkeys(FORMATS.values()))
"""Names of the formats."""

KNOWN_FORMATS = f"known: {', '.join([*FORMATS, *COMPRESSIONS])}"
_WRITABLE = f"{', '.join(FORMATS)}, those of text also with {' or '.join(COMPRESSIONS)}"


class Extension(NamedTuple):
    """Format and compression that the end of a file's name stands for.

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
    suffix = _suffix(name)
    compression = COMPRESSIONS.get(suffix.lower(), "")
    inner = _suffix(name.rstrip("/").removesuffix(suffix)) if compression else suffix
    kind = FORMATS.get(inner.lower(), "")
    return Extension(kind, compression, (inner + suffix if compression else inner) if kind else "")


def _suffix(name: str) -> str:
    """``Path(name).suffix``, at a fraction of the time: a folder may hold a million names."""
    last = name.rstrip("/").rpartition("/")[2]
    dot = last.rfind(".")
    return last[dot:] if 0 < dot < len(last) - 1 else ""


def format_of(path: str) -> str:
    """Name of the format of ``path`` by its extension, without a ``.gz`` or ``.zst`` after it.

    Raises:
        InputError: the extension stands for no known format.
    """
    shown = without_secrets(path)
    extension = extension_of(shown)
    if extension.is_input:
        return extension.kind
    if extension.kind:
        raise InputError(
            "is Parquet in a compressed file, which cannot be read", path=shown, hint="decompress it first"
        )
    suffix = Path(shown).suffix.lower()
    raise InputError(
        f"unknown format {suffix!r}" if suffix else "has no extension that gives its format",
        path=shown,
        hint=f"known: {_WRITABLE}, or pass --format",
    )


@dataclass(frozen=True)
class OutputFormat:
    """Format of an output.

    Attributes:
        kind: ``parquet``, ``csv``, ``tsv`` or ``jsonl``.
        compression: ``gzip``, ``zstd`` or, for none, an empty string; of text formats alone.
        csv_safe: True if cells that a spreadsheet would run are escaped.
    """

    kind: str
    compression: str = ""
    csv_safe: bool = False

    @property
    def suffix(self) -> str:
        """The extension, such as ``.csv.gz``."""
        packed = {compression: suffix for suffix, compression in COMPRESSIONS.items()}
        return f".{self.kind}{packed.get(self.compression, '')}"

    @classmethod
    def of(
        cls, name: str, chosen: str | None = None, *, csv_safe: bool = False, option: str | None = "--output-format"
    ) -> OutputFormat:
        """The format ``chosen`` by a name such as ``csv`` or ``csv.gz``, or else that of the extension of ``name``.

        ``option`` is the one by which a user can choose, if there is one.

        Raises:
            UsageError: there is no such format, or Parquet is to be packed.
        """
        kind, compression, _suffix = extension_of(name)
        if chosen is not None:
            kind, _, packed = chosen.lower().partition(".")
            compression = COMPRESSIONS.get(f".{packed}", "") if packed else compression
            if kind not in KINDS or (packed and not compression):
                raise UsageError(f"unknown --output-format {chosen!r}", hint=f"known: {', '.join(KINDS)}")
        if not kind:
            hint = f"known: {_WRITABLE}" + (f", or pass {option}" if option else "")
            raise UsageError("no output format has this extension", path=name, hint=hint)
        if kind == "parquet" and compression:
            packed = cls(kind, compression).suffix.removeprefix(".parquet")
            raise UsageError("Parquet is compressed inside", path=name, hint=f"drop {packed}")
        return cls(kind, compression, csv_safe and kind in ("csv", "tsv"))
