"""Scoring one chunk: the same function for every engine, on whatever machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from scorer.columns import named_column, text_column
from scorer.encoding import Encoded
from scorer.errors import UsageError
from scorer.options import ScoreOptions
from scorer.parts import ChunkResult
from scorer.provenance import KEY
from scorer.reading import Source, text_values
from scorer.scoring import ScoreCounts, Scorer
from scorer.sources import Chunk


@dataclass(frozen=True)
class ChunkWork:
    """How chunks of one source become rows of its output.

    Attributes:
        source: where the chunks come from.
        column: with the text.
        carried: schema of the input columns that are carried through.
        schema: of the output.
        scorer: the model, ready.
    """

    source: Source
    column: str
    carried: pa.Schema
    schema: pa.Schema
    scorer: Scorer

    @classmethod
    def plan(cls, source: Source, options: ScoreOptions, load_scorer: Callable[[], Scorer]) -> ChunkWork:
        """The work that ``options`` ask for; a source that does not fit is known before the model is loaded.

        Raises:
            InputError: the source has no such column, or it holds no text.
            UsageError: an added column's name stands among the carried ones already.
            ModelError: the model cannot be loaded.
        """
        column = text_column(source.schema.names, options.text_column, source.path)
        source = source.with_text(column)
        # The provenance of the input is that of another run.
        metadata = {key: value for key, value in (source.schema.metadata or {}).items() if key != KEY} or None
        names = source.schema.names
        if options.columns is None:
            fields = list(source.schema)
        else:
            fields = [source.schema.field(named_column(names, name, source.path)) for name in options.columns]
        carried = pa.schema(fields, metadata=metadata)
        scorer = load_scorer()
        added = scorer.added_schema
        for name in added.names:
            if name in carried.names:
                raise UsageError(
                    f"a column {name!r} stands in the input already", path=source.path, hint="choose another --prefix"
                )
        return cls(source, column, carried, pa.schema([*carried, *added], metadata=metadata), scorer)

    def chunks(self, chunk_rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """The chunks of the source from number ``start`` on, with the columns that are needed.

        Raises:
            InputError: the source is damaged, or a row is bad and that is to stop the run.
        """
        names = self.carried.names
        if names == self.source.schema.names:
            return self.source.chunks(chunk_rows, start=start)
        needed = [*names, *([] if self.column in names else [self.column])]
        return self.source.chunks(chunk_rows, needed, start=start)

    def encode(self, chunk: Chunk) -> Encoded:
        """Token ids of a chunk's texts: the half of the work that can be done ahead of the model."""
        texts = text_values(chunk.rows.column(self.column), name=self.column, path=self.source.path)
        return self.scorer.encode(texts)

    def score(self, chunk: Chunk, encoded: Encoded) -> ChunkResult:
        """The output's rows of a chunk; they depend on the chunk, the bundle, the options and the device alone."""
        scored = self.scorer.score_chunk(encoded)
        counts = ScoreCounts()
        counts.add(scored, self.scorer.prefix)
        width = len(self.carried)
        columns = chunk.rows.columns[:width]
        table = pa.Table.from_arrays([*columns, *scored.predictions.columns], schema=self.schema)
        return ChunkResult(chunk.number, chunk.n_input_rows, table, chunk.rejects, counts.tokens, counts.by_status)
