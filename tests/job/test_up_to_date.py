"""The rule by which an existing output is up to date, or may be replaced as `make` would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from scorer.files.formats import OutputFormat
from scorer.job.chunk_work import ChunkColumns, ModelIdentity
from scorer.job.options import ScoreOptions
from scorer.job.provenance import sealed_text
from scorer.job.up_to_date import ExistingOutput, Making, Reason

VERSIONS = {
    "review-scorer": "1.0",
    "onnxruntime": "1.31.1",
    "nanotoken": "0.1.0",
    "tokenizers": "0.22.2",
    "numpy": "2.4.6",
    "pyarrow": "26.0.1",
}
MODEL = ModelIdentity({"fingerprint": "f"}, pa.schema([]), "cpu", "CPU", "alone", "nanotoken", VERSIONS, "x86_64 avx2")
MAKING = Making({"name": "a.csv", "bytes": 9, "sha256": "5"}, MODEL, OutputFormat("csv"), ScoreOptions())
COLUMNS = ChunkColumns("Review", 1, pa.schema([("Review", pa.string())]))
MADE = {**MAKING.described(COLUMNS), "rejects": {"rows": 1}, "output": {"bytes": 7}}


@pytest.mark.parametrize(
    ("changes", "size", "has_rejects", "difference", "is_made_from"),
    [
        ({}, 7, True, None, True),
        ({"inputs": [{**MADE["inputs"][0], "name": "b.csv"}]}, 7, True, "changed", False),
        ({"inputs": [{**MADE["inputs"][0], "sha256": "6"}]}, 7, True, "changed", True),
        ({}, 8, True, "damaged", False),
        ({"output": None}, 8, True, None, True),  # as in the footer of Parquet
        ({}, 7, False, "damaged", True),
        ({"rejects": None}, 7, False, None, True),
        ({"device": "cuda:0"}, 7, True, "model", True),
        ({"bundle": {"fingerprint": "g"}}, 7, True, "model", True),
        ({"options": {**MADE["options"], "text_column": "other"}}, 7, True, "options", True),
        ({"options": {**MADE["options"], "prefix": "p_"}}, 7, True, "options", True),
        ({"output_format": {"kind": "csv", "compression": "gzip"}}, 7, True, "options", True),
        ({"versions": {**VERSIONS, "onnxruntime": "1.31.0"}}, 7, True, "versions", True),
        ({"versions": {**VERSIONS, "nanotoken": "0.1.1"}}, 7, True, "versions", True),
        ({"versions": {**VERSIONS, "numpy": "2.5.0"}}, 7, True, "versions", True),
        (
            {"versions": {**VERSIONS, "numpy": "2.4.7", "pyarrow": "27.0.0", "tokenizers": "0.23.0"}},
            7,
            True,
            None,
            True,
        ),
        ({"processor": "aarch64 asimddp"}, 7, True, None, True),
    ],
)
def test_the_rule(
    changes: dict[str, Any], size: int, has_rejects: bool, difference: Reason | None, is_made_from: bool
) -> None:
    existing = ExistingOutput(sealed_text({**MADE, **changes}), size, has_rejects)
    assert existing.difference(MAKING) == difference
    assert existing.is_made_from("a.csv") is is_made_from
    ignoring = replace(MAKING, options=ScoreOptions(versions="ignore"))
    assert existing.difference(ignoring) == (None if difference == "versions" else difference)


def test_a_column_that_is_named_is_that_column() -> None:
    existing = ExistingOutput(sealed_text(MADE), 7, has_rejects=True)
    assert existing.difference(replace(MAKING, options=ScoreOptions(text_column="Review"))) is None
    assert existing.difference(replace(MAKING, options=ScoreOptions(text_column="text"))) == "options"


@pytest.mark.parametrize("text", [None, b"", b"{}", b"[]", b"not JSON"])
def test_an_output_of_others_is_never_replaced(text: bytes | None) -> None:
    existing = ExistingOutput(text, 7, has_rejects=True)
    assert existing.difference(MAKING) == "damaged"
    assert not existing.is_made_from("a.csv")
