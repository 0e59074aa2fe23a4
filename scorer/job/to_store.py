"""One job into a file of a store that fsspec reaches."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scorer.errors import OutputError, OutputExistsError, UsageError
from scorer.files.formats import OutputFormat
from scorer.files.input_state import InputState
from scorer.files.inputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX, InputFile
from scorer.files.opening import open_source
from scorer.files.remote import file_system, is_in_store, place_of, store_errors
from scorer.files.urls import is_url, without_secrets
from scorer.job.chunk_work import ChunkWork
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions
from scorer.job.provenance import in_footer
from scorer.job.summary import JobCounts, ScoreSummary
from scorer.job.to_disk import score_to_disk
from scorer.job.up_to_date import ExistingOutput, describe
from scorer.progress import Progress
from scorer.safe_text import in_utf8


def score_to_store(
    file: InputFile,
    url: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
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
    if not options.overwrite:
        with store_errors(shown, writing=True):
            exists = is_in_store(store, target)
            existing = _existing_output(store, target, format) if exists and like_make else None
        if exists and not (existing is not None and existing.is_made_from(in_utf8(file.name))):
            raise OutputExistsError("already exists", path=shown, hint="pass --overwrite to replace it")
        if existing is not None:
            state = InputState.of(file)
            work = ChunkWork.plan(open_source(file.path, options.reading()), options, engine().model)
            if existing.is_up_to_date(describe(work, state.description(), format, options)):
                return work.summary(shown, JobCounts(), begun=begun, skipped=True)
    with tempfile.TemporaryDirectory(prefix="score-") as folder:
        output = Path(folder) / name
        summary = score_to_disk(
            file, str(output), replace(options, resume=False), progress, engine=engine, is_last=False
        )
        beside = sorted(path for path in Path(folder).iterdir() if path != output)
        for path in [*beside, output]:
            with store_errors(shown, writing=True):
                store.put_file(str(path), target.removesuffix(name) + path.name)
        with store_errors(shown, writing=True):
            store.invalidate_cache()
            for suffix in (REJECTS_SUFFIX, PROVENANCE_SUFFIX):
                # Those of an earlier run, whose output has been replaced.
                if not Path(f"{output}{suffix}").exists() and is_in_store(store, target + suffix):
                    store.rm_file(target + suffix)
            size = store.info(target)["size"]
        if size != output.stat().st_size:
            raise OutputError(f"{output.stat().st_size:,} bytes were sent, but {size:,} arrived", path=shown)
    return replace(summary, output=shown)


def _existing_output(store: Any, target: str, format: OutputFormat) -> ExistingOutput:
    sidecar = target + PROVENANCE_SUFFIX
    if format.kind == "parquet":
        with store.open(target, "rb") as file:
            text = in_footer(file)
    else:
        text = store.cat_file(sidecar).removesuffix(b"\n") if is_in_store(store, sidecar) else None
    return ExistingOutput(text, store.info(target)["size"], is_in_store(store, target + REJECTS_SUFFIX))
