"""The pipeline: reviews to the columns that scoring adds, stacked once, here."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from scorer.disk.paths import path_text
from scorer.errors import ModelError
from scorer.files.columns import PREFIX
from scorer.model import dataframes
from scorer.model.bundle import ModelBundle
from scorer.model.graph import Logits
from scorer.model.known_rows import KnownRows
from scorer.model.model_folder import BUILT_IN_MODEL, is_built_in
from scorer.model.options import ModelArguments, ModelOptions
from scorer.model.probabilities import gives_probabilities, probabilities_of
from scorer.model.session import ModelSession, OnShare
from scorer.model.token_runs import Encoded, TextEncoder
from scorer.notebook import progress_of_call
from scorer.overlap import one_ahead
from scorer.progress import Progress, ticking

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    Texts: TypeAlias = Sequence[str | None] | pa.Array | pa.ChunkedArray | pl.Series | pd.Series

Table = TypeVar("Table", bound="pa.Table | pa.RecordBatch | pl.DataFrame | pd.DataFrame")

STATUSES = ("ok", "truncated", "windowed", "empty", "error")
"""Values of ``pred_status``; ``error`` is a bad row that a job keeps in its output."""

_TEXTS_AT_A_TIME = 2048

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredChunk:
    """Predictions of one chunk.

    Attributes:
        predictions: the added columns, one row per row of the chunk.
        n_tokens: tokens that the model read.
    """

    predictions: pa.Table
    n_tokens: int

    def with_errors(self, bad: pa.BooleanArray) -> ScoredChunk:
        """The same with the status ``error`` in the rows where ``bad`` is true; these have no text."""
        *columns, status = self.predictions.columns
        marked = pc.if_else(bad, "error", status.combine_chunks())
        return ScoredChunk(pa.table([*columns, marked], schema=self.predictions.schema), self.n_tokens)

    def by_status(self) -> dict[str, int]:
        """Rows of each status."""
        counted = self.predictions.columns[-1].value_counts().to_pylist()
        return {**dict.fromkeys(STATUSES, 0), **{item["values"]: item["counts"] for item in counted}}


class Scorer:
    """A model, ready to score texts.

    >>> scorer = Scorer.load()
    >>> scorer.score(["A quiet, tender film.", "Two hours that I want back."]).column("pred_label").to_pylist()
    ['positive', 'negative']
    """

    def __init__(
        self, bundle: ModelBundle, session: ModelSession, encoder: TextEncoder, *, prefix: str = PREFIX
    ) -> None:
        self.bundle = bundle
        self.session = session
        self.prefix = prefix
        self._encoder = encoder

    def __repr__(self) -> str:
        name = BUILT_IN_MODEL if is_built_in(self.bundle.folder) else self.bundle.folder.name
        ran = f"device={self.session.device!r}, precision={self.session.precision!r}"
        return f"Scorer({name!r}, labels={self.bundle.labels!r}, {ran})"

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        options: ModelOptions | None = None,
        **overrides: Unpack[ModelArguments],
    ) -> Scorer:
        """Open a bundle folder, a Hub id or (``None``) the built-in model.

        Keyword arguments are fields of :class:`~scorer.model.options.ModelOptions`: ``device``, ``precision``,
        ``threads``, ``batching``, ``batch_tokens``, ``max_length``, ``long_text``, ``stride``, ``threshold``,
        ``prefix`` and ``tokenizer``.

        Raises:
            ModelError: the bundle cannot be used.
            DeviceError: the device or the precision is not available.
            UsageError: an option is out of range.
        """
        chosen = ModelOptions.of_call(options, overrides, function="Scorer.load")
        bundle = ModelBundle.load(None if model is None else path_text(model)).with_options(
            max_length=chosen.max_length,
            long_text=chosen.long_text,
            stride=chosen.stride,
            threshold=chosen.threshold,
        )
        session = ModelSession(bundle, chosen)
        try:
            tokenizer = Tokenizer.from_file(str(bundle.tokenizer_file))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"is not a tokenizer: {error}", path=bundle.tokenizer_file) from error
        longest = session.graph.tokens
        if longest is not None:
            length = chosen.max_length or min(longest, bundle.preprocessing.max_length)
            bundle = replace(bundle, max_positions=longest).with_options(max_length=length, stride=chosen.stride)
        encoder = TextEncoder(tokenizer, bundle.preprocessing, chosen.tokenizer)
        # The graphs of export-model end in logits: it has proved that.
        if "export" not in bundle.description and gives_probabilities(session, encoder):
            log.debug("the model gives probabilities: they are taken as they are")
            bundle = replace(bundle, activation="none")
        log.debug("loaded %s: labels %s, tokens by %s", bundle.folder, ", ".join(bundle.labels), encoder.tokenizer)
        return cls(bundle, session, encoder, prefix=chosen.prefix)

    @property
    def tokenizer(self) -> str:
        """The package that tokenizes: ``nanotoken`` or ``tokenizers``."""
        return self._encoder.tokenizer

    @property
    def added_schema(self) -> pa.Schema:
        """Names and types of the added columns."""
        fields = [pa.field(f"{self.prefix}label", pa.string()), pa.field(f"{self.prefix}score", pa.float32())]
        fields += [pa.field(f"{self.prefix}prob_{label}", pa.float32()) for label in self.bundle.labels]
        return pa.schema([*fields, pa.field(f"{self.prefix}status", pa.string())])

    def scored_schema(self, schema: pa.Schema) -> pa.Schema:
        """Schema that :meth:`score_table` gives a table of ``schema``: its columns, and the added ones behind them."""
        return dataframes.joined_schema(schema, self.added_schema)

    def score(self, texts: Texts, *, progress: Progress | bool | None = None) -> pa.Table:
        """The added columns for ``texts``, one row each, in order.

        ``texts`` is a list of strings and ``None``, an array of Arrow, or a Series of Polars or pandas.
        ``progress``: a notebook has a bar; True shows one elsewhere too, False none.

        Columns: ``pred_label`` string, ``pred_score`` float32 (the probability of that label),
        ``pred_prob_<label>`` float32 each, ``pred_status`` string (``ok``, ``truncated``,
        ``windowed``, ``empty``). A null or blank text has nulls and the status ``empty``.

        Raises:
            UsageError: ``texts`` hold something else than strings and nulls.
            OutOfMemoryError: the device's memory does not suffice.
        """
        values = dataframes.strings_of(texts)
        slices = (values[place : place + _TEXTS_AT_A_TIME] for place in range(0, len(values), _TEXTS_AT_A_TIME))
        scored = []
        encoded = (self._encoder.encode(part) for part in slices)
        with progress_of_call(progress) as shown, one_ahead(encoded) as parts:
            shown.start(len(values))
            for part in parts:
                ticks = ticking(shown, part.n_rows, len(part.tokens))
                scored.append(self.score_chunk(part, on_share=ticks).predictions)
                shown.advance(part.n_rows, len(part.tokens))
        return pa.concat_tables(scored).combine_chunks() if scored else self.added_schema.empty_table()

    def score_table(self, table: Table, text_column: str | None = None) -> Table:
        """``table`` with the added columns of :meth:`score` behind its own.

        ``table`` is a ``Table`` or ``RecordBatch`` of Arrow or a ``DataFrame`` of Polars or pandas, and so
        is what is given back: the same rows in the same order, an index of pandas as it was.
        ``text_column`` is the column with the text; ``None`` is the one named text, review, content,
        sentence, comment or body.

        Raises:
            InputError: no column, or more than one, can be the one with the text.
            UsageError: ``table`` is no table, the column holds no text, or an added name stands in it already.
        """
        scored: Table = dataframes.with_predictions(table, text_column, self.added_schema, self.score)
        return scored

    def score_batches(
        self, batches: Iterable[pa.RecordBatch], text_column: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """:meth:`score_table` of each batch: for ``mapInArrow`` of Spark, readers of Arrow, and data beyond memory.

        Raises:
            InputError, UsageError: as :meth:`score_table` does.
        """
        for batch in dataframes.batches_of(batches):
            yield self.score_table(batch, text_column)

    def expr(self, text_column: str) -> pl.Expr:
        """An expression of Polars that stands for all added columns.

        >>> import polars as pl
        >>> frame = pl.DataFrame({"review": ["A quiet, tender film."]})
        >>> frame.with_columns(Scorer.load().expr("review")).columns
        ['review', 'pred_label', 'pred_score', 'pred_prob_negative', 'pred_prob_positive', 'pred_status']

        It works on lazy frames too, whose schema is known before anything is scored.

        Raises:
            UsageError: later, in the query, where the column holds no strings.
        """
        return dataframes.polars_expr(text_column, self.added_schema, self.score)

    def encode(self, texts: Texts) -> Encoded:
        """Token ids of ``texts``: the first half of :meth:`score`, for work ahead of the model."""
        values = dataframes.strings_of(texts)
        return self._encoder.encode(values)

    def score_chunk(
        self,
        encoded: Encoded,
        logits: Logits | None = None,
        known: KnownRows | None = None,
        on_share: OnShare | None = None,
    ) -> ScoredChunk:
        """The model's half of :meth:`score`; ``logits`` are those of ``encoded`` if they are known already.

        ``known`` has the predictions of rows that were left out of ``encoded``.
        """
        logits = self.session.logits(encoded, on_share) if logits is None else logits
        probabilities = self._row_probabilities(logits, encoded)
        return ScoredChunk(self._predictions(probabilities, encoded, known), len(encoded.tokens))

    def _row_probabilities(self, logits: npt.NDArray[np.float32], encoded: Encoded) -> npt.NDArray[np.float64]:
        """Probabilities float64 ``(n_rows, n_labels)``; NaN where a row has no run.

        A row of several windows has the mean of their probabilities.
        """
        by_run = probabilities_of(logits, temperature=self.bundle.temperature, activation=self.bundle.activation)
        sums = np.zeros((encoded.n_rows, by_run.shape[1]))
        np.add.at(sums, encoded.rows, by_run)
        counts = np.bincount(encoded.rows, minlength=encoded.n_rows)[:, np.newaxis]
        return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)

    def _predictions(
        self, probabilities: npt.NDArray[np.float64], encoded: Encoded, known: KnownRows | None
    ) -> pa.Table:
        runs = np.bincount(encoded.rows, minlength=encoded.n_rows)
        empty = runs == 0
        status = np.select([empty, encoded.truncated, runs > 1], [3, 1, 2], default=0)
        rounded = probabilities.astype(np.float32)
        if known is not None:
            rounded[known.rows], status[known.rows], empty[known.rows] = known.probabilities, known.statuses, False
        labels = self._chosen(rounded, empty)
        score = rounded[np.arange(len(rounded)), labels]
        names = pa.array(self.bundle.labels, pa.string())
        columns = [names.take(pa.array(labels, pa.int64(), mask=empty)), pa.array(score, pa.float32(), mask=empty)]
        columns += [pa.array(rounded[:, label], pa.float32(), mask=empty) for label in range(rounded.shape[1])]
        columns.append(pa.array(STATUSES, pa.string()).take(pa.array(status, pa.int64())))
        return pa.table(columns, schema=self.added_schema)

    def _chosen(self, probabilities: npt.NDArray[np.float32], empty: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        threshold = self.bundle.threshold
        filled = np.where(empty[:, np.newaxis], np.float32(0), probabilities)
        if threshold is None or filled.shape[1] != 2:
            return np.asarray(filled.argmax(axis=1), dtype=np.int64)
        return np.asarray(filled[:, 1] >= np.float32(threshold), dtype=np.int64)
