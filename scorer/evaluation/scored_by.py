"""The model that made predictions, read from the provenance in or beside their file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from scorer.disk.paths import is_plain_file
from scorer.files.beside_outputs import PROVENANCE_KEY, PROVENANCE_SUFFIX
from scorer.files.source import Source
from scorer.metrics.values import Section
from scorer.model.model_folder import BUILT_IN_MODEL, DEFAULT_MODEL

KEY = b"review_scorer.scored_by"
"""Key of :class:`ScoredBy` as JSON in the metadata of a baseline."""

BUILT_IN = "built-in"
"""The name of the model inside the package, in a report."""

_MOST_BYTES = 2**24


def model_name(name: str | None) -> str | None:
    """The name of a model in a report as words for people."""
    return BUILT_IN_MODEL if name == BUILT_IN else name


@dataclass(frozen=True)
class ScoredBy(Section):
    """The model that made predictions, as their file states it.

    Attributes:
        name: last name in its lineage, or :data:`BUILT_IN`; ``None`` without one.
        precision, device: that really ran.
        fingerprint: of the model folder, in hexadecimal.
        threshold: probability at which the second of two labels is predicted; ``None`` for the more probable label.
    """

    name: str | None
    precision: str | None
    device: str | None
    fingerprint: str
    threshold: float | None = None


def scored_by(source: Source) -> ScoredBy | None:
    """The model of the predictions in ``source``; ``None`` if its file does not state it."""
    metadata = source.schema.metadata or {}
    if KEY in metadata:
        found = _object(metadata[KEY])
    else:
        found = _of_provenance(_object(metadata.get(PROVENANCE_KEY) or _beside(source.location)))
    texts = {name: _text(found.get(name)) for name in ("name", "precision", "device", "fingerprint")}
    threshold = found.get("threshold")
    if texts["fingerprint"] is None:
        return None
    return ScoredBy(
        name=BUILT_IN if texts["name"] == DEFAULT_MODEL.name else texts["name"],
        precision=texts["precision"],
        device=texts["device"],
        fingerprint=texts["fingerprint"],
        threshold=threshold if isinstance(threshold, float) else None,
    )


def stated(source: Source) -> dict[bytes, bytes] | None:
    """The model of the predictions in ``source`` as metadata of another file, for :func:`scored_by`."""
    model = scored_by(source)
    return None if model is None else {KEY: orjson.dumps(model.to_json())}


def _beside(location: str) -> bytes:
    sidecar = f"{location}{PROVENANCE_SUFFIX}"
    if not is_plain_file(sidecar) or Path(sidecar).stat().st_size > _MOST_BYTES:
        return b""
    try:
        return Path(sidecar).read_bytes()
    except OSError:
        return b""


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _of_provenance(value: Mapping[str, Any]) -> dict[str, Any]:
    bundle, lineage = value.get("bundle"), value.get("lineage")
    bundle = bundle if isinstance(bundle, dict) else {}
    last = lineage[-1] if isinstance(lineage, list) and lineage and isinstance(lineage[-1], dict) else {}
    chosen = {name: bundle.get(name) for name in ("precision", "fingerprint", "threshold")}
    return {"name": last.get("makes"), "device": value.get("device"), **chosen}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
