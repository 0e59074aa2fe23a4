"""One scoring job: a file of reviews in, the same rows with more columns out."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.columns import named_column, text_column
from scorer.encoding import Encoded
from scorer.errors import UsageError
from scorer.prefetch import one_ahead
from scorer.preprocessing import LongText
from scorer.progress import NoProgress, Progress
from scorer.reading import Source, check_text_type, open_source, text_values
from scorer.scoring import DEFAULT_PREFIX, ScoreCounts, Scorer
from scorer.session import Batching
from scorer.writing import check_destination, published

log = logging.getLogger(__name__)

DEFAULT_CHUNK_ROWS = 2048


@dataclass(frozen=True)
class ScoreOptions:
    """Options of :func:`score_file`; ``None`` leaves a choice to the file, the bundle or the machine.

    Attributes:
        columns: input columns to carry through, in this order; ``None`` for all.
        prefix: prefix of the added columns.
        threads: reviews that run side by side on the CPU.
        batch_tokens: tokens per padded batch, where batches are padded.
        chunk_rows: rows per chunk; a chunk's result depends on nothing outside it.
        threshold: probability from which on the second of two labels is predicted.
    """

    text_column: str | None = None
    model: str | None = None
    columns: tuple[str, ...] | None = None
    prefix: str = DEFAULT_PREFIX
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    batching: Batching = "auto"
    batch_tokens: int = 16384
    chunk_rows: int = DEFAULT_CHUNK_ROWS
    max_length: int | None = None
    long_text: LongText | None = None
    stride: int | None = None
    threshold: float | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.chunk_rows < 1:
            raise UsageError(f"--chunk-rows {self.chunk_rows} must be at least 1")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise UsageError("--columns names a column twice")


@dataclass(frozen=True)
class ScoreSummary:
    """What a job did.

    Attributes:
        counts: rows in all and by status, and tokens.
        seconds: wall time, the loading of the model included.
        device, precision, provider: what really ran.
    """

    output: str
    counts: ScoreCounts
    seconds: float
    device: str
    precision: str
    provider: str

    def line(self) -> str:
        """The summary for a person."""
        rows = self.counts.rows
        others = ", ".join(
            f"{count:,} {status}" for status, count in self.counts.by_status.items() if count and status != "ok"
        )
        return (
            f"{self.output}: {rows:,} rows{f' ({others})' if others else ''} in {self.seconds:.1f} s, "
            f"{rows / max(self.seconds, 1e-9):,.0f} rows/s, {self.precision} on {self.device}"
        )


def score_file(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    options: ScoreOptions | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> ScoreSummary:
    """Score a Parquet or CSV file into another; keyword arguments are fields of :class:`ScoreOptions`.

    The output has the same rows in the same order, the input's columns untouched, and the added
    columns of :meth:`scorer.scoring.Scorer.score`. It is published whole or not at all.

    Raises:
        UsageError: options clash, or an added column's name stands in the input already.
        InputError: the input cannot be read or has no such text column.
        ModelError: the model or the device cannot be used.
        OutputError: the output could not be written.
    """
    known = {field.name for field in fields(ScoreOptions)}
    unknown = overrides.keys() - known
    if unknown:
        raise TypeError(f"score_file() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    chosen = options or ScoreOptions()
    if overrides:
        chosen = ScoreOptions(**{**{name: getattr(chosen, name) for name in known}, **overrides})
    return _run(Path(input), Path(output), chosen, progress or NoProgress())


def _run(input_path: Path, output: Path, options: ScoreOptions, progress: Progress) -> ScoreSummary:
    begun = time.monotonic()
    kind = check_destination(output, [input_path], overwrite=options.overwrite)
    source = open_source(input_path)
    column = text_column(source.schema.names, options.text_column, source.path)
    check_text_type(source.schema.field(column), source.path)
    carried = _carried(source, options)
    scorer = _load_scorer(options)
    added = scorer.added_schema
    _refuse_collisions(carried, added, source.path)
    if scorer.session.note:
        log.warning("%s", scorer.session.note)
    log.info(
        "scoring with %s on %s, %d threads", scorer.session.precision, scorer.session.device, scorer.session.threads
    )
    schema = pa.schema([*carried, *added], metadata=source.schema.metadata)
    counts = ScoreCounts()
    with progress, published(output, kind, schema) as writer:
        progress.start(source.n_rows)
        for table, encoded in one_ahead(_encoded_chunks(source, column, carried.names, scorer, options.chunk_rows)):
            scored = scorer.score_chunk(encoded)
            writer.write(pa.Table.from_arrays([*table.columns, *scored.predictions.columns], schema=schema))
            counts.add(scored, options.prefix)
            progress.advance(table.num_rows, scored.n_tokens)
    session = scorer.session
    return ScoreSummary(
        str(output), counts, time.monotonic() - begun, session.device, session.precision, session.provider
    )


def _carried(source: Source, options: ScoreOptions) -> pa.Schema:
    if options.columns is None:
        return source.schema
    names = [named_column(source.schema.names, name, source.path) for name in options.columns]
    return pa.schema([source.schema.field(name) for name in names], metadata=source.schema.metadata)


def _refuse_collisions(carried: pa.Schema, added: pa.Schema, path: str) -> None:
    for name in added.names:
        if name in carried.names:
            raise UsageError(
                f"a column {name!r} stands in the input already", path=path, hint="choose another --prefix"
            )


def _load_scorer(options: ScoreOptions) -> Scorer:
    return Scorer.load(
        options.model,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        batching=options.batching,
        batch_tokens=options.batch_tokens,
        max_length=options.max_length,
        long_text=options.long_text,
        stride=options.stride,
        threshold=options.threshold,
        prefix=options.prefix,
    )


def _encoded_chunks(
    source: Source, column: str, carried: list[str], scorer: Scorer, chunk_rows: int
) -> Iterator[tuple[pa.Table, Encoded]]:
    """Chunks of the carried columns, with the token ids of the text column."""
    everything = carried == source.schema.names
    needed = None if everything else [*carried, *([] if column in carried else [column])]
    for table in source.tables(chunk_rows, needed):
        texts = text_values(table.column(column), name=column, path=source.path)
        yield (table if everything else table.select(carried)), scorer.encode(texts)
