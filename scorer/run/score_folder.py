"""Many files into a folder, one after another, as ``make`` would do it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scorer import interrupts
from scorer.disk.durable import write_errors
from scorer.disk.locking import locked
from scorer.errors import ModelError, ScorerError, chain_of, explained
from scorer.files.formats import OutputFormat
from scorer.files.inputs import InputFile
from scorer.files.remote import check_writable
from scorer.files.urls import is_url, without_secrets
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.engine import Engine
from scorer.job.job import run_job
from scorer.job.options import ScoreOptions
from scorer.job.stored_outputs import StoredOutputs
from scorer.job.summary import JobCounts, ScoreSummary
from scorer.progress import Progress
from scorer.run.dead_stores import DeadStores
from scorer.run.deaths import Deaths
from scorer.run.engines import engine_of
from scorer.run.foreseen import LOCK
from scorer.run.leftovers import Leftovers
from scorer.run.outcome import Outcome
from scorer.run.output_folder import OutputFolder, output_folder
from scorer.run.rescoring import announce, outputs_on_disk
from scorer.run.seen_files import SeenFiles
from scorer.run.targets import make_folder

if TYPE_CHECKING:
    from scorer.job.up_to_date import ExistingOutput

log = logging.getLogger(__name__)


def score_all(
    targets: Mapping[str, InputFile],
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions,
    progress: Progress,
    outcome: Outcome,
    everything: Mapping[str, InputFile],
) -> None:
    """Score the file of each target into ``output``, one after another; ``outcome`` takes the results.

    ``everything`` has the targets of all inputs, those that are older than ``--since`` included.

    Raises:
        ScorerError: the worst that stopped a file, once all are through; or one that stops them all.
    """
    remote = is_url(output)
    if remote:
        check_writable(output)
    else:
        make_folder(Path(output), inputs)
    lock = nullcontext() if remote else locked(Path(output), lock=Path(output) / LOCK)
    earlier = EarlierOutputs(options)
    earlier.check()
    with lock, engine_of(options) as engine:
        outcome.started()
        outputs = output_folder(output)
        trusted = not (options.overwrite or outcome.run.checksum)
        seen = SeenFiles.open(outputs, options, is_trusted=trusted)
        of_one = partial(run_job, options=options, progress=progress, earlier=earlier, like_make=True, is_last=False)
        stores = DeadStores()

        def run(file: InputFile, target: str, *, engine: Callable[[], Engine]) -> ScoreSummary:
            with stores.watched(file.path, target):
                return of_one(file, target, engine=engine)

        with Deaths(outputs) as deaths:
            try:
                outcome.summaries |= _found(targets, outputs, options, engine, seen, deaths)
                left = {target: file for target, file in targets.items() if target not in outcome.summaries}
                for target, file in deaths.in_order(left).items():
                    summary = _score(target, file, run, engine, deaths, outcome, seen)
                    if summary is not None:
                        outcome.summaries[target] = summary
            finally:
                seen.save()
            if not remote:
                _tidy(Path(output), everything, outcome, deaths)
    outcome.raise_worst()


def _found(
    targets: Mapping[str, InputFile],
    outputs: OutputFolder,
    options: ScoreOptions,
    engine: Callable[[], Engine],
    seen: SeenFiles,
    deaths: Deaths,
) -> dict[str, ScoreSummary]:
    """Summaries of the outputs that are up to date, as far as that is known before their jobs.

    A job finds out by itself. In a store all are looked at here, side by side, and on the disk those that are passed
    over: somebody may have scored them alone.
    """
    found = {target: summary for target, file in targets.items() if (summary := seen.up_to_date(target, file))}
    left = {target: file for target, file in targets.items() if target not in found}
    there, looked_at = {}, left
    if not isinstance(outputs, StoredOutputs):
        there = outputs_on_disk(left, options)
        looked_at = {target: file for target, file in left.items() if deaths.are_too_many(file)}
    elif not options.overwrite:
        there = _outputs_in_store(left, outputs)
    found |= _up_to_date(looked_at, there, options, engine, seen)
    announce({one: output for one, output in there.items() if one not in found}, options, engine, seen.rate)
    for target in found:
        deaths.survived(targets[target])
    return found


def _score(
    target: str,
    file: InputFile,
    run: Callable[..., ScoreSummary],
    engine: Callable[[], Engine],
    deaths: Deaths,
    outcome: Outcome,
    seen: SeenFiles,
) -> ScoreSummary | None:
    """Run the job of one file; ``None`` if it fails, which ``outcome`` then knows."""
    try:
        deaths.check(file)
        deaths.begin(file)
        if not is_url(target):
            with write_errors(Path(target)):
                Path(target).parent.mkdir(parents=True, exist_ok=True)
        state = seen.state(file)
        summary = run(file, target, engine=engine)
        deaths.survived(file)
    except BaseException as caught:
        error = _of_one_file(caught, file)
        if error is None:
            raise
        if outcome.skips(error):
            outcome.left_out(error)
        else:
            outcome.failed(error, without_secrets(file.path))
        for one in chain_of(caught):
            traceback.clear_frames(one.__traceback__)  # they may hold the memory that the next file needs
        return None
    seen.note(target, file, state, summary)
    if not summary.skipped:
        log.info("%s", summary.line(), extra={"event": "file_scored", "fields": summary.log_fields()})
    return summary


def _tidy(folder: Path, everything: Mapping[str, InputFile], outcome: Outcome, deaths: Deaths) -> None:
    """Say what is left in a folder of outputs that no input accounts for, and remove it if that is asked for."""
    prune = outcome.run.prune
    if prune is None and not log.isEnabledFor(logging.DEBUG):
        return
    left = Leftovers.of(folder, everything)
    left.say()
    accounts_for_all = everything and not (outcome.errors or outcome.has_left_out)
    if prune is not None and accounts_for_all:
        deaths.keep(everything.values())
    if prune is None or not left.counted():
        return
    if not accounts_for_all:
        log.warning("%s: nothing is pruned, because not every input could be listed and scored", folder)
    elif prune(f"{folder}: remove {left.counted()}?"):
        left.remove()
        log.info("%s: removed %s", folder, left.counted())


def _outputs_in_store(targets: Iterable[str], outputs: StoredOutputs) -> dict[str, ExistingOutput]:
    """Those of ``targets`` in a store that are there, their provenances read side by side."""
    there = outputs.provenances(list(targets))
    if not there:
        return {}
    from scorer.job.up_to_date import ExistingOutput

    return {target: ExistingOutput(*about) for target, about in there.items()}


def _up_to_date(
    targets: Mapping[str, InputFile],
    there: Mapping[str, ExistingOutput],
    options: ScoreOptions,
    engine: Callable[[], Engine],
    seen: SeenFiles,
) -> dict[str, ScoreSummary]:
    """Summaries of those of ``targets`` that are up to date; ``there`` has the outputs that exist."""
    targets = {target: file for target, file in targets.items() if target in there}
    if not targets or options.overwrite:
        return {}
    from scorer.files.input_state import InputState, description_in_store
    from scorer.job.up_to_date import Making

    model, found = engine().model(), {}
    for target, file in targets.items():
        begun, state = time.monotonic(), seen.state(file)
        format = OutputFormat.of(without_secrets(target), options.output_format, csv_safe=options.csv_safe)
        try:
            known = description_in_store(file.name, file.mark) if file.mark else InputState.of(file).description()
        except ScorerError:
            continue  # as its job will say
        if there[target].difference(Making(known, model, format, options)) is None:
            shown = without_secrets(file.path)
            found[target] = model.summary(shown, without_secrets(target), JobCounts(), begun=begun, skipped=True)
            seen.note(target, file, state, found[target])
    return found


def _of_one_file(caught: BaseException, file: InputFile) -> ScorerError | None:
    """The error that stops ``file`` and no other; ``None`` for one that stops the run: a model, or a signal."""
    is_panic = type(caught).__name__ == "PanicException"  # of a library in Rust, and no Exception
    is_of_the_run = isinstance(caught, BrokenPipeError) or interrupts.arrived() is not None
    if is_of_the_run or not (is_panic or isinstance(caught, Exception)):
        return None
    error = explained(caught, path=without_secrets(file.path))
    return None if isinstance(error, ModelError) else error
