"""Outputs that cannot be renamed into place: standard output, and files in a store that fsspec reaches."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from scorer.bad_rows import check_bad_rows
from scorer.chunk_work import ChunkWork
from scorer.destinations import Destination, OutputFormat, identity_of
from scorer.durable import write_errors
from scorer.engines import Engine, Missing
from scorer.errors import InputError, OutputError, OutputExistsError, ScorerError, UsageError, in_utf8
from scorer.fingerprints import InputState
from scorer.jobs import JobCounts, ScoreSummary, score_to_disk
from scorer.local import LocalEngine
from scorer.locations import FORMATS, PROVENANCE_SUFFIX, REJECTS_SUFFIX, STDIN, InputFile, is_url, without_secrets
from scorer.options import ScoreOptions
from scorer.progress import Progress
from scorer.provenance import in_footer, parsed
from scorer.reading import open_source
from scorer.resumable_job import describe
from scorer.scoring import STATUSES
from scorer.writing import open_writer

log = logging.getLogger(__name__)


def stream_to_stdout(file: InputFile, options: ScoreOptions, progress: Progress) -> ScoreSummary:
    """Score one input to standard output, row by row as it comes: nothing is kept, resumed or sealed.

    Bad rows that are set aside are counted and, for there is no place beside, dropped.

    Raises:
        ScorerError: as :func:`scorer.jobs.score_file` says; what was written before stays written.
        BrokenPipeError: the reader has gone.
    """
    begun = time.monotonic()
    shown = Path("stdout")
    if sys.stdout is None:
        raise OutputError("is closed", path=shown, hint="name a file, or leave stdout open")
    into = identity_of(sys.stdout.fileno())
    if into is not None and into == identity_of(0 if file.path == STDIN else file.path):
        raise UsageError("is the input itself", path=shown, hint="redirect to another file")
    format = OutputFormat.of("stdout", options.output_format or _format_of_input(file), csv_safe=options.csv_safe)
    state = InputState.of(file)
    engine = LocalEngine(options)
    work = ChunkWork.plan(open_source(file.path, options.reading()), options, engine.model)
    counts = JobCounts(by_status=dict.fromkeys(STATUSES, 0))
    # A copy, so that closing the writer does not close what the process still writes to.
    with (
        write_errors(shown),
        cast("BinaryIO", os.fdopen(os.dup(sys.stdout.fileno()), "wb")) as out,
        progress,
        open_writer(out, format, work.schema, long_texts=work.columns.text) as writer,
        engine.results(work, Missing(options.chunk_rows, 0, frozenset())) as results,
    ):
        progress.start(work.source.n_rows)
        for result in results:
            writer.write(result.table)
            counts.add(result)
            path = work.source.path
            check_bad_rows(options.limit(), bad=counts.rejected, rows=counts.rows_in, path=path, finished=False)
            progress.advance(result.n_input_rows, result.tokens)
        state.check()
        check_bad_rows(options.limit(), bad=counts.rejected, rows=counts.rows_in, path=work.source.path, finished=True)
        writer.finish()
    model = work.model
    seconds = time.monotonic() - begun
    return ScoreSummary(
        "stdout", counts, seconds, model.device, model.precision, model.provider, input=work.source.path
    )


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
    :func:`scorer.jobs.run_job`.

    Raises:
        ScorerError: as :func:`scorer.jobs.score_file` says.
    """
    from scorer.remote import file_system, place_of

    shown = without_secrets(url)
    name = shown.rstrip("/").rpartition("/")[2]
    format = OutputFormat.of(name, options.output_format, csv_safe=options.csv_safe)
    files, target = file_system(url)
    if is_url(file.path) and place_of(file.path) == place_of(url):
        raise UsageError("is the input itself", path=shown, hint="write to another file")
    if not options.overwrite:
        with _store_errors(shown):
            stands = files.exists(target)
            stated = _stated(files, target, format) if stands and like_make else None
        if stands and (stated is None or [one.get("name") for one in stated.get("inputs", [])] != [in_utf8(file.name)]):
            raise OutputExistsError("stands already", path=shown, hint="pass --overwrite to replace it")
        if stated is not None:
            skipped = _summary_if_up_to_date(stated, file, Destination(Path(name), format), options, engine())
            if skipped is not None:
                return replace(skipped, output=shown)
    with tempfile.TemporaryDirectory(prefix="score-") as folder:
        output = Path(folder) / name
        summary = score_to_disk(file, str(output), replace(options, resume=False), progress, engine=engine, is_last=False)
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


def _stated(files: Any, target: str, format: OutputFormat) -> dict[str, Any] | None:
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


def _format_of_input(file: InputFile) -> str:
    suffixes = [suffix.lower() for suffix in Path(file.name).suffixes]
    for suffix in reversed(suffixes):
        if suffix in FORMATS and FORMATS[suffix] != "parquet":
            return FORMATS[suffix]
    raise UsageError("-o - needs to know the format", hint="pass --output-format csv, tsv, jsonl or parquet")
