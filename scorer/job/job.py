"""One job: to a file of this machine, to standard output, or to a store."""

from __future__ import annotations

from collections.abc import Callable

from scorer.disk.paths import STDOUT
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions
from scorer.job.summary import Reports, ScoreSummary
from scorer.job.to_disk import score_to_disk
from scorer.progress import Progress


def run_job(
    file: InputFile,
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    earlier: EarlierOutputs | None = None,
    reports: Reports | None = None,
    like_make: bool = False,
    is_last: bool = True,
) -> ScoreSummary:
    """Score ``file`` into ``output``; see :func:`scorer.run.score_file.score_file`.

    ``engine`` gives the engine, and ``earlier`` the outputs of ``--reuse``; several jobs may share both. With
    ``like_make``, an output that is up to date is left as it is, and one that was made from the same input in another
    way is replaced. If the job ``is_last``, a signal that comes once the output is published is ignored.
    """
    if earlier is None:
        earlier = EarlierOutputs(options)
        earlier.check()
    if output == STDOUT:
        from scorer.job.to_stdout import score_to_stdout

        return score_to_stdout(file, options, progress, earlier)
    if is_url(output):
        from scorer.job.to_store import score_to_store

        return score_to_store(file, output, options, progress, engine=engine, earlier=earlier, like_make=like_make)
    return score_to_disk(
        file,
        output,
        options,
        progress,
        engine=engine,
        earlier=earlier,
        reports=reports,
        like_make=like_make,
        is_last=is_last,
    )
