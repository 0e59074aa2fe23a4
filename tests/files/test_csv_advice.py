"""Hints on CSV files that do not read well: they name the options that read them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from scorer.errors import InputError
from scorer.files.columns import text_column
from scorer.files.opening import open_source
from scorer.files.source import ReadOptions

ESCAPED = 'id,text\n1,"fine, really"\n2,"a \\"great\\" film, truly"\n3,"dull"\n'

READ_BY = [
    # content, extension, options as typed, the same as fields
    (ESCAPED, ".csv", "--escape '\\'", {"escape": "\\"}),
    (ESCAPED.replace("\n", "\r\n"), ".csv", "--escape '\\'", {"escape": "\\"}),
    (ESCAPED + '4,"one \\"two\nlines\\" of it"\n', ".csv", "--escape '\\'", {"escape": "\\"}),
    ('text\tlabel\n"open film\t1\nso "called"\t0\n', ".tsv", "--quote none", {"quote": "none"}),
    ('text\tlabel\nfine\t1\n"open to the end\t1\n', ".tsv", "--quote none", {"quote": "none"}),
    ("id;text\n1;good\n2;bad, dull\n", ".csv", "--delimiter ';'", {"delimiter": ";"}),
    ("id\ttext\n1\tgood\n2\tbad, dull\n", ".csv", "--delimiter '\\t'", {"delimiter": "\t"}),
    ("id|text\n1|good\n2|bad, dull\n", ".csv", "--delimiter '|'", {"delimiter": "|"}),
    ("id,text\n1,good\n2,bad\n", ".tsv", "--delimiter ','", {"delimiter": ","}),
    (
        'id;text\n1;"a \\"great\\" film; truly"\n2;"bad, dull"\n',
        ".csv",
        "--delimiter ';' --escape '\\'",
        {"delimiter": ";", "escape": "\\"},
    ),
    ("'id','text'\n'1','good, it''s great'\n", ".csv", '--quote "\'"', {"quote": "'"}),
    ("7,I loved it,pos\n8,I hated it,neg\n", ".csv", "--no-header --text-column 2", {"no_header": True}),
    ("I loved it,pos\nI hated it,neg\nI liked it,pos\n", ".csv", "--no-header --text-column 1", {"no_header": True}),
    (
        "7;I loved it;pos\n8;I hated it, really;neg\n",
        ".csv",
        "--delimiter ';' --no-header --text-column 2",
        {"delimiter": ";", "no_header": True},
    ),
]

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": lambda content: bytes(pa.Codec("zstd").compress(content, asbytes=True)),
}


def failure(path: Path, options: ReadOptions) -> InputError | None:
    """The error of reading a file of reviews, its column of texts looked for by name."""
    try:
        source = open_source(path, options)
        if not options.no_header:
            with source.advised():
                text_column(source.schema.names, None, source.path)
        assert all(len(table) for table in source.tables(100))
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(("content", "suffix", "typed", "options"), READ_BY)
def test_the_hint_names_what_reads_the_file(
    tmp_path: Path, content: str, suffix: str, typed: str, options: dict[str, object], packing: str
) -> None:
    path = tmp_path / f"a{suffix}{packing}"
    path.write_bytes(PACKINGS[packing](content.encode()))
    error = failure(path, ReadOptions())
    assert error is not None
    assert error.hint is not None
    assert f"try {typed}" in error.hint.split(", or ")[0]
    assert failure(path, ReadOptions(**options)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        "id,text\n1,a,b\n2,c\n",
        'id,text\n1,"fine"\n2,"x"y\n3,"good"\n',
        'id,text\n1,"a, b"\n2,"x"y\n',
        "title,stars\nfine,1\n",
        "How would you rate this film?,Any other remark?\nfine,none\n",
        "name;of one column, with a comma\nx\n",
    ],
)
def test_no_hint_without_a_reason(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    error = failure(path, ReadOptions())
    assert error is not None
    assert "try" not in str(error)


def test_a_column_name_that_is_a_review_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("I loved every minute of it,pos\nI hated it,neg\n")
    error = failure(path, ReadOptions())
    assert "every minute" not in str(error)
    assert "the first row looks like data: try --no-header --text-column 1" in str(error)


def test_utf_16_without_a_mark(tmp_path: Path) -> None:
    for order in ("le", "be"):
        (tmp_path / "a.csv").write_bytes("id,text\n1,good\n".encode(f"utf-16-{order}"))
        assert f"try --encoding utf-16-{order}" in str(failure(tmp_path / "a.csv", ReadOptions()))


def test_a_failure_far_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + '1,"good, fine"\n' * 20_000 + '2,"a \\"late\\" one, here"\n')
    error = failure(path, ReadOptions())
    assert str(error).startswith(f"{path}: row 20001 (line 20002): text follows a closing quote; try --escape '\\', or")


def test_rows_set_aside_are_explained_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.csv"
    path.write_text(ESCAPED * 2)
    list(open_source(path, ReadOptions(on_bad_row="reject")).chunks(2))
    (line,) = caplog.messages
    assert line == f"{path}: row 2 (line 3): text follows a closing quote; try --escape '\\'"
