"""Delta tables: the current version and nothing else, or a refusal."""

from __future__ import annotations

import base64
import io
import json
import string
import struct
import uuid
from pathlib import Path

import duckdb
import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import s3fs
from deltalake import DeltaTable, write_deltalake

from scorer.errors import InputError, MissingInputError
from scorer.files.inputs import expand_inputs
from tests.helpers.forks import Forks
from tests.helpers.processes import CODE
from tests.helpers.stores import s3_store


def rows(*texts: str, year: int = 2024) -> pa.Table:
    return pa.table({"text": texts, "year": [year] * len(texts)})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three versions: the rows of the first two are replaced in part, their files are still there."""
    path = tmp_path / "table"
    write_deltalake(path, rows("old", "older"), partition_by=["year"])
    write_deltalake(path, rows("new"), mode="overwrite")
    write_deltalake(path, rows("newer", year=2025), mode="append")
    assert len(list(path.rglob("*.parquet"))) == 3
    return path


def texts_of(*arguments: Path | str) -> list[str]:
    files = expand_inputs([str(argument) for argument in arguments])
    return sorted(text for file in files for text in pq.ParquetFile(file.path).read()["text"].to_pylist())


def test_the_files_of_the_current_version(table: Path) -> None:
    assert texts_of(table) == texts_of(table.parent) == ["new", "newer"]
    assert [file.name.split("/")[0] for file in expand_inputs([table])] == ["year=2024", "year=2025"]
    # Whatever part of it is named.
    assert texts_of(f"{table}/*/*.parquet") == texts_of(f"{table}/**") == ["new", "newer"]
    assert texts_of(table / "year=2024") == texts_of(f"{table}/year=2024/*") == ["new"]


def test_other_files_in_its_folder_and_beside_it(table: Path) -> None:
    pq.write_table(rows("stray"), table / "year=2024" / "stray.parquet")
    pq.write_table(rows("beside"), table.parent / "beside.parquet")
    assert texts_of(table) == ["new", "newer"]
    assert texts_of(table.parent) == ["beside", "new", "newer"]
    assert texts_of(table / "year=2024" / "stray.parquet") == ["stray"]


def test_a_table_whose_name_is_hidden_below_a_folder(table: Path) -> None:
    table.rename(table.with_name("_table"))
    with pytest.raises(MissingInputError):
        expand_inputs([table.parent])
    assert texts_of(table.with_name("_table")) == ["new", "newer"]


def test_partitions_with_unusual_values(tmp_path: Path) -> None:
    kinds = pa.table({"text": ["a", "b", "c"], "a kind": ["x/y %", None, "é"]})
    write_deltalake(tmp_path / "table", kinds, partition_by=["a kind"])
    assert texts_of(tmp_path / "table") == ["a", "b", "c"]


def changed_log(table: Path, **changes: object) -> None:
    """The log with other values in its protocol and metadata."""
    first = min((table / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    for line in lines:
        for part in line.values():
            part.update({name: value for name, value in changes.items() if name in part or "minReaderVersion" in part})
    first.write_text("\n".join(map(json.dumps, lines)))


def with_deletion_vector(table: Path) -> None:
    """As other engines delete: the file stays, and the log holds a bitmap of its rows 0 and 1 in Z85."""
    features = ["deletionVectors"]
    changed_log(table, minReaderVersion=3, minWriterVersion=7, readerFeatures=features, writerFeatures=features)
    last = max((table / "_delta_log").glob("*.json"))
    add = next(json.loads(line)["add"] for line in last.read_text().splitlines() if '"add"' in line)
    bitmap = struct.pack("<IQIIIHHIHH", 1681511377, 1, 0, 12346, 1, 0, 1, 16, 0, 1)
    letters, z85 = base64._b85alphabet, b"0123456789" + string.ascii_letters.encode() + b".-:+=^!/*?&<>()[]{}@%$#"  # type: ignore[attr-defined]
    text = base64.b85encode(bitmap).translate(bytes.maketrans(letters, z85)).decode()
    vector = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(bitmap), "cardinality": 2}
    remove = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}
    lines = [{"remove": remove}, {"add": {**add, "deletionVector": vector}}]
    last.with_name(f"{int(last.stem) + 1:020}.json").write_text("\n".join(map(json.dumps, lines)))


def with_column_mapping(table: Path) -> None:
    changed_log(table, minReaderVersion=2, minWriterVersion=5, configuration={"delta.columnMapping.mode": "name"})


def with_an_unknown_feature(table: Path) -> None:
    changed_log(
        table, minReaderVersion=3, minWriterVersion=7, readerFeatures=["typeWidening"], writerFeatures=["typeWidening"]
    )


def without_log(table: Path) -> None:
    for path in (table / "_delta_log").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            with_deletion_vector,
            "is a Delta table with deletion vectors; write its rows to Parquet files and pass these",
        ),
        (with_column_mapping, "is a Delta table "),
        (with_an_unknown_feature, "is a Delta table "),
        (without_log, "is a Delta table that cannot be read"),
    ],
)
def test_what_its_files_alone_do_not_show_is_refused(tmp_path: Path, change: object, said: str) -> None:
    table = tmp_path / "table"
    write_deltalake(table, rows("a", "b"))
    assert callable(change)
    change(table)
    for name in (str(table), str(tmp_path), f"{table}/*.parquet"):
        with pytest.raises(InputError, match=said) as error:
            expand_inputs([name])
        assert error.value.path == str(table)


def test_a_file_that_is_gone_is_told_when_it_is_opened(table: Path) -> None:
    gone = Path(DeltaTable(table).file_uris()[0])
    gone.unlink()
    assert str(gone) in [file.path for file in expand_inputs([table])]


def test_without_the_package(table: Path, score_forks: Forks) -> None:
    code = f"import sys; sys.modules['deltalake'] = None; {CODE}"
    done = score_forks.run(code, table, "-o", table.parent / "out", folder=table.parent)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {table}: is a Delta table, which needs a package that is not installed;"
        ' pip install "review-scorer[delta]"\n'
    )


def test_in_a_store(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_store() as variables:
        for name, value in {**variables, "AWS_ALLOW_HTTP": "true"}.items():
            monkeypatch.setenv(name, value)
        files = s3fs.S3FileSystem(endpoint_url=variables["AWS_ENDPOINT_URL"])
        files.mkdir("lake")
        files.put(str(table), "lake/reviews/table", recursive=True)
        files.pipe("lake/reviews/other.csv", b"text\na\n")
        for url, inside in (("s3://lake/reviews", "table/"), ("s3://lake/reviews/table/", "")):
            found = [file for file in expand_inputs([url]) if not file.name.endswith(".csv")]
            assert [file.path.removeprefix("s3://lake/reviews/") for file in found] == [
                f"table/{Path(path).relative_to(table)}" for path in sorted(DeltaTable(table).file_uris())
            ]
            assert [file.name.split("year=")[0] for file in found] == [inside] * 2
            assert all(pq.ParquetFile(io.BytesIO(files.cat(file.path))).metadata.num_rows == 1 for file in found)
        assert next(file.name for file in expand_inputs(["s3://lake/reviews"])) == "other.csv"


def test_in_a_store_that_the_package_does_not_know(table: Path) -> None:
    files, root = fsspec.filesystem("memory"), f"memory://{uuid.uuid4().hex}"
    files.put(str(table), f"{root}/table", recursive=True)
    with pytest.raises(InputError, match=f"{root}/table: is a Delta table that cannot be read"):
        expand_inputs([f"{root}/table"])


def test_the_output_is_a_data_set_again(table: Path, tiny_bundle: Path, score_forks: Forks) -> None:
    out = table.parent / "out"
    arguments = [str(table), "-o", str(out), "--model", str(tiny_bundle)]
    for asked in (arguments, [*arguments[1:], str(table / "year=2025")]):
        done = score_forks.run(CODE, *asked, folder=table.parent)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    expected = [("new", 2024), ("newer", 2025)]
    by_arrow = ds.dataset(out, partitioning="hive").to_table(columns=["text", "year", "pred_label"]).to_pylist()
    assert sorted((row["text"], row["year"]) for row in by_arrow) == expected
    by_polars = pl.read_parquet(out, hive_partitioning=True)
    assert sorted(by_polars.select("text", "year").rows()) == expected
    by_duckdb = duckdb.sql(f"SELECT text, year FROM read_parquet('{out}/**/*.parquet', hive_partitioning = true)")
    assert sorted(by_duckdb.fetchall()) == expected
