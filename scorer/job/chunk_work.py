"""Scoring one chunk: the same functions for every engine, on whatever machine."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnxruntime
import pyarrow as pa

from scorer.errors import UsageError
from scorer.files.columns import named_column, text_column
from scorer.files.source import Chunk, Source, text_values
from scorer.job.options import ScoreOptions
from scorer.job.parts import ChunkResult
from scorer.job.provenance import KEY
from scorer.model.encoding import Encoded
from scorer.model.scoring import Scorer
from scorer.version import package_version

_COUNTED_PACKAGES = ("tokenizers", "pyarrow", "numpy")


def _versions() -> dict[str, str]:
    return {
        "review-scorer": package_version(),
        "onnxruntime": onnxruntime.__version__,
        **{name: importlib.metadata.version(name) for name in _COUNTED_PACKAGES},
    }


@dataclass(frozen=True)
class ModelIdentity:
    """What an output depends on of the model that scores it, wherever it runs.

    Two of them that are equal give a chunk the same rows.

    Attributes:
        bundle: its fingerprint, labels, precision, preprocessing and threshold.
        added: names and types of the added columns.
        device, provider: what really runs.
        batching: ``alone`` or ``tokens``.
        versions: of the packages that a score depends on, by name.
        lineage: the commands that made the bundle, where it says so; no row depends on them.
    """

    bundle: Mapping[str, Any]
    added: pa.Schema
    device: str
    provider: str
    batching: str
    versions: Mapping[str, str] = field(default_factory=_versions)
    lineage: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, scorer: Scorer) -> ModelIdentity:
        """What is known of ``scorer``."""
        session, bundle = scorer.session, scorer.bundle
        about = {
            "fingerprint": bundle.fingerprint(session.precision),
            "labels": list(bundle.labels),
            "precision": session.precision,
            "preprocessing": bundle.preprocessing.to_json(),
            "threshold": bundle.threshold,
        }
        stated = bundle.description.get("lineage")
        lineage = tuple(stated) if isinstance(stated, list) else ()
        return cls(about, scorer.added_schema, session.device, session.provider, session.batching, lineage=lineage)

    @property
    def precision(self) -> str:
        """Of the model's file."""
        return str(self.bundle["precision"])


@dataclass(frozen=True)
class ChunkColumns:
    """How the columns of a chunk become those of the output; small, and the same on every machine.

    Attributes:
        path: the source's name as messages give it.
        text: name of the column with the text.
        carried: number of the chunk's first columns that are carried through.
        schema: of the output.
    """

    path: str
    text: str
    carried: int
    schema: pa.Schema

    def encode(self, scorer: Scorer, chunk: Chunk) -> Encoded:
        """Token ids of a chunk's texts: the half of the work that can be done ahead of the model."""
        return scorer.encode(text_values(chunk.rows.column(self.text), name=self.text, path=self.path))

    def score(self, scorer: Scorer, chunk: Chunk, encoded: Encoded) -> ChunkResult:
        """The output's rows of a chunk; they depend on the chunk, the bundle, the options and the device alone."""
        scored = scorer.score_chunk(encoded)
        columns = chunk.rows.columns[: self.carried]
        table = pa.Table.from_arrays([*columns, *scored.predictions.columns], schema=self.schema)
        return ChunkResult(
            chunk.number, chunk.n_input_rows, table, chunk.rejects, scored.n_tokens, scored.by_status(scorer.prefix)
        )


@dataclass(frozen=True)
class ChunkWork:
    """How chunks of one source become rows of its output.

    Attributes:
        source: where the chunks come from.
        names: the source's columns that are needed, those that are carried through first.
        columns: how these become the columns of the output.
        model: that scores.
    """

    source: Source
    names: tuple[str, ...]
    columns: ChunkColumns
    model: ModelIdentity

    @classmethod
    def plan(cls, source: Source, options: ScoreOptions, load_model: Callable[[], ModelIdentity]) -> ChunkWork:
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
            carried = list(source.schema)
        else:
            carried = [source.schema.field(named_column(names, name, source.path)) for name in options.columns]
        carried_names = tuple(item.name for item in carried)
        model = load_model()
        for name in model.added.names:
            if name in carried_names:
                raise UsageError(
                    f"a column {name!r} stands in the input already", path=source.path, hint="choose another --prefix"
                )
        schema = pa.schema([*carried, *model.added], metadata=metadata)
        needed = carried_names if column in carried_names else (*carried_names, column)
        return cls(source, needed, ChunkColumns(source.path, column, len(carried), schema), model)

    @property
    def schema(self) -> pa.Schema:
        """Of the output."""
        return self.columns.schema

    def chunks(self, chunk_rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """The chunks of the source from number ``start`` on, with the columns that are needed.

        Raises:
            InputError: the source is damaged, or a row is bad and that is to stop the run.
        """
        if list(self.names) == self.source.schema.names:
            return self.source.chunks(chunk_rows, start=start)
        return self.source.chunks(chunk_rows, self.names, start=start)
