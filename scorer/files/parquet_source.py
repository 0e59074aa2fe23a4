"""Parquet, with every claim of its footer compared with what its pages deliver."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.disk.paths import STDIN
from scorer.errors import InputError, OutOfMemoryError
from scorer.files.arrow import in_one_piece
from scorer.files.bad_rows import Reject
from scorer.files.dictionaries import longest_value, small_pieces, unpacked_as, unpacked_bytes
from scorer.files.int96 import int96_columns, lossless_unit
from scorer.files.parquet_errors import MAX_ROW_GROUP_BYTES, reading_errors
from scorer.files.parquet_types import mark
from scorer.files.source import Block, ReadOptions, Source
from scorer.files.urls import is_url
from scorer.files.wrong_strings import wrong_strings
from scorer.memory import memory_left
from scorer.safe_text import counted

# Rows decoded at a time, fewer if they are large: data that unpack to far more than their size are noticed early.
_BATCH_ROWS = 1024
_BATCH_BYTES = 64 * 2**20

_PEEKED_BYTES = 64 * 2**10
_NO_DICTIONARY = "DictAccumulator"  # in pyarrow's error for strings of an encoding that it reads into no dictionary


class ParquetSource(Source):
    """A Parquet file; page checksums are verified if the file has them, and strings as UTF-8."""

    def __init__(self, path: str, options: ReadOptions) -> None:
        """Read the footer.

        Raises:
            InputError: the file is damaged, encrypted or of another format.
        """
        super().__init__(path, options)
        with reading_errors(self.path):
            self._bytes = _open_file(path)
            self._packed_bytes = self._bytes.size()
            if not self._packed_bytes:
                raise InputError("is empty (0 bytes)", path=self.path, hint="write it again, or take it away")
            self._int96_unit = "ns"
            self._file = self._open()
            footer = self._file.metadata
            self.n_rows: int = footer.num_rows
            self._group_rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
            if sum(self._group_rows) != self.n_rows or min(self._group_rows, default=0) < 0:
                raise InputError(
                    f"its footer counts {counted(self.n_rows, 'row')}, its row groups {sum(self._group_rows):,}",
                    path=self.path,
                )
            # Not the metadata of columns: pyarrow ends the process if a damaged footer makes these throw.
            self._group_bytes = [footer.row_group(group).total_byte_size for group in range(footer.num_row_groups)]
            if max(self._group_bytes, default=0) > MAX_ROW_GROUP_BYTES:
                raise InputError(
                    f"a row group claims to decompress to {max(self._group_bytes) >> 30:,} GiB",
                    path=self.path,
                    hint="write it with smaller row groups",
                )
            options.check_unpacked(sum(self._group_bytes), self._packed_bytes, self.path)
            self._fit_int96()
            self.schema = mark(_with_all_metadata(self._file.schema_arrow, footer.metadata), footer.schema)
            self._strings = _string_leaves(footer.schema, self.schema)

    def _open(self, **options: Any) -> pq.ParquetFile:
        # A buffer of the next pages would grow to the size of the file, for pyarrow releases none of it.
        fixed = {"page_checksum_verification": True, "pre_buffer": False}
        return pq.ParquetFile(self._bytes, **{"coerce_int96_timestamp_unit": self._int96_unit, **fixed, **options})

    def _fit_int96(self) -> None:
        """Read the INT96 times, if there are any, for the unit that holds them all; reopen the file with it."""
        metadata = self._file.metadata
        if not (columns := int96_columns(metadata.schema)):
            return
        unit = lossless_unit(columns, lambda unit: self._open(coerce_int96_timestamp_unit=unit, metadata=metadata))
        if unit is None:
            raise InputError(
                f"no unit of time holds the INT96 values of {', '.join(map(repr, columns))} without loss",
                path=self.path,
                hint="write them again as TIMESTAMP",
            )
        self._int96_unit = unit
        self._file = self._open(metadata=metadata)

    def pieces(self, chunk_rows: int, *, start: int = 0, size: int) -> list[tuple[int, int | None]]:
        """Cut between row groups, so that two pieces decode the same rows only for a chunk that spans two groups."""
        pieces: list[tuple[int, int | None]] = []
        first, row = start, 0
        for n_rows in self._group_rows[:-1]:
            row += n_rows
            following = -(-row // chunk_rows)
            if following - first >= size:
                pieces.append((first, following - 1))
                first = following
        return [*pieces, (first, None)]

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        group = bisect_right(list(accumulate(self._group_rows)), start * rows)  # that of the first wanted row
        drop = start * rows - sum(self._group_rows[:group])
        waiting = None
        n_bytes = unpacked = 0
        number = start
        for piece in self._pieces(rows, columns, group):
            with reading_errors(self.path):
                # Before anything is unpacked: a dictionary's values are counted as often as they occur.
                n_piece = unpacked_bytes(piece)
                unpacked += n_piece
                self.options.check_unpacked(unpacked, self._packed_bytes, self.path)
                n_bytes += n_piece
                if n_bytes > self.options.max_chunk_bytes:
                    raise InputError(
                        f"its rows decompress to more than {self.options.max_chunk_bytes >> 20:,} MiB a chunk",
                        path=self.path,
                        row=number * rows + 1,
                        hint="lower --chunk-rows, or split the file",
                    )
                table = self._typed(piece, columns)
            cut = min(drop, table.num_rows)
            drop -= cut
            table = table.slice(cut)
            waiting = table if waiting is None else pa.concat_tables([waiting, table])
            del piece, table
            while waiting.num_rows >= rows:
                chunk, waiting = [waiting.slice(0, rows)], waiting.slice(rows)
                n_bytes = unpacked_bytes(waiting)
                yield self._block(chunk.pop(), number * rows)  # nothing here holds its rows a second time
                number += 1
        if waiting is not None and waiting.num_rows:
            yield self._block(waiting, number * rows)

    def _pieces(self, rows: int, columns: Sequence[str], group: int) -> Iterator[pa.Table]:
        """Rows in order as they are stored, a few at a time: not more than memory holds when unpacked."""
        for number in range(group, len(self._group_rows)):
            delivered = 0
            self._check_memory(number, columns)
            n_rows, n_bytes = self._group_rows[number], self._group_bytes[number]
            batch_rows = max(1, min(rows, _BATCH_ROWS, _BATCH_BYTES * n_rows // max(1, n_bytes)))
            with reading_errors(self.path):
                leaves, longest = self._dictionaries(number, columns)
                batch_rows = max(1, min(batch_rows, 2 * _BATCH_BYTES // max(1, longest)))
                for batch in self._batches(number, columns, batch_rows, leaves):
                    delivered += batch.num_rows
                    yield from small_pieces(pa.Table.from_batches([batch]), _BATCH_BYTES)
            # Compared for each row group, because not every reader comes to the end of the file.
            if delivered != n_rows:
                raise InputError(
                    f"its footer counts {counted(n_rows, 'row')} in row group {number},"
                    f" its pages deliver {delivered:,}",
                    path=self.path,
                    hint="write it again",
                )

    def _check_memory(self, group: int, columns: Sequence[str]) -> None:
        """Check that memory holds the packed pages of a row group, which pyarrow reads whole, column by column.

        What columns take the footer tells, but pyarrow ends the process over a damaged one: so only all of them count.
        """
        unpacked = max(1, sum(self._group_bytes))
        packed = self._packed_bytes * self._group_bytes[group] // unpacked
        left = memory_left()
        if self._selected(columns) is None and left is not None and packed > left:
            raise OutOfMemoryError(
                f"memory ran out: row group {group} fills {packed >> 20:,} MiB, {max(0, left) >> 20:,} MiB are left",
                path=self.path,
                hint="write it with smaller row groups, or score it where there is more memory",
            )

    def _batches(
        self, group: int, columns: Sequence[str], rows: int, leaves: Sequence[int]
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a row group, with the strings of ``leaves`` as dictionaries as far as pyarrow can."""
        done = 0
        try:
            for batch in self._read(group, self._selected(columns), rows, leaves):
                done += batch.num_rows
                yield batch
        except OSError as error:
            if _NO_DICTIONARY not in str(error):
                raise
            # Writers of version 2 change from a dictionary to another encoding within a column.
            for batch in self._read(group, self._selected(columns), max(1, rows // 64)):
                skipped = min(done, batch.num_rows)
                done -= skipped
                yield batch.slice(skipped)

    def _selected(self, columns: Sequence[str]) -> list[str] | None:
        return None if list(columns) == self.schema.names else list(columns)

    def _read(
        self, group: int, columns: list[str] | None, rows: int, leaves: Sequence[int] = (), *, buffer_size: int = 0
    ) -> Iterator[pa.RecordBatch]:
        reader = self._file
        if leaves:
            reader = self._open(
                metadata=self._file.metadata,
                read_dictionary=list(leaves),
                buffer_size=buffer_size,
                arrow_extensions_enabled=False,  # or strings of extension types would not be read as dictionaries
            )
        # Each thread of pyarrow keeps memory of its own, and the model needs the cores.
        yield from reader.iter_batches(batch_size=rows, row_groups=[group], columns=columns, use_threads=False)

    def _dictionaries(self, group: int, columns: Sequence[str]) -> tuple[list[int], int]:
        """Strings in lists to be read as dictionaries, and the bytes of a row of the longest other strings.

        A dictionary comes first in a row group, and its strings unpack to far more than its pages: each may be in
        every row, and in a list any number of times. Strings of other encodings unpack to no more than their pages.
        """
        wanted, selected = set(columns), self._selected(columns)
        in_lists, longest = [], 0
        for place, (path, is_flat) in self._strings.items():
            if selected is not None and not wanted.intersection(accumulate(path.split("."), "{}.{}".format)):
                continue
            try:
                first = next(self._read(group, [path], 1, [place], buffer_size=_PEEKED_BYTES), None)
            except OSError as error:
                if _NO_DICTIONARY not in str(error):
                    raise
                continue
            if not is_flat:
                in_lists.append(place)
            elif first is not None:
                longest += sum(longest_value(column) for column in first.columns)
        return in_lists, longest

    def _typed(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        """``table`` with the columns and types of the schema."""
        fields = list(self.schema)
        if self._selected(columns) is not None:
            table = table.select(list(columns))
            fields = [self.schema.field(name) for name in columns]
        arrays = [unpacked_as(column, field.type) for column, field in zip(table.columns, fields, strict=True)]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=self.schema.metadata))

    def _block(self, table: pa.Table, before: int) -> Block:
        wrong = wrong_strings(table)
        rejects = [Reject(self.path, before + row + 1, None, wrong[row]) for row in sorted(wrong)]
        edges = [-1, *sorted(wrong), table.num_rows]  # slices, for pyarrow cannot filter views of strings
        good = pa.concat_tables([table.slice(start + 1, end - start - 1) for start, end in pairwise(edges)])
        # Pieces and dictionaries follow row groups: give the rows a form that depends on their values alone.
        if good.columns:
            good = pa.table([in_one_piece(column) for column in good.columns], good.schema)
        return Block(good, rejects)


def _open_file(path: str) -> pa.NativeFile:
    if is_url(path):
        from scorer.files.remote import open_url

        return pa.PythonFile(open_url(path), mode="r")
    if path == STDIN:
        from scorer.files.text_bytes import stdin_file

        path = str(stdin_file())
    return pa.OSFile(os.fsencode(path))  # as a string, pyarrow opens no name that is not UTF-8


def _string_leaves(stored: pq.ParquetSchema, schema: pa.Schema) -> dict[int, tuple[str, bool]]:
    """Places of the stored columns of strings or bytes, with their paths and whether they have one value a row."""
    viewed = {field.name for field in schema if _holds_list_views(field.type)}  # pyarrow cannot cast these
    leaves = {place: stored.column(place) for place in range(len(stored))}
    return {
        place: (leaf.path, leaf.max_repetition_level == 0)
        for place, leaf in leaves.items()
        if leaf.physical_type == "BYTE_ARRAY" and leaf.path.partition(".")[0] not in viewed
    }


def _holds_list_views(kind: pa.DataType) -> bool:
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return True
    return any(_holds_list_views(kind.field(place).type) for place in range(kind.num_fields))


def _with_all_metadata(schema: pa.Schema, footer: dict[bytes, bytes] | None) -> pa.Schema:
    """``schema`` with the keys of the footer that pyarrow leaves out if it finds a schema of its own there."""
    metadata = {key: value for key, value in (footer or {}).items() if key != b"ARROW:schema"}
    return schema.with_metadata({**metadata, **(schema.metadata or {})} or None)
