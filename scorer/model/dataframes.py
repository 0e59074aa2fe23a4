"""Predictions beside the columns of tables of other libraries: Arrow, Polars, pandas."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from scorer.errors import UsageError
from scorer.files.arrow import in_one_piece
from scorer.files.columns import text_column
from scorer.safe_text import quoted

if TYPE_CHECKING:
    import polars as pl

_REMEMBERED = 16

Score = Callable[[Any], pa.Table]
"""Texts to the added columns, one row each."""


def strings_of(texts: Any) -> pa.Array | pa.ChunkedArray | list[str | None]:
    """Texts of any library as an Arrow array, or as a list.

    Raises:
        UsageError: they are no sequence of strings and nulls.
    """
    if isinstance(texts, str | bytes | bytearray):
        raise UsageError("score() takes a list of texts, not one string", hint="wrap it in a list")
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return _checked(texts)
    if _is_of(texts, "polars", "Series"):
        if texts.dtype == sys.modules["polars"].Object:  # which has no form in Arrow
            raise UsageError("the Series holds objects, not strings", hint="pass the column with the text")
        return _checked(texts.to_arrow())
    if _is_of(texts, "pandas", "Series"):
        try:
            return _checked(pa.array(texts, from_pandas=True))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise UsageError("the Series holds other values than strings and nulls") from error
    if _is_table(texts) or isinstance(texts, Mapping | Set) or not _can_be_iterated(texts):
        raise UsageError(
            f"score() takes texts, not an object of type {type(texts).__name__}",
            hint="pass a list, an array or one column, or use score_table()",
        )
    values = list(texts)
    for place, value in enumerate(values):
        if value is None:
            continue
        if not isinstance(value, str):
            what = f"text {place} has type {type(value).__name__}, not str or None"
            raise UsageError(what, hint="pass None for a text that is missing")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                hint = "read it again as UTF-8, or replace what cannot be read"
                raise UsageError(f"text {place} holds half of a surrogate pair", hint=hint) from None
    return values


def _can_be_iterated(value: Any) -> bool:
    """True for what has an iterator: a lazy frame only looks as if it had one, and an array without axes has none."""
    try:
        return isinstance(value, Iterable) and iter(value) is not None
    except TypeError:
        return False


def with_predictions(table: Any, wanted: str | None, added: pa.Schema, score: Score) -> Any:
    """``table`` with the added columns behind its own; it is of the type that came.

    ``wanted`` is the column with the text; ``None`` is the one that goes by a known name.

    Raises:
        UsageError: it is no table, or has a column with an added name already.
        InputError: it has no such column.
    """
    if not _is_table(table):
        raise UsageError(
            f"score_table() takes a table of Arrow, Polars or pandas, not an object of type {type(table).__name__}",
            hint="use score() for texts alone",
        )
    names = column_names(table)
    if wanted is not None:
        check_name(wanted)
    column = names.index(text_column(names, wanted, type(table).__name__, option="text_column"))
    for name in added.names:
        if name in names:
            raise UsageError(
                f"column {quoted(name)} already exists in the table", hint="load the Scorer with another prefix"
            )
    if isinstance(table, pa.RecordBatch):
        scored = score(table.column(column))
        arrays = [*table.columns, *(in_one_piece(array) for array in scored.columns)]
        return pa.RecordBatch.from_arrays(arrays, schema=joined_schema(table.schema, added))
    if isinstance(table, pa.Table):
        scored = score(table.column(column))
        return pa.Table.from_arrays([*table.columns, *scored.columns], schema=joined_schema(table.schema, added))
    if _is_of(table, "polars", "DataFrame"):
        import polars as pl

        scored_frame = pl.from_arrow(score(table.to_series(column)))
        return table.hstack(scored_frame.get_columns())  # type: ignore[union-attr]
    scored = score(table.iloc[:, column]).to_pandas()
    scored.index = table.index
    return table.assign(**{str(name): scored[name] for name in scored.columns})


def joined_schema(schema: pa.Schema, added: pa.Schema) -> pa.Schema:
    """The schema of a table of ``schema`` with the added columns behind its own."""
    return pa.schema([*schema, *added], metadata=schema.metadata)


def polars_expr(column: str, added: pa.Schema, score: Score) -> pl.Expr:
    """An expression that stands for all added columns of the text in ``column``."""
    import polars as pl

    check_name(column)
    empty = pl.DataFrame(pl.from_arrow(added.empty_table()))
    lock = threading.Lock()
    # Polars may ask once for each of the columns, and with the parts of a frame at the same time.
    done: deque[tuple[pl.Series, pl.Series]] = deque(maxlen=_REMEMBERED)

    def score_series(texts: pl.Series) -> pl.Series:
        with lock:
            for before, scored in done:
                if len(before) == len(texts) and before.equals(texts, null_equal=True):
                    return scored
            scored = pl.DataFrame(pl.from_arrow(score(texts))).to_struct(texts.name)
            done.append((texts, scored))
            return scored

    dtype = pl.Struct(dict(empty.schema))
    return pl.col(column).map_batches(score_series, return_dtype=dtype, is_elementwise=True).struct.unnest()


def batches_of(batches: Any) -> Iterator[Any]:
    """The batches that a caller gives, one after another.

    Raises:
        UsageError: there are none to go through.
    """
    if not _can_be_iterated(batches):
        raise UsageError(f"score_batches() takes batches, not an object of type {type(batches).__name__}")
    return iter(batches)


def check_name(column: object) -> None:
    """Check that a caller gives the name of a column.

    Raises:
        UsageError: it is no name.
    """
    if not isinstance(column, str):
        raise UsageError(f"text_column has type {type(column).__name__}, not str", hint="pass the name of a column")
    if not column.isascii():
        try:
            column.encode()
        except UnicodeEncodeError:
            raise UsageError("text_column holds half of a surrogate pair", hint="pass the name of a column") from None


def column_names(table: Any) -> list[str]:
    """Names of a table's columns."""
    if isinstance(table, pa.Table | pa.RecordBatch):
        return list(table.schema.names)
    return [str(name) for name in table.columns]


def _checked(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    kind = texts.type.value_type if pa.types.is_dictionary(texts.type) else texts.type
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(check(kind) for check in checks):
        raise UsageError(f"the texts are of type {texts.type}, not strings", hint="pass the column with the text")
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UsageError("the texts hold bytes that are not UTF-8", hint="decode them first") from error
    return texts


def _is_table(value: Any) -> bool:
    if isinstance(value, pa.Table | pa.RecordBatch):
        return True
    return _is_of(value, "polars", "DataFrame") or _is_of(value, "pandas", "DataFrame")


def _is_of(value: Any, library: str, name: str) -> bool:
    """True for an object of a class of ``library``; False too if that was never imported."""
    module = sys.modules.get(library)
    return module is not None and isinstance(value, getattr(module, name))
