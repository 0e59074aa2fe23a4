"""Files of reviews for training, read as ``score`` reads them: strictly, into Arrow tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from scorer.errors import InputError, UsageError
from scorer.files.columns import named_column, text_column
from scorer.files.file_options import FileOptions
from scorer.files.formats import FORMATS, extension_of
from scorer.files.opening import check_fit, fitting, open_source
from scorer.files.source import ReadOptions
from scorer.safe_text import quoted
from train.options import TrainOptions

NO_ROWS = "pass files with reviews in them"

_IMDB = ("imdb",)
_ROWS_AT_ONCE = 10_000
_HUB_FEATURES = b"huggingface"  # the key under which the datasets library keeps the types of its columns


def read_rows(sources: Sequence[str], split: str, options: FileOptions | None = None) -> pa.Table:
    """The rows of files, of folders of files, or of the ``split`` of one data set of the Hub, read as ``options`` say.

    Raises:
        InputError: they cannot be read, or are empty.
    """
    where = ", ".join(sources)
    reading = ReadOptions(**options.file_options()) if options else ReadOptions()
    try:
        files = [file for source in sources for file in data_files(source)]
        if not files and len(sources) != 1:
            raise ValueError("pass files, or the name of one data set")
        rows = _of_files(files, reading) if files else _of_the_hub(sources[0], split)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", path=where) from error
    if rows.num_rows == 0:
        raise InputError("holds no rows", path=where, hint=NO_ROWS)
    return rows


def read_texts(sources: Sequence[str], options: TrainOptions) -> list[str]:
    """The texts of files without labels, "" for null.

    Raises:
        InputError: they cannot be read, or have no column of text.
    """
    where = ", ".join(sources)
    rows = read_rows(sources, "train", options)
    with advised(sources, options):
        column = text_column(rows.column_names, options.text_column, where)
    return texts_of(rows, column, where)


def texts_of(rows: pa.Table, column: str, where: str | None) -> list[str]:
    """The texts of a column, "" for null; ``where`` names the files in the message.

    Raises:
        InputError: the column holds values of another type.
    """
    values = rows[column].to_pylist()
    if not all(value is None or isinstance(value, str) for value in values):
        raise InputError(f"column {quoted(column)} holds no text", path=where, hint="name another with --text-column")
    return [value or "" for value in values]


def classes_of(rows: pa.Table, column: str) -> list[str] | None:
    """The names of the label ids in ``column`` that the ``datasets`` library wrote beside them, if it did."""
    try:
        stated = json.loads((rows.schema.metadata or {}).get(_HUB_FEATURES, b"{}"))
        feature = stated["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (ValueError, KeyError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


@contextmanager
def advised(sources: Sequence[str], options: FileOptions) -> Iterator[None]:
    """Look for columns in ``sources``: an error in the block says by which options a CSV file may have them."""
    try:
        yield
    except InputError as error:
        reading = ReadOptions(**options.file_options())
        for file in _present(sources):
            advice = open_source(file, fitting(file, reading)).advice()
            if advice is not None:
                raise error.with_hint(advice) from error
        raise


def check_options_fit(sources: Iterable[str], options: FileOptions) -> None:
    """Check that each option of reading fits one of the files.

    Raises:
        UsageError: one fits none.
    """
    reading = ReadOptions(**options.file_options())
    if reading != ReadOptions():
        check_fit([*_present(sources)], reading)


def data_files(source: str) -> list[Path]:
    """The files of ``source``, a folder's in order of their names; empty for a Hub id.

    Raises:
        InputError: the file or folder does not exist, or the folder holds no file of a known format.
    """
    path = Path(source)
    looks_like_a_path = source.startswith((".", "/", "~")) or source.endswith("/") or source.count("/") > 1
    if looks_like_a_path and not path.exists():
        raise InputError("no such file or folder", path=source, hint="check the path")
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if extension_of(file.name).is_input and file.is_file())
        if not found:
            raise InputError("holds no file of a known format", path=source, hint=f"known: {', '.join(FORMATS)}")
        return found
    if extension_of(path.name).is_input and not path.is_file():
        raise InputError("no such file", path=source, hint="check the path")
    return [path] if path.is_file() else []


def validation_sources(options: TrainOptions) -> Sequence[str]:
    """The files or the data set to validate on; none if rows of the training are held out.

    Raises:
        UsageError: there is nothing to validate on.
    """
    # The data set of that name has a test split of its own.
    imdb = options.train == _IMDB and not data_files(*_IMDB)
    sources = options.eval or (_IMDB if imdb and not options.validation_split else ())
    if not sources and not options.validation_split:
        raise UsageError("there is nothing to validate on", hint="pass --eval FILE or --validation-split 0.1")
    return sources


def _present(sources: Iterable[str]) -> Iterator[Path]:
    for source in sources:
        with suppress(InputError):  # reading them tells
            yield from data_files(source)


def _of_files(files: Sequence[Path], options: ReadOptions) -> pa.Table:
    tables = [_of_file(file, fitting(file, options)) for file in files]
    if len({frozenset(table.column_names) for table in tables}) > 1:
        raise ValueError("the files do not have the same columns")
    try:
        return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except pa.ArrowException as error:
        raise ValueError("the files do not have the same types of columns") from error


def _of_file(file: Path, options: ReadOptions) -> pa.Table:
    source = open_source(file, options)
    names = [name or f"Unnamed: {place}" for place, name in enumerate(source.schema.names)]
    for name in names:
        named_column(names, name, source.path)
    tables = [*source.tables(_ROWS_AT_ONCE)] or [source.schema.empty_table()]
    metadata = source.schema.metadata
    return pa.concat_tables(tables).rename_columns(names).replace_schema_metadata(metadata)


def _of_the_hub(name: str, split: str) -> pa.Table:
    try:
        import datasets
    except ImportError:
        raise UsageError(
            f"the data set {name} of the Hub needs datasets", hint='pip install "review-scorer[train]", or pass files'
        ) from None
    # The data set's old short name still works for people; the Hub has moved it.
    name = "stanfordnlp/imdb" if name == "imdb" else name
    try:
        rows = datasets.load_dataset(name, split=split)
    except Exception as error:  # the Hub's client raises whatever its transport does
        raise OSError(
            f"the data set {name} could not be downloaded from the Hub ({type(error).__name__}); "
            "without a network, pass --train and --eval with files"
        ) from None
    return rows.with_format("arrow")[:].replace_schema_metadata(rows.features.arrow_schema.metadata)
