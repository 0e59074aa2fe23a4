"""What an output was made from and how, and whether an output that already exists was made that way."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from scorer.disk.checksums import fingerprint, sha256_of
from scorer.disk.paths import is_plain_file
from scorer.errors import InputError
from scorer.job.chunk_work import ChunkWork
from scorer.job.destination import Destination
from scorer.job.journal import UnfinishedWork
from scorer.job.options import ScoreOptions
from scorer.job.provenance import parsed, read_provenance


def describe(
    work: ChunkWork, input: Mapping[str, Any], destination: Destination, options: ScoreOptions
) -> dict[str, Any]:
    """What an output is made from and how: the part of its provenance that is known before the work.

    ``fingerprint`` is over all of it but the commands that made the bundle, so two outputs of one
    fingerprint have the same rows.
    """
    model = work.model
    made_by = {
        "inputs": [input],
        "bundle": model.bundle,
        "options": {**options.of_the_result(model.batching), "text_column": work.columns.text},
        "output_format": {"kind": destination.format.kind, "compression": destination.format.compression},
        "schema": [[field.name, str(field.type)] for field in work.schema],
        "device": model.device,
        "provider": model.provider,
        "versions": model.versions,
    }
    return {**made_by, "fingerprint": fingerprint(made_by), "lineage": list(model.lineage)}


def is_published(destination: Destination, unfinished: UnfinishedWork, made_by: Mapping[str, Any]) -> bool:
    """Whether the run that left ``unfinished`` was killed when the output stood already.

    The bytes of the output alone do not tell: those of the run before can be the same, with other rejects.
    """
    published = unfinished.published
    return published is not None and published == sha256_or_none(destination) and is_up_to_date(destination, made_by)


def is_up_to_date(destination: Destination, made_by: Mapping[str, Any]) -> bool:
    """True if the output has the fingerprint of ``made_by``, and what lies beside it is there."""
    stated = provenance_of(destination)
    if stated is None or stated.get("fingerprint") != made_by["fingerprint"]:
        return False
    if stated.get("rejects") is not None and not is_plain_file(destination.rejects):
        return False
    if not destination.has_sidecar:
        return True
    return bool(stated.get("output", {}).get("bytes") == destination.path.stat().st_size)


def may_be_replaced(destination: Destination, made_by: Mapping[str, Any], *, like_make: bool) -> bool:
    """Whether an output that stands there is this job's own, or one that an earlier run made from this input."""
    published = UnfinishedWork.published_sha256(destination.partial)
    if published is not None and published == sha256_or_none(destination):
        return True
    stated = provenance_of(destination) if like_make else None
    if stated is None:
        return False
    if destination.has_sidecar and stated.get("output", {}).get("sha256") != sha256_or_none(destination):
        return False  # somebody has put another file in its place
    names = [item.get("name") for item in stated.get("inputs", [])]
    return names == [item["name"] for item in made_by["inputs"]]


def provenance_of(destination: Destination) -> dict[str, Any] | None:
    """The provenance of the output at ``destination``; ``None`` without a readable one."""
    with suppress(InputError):
        text = read_provenance(destination.path)
        return None if text is None else parsed(text, destination.path)
    return None


def sha256_or_none(destination: Destination) -> str | None:
    """SHA-256 of the output at ``destination``; ``None`` if it cannot be read."""
    try:
        return sha256_of(destination.path)
    except OSError:
        return None
