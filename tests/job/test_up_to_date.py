"""The rule by which an existing output is up to date, or may be replaced as `make` would."""

from __future__ import annotations

from typing import Any

import pytest

from scorer.job.provenance import sealed_text
from scorer.job.up_to_date import ExistingOutput

PROVENANCE = {"fingerprint": "f", "inputs": [{"name": "a.csv"}], "rejects": {"rows": 1}, "output": {"bytes": 7}}


@pytest.mark.parametrize(
    ("changes", "size", "has_rejects", "is_up_to_date", "is_made_from"),
    [
        ({}, 7, True, True, True),
        ({"fingerprint": "g"}, 7, True, False, True),
        ({"inputs": [{"name": "b.csv"}]}, 7, True, True, False),
        ({}, 8, True, False, False),
        ({"output": None}, 8, True, True, True),  # as in the footer of Parquet
        ({}, 7, False, False, True),
        ({"rejects": None}, 7, False, True, True),
    ],
)
def test_the_rule(
    changes: dict[str, Any], size: int, has_rejects: bool, is_up_to_date: bool, is_made_from: bool
) -> None:
    existing = ExistingOutput(sealed_text({**PROVENANCE, **changes}), size, has_rejects)
    assert existing.is_up_to_date({"fingerprint": "f"}) is is_up_to_date
    assert existing.is_made_from("a.csv") is is_made_from


@pytest.mark.parametrize("text", [None, b"", b"{}", b"[]", b"not JSON"])
def test_an_output_of_others_is_never_replaced(text: bytes | None) -> None:
    existing = ExistingOutput(text, 7, has_rejects=True)
    assert not existing.is_up_to_date({"fingerprint": "f"})
    assert not existing.is_made_from("a.csv")
