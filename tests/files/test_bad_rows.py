"""How many bad rows a run bears: exactly the number or the share that was named."""

from __future__ import annotations

import pytest

from scorer.errors import UsageError
from scorer.files.bad_rows import MaxBad


@pytest.mark.parametrize("percent", range(101))
def test_a_share_is_borne_to_the_row(percent: int) -> None:
    limit = MaxBad.parse(f"{percent}%")
    assert str(limit) == f"{percent}%"
    assert limit.allows(bad=percent, rows=100)
    assert not limit.allows(bad=percent + 1, rows=100)


def test_a_share_of_a_part_of_a_percent() -> None:
    limit = MaxBad.parse("0.57%")
    assert str(limit) == "0.57%"
    assert limit.allows(bad=57, rows=10_000)
    assert not limit.allows(bad=58, rows=10_000)


def test_a_number_of_rows() -> None:
    limit = MaxBad.parse("1000")
    assert str(limit) == "1,000"
    assert limit.allows(bad=1000, rows=1000)
    assert not limit.allows(bad=1001, rows=10**6)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "%", "9" * 5000, "9" * 5000 + "%", f"0.{1:05000}%"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(UsageError, match=r"is neither a number of rows nor a percentage; pass a number or"):
        MaxBad.parse(text)
