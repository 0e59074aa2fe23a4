"""One scoring job: a file of reviews in, the same rows with more columns out.

Light to import: what is heavy comes in once the output is locked, so that a run that finds the
output held by another leaves at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scorer.destinations import STDOUT, Destination, OutputFormat
from scorer.engines import Engine, engine_of
from scorer.errors import OutputExistsError, ScorerError, UsageError, in_utf8
from scorer.locations import STDIN, InputFile, is_folder, is_url
from scorer.locking import locked
from scorer.options import ScoreOptions
from scorer.progress import NoProgress, Progress

if TYPE_CHECKING:
    from scorer.publishing import Move

__all__ = ["JobCounts", "ScoreOptions", "ScoreSummary", "score_file"]


class Part(Protocol):
    """What is counted of a chunk."""

    @property
    def n_rows(self) -> int: ...

    @property
    def n_rejects(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def by_status(self) -> Mapping[str, int]: ...


@dataclass
class JobCounts:
    """Totals of a job.

    Attributes:
        rows: of the output.
        rejected: rows of the input that were set aside.
        tokens: that the model read.
        by_status: rows by ``pred_status``.
        rows_before: rows of the input that an earlier, unfinished run had scored.
    """

    rows: int = 0
    rejected: int = 0
    tokens: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    rows_before: int = 0

    def add(self, part: Part) -> None:
        """Count one more chunk, as it is or as the journal has it."""
        self.rows += part.n_rows
        self.rejected += part.n_rejects
        self.tokens += part.tokens
        for status, count in part.by_status.items():
            self.by_status[status] = self.by_status.get(status, 0) + count

    @property
    def rows_in(self) -> int:
        """Rows of the input."""
        return self.rows + self.rejected

    @property
    def empty(self) -> int:
        """Rows without any text."""
        return self.by_status.get("empty", 0)

    def to_json(self) -> dict[str, int]:
        """The counts as a summary and the provenance state them: ``in`` is ``scored + empty + rejected``."""
        return {
            "in": self.rows_in,
            "out": self.rows,
            "scored": self.rows - self.empty,
            "empty": self.empty,
            "rejected": self.rejected,
        }


@dataclass(frozen=True)
class ScoreSummary:
    """What a job did.

    Attributes:
        input: as it was named.
        counts: rows in all and by status, and tokens.
        seconds: wall time, the loading of the model included.
        device, precision, provider: what really ran.
        skipped: whether nothing had to be done, for the output was up to date.
    """

    output: str
    counts: JobCounts
    seconds: float
    device: str
    precision: str
    provider: str
    input: str = ""
    skipped: bool = False

    def line(self) -> str:
        """The summary for a person."""
        if self.skipped:
            return f"{self.output}: up to date"
        rows = self.counts.rows
        said = {**self.counts.by_status, "rejected": self.counts.rejected}
        others = ", ".join(f"{count:,} {status}" for status, count in said.items() if count and status != "ok")
        before = f", {self.counts.rows_before:,} of them by an earlier run" if self.counts.rows_before else ""
        speed = (self.counts.rows_in - self.counts.rows_before) / max(self.seconds, 1e-9)
        return (
            f"{self.output}: {rows:,} rows{f' ({others})' if others else ''}{before} in {self.seconds:.1f} s, "
            f"{speed:,.0f} rows/s, {self.precision} on {self.device}"
        )

    def log_fields(self) -> dict[str, Any]:
        """What a line of a log says of it in fields."""
        return {
            "file": self.input,
            "output": self.output,
            **{f"rows_{name}": count for name, count in self.counts.to_json().items()},
            "rows_resumed": self.counts.rows_before,
            "tokens": self.counts.tokens,
            "seconds": round(self.seconds, 3),
        }

    def to_json(self) -> dict[str, Any]:
        """The summary for a program."""
        return {
            "input": in_utf8(self.input),
            "output": in_utf8(self.output),
            "skipped": self.skipped,
            "rows": self.counts.to_json(),
            "rows_resumed": self.counts.rows_before,
            "by_status": dict(self.counts.by_status),
            "tokens": self.counts.tokens,
            "seconds": round(self.seconds, 3),
            "device": self.device,
            "precision": self.precision,
            "provider": self.provider,
        }


Accompany = Callable[[ScoreSummary], "Sequence[Move]"]
"""Files that are to take their places together with an output, made once its summary is known."""


def score_file(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    options: ScoreOptions | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> ScoreSummary:
    """Score one file into another; keyword arguments are fields of :class:`ScoreOptions`.

    The output has the same rows in the same order, the input's columns untouched, and the added
    columns of :meth:`scorer.scoring.Scorer.score`. It is published whole or not at all; what an
    interrupted run has done is kept beside it, and gone on with by the next. ``-`` is standard
    input, or standard output, of which nothing is promised.

    Raises:
        UsageError: options clash, or an added column's name stands in the input already.
        InputError: the input cannot be read, changes meanwhile, or has no such text column.
        ModelError: the model or the device cannot be used.
        OutOfMemoryError: one row alone is more than the device's memory holds.
        OutputError: the output could not be written.
        BusyError: another run holds the output.
    """
    known = {item.name for item in fields(ScoreOptions)}
    unknown = overrides.keys() - known
    if unknown:
        raise TypeError(f"score_file() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    chosen = options or ScoreOptions()
    if overrides:
        chosen = ScoreOptions(**{**{name: getattr(chosen, name) for name in known}, **overrides})
    path, name = os.fspath(input), os.fspath(output)
    file = InputFile(path, "stdin" if path == STDIN else Path(path).name)
    with engine_of(chosen) as engine:
        return run_job(file, name, chosen, progress or NoProgress(), engine=engine)


def run_job(
    file: InputFile,
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    accompany: Accompany | None = None,
    like_make: bool = False,
    is_last: bool = True,
) -> ScoreSummary:
    """One job; see :func:`score_file`.

    ``engine`` gives the engine, which several jobs may share. With ``like_make`` an output that was made
    from the same input in the same way is left as it is, and one made in another way is replaced. Where
    the job ``is_last``, its run is done with its output, and a signal that comes later stops nothing.
    """
    if options.engine == "ray" and STDIN in (file.path, output):
        stream = "standard input" if file.path == STDIN else "standard output"
        raise UsageError(f"--engine ray works on files, not on {stream}", hint="name a file, or drop --engine ray")
    if not output:
        raise UsageError("the output has an empty name", hint="is a variable unset?")
    if output == STDOUT:
        from scorer.streaming import stream_to_stdout

        return stream_to_stdout(file, options, progress)
    if is_url(output):
        from scorer.streaming import score_to_url

        return score_to_url(file, output, options, progress, engine=engine, like_make=like_make)
    return score_to_disk(
        file, output, options, progress, engine=engine, accompany=accompany, like_make=like_make, is_last=is_last
    )


def score_to_disk(
    file: InputFile,
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    accompany: Accompany | None = None,
    like_make: bool = False,
    is_last: bool = True,
) -> ScoreSummary:
    """One job into a file of this machine, under the lock of that file; arguments are those of :func:`run_job`.

    Raises:
        ScorerError: as :func:`scorer.jobs.score_file` says.
    """
    destination = destination_of(output, options)
    inputs = [] if is_url(file.path) else [file.path]
    standing = check_destination(destination, inputs, options, like_make=like_make)
    with locked(destination.path):
        from scorer.resumable_job import ResumableJob

        # Another run may have published while this one came for the lock.
        standing = check_destination(destination, inputs, options, like_make=like_make) or standing
        job = ResumableJob(file, destination, options, progress, engine(), accompany, is_last=is_last)
        return job.run(standing=standing, like_make=like_make)


def destination_of(output: str, options: ScoreOptions) -> Destination:
    """The output and its format.

    Raises:
        UsageError: the name and the options name no format.
    """
    return Destination(Path(output), OutputFormat.of(output, options.output_format, csv_safe=options.csv_safe))


def check_destination(
    destination: Destination, inputs: list[str], options: ScoreOptions, *, like_make: bool
) -> ScorerError | None:
    """Raise what is wrong with a destination; return the error of an output that stands there for a good reason.

    Such an output was published by a run that was killed right after, or, ``like_make``, by an
    earlier run: more has to be known before it is an error.
    """
    try:
        destination.check(inputs, overwrite=options.overwrite)
    except OutputExistsError as error:
        if like_make or is_folder(destination.partial):
            return error
        raise
    return None
