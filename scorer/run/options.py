"""Options of one call of ``score`` as a nightly job: which inputs, and how it tells that there was nothing to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from scorer.errors import UsageError
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets
from scorer.run.ages import parse_since

OnMissingInput = Literal["ok", "fail"]

LEAST_FREE_EXIT_CODE, LAST_FREE_EXIT_CODE = 9, 119
"""Codes below are failures of ours; above lie those of Python (120), timeout, the shell and signals."""


@dataclass(frozen=True)
class RunOptions:
    """What a run does about inputs that are not there, or not new.

    Attributes:
        on_missing_input: ``fail`` ends with an error where an input stands for no file; ``ok`` leaves it out.
        since: an ISO date or time, or an age such as ``24h``: inputs that were modified before are left out.
        exit_code_nothing_new: exit code of a run that ended well and had no file to score.
        begun: when the run began; an age is counted from then.
    """

    on_missing_input: OnMissingInput = "fail"
    since: str | None = None
    exit_code_nothing_new: int = 0
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if self.on_missing_input not in get_args(OnMissingInput):
            raise UsageError(f"unknown --on-missing-input {self.on_missing_input!r}", hint="choose ok or fail")
        code = self.exit_code_nothing_new
        if code != 0 and not LEAST_FREE_EXIT_CODE <= code <= LAST_FREE_EXIT_CODE:
            raise UsageError(
                f"--exit-code-nothing-new {code} could be taken for another outcome",
                hint=f"pass 0 or a code from {LEAST_FREE_EXIT_CODE} to {LAST_FREE_EXIT_CODE}, such as 99",
            )
        self.moment()

    def moment(self) -> datetime | None:
        """From when on inputs count, in UTC."""
        return None if self.since is None else parse_since(self.since, now=self.begun)


def modified_since(file: InputFile, moment: datetime) -> bool:
    """Whether the content of ``file`` was modified at ``moment`` or later.

    One that is gone meanwhile is for its reader to tell of.

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
