"""Too many bad rows: the error names the first of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import score_file
from scorer.errors import InputError

CASES = {
    "fields.csv": (b"text,id\na,1\nb,2,3\nc,4,5\n", (2, 3), "3 fields, but the header has 2; 2 of 3 rows are bad"),
    "latin.csv": ("text\na\ncafé\n".encode("latin-1"), (2, 3), "holds bytes that are not UTF-8; 1 of 2 rows is bad"),
    "cut.jsonl": (b'{"text":"a"}\n\n{"text":"b"\n', (2, 3), "is not JSON: unexpected end of data; 1 of 2 rows is bad"),
    "number.jsonl": (b'{"text":"a"}\n{"text":5}\n', (2, 2), "'text' is a number, not a string; 1 of 2 rows is bad"),
}


@pytest.mark.parametrize("policy", ["reject", "keep"])
@pytest.mark.parametrize("name", CASES)
def test_the_first_bad_row_is_named(name: str, policy: str, tiny_bundle: Path, tmp_path: Path) -> None:
    content, place, message = CASES[name]
    (tmp_path / name).write_bytes(content)
    output = tmp_path / "out.csv"
    with pytest.raises(InputError) as caught:
        score_file(tmp_path / name, output, model=tiny_bundle, on_bad_row=policy, max_bad="1%", chunk_rows=1)
    assert (caught.value.row, caught.value.line) == place
    assert caught.value.message == f"{message}, more than --max-bad 1%"
    assert caught.value.hint.endswith("or raise --max-bad")
    assert not output.exists()


def test_a_bad_row_of_parquet(tiny_bundle: Path, tmp_path: Path) -> None:
    text = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")]
    )
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet: row 2: .*UTF-8; 1 of 2 rows is bad, more than --max-bad 0;"):
        score_file(tmp_path / "a.parquet", tmp_path / "b.parquet", model=tiny_bundle, on_bad_row="reject", max_bad="0")


@pytest.mark.in_python
def test_in_python_the_hint_names_the_limit_and_not_what_was_passed(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,id\na,1\nb,2,3\n")
    with pytest.raises(InputError) as caught:
        score_file(tmp_path / "a.csv", tmp_path / "b.csv", model=tiny_bundle, on_bad_row="reject", max_bad="0")
    assert caught.value.hint == "fix the row, or raise `max_bad`"
