"""Packed and transcoded text, its lines, and the limits on both."""

from __future__ import annotations

import codecs
import gzip
import io
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.errors import InputError, UsageError
from scorer.files.columns import text_column
from scorer.files.opening import open_source
from scorer.files.source import ReadOptions
from scorer.files.text_bytes import lines_of
from tests.helpers.processes import PEAK, needs_peak

TEXT = "id,text\n1,a café 😀\n2,naïve\n"
ROWS = [{"id": "1", "text": "a café 😀"}, {"id": "2", "text": "naïve"}]


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def rows_of(path: Path, options: ReadOptions | None = None) -> list[dict[str, object]]:
    return [row for table in open_source(path, options).tables(2) for row in table.to_pylist()]


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_packed_text_also_in_members(tmp_path: Path, pack: object) -> None:
    ending = ".gz" if pack is gzip.compress else ".zst"
    path = tmp_path / f"a.csv{ending}"
    assert callable(pack)
    path.write_bytes(pack(TEXT[:20].encode()) + pack(TEXT[20:].encode()))
    assert rows_of(path) == ROWS


@pytest.mark.parametrize("number", range(16))
@pytest.mark.parametrize("name", ["a.csv.zst", "a.csv"])
def test_frames_that_are_to_be_skipped(tmp_path: Path, name: str, number: int) -> None:
    frame = (0x184D2A50 + number).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"other"
    content = frame + zstd(TEXT[:20].encode()) + frame + zstd(TEXT[20:].encode())
    (tmp_path / name).write_bytes(content)
    assert rows_of(tmp_path / name) == ROWS
    (tmp_path / name).write_bytes(content[:-5])
    with pytest.raises(InputError, match="its compressed data end too early"):
        rows_of(tmp_path / name)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_packed_text_that_is_cut_or_flipped(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.csv.{kind}"
    text = ("id,text\n" + "".join(f"{n},row {n * 7919 % 1013}\n" for n in range(2000))).encode()
    if kind == "gz":
        content = gzip.compress(text)
    else:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(text)
        content = sink.getvalue().to_pybytes()
    path.write_bytes(content)
    assert len(rows_of(path)) == 2000
    for size in (*range(1, 40), *range(40, len(content), 97), len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InputError) as caught:
            rows_of(path)
        assert str(caught.value).startswith(str(path)), size
    if kind == "gz":
        for place in range(12, len(content), 61):
            path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
            with pytest.raises(InputError):
                rows_of(path)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.zst"])
def test_text_that_is_not_packed_as_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TEXT)
    with pytest.raises(InputError, match="is not compressed as"):
        open_source(tmp_path / name)


def test_packed_text_without_the_ending_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(TEXT.encode()))
    assert rows_of(tmp_path / "a.csv") == ROWS


@needs_peak
@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_bombs_stop_in_bounded_memory(tmp_path: Path, pack: object) -> None:
    bomb = tmp_path / ("a.csv.gz" if pack is gzip.compress else "a.csv.zst")
    assert callable(pack)
    member = pack((b"1," + b"fine " * 20_000 + b"\n") * 100)
    bomb.write_bytes(pack(b"id,text\n") + member * 200)
    # One of both up to the limit itself, the other to a quarter of it: they end in the same check.
    limit = 2**30 if pack is gzip.compress else 2**28
    program = PEAK + (
        "import sys\n"
        "from scorer.files import source\n"
        "from scorer.files.opening import open_source\n"
        f"assert source._BOMB_BYTES == 2**30; source._BOMB_BYTES = {limit}\n"
        "from scorer.errors import InputError\n"
        "try:\n"
        "    open_source(sys.argv[1]).schema\n"
        "    before = peak()\n"
        "    for chunk in open_source(sys.argv[1]).chunks(2048, start=10**9): pass\n"
        "except InputError as error:\n"
        "    print(error)\n"
        "print((peak() - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(bomb)], capture_output=True, text=True, check=True)
    message, growth = done.stdout.splitlines()
    assert f"decompresses to more than 200 times its size and over {limit >> 30} GiB" in message
    assert int(growth) < 100


def test_a_bomb_of_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"text\n" + bytes(40 * 2**20)))
    with pytest.raises(InputError, match="a row of more than"):
        rows_of(path, ReadOptions(max_row_bytes=10 * 2**20))


