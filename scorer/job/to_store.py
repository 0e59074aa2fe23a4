"""One job into a file of a store that fsspec reaches."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scorer.disk.temporary import temporary_folder
from scorer.errors import OutputError, OutputExistsError, ScorerError, UsageError
from scorer.files.beside_outputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.formats import OutputFormat
from scorer.files.input_state import InputState
from scorer.files.inputs import InputFile
from scorer.files.remote import file_system, is_in_store, place_of
from scorer.files.store_errors import asked, store_errors
from scorer.files.urls import is_url, without_secrets
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions
from scorer.job.provenance import in_footer
from scorer.job.summary import JobCounts, ScoreSummary
from scorer.job.to_disk import score_to_disk
from scorer.job.up_to_date import ExistingOutput, Making, Reason, differing_part
from scorer.progress import Progress
from scorer.safe_text import counted, in_utf8

log = logging.getLogger(__name__)


def score_to_store(
    file: InputFile,
    url: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    earlier: EarlierOutputs,
    like_make: bool = False,
) -> ScoreSummary:
    """Score into a temporary file, then send it, and the files beside it, to a store.

    The output goes last and appears once it is complete, as stores do that. There is no lock and nothing
    to resume: the scheduler must not start two runs that send to one URL. Arguments are those of
    :func:`scorer.job.job.run_job`.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says.
    """
    begun = time.monotonic()
    shown = without_secrets(url)
    name = shown.rstrip("/").rpartition("/")[2]
    format = OutputFormat.of(name, options.output_format, csv_safe=options.csv_safe)
    with store_errors(shown, writing=True):
        store, target = file_system(url)
    if is_url(file.path) and place_of(file.path) == place_of(url):
        raise UsageError("is the input itself", path=shown, hint="write to another file")
    why: Reason = "new"

    def look() -> tuple[bool, ExistingOutput | None]:
        exists = is_in_store(store, target)
        return exists, existing_output(store, target, format) if exists and like_make else None

    exists, existing = asked(shown, look, writing=True)
    if (
        exists
        and not options.overwrite
        and not (existing and (existing.size == 0 or existing.is_made_from(in_utf8(file.name))))
    ):
        raise OutputExistsError("already exists", path=shown, hint="pass --overwrite to replace it")
    has_known_scores = False
    if existing is not None:
        making = Making(InputState.of(file).description(), engine().model(), format, options)
        found = existing.difference(making)
        if found is None and not options.overwrite:
            shown_input = without_secrets(file.path)
            return making.model.summary(shown_input, shown, JobCounts(), begun=begun, skipped=True)
        why = found or "overwrite"
        is_of_model = differing_part(existing.provenance, making.model, options.versions) is None
        has_known_scores = options.reuse_replaced and is_of_model and why != "damaged"
    with temporary_folder() as folder:
        output = folder / "new" / name
        output.parent.mkdir()
        before = None
        if has_known_scores:
            before = _fetched(store, target, folder / "before", shown)
        summary = score_to_disk(
            file,
            str(output),
            replace(options, resume=False),
            progress,
            engine=engine,
            earlier=earlier,
            is_last=False,
            replaced=before,
        )
        _send(output, store, target, shown)
    return replace(summary, output=shown, why=why)


def _send(output: Path, store: Any, target: str, shown: str) -> None:
    """Send an output to ``target``, after the files beside it; remove those of an earlier run that it has none of."""
    beside = sorted(path for path in output.parent.iterdir() if path != output)
    for path in [*beside, output]:
        asked(shown, partial(store.put_file, str(path), target.removesuffix(output.name) + path.name), writing=True)
    with store_errors(shown, writing=True):
        store.invalidate_cache()
        for suffix in (REJECTS_SUFFIX, PROVENANCE_SUFFIX):
            if not Path(f"{output}{suffix}").exists() and is_in_store(store, target + suffix):
                store.rm_file(target + suffix)
        size = store.info(target)["size"]
    if size != output.stat().st_size:
        raise OutputError(f"sent {counted(output.stat().st_size, 'byte')}, but {size:,} arrived", path=shown)


def _fetched(store: Any, target: str, folder: Path, shown: str) -> Path | None:
    """A copy of the output in the store and of its provenance, in ``folder``; ``None`` if it cannot be read."""
    folder.mkdir()
    copy = folder / target.rpartition("/")[2]
    try:
        with store_errors(shown):
            store.get_file(target, str(copy))
            if is_in_store(store, target + PROVENANCE_SUFFIX):
                store.get_file(target + PROVENANCE_SUFFIX, f"{copy}{PROVENANCE_SUFFIX}")
    except ScorerError as error:
        log.warning("%s: nothing is reused from it: %s", shown, error.message)
        return None
    return copy


def existing_output(store: Any, target: str, format: OutputFormat) -> ExistingOutput:
    """The output at the path ``target`` in a store, as its provenance describes it."""
    sidecar = target + PROVENANCE_SUFFIX
    if format.kind == "parquet":
        with store.open(target, "rb") as file:
            text = in_footer(file)
    else:
        text = store.cat_file(sidecar).removesuffix(b"\n") if is_in_store(store, sidecar) else None
    return ExistingOutput(text, store.info(target)["size"], is_in_store(store, target + REJECTS_SUFFIX))
