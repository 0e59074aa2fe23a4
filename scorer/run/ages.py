"""Ages as people type them, such as ``24h`` or ``7d``, and moments that may be given as an age."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from scorer.errors import UsageError

_AGE = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_age(text: str) -> timedelta | None:
    """``90s``, ``30m``, ``24h``, ``7d`` or ``2w`` as a span of time; ``None`` where it is none of these.

    >>> parse_age("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    match = _AGE.fullmatch(text.strip())
    return None if match is None else timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_since(text: str, *, now: datetime | None = None) -> datetime:
    """The moment that ``--since`` names: an age counted back from ``now``, or an ISO date or time.

    A date is its midnight. A time without an offset from UTC is this machine's local time.

    Raises:
        UsageError: it is neither, or it lies in the future.
    """
    now = now or datetime.now(UTC)
    age = parse_age(text)
    try:
        moment = now - age if age is not None else datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {text!r} is no time and no age",
            hint="pass 2026-01-31, 2026-01-31T18:00 or an age such as 24h, 7d",
        ) from error
    if moment > now:
        raise UsageError(f"--since {text!r} lies in the future", hint="pass a time before now, or an age such as 24h")
    return moment