def test_a_limit_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TEXT)
    assert rows_of(path, ReadOptions(max_file_bytes=len(TEXT.encode()))) == ROWS
    with pytest.raises(InputError, match="holds more than 10 bytes; raise --max-file-bytes"):
        open_source(path, ReadOptions(max_file_bytes=10))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_dropped(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(mark + TEXT.encode())
    assert rows_of(tmp_path / "a.csv") == ROWS
    assert rows_of(tmp_path / "a.csv", ReadOptions(encoding="utf-8")) == ROWS
    (tmp_path / "a.jsonl").write_bytes(mark + b'{"a": 1}\n')
    assert rows_of(tmp_path / "a.jsonl") == [{"a": 1}]


@pytest.mark.parametrize("encoding", [None, "utf-8", "UTF8", "utf-8-sig"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.jsonl.gz"])
def test_places_are_those_of_the_unpacked_file(tmp_path: Path, name: str, mark: bytes, encoding: str | None) -> None:
    content = mark + (b"id,text\n1,a\nbad\n" if name == "a.csv" else '{"a": "é"}\nbad\n'.encode())
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    (chunk,) = open_source(tmp_path / name, ReadOptions(encoding=encoding, on_bad_row="reject")).chunks(5)
    assert [reject.byte_offset for reject in chunk.rejects] == [content.index(b"bad")]


WIDE = [f"utf-{bits}{order}" for bits in (16, 32) for order in ("", "-le", "-be")]


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_wide_text_is_read_in_the_encoding_that_is_named(tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / name
    content = TEXT if name == "a.csv" else '{"id": "1", "text": "a café 😀"}\n{"id": "2", "text": "naïve"}\n'
    path.write_bytes(content.encode(encoding))
    assert rows_of(path, ReadOptions(encoding=encoding)) == ROWS
    with pytest.raises(InputError, match=r"pass --encoding|is not JSON"):
        rows_of(path)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_byte_order_marks_of_wide_text_are_recognised(tmp_path: Path, mark: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(mark + b"anything")
    wide = "utf-16" if len(mark) == 2 else "utf-32"
    with pytest.raises(InputError, match=rf"looks like {wide.upper()}; pass --encoding {wide}, or convert"):
        open_source(tmp_path / name)
    other = "utf-32" if len(mark) == 2 else "utf-16"
    if not mark.startswith(codecs.BOM_UTF16_LE):  # one of UTF-32 begins with it
        hint = f"byte order mark of {other.upper()}; pass --encoding {wide}, or convert"
        with pytest.raises(InputError, match=hint):
            open_source(tmp_path / name, ReadOptions(encoding=other))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode(encoding))
    with pytest.raises(InputError, match=r"does not begin with the byte order mark of UTF-..; pass --encoding utf-"):
        open_source(path, ReadOptions(encoding=encoding[:6]))
    # In UTF-8, each name has NUL characters and none is that of the text: refused before a row is read.
    names = open_source(path).schema.names
    with pytest.raises(InputError, match="no column is named text"):
        text_column(names, None, "a.csv")


def test_nul_bytes_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("é,text\r\n1,".encode() + "good".encode("utf-16-le") + b"\r\n")
    for encoding in (None, "utf-8"):
        assert rows_of(path, ReadOptions(encoding=encoding)) == [{"é": "1", "text": "g\0o\0o\0d\0"}]
    path.write_bytes(b"text\n" + b"a\x00\x00b\x00\n" * 100)
    assert rows_of(path)[0] == {"text": "a\x00\x00b\x00"}


@pytest.mark.parametrize("content", [TEXT, "x", "电影"])
@pytest.mark.parametrize("encoding", ["UTF16", "utf_32"])
def test_narrow_text_that_is_called_wide(tmp_path: Path, encoding: str, content: str) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"of UTF-(16|32); pass --encoding utf-(16|32)-le or utf-(16|32)-be, or convert"
    ):
        open_source(tmp_path / "a.csv", ReadOptions(encoding=encoding))


def test_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id,text\n1,café\n".encode("cp1252") + b"2,\x81\n")
    source = open_source(path, ReadOptions(encoding="cp1252", on_bad_row="reject"))
    (chunk,) = source.chunks(5)
    assert chunk.rows.to_pylist() == [{"id": "1", "text": "café"}]
    assert [(r.row, r.byte_offset, r.reason) for r in chunk.rejects] == [(2, None, "holds bytes that are not UTF-8")]


@pytest.mark.parametrize("encoding", ["no-such", "base64", "", "utf-8\x00", "idna", "punycode", "undefined"])
def test_encodings_that_are_none(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text(TEXT)
    with pytest.raises(UsageError, match="unknown --encoding"):
        open_source(tmp_path / "a.csv", ReadOptions(encoding=encoding))


class Blocks:
    def __init__(self, blocks: list[bytes]) -> None:
        self._blocks = [block for block in blocks if block][::-1]

    def read(self, _size: int, /) -> bytes:
        return self._blocks.pop() if self._blocks else b""


@given(st.lists(st.text("a\n", max_size=5).map(str.encode)))
def test_lines_do_not_depend_on_blocks(blocks: list[bytes]) -> None:
    whole = b"".join(blocks)
    assert list(lines_of(Blocks(blocks), limit=1000)) == list(io.BytesIO(whole))


@given(st.lists(st.text("a\n", max_size=5).map(str.encode)))
def test_lines_over_the_limit_are_passed_over(blocks: list[bytes]) -> None:
    expected = [line if len(line) <= 3 else len(line) for line in io.BytesIO(b"".join(blocks))]
    assert list(lines_of(Blocks(blocks), limit=3)) == expected


def test_standard_input(tmp_path: Path) -> None:
    program = (
        "from scorer.files.opening import ReadOptions, open_source\n"
        "source = open_source('-', ReadOptions(format='csv'))\n"
        "print(source.path, [t.to_pylist() for t in source.tables(9)], len(list(source.chunks(1))))\n"
    )
    for content in (TEXT.encode(), gzip.compress(TEXT.encode())):
        done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True)
        assert done.stdout.decode().strip() == f"- {[ROWS]} 2"


def test_standard_input_needs_a_format() -> None:
    with pytest.raises(UsageError, match="pass --format"):
        open_source("-")
