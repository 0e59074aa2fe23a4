"""One job: to a file of this machine, to standard output, or to a store."""

from __future__ import annotations

from collections.abc import Callable

from scorer.disk.paths import STDIN, STDOUT
from scorer.errors import UsageError
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions
from scorer.job.summary import FilesBeside, ScoreSummary
from scorer.job.to_disk import score_to_disk
from scorer.progress import Progress


def run_job(
    file: InputFile,
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    accompany: FilesBeside | None = None,
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
        from scorer.job.to_stdout import stream_to_stdout

        return stream_to_stdout(file, options, progress)
    if is_url(output):
        from scorer.job.to_store import score_to_url

        return score_to_url(file, output, options, progress, engine=engine, like_make=like_make)
    return score_to_disk(
        file, output, options, progress, engine=engine, accompany=accompany, like_make=like_make, is_last=is_last
    )
