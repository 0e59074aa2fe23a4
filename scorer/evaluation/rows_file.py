"""Files with some of the evaluated rows, for people to read and to label."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.disk.durable import create, sync, sync_folder, write_errors
from scorer.errors import UsageError
from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.labels import label_strings
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.predictions import TEXT_CHUNK_ROWS
from scorer.evaluation.rows import EvaluatedRows
from scorer.files.formats import OutputFormat
from scorer.files.opening import open_writer
from scorer.files.source import text_values
from scorer.safe_text import quoted

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowsFile:
    """A file to write rows into.

    Attributes:
        path: of the file.
        format: by its extension.
    """

    path: Path
    format: OutputFormat

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> RowsFile:
        """The file at ``path``.

        Raises:
            UsageError: no format has its extension.
        """
        return cls(Path(path), OutputFormat.of(os.fspath(path), option=None))

    def write(self, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        """Write ``tables``, one after another, whole or not at all, replacing any file there.

        Raises:
            OutputError: it could not be written.
        """
        path = self.path.resolve()
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with write_errors(self.path):
                file = create(temporary)
            with file:
                with open_writer(file, self.format, schema) as writer:
                    for table in tables:
                        with write_errors(self.path):
                            writer.write(table)
                    with write_errors(self.path):
                        writer.finish()
                with write_errors(self.path):
                    sync(file)
                    temporary.replace(path)
                    sync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_names(option: str, files: Sequence[EvaluatedFile], options: EvaluateOptions, others: Sequence[str]) -> None:
    """Check that no two columns of the file of ``option`` share a name: those of :class:`RowColumns` and ``others``.

    Raises:
        UsageError: two do.
    """
    ids_and_text = [name for name in (options.on, _text_name(files, options.on)) if name is not None]
    predictions = [f"{options.prefix}{name}" for name in ("label", "score")]
    seen: set[str] = set()
    for name in ("file", "row", *ids_and_text, "label", *predictions, *others):
        if name in seen:
            hint = f"rename {quoted(name)} in your files"
            raise UsageError(f"two columns of {option} would be named {quoted(name)}", hint=hint)
        seen.add(name)


def _text_name(files: Sequence[EvaluatedFile], on: str | None) -> str | None:
    """The name of the column of texts, if a file has one that does not hold the ids."""
    return "text" if on != "text" and any(file.text is not None for file in files) else None


@dataclass(frozen=True, eq=False)
class RowColumns:
    """The columns of single rows: where they are, ids, text, labels and the probability of the predicted one.

    Attributes:
        rows: all of the evaluation.
        labels: names.
        on: column of ids, or ``None``.
        prefix: of predictions.
    """

    rows: EvaluatedRows
    labels: Sequence[str]
    on: str | None
    prefix: str

    @classmethod
    def of(cls, rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> RowColumns:
        """The columns that ``options`` ask for."""
        return cls(rows, labels, options.on, options.prefix)

    @property
    def schema(self) -> pa.Schema:
        """Of :meth:`tables`."""
        fields = [("file", pa.string()), ("row", pa.int64())]
        fields += [(name, pa.large_string()) for name in (self.on, self._text) if name is not None]
        fields += [("label", pa.string()), (f"{self.prefix}label", pa.string())]
        if self.rows.confidence is not None:
            fields.append((f"{self.prefix}score", pa.from_numpy_dtype(self.rows.confidence.dtype)))
        return pa.schema(fields)

    @property
    def _text(self) -> str | None:
        return _text_name(self.rows.files, self.on)

    def tables(self, places: Places) -> Iterator[tuple[Places, pa.Table]]:
        """The rows at ``places``, which rise, in some tables, each with its part of ``places``.

        Files are read again for ids and texts, and hold only a few thousand rows in memory.

        Raises:
            InputError: a file cannot be read again.
        """
        for file, first, end in self.rows.by_file():
            low, high = np.searchsorted(places, [first, end]).tolist()
            for here, carried in _carried(file, places[low:high] - first, self.on, self._text):
                yield here + first, self._table(file, here, here + first, carried)

    def _table(self, file: EvaluatedFile, own: Places, places: Places, carried: list[pa.Array]) -> pa.Table:
        rows = self.rows
        names = pa.array(self.labels, pa.string())
        columns = [pa.repeat(file.source.path, len(own)), pa.array(own + 1), *carried]
        for ids in (rows.gold[places], rows.predicted[places]):
            columns.append(names.take(pa.array(ids, pa.int32(), mask=ids < 0)))
        if rows.confidence is not None:
            columns.append(pa.array(rows.confidence[places]))
        return pa.Table.from_arrays(columns, schema=self.schema)


def _carried(
    file: EvaluatedFile, places: Places, on: str | None, text: str | None
) -> Iterator[tuple[Places, list[pa.Array]]]:
    """Ids and texts of the rows at ``places`` of a file, which rise; null where the file has no such column."""
    names = list(dict.fromkeys(name for name in (on, text and file.text) if name is not None))
    if not len(places):
        return
    start = 0
    for table in file.source.tables(TEXT_CHUNK_ROWS, names or file.source.schema.names[:1]):
        low, high = np.searchsorted(places, [start, start + table.num_rows]).tolist()
        if low < high:
            here = places[low:high]
            picked = table.take(pa.array(here - start))
            columns = []
            if on is not None:
                columns.append(label_strings(picked, on, file.source.path))
            if text is not None and file.text is not None:
                columns.append(text_values(picked.column(file.text)).combine_chunks().cast(pa.large_string()))
            elif text is not None:
                columns.append(pa.nulls(len(here), pa.large_string()))
            yield here, columns
        start += table.num_rows
        if start > places[-1]:
            return
