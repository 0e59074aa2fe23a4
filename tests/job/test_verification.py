"""`score --verify`: every changed bit is found, and what was published is called whole."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import score_file
from scorer.errors import InputError, OutputError
from scorer.files.counting import count_rows
from scorer.files.formats import OutputFormat
from scorer.job.verification import verify, verify_output
from tests.helpers.forks import Forks
from tests.helpers.processes import CODE

ROWS = pa.table(
    {
        "id": range(400),
        "text": [None if n % 50 == 0 else f'A warm film, number {n}; "good" and\nloud' for n in range(400)],
        "tags": [["a", None], []] * 200,
    }
).replace_schema_metadata({"source": "a test", "seal": '","seal":"' + "0" * 64 + '"}'})


@pytest.fixture(scope="module")
def scored(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    pq.write_table(ROWS, folder / "in.parquet")
    (folder / "bad.csv").write_text("id,text\n1,good\n2,a,b\n3,bad\n")
    for name in ("a.parquet", "a.csv", "a.jsonl.zst", "a.tsv.gz"):
        score_file(folder / "in.parquet", folder / name, model=str(tiny_bundle), threads=1)
    score_file(folder / "bad.csv", folder / "r.parquet", model=str(tiny_bundle), on_bad_row="reject")
    return folder


def copied(scored: Path, folder: Path) -> Path:
    import shutil

    shutil.copytree(scored, folder / "copy")
    return folder / "copy"


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl.zst", "a.tsv.gz"])
def test_what_was_published_is_whole(scored: Path, name: str) -> None:
    assert "whole, 400 rows" in verify_output(scored / name)


def test_rejected_rows_are_part_of_it(scored: Path, tmp_path: Path) -> None:
    folder = copied(scored, tmp_path)
    assert "whole, 2 rows, 1 rejected" in verify_output(folder / "r.parquet")
    rejects = folder / "r.parquet.rejects.jsonl"
    rejects.write_text(rejects.read_text().replace('"row":2', '"row":1'))
    with pytest.raises(InputError, match="its checksum differs"):
        verify_output(folder / "r.parquet")
    rejects.unlink()
    with pytest.raises(InputError, match="1 rejected row, but No such file"):
        verify_output(folder / "r.parquet")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl.zst", "a.csv.provenance.json"])
def test_a_thousand_flipped_bits_are_all_found(scored: Path, tmp_path: Path, name: str) -> None:
    folder = copied(scored, tmp_path)
    data = (folder / name).read_bytes()
    output = folder / name.removesuffix(".provenance.json")
    chosen = random.Random(1)
    n_bits = 8 * len(data)
    # Half of them among the last bytes, where the footer of Parquet lies.
    places = [chosen.randrange(n_bits) for _ in range(500)] + [
        n_bits - 1 - chosen.randrange(n_bits // 4) for _ in range(500)
    ]
    missed = []
    for place in places:
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        if name.endswith(".json") and flipped[-1] != ord("\n"):
            continue  # the line end behind the provenance is not part of it
        (folder / name).write_bytes(flipped)
        try:
            verify_output(output)
            missed.append(place)
        except InputError:
            pass
    assert missed == []


def test_files_that_were_cut_or_are_of_others(scored: Path, tmp_path: Path) -> None:
    folder = copied(scored, tmp_path)
    for name in ("a.parquet", "a.csv"):
        data = (folder / name).read_bytes()
        for length in (0, 3, 4, 11, 12, len(data) // 2, len(data) - 1):
            (folder / name).write_bytes(data[:length])
            with pytest.raises(InputError):
                verify_output(folder / name)
    with pytest.raises(InputError, match="its footer has no provenance"):
        verify_output(folder / "in.parquet")
    with pytest.raises(InputError, match=r"bad.csv.provenance.json is missing"):
        verify_output(folder / "bad.csv")
    with pytest.raises(InputError, match="no such file"):
        verify_output(folder / "nothing.csv")


def test_rows_that_are_swapped_for_others_of_the_same_schema(scored: Path, tmp_path: Path) -> None:
    folder = copied(scored, tmp_path)
    table = pq.read_table(folder / "a.parquet")
    pq.write_table(table.slice(1), folder / "a.parquet")  # with the provenance in its metadata
    with pytest.raises(InputError, match=r"no provenance|its checksum differs"):
        verify_output(folder / "a.parquet")


def test_a_folder_and_the_command(scored: Path, score_forks: Forks, tmp_path: Path) -> None:
    folder = copied(scored, tmp_path)
    for name in ("in.parquet", "bad.csv"):
        (folder / name).unlink()
    assert len(list(verify([folder]))) == 5

    def verified(*paths: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return score_forks.run(CODE, "--verify", *paths, folder=tmp_path, **variables)

    done = verified(folder)
    assert (done.returncode, done.stdout.count(": whole, ")) == (0, 5)
    (folder / "a.csv").write_text("x")
    done = verified(folder)
    assert (done.returncode, done.stdout.count(": whole, ")) == (3, 4)
    assert "1 of 5 files failed verification" in done.stderr
    # As a shell writes out scored/*.csv.
    done = verified(folder / "a.parquet", folder / "a.csv")
    assert (done.returncode, done.stdout.count(": whole, ")) == (3, 1)
    assert done.stderr.endswith("error: 1 of 2 files failed verification\n")
    name = "\x1b[31ma.csv"
    (folder / "a.csv").rename(folder / name)
    (folder / "a.csv.provenance.json").rename(folder / f"{name}.provenance.json")
    done = verified(folder)
    assert done.returncode == 3
    assert done.stderr.splitlines()[0].startswith(f"error: {folder}/\\x1b[31ma.csv: has changed since")
    done = verified(folder, SCORER_LOG_FORMAT="json")
    assert [json.loads(line)["level"] for line in done.stderr.splitlines()] == ["error", "error"]


@pytest.mark.parametrize(
    ("kind", "data", "rows"),
    [
        ("csv", b'a,b\n1,"x\ny"\n2,"say ""hi"""\n', 2),
        ("csv", b"a\n", 0),
        ("jsonl", b'{"a":1}\n{"a":2}\n', 2),
        ("jsonl", b"", 0),
        ("csv", b'a\n"open\n', None),
        ("csv", b"a\n1", None),
        ("jsonl", b'{"a":1}', None),
        ("parquet", b"PAR1", None),
    ],
)
def test_counting(tmp_path: Path, kind: str, data: bytes, rows: int | None) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    if rows is None:
        with pytest.raises(OutputError, match="cannot be read back"):
            count_rows(path, OutputFormat(kind), shown=path)
    else:
        assert count_rows(path, OutputFormat(kind), shown=path) == rows
