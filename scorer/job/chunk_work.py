"""Scoring one chunk: the same functions for every engine, on every machine."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError, UsageError
from scorer.files.arrow import in_one_piece
from scorer.files.bad_rows import Reject
from scorer.files.beside_outputs import PROVENANCE_KEY
from scorer.files.columns import named_column, text_column
from scorer.files.input_state import CHANGED
from scorer.files.source import Chunk, Source, text_values
from scorer.job.known_scores import KnownScores
from scorer.job.options import CPU_CHUNK_ROWS, CUDA_CHUNK_ROWS, ScoreOptions
from scorer.job.parts import ChunkResult
from scorer.job.summary import ChunkCounts, JobCounts, ScoreSummary
from scorer.model.graph import Logits
from scorer.model.known_rows import KnownRows
from scorer.model.machine import processor_class
from scorer.model.scoring import Scorer
from scorer.model.token_runs import Encoded
from scorer.progress import Total
from scorer.safe_text import quoted
from scorer.version import package_version

_COUNTED_PACKAGES = ("tokenizers", "pyarrow", "numpy")


def _versions(tokenizer: str) -> dict[str, str]:
    return {
        "review-scorer": package_version(),
        "onnxruntime": onnxruntime.__version__,
        **{name: importlib.metadata.version(name) for name in dict.fromkeys([*_COUNTED_PACKAGES, tokenizer])},
    }


@dataclass(frozen=True)
class ModelIdentity:
    """The properties of a loaded model that an output depends on; equal identities give a chunk the same rows.

    Attributes:
        bundle: fingerprint, labels, precision, preprocessing, activation and threshold of the bundle.
        added: names and types of the added columns.
        device, provider: what really runs.
        batching: ``alone`` or ``tokens``.
        tokenizer: the package that tokenizes, ``nanotoken`` or ``tokenizers``.
        versions: versions of the packages that a score depends on, by name.
        processor: class of the processor, on which the last bits of a score depend on the CPU; empty on CUDA.
        lineage: the commands that made the bundle, if it states them; no row depends on them.
    """

    bundle: Mapping[str, Any]
    added: pa.Schema
    device: str
    provider: str
    batching: str
    tokenizer: str
    versions: Mapping[str, str]
    processor: str = ""
    lineage: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, scorer: Scorer) -> ModelIdentity:
        """The identity of the model of ``scorer``."""
        session, bundle = scorer.session, scorer.bundle
        about = {
            "fingerprint": bundle.fingerprint(session.precision),
            "labels": list(bundle.labels),
            "precision": session.precision,
            "preprocessing": bundle.preprocessing.to_json(),
            "activation": bundle.activation,
            "threshold": bundle.threshold,
        }
        stated = bundle.description.get("lineage")
        lineage = tuple(stated) if isinstance(stated, list) else ()
        runs = (session.device, session.provider, session.batching, scorer.tokenizer)
        processor = processor_class() if session.device == "cpu" else ""
        return cls(about, scorer.added_schema, *runs, _versions(scorer.tokenizer), processor, lineage)

    @property
    def precision(self) -> str:
        """Precision of the model's file."""
        return str(self.bundle["precision"])

    def summary(
        self, input: str, output: str, counts: JobCounts, *, begun: float, skipped: bool = False, why: str = ""
    ) -> ScoreSummary:
        """Summary of a job with this model; arguments are those of :class:`scorer.job.summary.ScoreSummary`."""
        seconds = time.monotonic() - begun
        ran = (self.device, self.precision, self.provider)
        return ScoreSummary(output, counts, seconds, *ran, input=input, skipped=skipped, why=why)


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk that is ready for the model.

    Attributes:
        chunk: the chunk.
        tokens: token ids of its texts, without those that are known.
        known: the predictions of these; ``None`` if none was looked up.
    """

    chunk: Chunk
    tokens: Encoded
    known: KnownRows | None


@dataclass(frozen=True)
class ChunkColumns:
    """Mapping of the columns of a chunk to those of the output; small, and the same on every machine.

    Attributes:
        text: name of the column with the text.
        carried: number of columns that are carried through; they are the first ones of a chunk. Parts leave them out.
        schema: schema of the output.
    """

    text: str
    carried: int
    schema: pa.Schema

    def encode(self, scorer: Scorer, chunk: Chunk, known: KnownScores | None = None) -> EncodedChunk:
        """Tokenize the texts of a chunk that are not ``known``: the half of the work that can be done ahead."""
        texts, rows = self.unknown_texts(chunk, known)
        return EncodedChunk(chunk, scorer.encode(texts), rows)

    def unknown_texts(
        self, chunk: Chunk, known: KnownScores | None
    ) -> tuple[pa.Array | pa.ChunkedArray, KnownRows | None]:
        """The texts of a chunk, null where they need no model, and the predictions that are ``known``."""
        texts = text_values(chunk.rows.column(self.text))
        if chunk.kept:
            texts = pc.if_else(_at(chunk.kept, len(texts)), None, texts)
        rows = known.find(in_one_piece(texts)) if known is not None and len(texts) else None
        if rows is not None and len(rows.rows):
            texts = pc.if_else(_at(rows.rows, len(texts)), None, texts)
        return texts, rows

    def score(self, scorer: Scorer, encoded: EncodedChunk, logits: Logits) -> ChunkResult:
        """Score a chunk; its rows depend on the chunk, the bundle, the options and the device alone."""
        chunk, known = encoded.chunk, encoded.known
        scored = scorer.score_chunk(encoded.tokens, logits, known)
        if chunk.kept:
            scored = scored.with_errors(_at(chunk.kept, scored.predictions.num_rows))
        columns = chunk.rows.columns[: self.carried]
        table = pa.Table.from_arrays([*columns, *scored.predictions.columns], schema=self.schema)
        by_status = scored.by_status()
        reused = 0 if known is None else len(known.rows)
        counts = ChunkCounts(chunk.n_input_rows, table.num_rows, len(chunk.rejects), scored.n_tokens, by_status, reused)
        return ChunkResult(chunk.number, counts, table, chunk.rejects, self.carried)


def _at(places: Sequence[int] | npt.NDArray[np.int64], n_rows: int) -> pa.BooleanArray:
    mask = np.zeros(n_rows, dtype=np.bool_)
    mask[np.asarray(places, dtype=np.int64)] = True
    return pa.array(mask)


@dataclass(frozen=True)
class ChunkWork:
    """The work of scoring one source.

    Attributes:
        source: the input.
        names: columns to read, those that are carried through first; ``None`` for all.
        columns: mapping of these to the columns of the output.
        model: identity of the model.
        chunk_rows: input rows of a chunk.
        known: predictions by text that need no model; ``None`` if there are none.
    """

    source: Source
    names: tuple[str, ...] | None
    columns: ChunkColumns
    model: ModelIdentity
    chunk_rows: int
    known: KnownScores | None = None

    @classmethod
    def plan(cls, source: Source, options: ScoreOptions, load_model: Callable[[], ModelIdentity]) -> ChunkWork:
        """Plan the work; a source that does not fit ``options`` is refused before the model is loaded.

        Raises:
            InputError: the source has no such column, or the column holds no text.
            UsageError: a carried column has the name of an added one.
            ModelError: the model cannot be loaded.
        """
        with source.advised():
            column = text_column(source.schema.names, options.text_column, source.path)
        source = source.with_text(column)
        # The provenance in the input is that of another run.
        metadata = {
            key: value for key, value in (source.schema.metadata or {}).items() if key != PROVENANCE_KEY
        } or None
        names = source.schema.names
        if options.columns is None:
            carried = list(source.schema)
        else:
            carried = [source.schema.field(named_column(names, name, source.path)) for name in options.columns]
        needed = tuple(item.name for item in carried)
        model = load_model()
        for name in model.added.names:
            if name in needed:
                raise UsageError(
                    f"column {quoted(name)} already exists in the input",
                    path=source.path,
                    hint="choose another --prefix",
                )
        schema = pa.schema([*carried, *model.added], metadata=metadata)
        if column not in needed:
            needed = (*needed, column)
        columns = ChunkColumns(column, len(carried), schema)
        rows = options.chunk_rows or (CPU_CHUNK_ROWS if model.device == "cpu" else CUDA_CHUNK_ROWS)
        return cls(source, None if list(needed) == names else needed, columns, model, rows)

    @property
    def schema(self) -> pa.Schema:
        """Schema of the output."""
        return self.columns.schema

    def rows_left(self, done: int) -> Total:
        """Rows of the source but for those that are ``done``, or about as many, by what it has read by then."""
        source = self.source
        known = source.expected_rows if source.n_rows is None else source.n_rows
        if known is not None:
            return known - done

        def about() -> int | None:
            return None if source.expected_rows is None else max(0, source.expected_rows - done)

        return about

    def chunks(self, *, start: int = 0) -> Iterator[Chunk]:
        """Read the chunks of the source from number ``start`` on.

        Raises:
            InputError: the source is damaged, or a row is bad and bad rows stop the run.
        """
        return self.source.chunks(self.chunk_rows, self.names, start=start)

    def rows_of(
        self, parts: Iterator[tuple[pa.Table, tuple[Reject, ...]]]
    ) -> Iterator[tuple[pa.Table, tuple[Reject, ...]]]:
        """Rows of the output, and rejects, from all ``parts``: the columns that these leave out are read again.

        Raises:
            InputError: the source has changed.
        """
        columns = self.columns
        if not columns.carried:
            yield from parts
            return
        for chunk, part in zip_longest(self._carried_again(), parts):
            if chunk is None or part is None or chunk.rows.num_rows != part[0].num_rows:
                raise InputError(CHANGED, path=self.source.path, hint="run again once it is complete")
            added, rejects = part
            fields = list(columns.schema)[columns.carried :]
            arrays = [column.cast(field.type) for column, field in zip(added.columns, fields, strict=True)]
            carried = chunk.rows.columns[: columns.carried]
            yield pa.Table.from_arrays([*carried, *arrays], schema=columns.schema), rejects

    def _carried_again(self) -> Iterator[Chunk]:
        names = None if self.names is None else self.names[: self.columns.carried]
        try:
            yield from self.source.chunks(self.chunk_rows, names)
        except OSError as error:  # which is no failure to write the output
            raise InputError(f"cannot be read: {error.strerror}", path=self.source.path) from error

    def summary(self, output: str, counts: JobCounts, *, begun: float, why: str = "") -> ScoreSummary:
        """Summary of a job that began at ``begun`` of :func:`time.monotonic`."""
        return self.model.summary(self.source.path, output, counts, begun=begun, why=why)
