"""Options of one call of ``score`` as a nightly job: which inputs count, and the exit code if there are none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from scorer.errors import UsageError
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets

OnMissingInput = Literal["ok", "empty", "fail"]

LEAST_FREE_EXIT_CODE, LAST_FREE_EXIT_CODE = 10, 119
"""Lower codes are errors of this program; higher ones are those of Python (120), timeout, the shell and signals."""

_AGE = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class RunOptions:
    """Options for inputs that are missing or not new.

    Attributes:
        on_missing_input: ``fail`` ends with an error if an input stands for no file; ``ok`` leaves it out,
            ``empty`` only a folder that exists, and files that go away once it was listed.
        since: an ISO date or time, or an age such as ``24h``: inputs that were modified before are left out.
        checksum: true to hash every input, also if its size, times and inode are those that were seen before.
        prune: answers the question by which what is left in the folder of outputs is removed; ``None`` keeps it.
        dry_run: true to say what would be done, and to write nothing.
        exit_code_nothing_new: exit code of a run that ended well and had no file to score.
        begun: when the run began; an age is counted from then.
    """

    on_missing_input: OnMissingInput = "fail"
    since: str | None = None
    exit_code_nothing_new: int = 0
    checksum: bool = False
    dry_run: bool = False
    prune: Callable[[str], bool] | None = None
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if self.on_missing_input not in get_args(OnMissingInput):
            raise UsageError(f"unknown --on-missing-input {self.on_missing_input!r}", hint="choose ok, empty or fail")
        code = self.exit_code_nothing_new
        if code != 0 and not LEAST_FREE_EXIT_CODE <= code <= LAST_FREE_EXIT_CODE:
            raise UsageError(
                f"--exit-code-nothing-new {code} could be taken for another outcome",
                hint=f"pass 0 or a code from {LEAST_FREE_EXIT_CODE} to {LAST_FREE_EXIT_CODE}, such as 99",
            )
        self.moment()

    def moment(self) -> datetime | None:
        """The earliest modification that counts, in UTC; ``None`` if all count."""
        return None if self.since is None else parse_since(self.since, now=self.begun)


def parse_since(text: str, *, now: datetime) -> datetime:
    """The moment that ``--since`` names: an age counted back from ``now``, or an ISO date or time.

    A date is its midnight. A time without an offset from UTC is this machine's local time.

    >>> parse_since("36h", now=datetime(2026, 3, 2, 12, tzinfo=UTC))
    datetime.datetime(2026, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)

    Raises:
        UsageError: it is neither, or it lies in the future.
    """
    age = _AGE.fullmatch(text.strip())
    try:
        if age is None:
            moment = datetime.fromisoformat(text.strip()).astimezone(UTC)
        else:
            moment = now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {text!r} is neither a time nor an age",
            hint="pass 2026-01-31, 2026-01-31T18:00 or an age such as 24h, 7d",
        ) from error
    if moment > now:
        raise UsageError(f"--since {text!r} lies in the future", hint="pass a time before now, or an age such as 24h")
    return moment


def modified_since(file: InputFile, moment: datetime) -> bool:
    """True if ``file`` was modified at ``moment`` or later, or is gone: its reader then says so.

    Raises:
        InputError: its store cannot be reached.
        UsageError: its store keeps no times.
    """
    if not is_url(file.path):
        try:
            return Path(file.path).stat().st_mtime >= moment.timestamp()
        except OSError:
            return True
    from scorer.files.remote import url_modified

    modified = url_modified(file.path)
    if modified is None:
        raise UsageError(
            "its store does not say when it was modified", path=without_secrets(file.path), hint="drop --since"
        )
    return modified >= moment
