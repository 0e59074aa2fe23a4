"""The limit on the number of bad rows of a job, and the first of them for the error."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from scorer.errors import InputError, ScorerError
from scorer.files.opening import open_source
from scorer.job.chunk_work import ChunkWork
from scorer.job.options import ScoreOptions
from scorer.safe_text import counted


def check_bad_rows(
    work: ChunkWork, options: ScoreOptions, *, bad: int, rows: int, finished: bool, again: bool = True
) -> None:
    """Stop a job with more bad rows than ``--max-bad``; called after every chunk and at the end.

    A share is judged at the end only: a file may begin badly. The error names the first bad row, for which the
    input is read ``again``; standard input cannot be.

    Raises:
        InputError: there are too many.
    """
    limit = options.limit()
    if limit is None or (limit.share is not None and not finished) or limit.allows(bad=bad, rows=rows):
        return
    message = f"{bad:,} of {counted(rows, 'row')} {'is' if bad == 1 else 'are'} bad, more than --max-bad {limit}"
    error = InputError(message, path=work.source.path, hint="fix them or raise --max-bad")
    with suppress(ScorerError):  # of an input that is gone
        first = _first_bad_row(work, options) if again else None
        if first is not None:
            parts = first.parts()
            hint = (parts["hint"] or "fix them").replace("pass --on-bad-row reject", "raise --max-bad")
            about = {"path": work.source.path, "message": f"{parts['message']}; {message}", "hint": hint}
            error = InputError(**{**parts, **about})
    raise error


def _first_bad_row(work: ChunkWork, options: ScoreOptions) -> InputError | None:
    try:
        source = open_source(work.source.location, replace(options.reading(), on_bad_row="fail"))
        for _ in source.with_text(work.columns.text).chunks(work.chunk_rows, work.names):
            pass
    except InputError as error:
        return error if error.row is not None else None
    return None
