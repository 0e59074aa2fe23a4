"""The last lines before the error of a run that failed: what failed, that nothing is lost, and what the next run does.

A log can be long, and whoever is woken by it reads its end.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from scorer.disk.paths import is_folder, is_there
from scorer.errors import OutOfMemoryError, OutputError, PassedOverError, ScorerError, UnreachableError
from scorer.files.beside_outputs import REJECTS_SUFFIX
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets
from scorer.job.summary import ScoreSummary
from scorer.run.report import Failure
from scorer.safe_text import counted

log = logging.getLogger(__name__)

WORST_FIRST = (5, 9, 7, 1, 4, 3, 6, 2)
"""Exit codes of errors that stop one file of many; the first of these that a run met is its own."""

_SIGNALS = (130, 143)

_AT_MOST = 3
"""Lines of inputs that failed."""


def say_ending(
    code: int,
    targets: Mapping[str, InputFile],
    summaries: Mapping[str, ScoreSummary],
    failures: Sequence[Failure],
    errors: Sequence[ScorerError],
    *,
    repeat: bool,
) -> None:
    """Say how a run into a folder stands that fails with ``code``; nothing of one that was refused.

    ``targets`` has the inputs of all outputs, ``summaries`` those that are done, ``failures`` the inputs that failed
    one by one; ``repeat`` says them once more. ``errors`` are those of the failures, or the one that ended the run.
    """
    if not (_is_failure(code) or (failures and summaries)):
        return
    for line in _failed(failures) if repeat else ():
        _say(line)
    inputs = {target: without_secrets(file.path) for target, file in targets.items()}
    left = [target for target in targets if target not in summaries]
    kept = [target for target in left if not is_url(target) and is_there(target)]
    _say(_nothing_is_lost(len(kept), list(summaries.values())))
    passed = {error.path for error in errors if isinstance(error, PassedOverError)}
    does = _same_command(
        [target for target in left if inputs[target] not in passed],
        are_known=bool(summaries or failures or not kept),  # else the run ended before it looked at them
        n_unlisted=len({failure.input for failure in failures} - {*inputs.values()}),
        n_passed=len(passed),
    )
    _say(f"next: {_to_do(code, errors)}{does}")


def say_one_ending(code: int, output: str) -> None:
    """The same of a run with one output, in a line, and only if a part of it is scored."""
    if _is_failure(code) and not is_url(output) and _is_begun(output):
        kept = f"{output} is as it was, and " if is_there(output) else ""
        _say(f"nothing is lost: {kept}the same command resumes what was scored")


def worst_of(errors: Sequence[ScorerError]) -> ScorerError:
    """The error whose exit code is that of the run."""
    return min(errors, key=lambda error: WORST_FIRST.index(error.exit_code))


def _is_failure(code: int) -> bool:
    """True but for a run that was refused before it began, and for one whose reader has left."""
    return code in (*WORST_FIRST, *_SIGNALS) and code not in (2, 6)


def _failed(failures: Sequence[Failure]) -> list[str]:
    """A line for each of at most three, or of more for each of the worst exit codes."""
    if len(failures) <= _AT_MOST:
        return [f"failed: {failure.error}" for failure in failures]
    by_code: dict[int, list[Failure]] = {}
    for failure in sorted(failures, key=lambda failure: WORST_FIRST.index(failure.exit_code)):
        by_code.setdefault(failure.exit_code, []).append(failure)
    return [
        f"failed: {first.error}" + (f" (and {len(rest)} more with exit code {code})" if rest else "")
        for code, (first, *rest) in list(by_code.items())[:_AT_MOST]
    ]


def _nothing_is_lost(kept: int, summaries: Sequence[ScoreSummary]) -> str:
    up_to_date = sum(summary.skipped for summary in summaries)
    scored = len(summaries) - up_to_date
    parts = [
        f"{counted(scored, 'file')} scored" if scored else "",
        f"{counted(up_to_date, 'file')} up to date" if up_to_date else "",
        f"{counted(kept, 'earlier output')} left as {'it was' if kept == 1 else 'they were'}" if kept else "",
    ]
    return f"nothing is lost: {', '.join(filter(None, parts)) or 'no output was touched'}{_set_aside(summaries)}"


def _set_aside(summaries: Sequence[ScoreSummary]) -> str:
    """Where the rows are that were rejected in this run."""
    having = [summary for summary in summaries if summary.counts.rejected]
    if not having:
        return ""
    more = f" and {len(having) - 1} more" if len(having) > 1 else ""
    rows = counted(sum(summary.counts.rejected for summary in having), "row")
    return f"; {rows} set aside in {having[0].output}{REJECTS_SUFFIX}{more}"


def _to_do(code: int, errors: Sequence[ScorerError]) -> str:
    """What a person has to do before the same command."""
    if code in _SIGNALS:
        return ""
    if any(map(_can_heal, errors)):
        return "another try can help: "
    return f"{'report the internal error' if code == 1 else 'fix them' if len(errors) > 1 else 'fix that'}; "


def _can_heal(error: ScorerError) -> bool:
    """True if the same command may succeed later; an output whose error has another hint waits for a person."""
    if isinstance(error, OutputError):
        return error.hint is None or error.hint.startswith("run again")
    return isinstance(error, UnreachableError | OutOfMemoryError) and not isinstance(error, PassedOverError)


def _same_command(left: Sequence[str], *, are_known: bool, n_unlisted: int, n_passed: int) -> str:
    """What the same command does next with the outputs that are ``left``; ``are_known`` if all of them need work."""
    begun = sum(not is_url(target) and _is_begun(target) for target in left)
    resumed = ""
    if begun:
        some = f"{begun} of them " if begun < len(left) else ""
        resumed = f", {some}from where {'it' if begun == 1 else 'they'} stopped"
    files = f"the {counted(len(left), 'file')} that {'is' if len(left) == 1 else 'are'} left"
    if not are_known:
        files = f"what is new of {counted(len(left), 'file')}"
    unchanged = f"{counted(n_passed, 'file')} that {'has' if n_passed == 1 else 'have'} not changed"
    parts = [
        f"looks at {counted(n_unlisted, 'input')} again" if n_unlisted else "",
        f"scores {files}{resumed}" if left else "",
        f"passes over {unchanged}" if n_passed else "",
    ]
    return f"the same command {' and '.join(filter(None, parts)) or 'does what is left'}"


def _is_begun(output: str) -> bool:
    return is_folder(Path(f"{output}.partial"))


def _say(message: str) -> None:
    log.info("%s", message, extra={"event": "ending"})
