"""Names of the files that lie beside an output, and the key of what lies in it."""

from __future__ import annotations

REJECTS_SUFFIX = ".rejects.jsonl"
PROVENANCE_SUFFIX = ".provenance.json"

PROVENANCE_KEY = b"review_scorer.provenance"
"""Key of the provenance in the metadata of a Parquet file."""
