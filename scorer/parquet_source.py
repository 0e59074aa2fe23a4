"""Parquet, with everything that its footer claims compared with what its pages deliver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.bad_rows import Reject
from scorer.errors import InputError
from scorer.locations import STDIN, is_url, without_secrets
from scorer.sources import ReadOptions, Source

# Rows decoded at a time: a page that unpacks to far more than its size is noticed before a whole chunk of them.
_BATCH_ROWS = 1024
_MAX_ROW_GROUP_BYTES = 64 * 2**30


class ParquetSource(Source):
    """A Parquet file; page checksums are verified where the file has them, strings are surely UTF-8."""

    def __init__(self, path: str, options: ReadOptions) -> None:
        """Read the footer.

        Raises:
            InputError: the file is damaged, encrypted or of another format.
        """
        self.location = path
        self.path = without_secrets(path)
        self.options = options
        with _translated(self.path):
            # A buffer of what comes next would grow to the size of the file, for pyarrow lets go of none of it.
            self._file = pq.ParquetFile(_opened(path), page_checksum_verification=True, pre_buffer=False)
            footer = self._file.metadata
            self.schema = _with_all_metadata(self._file.schema_arrow, footer.metadata)
            self.n_rows: int = footer.num_rows
            self._group_rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
            if sum(self._group_rows) != self.n_rows or min(self._group_rows, default=0) < 0:
                raise InputError(
                    f"its footer counts {self.n_rows:,} rows, its row groups {sum(self._group_rows):,}", path=self.path
                )
            # Not the metadata of columns: pyarrow ends the process where a damaged footer makes these throw.
            sizes = [footer.row_group(group).total_byte_size for group in range(footer.num_row_groups)]
            if max(sizes, default=0) > _MAX_ROW_GROUP_BYTES:
                raise InputError(
                    f"a row group claims to unpack to {max(sizes) >> 30:,} GiB",
                    path=self.path,
                    hint="write it with smaller row groups",
                )
        self._texts = [field.name for field in self.schema if _holds_strings(field.type)]

    def pieces(self, chunk_rows: int, *, start: int = 0, size: int) -> list[tuple[int, int | None]]:
        """Cut between row groups, so that no piece decodes what another needs, but for a chunk that spans two."""
        pieces: list[tuple[int, int | None]] = []
        first, row = start, 0
        for n_rows in self._group_rows[:-1]:
            row += n_rows
            following = -(-row // chunk_rows)
            if following - first >= size:
                pieces.append((first, following - 1))
                first = following
        return [*pieces, (first, None)]

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[tuple[pa.Table, list[Reject], int]]:
        # Whole row groups before the first wanted row are not touched.
        first_row = start * rows
        group = before = 0
        while group < len(self._group_rows) and before + self._group_rows[group] <= first_row:
            before += self._group_rows[group]
            group += 1
        waiting: list[pa.Table] = []
        n_waiting = 0
        number = start
        drop = first_row - before
        for table in self._tables(rows, columns, group):
            if drop:
                cut = min(drop, table.num_rows)
                drop -= cut
                table = table.slice(cut)
            waiting.append(table)
            n_waiting += table.num_rows
            self._check_memory(waiting, number * rows)
            while n_waiting >= rows:
                joined = pa.concat_tables(waiting)
                waiting = [joined.slice(rows)]
                n_waiting -= rows
                yield self._block(joined.slice(0, rows), number * rows)
                number += 1
        if n_waiting:
            yield self._block(pa.concat_tables(waiting), number * rows)

    def _tables(self, rows: int, columns: Sequence[str], group: int) -> Iterator[pa.Table]:
        everything = list(columns) == self.schema.names
        for number in range(group, len(self._group_rows)):
            delivered = 0
            with _translated(self.path):
                batches = self._file.iter_batches(
                    batch_size=min(rows, _BATCH_ROWS),
                    row_groups=[number],
                    columns=None if everything else list(columns),
                    use_threads=False,  # each thread of pyarrow keeps memory of its own, and the model needs the cores
                )
                for batch in batches:
                    delivered += batch.num_rows
                    table = pa.Table.from_batches([batch])
                    yield table if everything else table.select(list(columns))
            # Each on its own, for not every reader comes to the end of the file.
            if delivered != self._group_rows[number]:
                raise InputError(
                    f"its footer counts {self._group_rows[number]:,} rows in row group {number},"
                    f" its pages deliver {delivered:,}",
                    path=self.path,
                    hint="write it again",
                )

    def _check_memory(self, tables: list[pa.Table], row: int) -> None:
        limit = self.options.max_chunk_bytes
        if sum(table.nbytes for table in tables) > limit:
            raise InputError(
                f"its rows unpack to more than {limit >> 20:,} MiB a chunk",
                path=self.path,
                row=row + 1,
                hint="lower --chunk-rows",
            )

    def _block(self, table: pa.Table, before: int) -> tuple[pa.Table, list[Reject], int]:
        rejects = self._wrong_strings(table, before)
        good = table
        if rejects:
            mask = [True] * table.num_rows
            for reject in rejects:
                mask[reject.row - before - 1] = False
            good = table.filter(pa.array(mask))
        return _settled(good), rejects, table.num_rows

    def _wrong_strings(self, table: pa.Table, before: int) -> list[Reject]:
        """Rows that hold bytes that are not UTF-8 in a column of strings."""
        wrong: dict[int, str] = {}
        for name in self._texts:
            if name not in table.column_names:
                continue
            column = table.column(name)
            with _translated(self.path):
                if pa.types.is_dictionary(column.type):
                    column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks])
            if _is_valid(column):
                continue
            for row in range(len(column)):
                if row not in wrong and not _is_valid(column.take(pa.array([row]))):
                    wrong[row] = f"column {name!r} holds bytes that are not UTF-8"
        return [Reject(self.path, before + row + 1, None, wrong[row]) for row in sorted(wrong)]


def _opened(path: str) -> object:
    if path == STDIN:
        from scorer.text_bytes import stdin_file

        return stdin_file()
    if is_url(path):
        from scorer.remote import open_url

        return open_url(path)
    with Path(path).open("rb") as file:
        if not file.read(1):
            raise InputError("is empty (0 bytes)", path=path)
        file.seek(max(-4, -Path(path).stat().st_size), 2)
        if file.read(4) == b"PARE":
            raise InputError("is encrypted", path=path, hint="decrypt it first")
    return path


def _holds_strings(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_strings(kind.value_type)
    if pa.types.is_nested(kind):
        return any(_holds_strings(kind.field(place).type) for place in range(kind.num_fields))
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_valid(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _settled(table: pa.Table) -> pa.Table:
    """The same rows in a form that depends on nothing but their values: pieces and dictionaries follow row groups."""
    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            values = pc.cast(column, kind.value_type).combine_chunks()
            values = values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks)
            encoded = values.dictionary_encode()
            indices = encoded.indices.cast(kind.index_type)
            columns.append(pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=kind.ordered))
        else:
            columns.append(column.combine_chunks() if column.num_chunks != 1 else column)
    return pa.table(columns, table.schema) if columns else table


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """The one boundary where errors of pyarrow and the file system become ours."""
    try:
        yield
    except InputError:
        raise
    except pa.ArrowMemoryError as error:
        wanted = re.search(r"\d+", str(error))
        if wanted and int(wanted[0]) > _MAX_ROW_GROUP_BYTES:  # no page is as large as a damaged size can say
            raise _damaged(error, path) from error
        raise
    except OSError as error:
        if error.strerror:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from error
        raise _damaged(error, path) from error
    # A damaged file gives pyarrow's own errors, and those of names that are no UTF-8 and numbers out of range.
    except (pa.ArrowException, UnicodeDecodeError, OverflowError, ValueError, KeyError, EOFError) as error:
        raise _damaged(error, path) from error


def _damaged(error: Exception, path: str) -> InputError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "ncrypted" in first or "ecryption" in first:
        return InputError("is encrypted", path=path, hint="decrypt it first")
    if isinstance(error, pa.ArrowNotImplementedError):
        return InputError(f"uses a part of Parquet that is not supported: {first}", path=path, hint="write it again")
    return InputError(f"is damaged or of another format: {first}", path=path)


def _with_all_metadata(schema: pa.Schema, footer: dict[bytes, bytes] | None) -> pa.Schema:
    """``schema`` with the keys of the footer that pyarrow leaves out where it finds a schema of its own there."""
    metadata = {key: value for key, value in (footer or {}).items() if key != b"ARROW:schema"}
    return schema.with_metadata({**metadata, **(schema.metadata or {})} or None)
