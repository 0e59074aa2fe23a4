"""Ages and moments as people type them for `--since`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from scorer.errors import UsageError
from scorer.run.options import parse_since

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        (" 7d ", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("0h", timedelta(0)),
    ],
)
def test_ages(text: str, span: timedelta) -> None:
    assert parse_since(text, now=NOW) == NOW - span


def test_times_with_an_offset_and_local_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_since("2026-02-28T18:00:00+02:00", now=NOW) == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert parse_since("2026-02-28T18:00Z", now=NOW) == datetime(2026, 2, 28, 18, tzinfo=UTC)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_since("2026-02-28", now=NOW) == datetime(2026, 2, 27, 15, tzinfo=UTC)
        assert parse_since("2026-02-28T18:00", now=NOW) == datetime(2026, 2, 28, 9, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "yesterday", "", "28.02.2026", "2026-02-30", "24", "999999w", "2026-02-28 nonsense",
        "7", "d", "-7d", "7 d", "1.5h", "7D", "1y", "\u0663d", "9999999d",
    ],
)  # fmt: skip
def test_what_is_no_age_and_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is neither a time nor an age; pass 2026-01-31, "):
        parse_since(text, now=NOW)


def test_the_future() -> None:
    with pytest.raises(UsageError, match="lies in the future"):
        parse_since("2026-03-01T12:00:01Z", now=NOW)
    assert parse_since("2026-03-01T12:00:00Z", now=NOW) == NOW
