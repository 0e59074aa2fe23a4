"""The description of a job for its provenance, and the rule by which an existing output is up to date."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer.disk.checksums import fingerprint, sha256_of
from scorer.disk.paths import is_plain_file
from scorer.errors import InputError
from scorer.files.formats import OutputFormat
from scorer.job.chunk_work import ChunkWork
from scorer.job.destination import Destination
from scorer.job.journal import UnfinishedWork
from scorer.job.options import ScoreOptions
from scorer.job.provenance import parsed, read_provenance


def describe(work: ChunkWork, input: Mapping[str, Any], format: OutputFormat, options: ScoreOptions) -> dict[str, Any]:
    """The part of a provenance that is known before the work; ``input`` describes the input.

    ``fingerprint`` is over all of it except the commands that made the bundle, so two outputs of one
    fingerprint have the same rows.
    """
    model = work.model
    made_by = {
        "inputs": [input],
        "bundle": model.bundle,
        "options": {**options.of_the_result(model.batching), "text_column": work.columns.text},
        "output_format": {"kind": format.kind, "compression": format.compression},
        "schema": [[field.name, str(field.type)] for field in work.schema],
        "device": model.device,
        "provider": model.provider,
        "tokenizer": model.tokenizer,
        "versions": model.versions,
    }
    return {**made_by, "fingerprint": fingerprint(made_by), "lineage": list(model.lineage)}


@dataclass(frozen=True)
class ExistingOutput:
    """An output that already exists, on a disk or in a store.

    Attributes:
        text: sealed text of its provenance; ``None`` if it has no readable one.
        size: its bytes.
        has_rejects: True if its rejects file exists.
    """

    text: bytes | None
    size: int
    has_rejects: bool

    @classmethod
    def on_disk(cls, destination: Destination) -> ExistingOutput:
        """The output at ``destination``."""
        try:
            text, size = read_provenance(destination.path), destination.path.stat().st_size
        except (InputError, OSError):
            text, size = None, 0
        return cls(text, size, is_plain_file(destination.rejects))

    @property
    def provenance(self) -> dict[str, Any]:
        """Its provenance; empty if it has none of this version."""
        with suppress(InputError):
            return {} if self.text is None else parsed(self.text, Path())
        return {}

    def is_up_to_date(self, made_by: Mapping[str, Any]) -> bool:
        """True if it has the fingerprint of ``made_by``, and its own rows and rejects are there."""
        stated = self.provenance
        rejects_are_there = stated.get("rejects") is None or self.has_rejects
        return stated.get("fingerprint") == made_by["fingerprint"] and self._has_stated_size() and rejects_are_there

    def is_made_from(self, name: str) -> bool:
        """True if an earlier run made it from an input named ``name``, so that a run like ``make`` may replace it."""
        return self._has_stated_size() and [one.get("name") for one in self.provenance.get("inputs", [])] == [name]

    def _has_stated_size(self) -> bool:
        stated = self.provenance.get("output")  # beside text formats alone: Parquet has its provenance inside
        return stated is None or stated.get("bytes") == self.size


def is_published(destination: Destination, published: str | None, made_by: Mapping[str, Any]) -> bool:
    """True if a run was killed just after it had published the output with the SHA-256 ``published``.

    The bytes of the output alone do not tell: those of an earlier run can be the same, with other rejects.
    """
    return has_sha256(destination, published) and ExistingOutput.on_disk(destination).is_up_to_date(made_by)


def has_sha256(destination: Destination, sha256: str | None) -> bool:
    """True if the output at ``destination`` has this SHA-256; False if that is ``None`` or it cannot be read."""
    try:
        return sha256 is not None and sha256_of(destination.path) == sha256
    except OSError:
        return False


def may_be_replaced(destination: Destination, name: str, *, like_make: bool) -> bool:
    """True if the output is this job's own, or, ``like_make``, made from an input named ``name`` by an earlier run."""
    if has_sha256(destination, UnfinishedWork.published_sha256(destination.partial)):
        return True
    if not like_make:
        return False
    existing = ExistingOutput.on_disk(destination)
    if destination.has_sidecar and not has_sha256(destination, existing.provenance.get("output", {}).get("sha256")):
        return False  # somebody has put another file in its place
    return existing.is_made_from(name)
