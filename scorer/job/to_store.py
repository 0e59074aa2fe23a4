"""One job into a file of a store that fsspec reaches."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from scorer.errors import InputError, OutputError, OutputExistsError, ScorerError, UsageError
from scorer.files.formats import OutputFormat
from scorer.files.input_state import InputState
from scorer.files.inputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX, InputFile
from scorer.files.opening import open_source
from scorer.files.urls import is_url, without_secrets
from scorer.job.chunk_work import ChunkWork
from scorer.job.destination import Destination
from scorer.job.engine import Engine
from scorer.job.made_by import describe
from scorer.job.options import ScoreOptions
from scorer.job.provenance import in_footer, parsed
from scorer.job.summary import JobCounts, ScoreSummary
from scorer.job.to_disk import score_to_disk
from scorer.progress import Progress
from scorer.safe_text import in_utf8

log = logging.getLogger(__name__)


def score_to_url(
    file: InputFile,
    url: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    like_make: bool = False,
) -> ScoreSummary:
    """Score into a file of this machine, then send it, and what belongs beside it, to a store.

    The output goes last and appears at its end, as stores do that. There is no lock and nothing to
    resume: two runs that send to one URL are for the scheduler to keep apart. ``like_make`` is that of
    :func:`scorer.job.job.run_job`.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says.
    """
    from scorer.files.remote import file_system, place_of

    shown = without_secrets(url)
    name = shown.rstrip("/").rpartition("/")[2]
    format = OutputFormat.of(name, options.output_format, csv_safe=options.csv_safe)
    files, target = file_system(url)
    if is_url(file.path) and place_of(file.path) == place_of(url):
        raise UsageError("is the input itself", path=shown, hint="write to another file")
    if not options.overwrite:
        with _store_errors(shown):
            stands = files.exists(target)
            stated = _provenance_in_store(files, target, format) if stands and like_make else None
        if stands and (stated is None or [one.get("name") for one in stated.get("inputs", [])] != [in_utf8(file.name)]):
            raise OutputExistsError("stands already", path=shown, hint="pass --overwrite to replace it")
        if stated is not None:
            skipped = _summary_if_up_to_date(stated, file, Destination(Path(name), format), options, engine())
            if skipped is not None:
                return replace(skipped, output=shown)
    with tempfile.TemporaryDirectory(prefix="score-") as folder:
        output = Path(folder) / name
        summary = score_to_disk(
            file, str(output), replace(options, resume=False), progress, engine=engine, is_last=False
        )
        beside = sorted(path for path in Path(folder).iterdir() if path != output)
        for path in [*beside, output]:
            with _store_errors(shown):
                files.put_file(str(path), target.removesuffix(name) + path.name)
        with _store_errors(shown):
            files.invalidate_cache()
            for suffix in (REJECTS_SUFFIX, PROVENANCE_SUFFIX):
                # That of a run before, whose output has been replaced.
                if not Path(f"{output}{suffix}").exists() and files.exists(target + suffix):
                    files.rm_file(target + suffix)
            size = files.info(target)["size"]
        if size != output.stat().st_size:
            raise OutputError(f"{output.stat().st_size:,} bytes were sent, {size:,} are there", path=shown)
    return replace(summary, output=shown)


def _provenance_in_store(files: Any, target: str, format: OutputFormat) -> dict[str, Any] | None:
    """The provenance of an output that stands in a store whole, as far as its size tells; ``None`` without one."""
    if format.kind == "parquet":
        with files.open(target, "rb") as opened:
            text = in_footer(opened)
    else:
        sidecar = target + PROVENANCE_SUFFIX
        text = files.cat_file(sidecar).removesuffix(b"\n") if files.exists(sidecar) else None
    with suppress(InputError):
        value = None if text is None else parsed(text, Path(target))
        if value is None or (
            format.kind != "parquet" and value.get("output", {}).get("bytes") != files.info(target)["size"]
        ):
            return None
        if value.get("rejects") is not None and not files.exists(target + REJECTS_SUFFIX):
            value["fingerprint"] = None  # to be made again
        return value
    return None


def _summary_if_up_to_date(
    stated: Mapping[str, Any], file: InputFile, destination: Destination, options: ScoreOptions, engine: Engine
) -> ScoreSummary | None:
    begun = time.monotonic()
    state = InputState.of(file)
    work = ChunkWork.plan(open_source(file.path, options.reading()), options, engine.model)
    if stated.get("fingerprint") != describe(work, state.description(), destination, options)["fingerprint"]:
        return None
    model, seconds = work.model, time.monotonic() - begun
    source = without_secrets(file.path)
    about = (model.device, model.precision, model.provider)
    return ScoreSummary(str(destination.path), JobCounts(), seconds, *about, input=source, skipped=True)


@contextmanager
def _store_errors(shown: str) -> Iterator[None]:
    """Errors of stores' own libraries, whose texts may hold signed URLs, by their kind alone."""
    try:
        yield
    except ScorerError:
        raise
    except Exception as error:
        raise OutputError(
            f"could not be written ({type(error).__name__})",
            path=shown,
            hint="check the URL, the network and the credentials",
        ) from error
