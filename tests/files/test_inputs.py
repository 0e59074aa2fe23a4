"""Files, folders, globs and URLs: what arguments stand for, and what messages say of them."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import InputError, UsageError
from scorer.files.formats import OutputFormat, format_of
from scorer.files.inputs import InputFile, expand_inputs
from scorer.files.opening import open_source
from scorer.files.remote import url_state
from scorer.files.source import ReadOptions
from scorer.files.urls import without_secrets
from tests.helpers.stores import s3_store


def names(*arguments: object) -> list[str]:
    return [file.name for file in expand_inputs([str(argument) for argument in arguments])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "incoming"
    kept = ["b.csv", "a.parquet", "deep/er/c.jsonl.gz", "deep/d.tsv.zst", "10.ndjson", "UPPER.CSV"]
    passed_over = [".hidden.csv", ".git/x.csv", "notes.txt", "x.parquet.partial/p.parquet", "b.csv.rejects.jsonl"]
    passed_over += ["b.csv.provenance.json", "x.csv.tmp", "x.csv~", "p.parquet.gz", "a.parquet.lock", ".b.csv.7.tmp"]
    passed_over += ["_SUCCESS", "_part.csv", "_temporary/0/p.csv", "deep/.ipynb_checkpoints/a.csv", "deep/_old/a.csv"]
    for name in kept + passed_over:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\na\n")
    (root / "loop").symlink_to(root)
    return root


def test_a_folder_gives_its_files_sorted(folder: Path) -> None:
    expected = ["10.ndjson", "UPPER.CSV", "a.parquet", "b.csv", "deep/d.tsv.zst", "deep/er/c.jsonl.gz"]
    assert names(folder) == names(f"{folder}/") == expected
    assert expand_inputs([folder])[3] == InputFile(str(folder / "b.csv"), "b.csv")


def test_globs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(folder / "*.csv") == ["b.csv"]
    assert names(folder / "deep" / "**" / "*.gz") == ["er/c.jsonl.gz"]
    monkeypatch.chdir(folder)
    assert [file.path for file in expand_inputs(["d*p/*.zst"])] == ["deep/d.tsv.zst"]
    (folder / "what[1].csv").write_text("text\n")
    assert names("what[1].csv") == ["what[1].csv"]
    with pytest.raises(InputError, match="matches no file of a known format"):
        expand_inputs(["*.xyz"])


def test_lines_of_json_under_their_usual_names(tmp_path: Path) -> None:
    lines = b'{"text": "a"}\n{"text": "b"}\n'
    (tmp_path / "a.json").write_bytes(lines)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.JSON.zst").write_bytes(pa.compress(lines, "zstd", asbytes=True))
    assert names(tmp_path) == ["a.json", "b.json.gz", "c.JSON.zst"]
    for file in expand_inputs([tmp_path]):
        assert [row["text"] for table in open_source(file.path).tables(9) for row in table.to_pylist()] == ["a", "b"]
    assert OutputFormat.of("x.json.gz") == OutputFormat("jsonl", "gzip")


def test_hidden_names_are_read_where_they_are_named(folder: Path) -> None:
    assert names(folder / "_part.csv") == ["_part.csv"]
    assert names(folder / "_temporary") == ["0/p.csv"]
    assert names(folder / "_*.csv") == ["_part.csv"]
    assert names(folder / "_temporary" / "*" / "*.csv") == ["0/p.csv"]
    assert names(folder / "deep" / "_o*" / "*") == ["_old/a.csv"]
    with pytest.raises(InputError, match="matches no file of a known format"):
        expand_inputs([f"{folder}/deep/*/a.csv"])


def test_a_format_that_is_named_decides_for_every_file(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "scorer"):
        assert "notes.txt" not in names(folder)
    said = next(line for line in caplog.messages if "hidden" in line)
    assert said.startswith(f"{folder}: 16 passed over, of an unknown extension or hidden: .b.csv.7.tmp, .git/, ")
    assert f"{folder}: 1 passed over, linked folders: loop" in caplog.messages
    assert said.endswith(" more")
    found = expand_inputs([folder], any_format=True)
    assert [file.name for file in found if "." not in file.name or file.name.endswith(("txt", "gz"))] == [
        "deep/er/c.jsonl.gz", "notes.txt", "p.parquet.gz",
    ]  # fmt: skip
    assert not [file for file in found if file.name.startswith(("_", ".")) or file.name.endswith(("~", "tmp", "lock"))]
    assert [file.name for file in expand_inputs([f"{folder}/*.t*"], any_format=True)] == ["notes.txt"]


def test_of_two_names_of_a_file_the_one_that_is_no_link_is_taken(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("text\n")
    (tmp_path / "latest.csv").symlink_to("z.csv")
    assert [file.name for file in expand_inputs([tmp_path])] == ["z.csv"]
    latest = str(tmp_path / "latest.csv")
    assert [file.name for file in expand_inputs([latest])] == ["latest.csv"]
    assert [file.name for file in expand_inputs([latest, str(tmp_path / "z.csv")])] == ["z.csv"]


def test_levels_of_a_hive_folder_come_with_the_name(tmp_path: Path) -> None:
    for year in (2024, 2025):
        path = tmp_path / f"year={year}" / "lang=en" / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_text("text\na\n")
    both = [f"year={year}/lang=en/a.csv" for year in (2024, 2025)]
    assert names(tmp_path) == names(tmp_path / "*" / "*" / "*") == both
    assert names(tmp_path / "year=2024", tmp_path / "year=2025" / "lang=en") == both
    assert names(tmp_path / "year=2024" / "*" / "*.csv") == both[:1]
    assert names(tmp_path / "year=2024" / "lang=en" / "a.csv") == ["a.csv"]


def test_several_inputs(folder: Path) -> None:
    assert names(folder / "b.csv", folder / "a.parquet", folder / "b.csv") == ["b.csv", "a.parquet"]


def test_arguments_that_stand_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no input"):
        expand_inputs([])
    with pytest.raises(UsageError, match="pass - alone"):
        expand_inputs(["-", "a.csv"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file of a known format"):
        expand_inputs([tmp_path / "empty"])
    assert names("-") == ["stdin"]
    # A file that is not there is named when it is opened.
    assert names(tmp_path / "gone.csv") == ["gone.csv"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:se%2Fcret@bucket/a.csv", "s3://bucket/a.csv"),
        ("https://h/a.csv?X-Amz-Signature=abc&x=1", "https://h/a.csv"),
        ("gs://bucket/a.csv#token=1", "gs://bucket/a.csv"),
        ("s3://a@b@bucket/x", "s3://bucket/x"),
        ("s3://[bad/x?secret=1", "s3://…"),
        ("s3://AKIA:wJalrXUt/K7MDENG/bPx@bucket/a.csv", "s3://bucket/a.csv"),
        ("s3://bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("http://host:8080/a@b.csv?x=1", "http://host:8080/a@b.csv"),
        ("simplecache::s3://key:secret@bucket/a.csv", "simplecache::s3://bucket/a.csv"),
        ("plain?name.csv", "plain?name.csv"),
    ],
)
def test_urls_lose_their_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_paths_that_may_not_be_looked_at_or_cannot_be(tmp_path: Path) -> None:
    for name in ("x" * 300 + ".csv", "a/" + "x" * 5000 + ".csv"):
        with pytest.raises(InputError, match="cannot be read"):
            open_source(expand_inputs([name])[0].path)
    with pytest.raises(UsageError, match="an input has an empty name; is a variable unset"):
        expand_inputs([""])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("A.CSV", "csv"), ("a.tsv.gz", "tsv"), ("a.ndjson.zst", "jsonl"), ("s3://b/a.pq?sig=x.csv", "parquet")],
)
def test_formats_by_extension(name: str, kind: str) -> None:
    assert format_of(name) == kind


@pytest.mark.parametrize("name", ["a", "a.xlsx", "a.gz", "a.txt.gz", "a.parquet.gz", "a.csv.bz2"])
def test_extensions_that_name_no_format(name: str) -> None:
    with pytest.raises(InputError):
        format_of(name)


@pytest.mark.parametrize(
    ("name", "chosen", "leave"),
    [("a.parquet.gz", None, ".gz"), ("a", "parquet.gz", ".gz"), ("a.pq", "parquet.zst", ".zst")],
)
def test_parquet_is_not_packed_again(name: str, chosen: str | None, leave: str) -> None:
    with pytest.raises(UsageError, match="Parquet is compressed inside") as error:
        OutputFormat.of(name, chosen)
    assert error.value.hint == f"drop {leave}"


ROWS = pa.table({"id": ["1", "2", "3"], "text": ["a", "b é", "c"]})


def write_all(write: object) -> None:
    """One file of each kind, by a function of a name and its bytes."""
    assert callable(write)
    sink = pa.BufferOutputStream()
    pq.write_table(ROWS, sink, row_group_size=2)
    write("in/a.parquet", sink.getvalue().to_pybytes())
    write("in/b.csv", "id,text\n1,a\n2,b é\n3,c\n".encode())
    lines = b'{"id": "1", "text": "a"}\n{"id": "2", "text": "b \\u00e9"}\n{"id": "3", "text": "c"}\n'
    write("in/deep/c.jsonl.gz", gzip.compress(lines))
    write("in/.hidden.csv", b"x")
    write("in/readme.txt", b"x")


def check_all(root: str) -> None:
    found = expand_inputs([f"{root}/in"])
    assert [file.name for file in found] == ["a.parquet", "b.csv", "deep/c.jsonl.gz"]
    assert [file.path for file in found] == [f"{root}/in/{file.name}" for file in found]
    assert [file.name for file in expand_inputs([f"{root}/in/*.csv"])] == ["b.csv"]
    assert expand_inputs([f"{root}/in/b.csv"]) == [InputFile(f"{root}/in/b.csv", "b.csv")]
    for file in found:
        source = open_source(file.path)
        assert pa.concat_tables(source.tables(2)).to_pylist() == ROWS.to_pylist()
        assert [chunk.number for chunk in source.chunks(2, start=1)] == [1]
    assert url_state(found[1].path) == url_state(found[1].path)
    for missing in (f"{root}/in/no.csv", f"{root}/nothing-here", f"{root}/in/*.tsv"):
        with pytest.raises(InputError, match="no such file"):
            expand_inputs([missing])
    with pytest.raises(InputError, match="no such file"):
        list(open_source(f"{root}/in/no.csv").chunks(2))


def test_the_memory_file_system() -> None:
    root = f"memory://{uuid.uuid4().hex}"
    files = fsspec.filesystem("memory")
    write_all(lambda name, content: files.pipe(f"{root}/{name}", content))
    check_all(root)
    before = url_state(f"{root}/in/b.csv")
    files.pipe(f"{root}/in/b.csv", b"id,text\n")
    assert url_state(f"{root}/in/b.csv") != before


@pytest.fixture
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with s3_store() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield variables["AWS_ENDPOINT_URL"]


def test_s3(s3_server: str) -> None:
    import s3fs

    files = s3fs.S3FileSystem(endpoint_url=s3_server)
    files.mkdir("reviews")
    write_all(lambda name, content: files.pipe(f"reviews/{name}", content))
    check_all("s3://reviews")
    before = url_state("s3://reviews/in/b.csv")
    files.pipe("reviews/in/b.csv", b"id,text\n1,z\n2,b e\n3,c\n")
    assert url_state("s3://reviews/in/b.csv") != before


def test_a_place_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSECRET")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with pytest.raises(InputError) as caught:
        expand_inputs(["s3://user:hunter2@bucket/a.csv"])
    assert str(caught.value).startswith("s3://bucket/a.csv: ")
    assert "hunter2" not in str(caught.value)
    assert "AKIDSECRET" not in str(caught.value)


@pytest.mark.parametrize("url", ["nosuch://a/b.csv", "file:///etc/passwd.csv", "simplecache::s3://a/b.csv"])
def test_schemes_that_are_not_read(url: str) -> None:
    with pytest.raises((UsageError, InputError)):
        open_source(expand_inputs([url])[0].path)


def test_what_to_install_for_a_url() -> None:
    program = (
        "import sys\n"
        "sys.modules['fsspec'] = None\n"
        "from scorer.files.inputs import expand_inputs\n"
        "from scorer.errors import UsageError\n"
        "try: expand_inputs(['s3://b/a.csv'])\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith('pip install "review-scorer[remote]"')


def test_standard_input_of_parquet(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "a.parquet")
    program = (
        "from scorer.files.opening import ReadOptions, open_source\n"
        "print(sum(t.num_rows for t in open_source('-', ReadOptions(format='parquet')).tables(2)))\n"
    )
    with (tmp_path / "a.parquet").open("rb") as file:
        done = subprocess.run([sys.executable, "-c", program], stdin=file, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"
    done = subprocess.run([sys.executable, "-c", program], input="", capture_output=True, text=True, check=False)
    assert (
        done.stderr.splitlines()[-1]
        == "scorer.errors.InputError: -: is empty (0 bytes); write it again, or take it away"
    )


def test_options_that_do_not_fit_the_format(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="drop --encoding"):
        open_source(tmp_path / "a.parquet", ReadOptions(encoding="latin-1"))
    with pytest.raises(UsageError, match="drop --delimiter"):
        open_source(tmp_path / "a.parquet", ReadOptions(delimiter=";"))
