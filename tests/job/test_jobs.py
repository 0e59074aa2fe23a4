"""Whole jobs: the same bytes however they are cut, folders like `make`, and what a run leaves for programs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scorer import score_file
from scorer.commands.console import run
from scorer.commands.score import score
from scorer.disk.locking import locked
from scorer.errors import BusyError, InputError, UsageError
from scorer.job.journal import UnfinishedWork
from scorer.job.verification import verify_output
from scorer.progress import NoProgress
from scorer.run.report import RunReport
from tests.conftest import Call, InProcess

N = 300


@pytest.fixture
def here(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in tmp_path, on the tiny model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCORER_MODEL", str(tiny_bundle))
    monkeypatch.setenv("SCORER_THREADS", "1")


@pytest.fixture
def call(here: None, in_process: InProcess) -> Call:
    """Runs `score`; gives the exit code, stdout and stderr."""

    return in_process(score)


def rows(n: int = N) -> pa.Table:
    texts = [None if k % 37 == 0 else f"A warm film {k % 50}, " + "good " * (k % 7) for k in range(n)]
    kinds = pa.array([f"kind {k % 3}" for k in range(n)]).dictionary_encode()
    return pa.table({"id": range(n), "text": texts, "kind": kinds})


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    (folder / "sub").mkdir(parents=True)
    pq.write_table(rows(20), folder / "a.parquet")
    (folder / "sub" / "b.csv").write_text("id,text\n007,good\n008,bad\n")
    (folder / "c.jsonl").write_text('{"text":"good"}\n')
    return folder


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.jsonl.gz"])
def test_any_chunk_size_and_thread_count_gives_the_same_bytes(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    pq.write_table(rows(), tmp_path / "in.parquet", row_group_size=70)
    seen = set()
    for chunk_rows, threads in [(1, 1), (7, 3), (64, 2), (N, 1), (10_000, 2)]:
        options = {"chunk_rows": chunk_rows, "threads": threads, "overwrite": True, "model": str(tiny_bundle)}
        score_file(tmp_path / "in.parquet", tmp_path / name, **options)
        seen.add((tmp_path / name).read_bytes())
    assert len(seen) == 1


def test_parquet_keeps_schema_and_metadata(tiny_bundle: Path, tmp_path: Path) -> None:
    schema = pa.schema([pa.field("text", pa.string(), metadata={"lang": "en"})], metadata={"source": "a test"})
    with pq.ParquetWriter(tmp_path / "in.parquet", schema) as writer:
        writer.write_table(pa.table([["good"]], schema=schema))
        writer.add_key_value_metadata({"late": "key"})
    score_file(tmp_path / "in.parquet", tmp_path / "a.parquet", model=str(tiny_bundle))
    written = pq.read_schema(tmp_path / "a.parquet")
    assert {key: written.metadata[key] for key in (b"source", b"late")} == {b"source": b"a test", b"late": b"key"}
    assert written.field("text").metadata[b"lang"] == b"en"
    # An output can be an input: the provenance is then its own again.
    score_file(tmp_path / "a.parquet", tmp_path / "b.parquet", model=str(tiny_bundle), prefix="again_")
    assert "1 row" in verify_output(tmp_path / "b.parquet")


def test_provenance_says_where_an_output_came_from(call: Call, incoming: Path, tmp_path: Path) -> None:
    assert call("incoming/sub/b.csv", "-o", "b.csv")[0] == 0
    value = json.loads((tmp_path / "b.csv.provenance.json").read_text())
    assert value["inputs"][0]["name"] == "b.csv"
    assert value["inputs"][0]["bytes"] == 25
    assert value["provider"] == "CPUExecutionProvider"
    assert value["rows"] == {"in": 2, "out": 2, "scored": 2, "empty": 0, "error": 0, "rejected": 0}
    assert {"review-scorer", "onnxruntime", "tokenizers", "pyarrow"} <= set(value["versions"])
    assert str(tmp_path) not in json.dumps(value)


def test_a_folder_is_scored_as_make_would(call: Call, incoming: Path, tmp_path: Path) -> None:
    (incoming / "broken.parquet").write_bytes(b"junk")
    code, out, err = call("incoming/", "-o", "scored/", "--metrics-file", "m.prom", "--summary", "s.json")
    assert (code, out) == (3, "")
    assert "error: incoming/broken.parquet: " in err
    assert err.endswith("error: 1 of 4 files could not be scored: incoming/broken.parquet; the other 3 are done\n")
    done = {path.relative_to(tmp_path / "scored").as_posix() for path in (tmp_path / "scored").rglob("[!.]*.*")}
    assert done == {
        "a.parquet", "c.jsonl", "c.jsonl.provenance.json", "sub/b.csv", "sub/b.csv.provenance.json",
    }  # fmt: skip
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["exit_code"], summary["files"]) == (3, {"done": 3, "up_to_date": 0, "failed": 1, "older": 0})
    assert metrics(tmp_path / "m.prom")["score_files", "failed"] == 1

    (incoming / "broken.parquet").unlink()
    states = {name: (tmp_path / "scored" / name).stat() for name in ("a.parquet", "c.jsonl")}
    (incoming / "sub" / "b.csv").write_text("id,text\n007,changed\n")
    code, _, err = call("incoming", "-o", "scored", "--summary", "s.json")
    assert code == 0, err
    files = json.loads((tmp_path / "s.json").read_text())["files"]
    assert files == {"done": 1, "up_to_date": 2, "failed": 0, "older": 0}
    assert "changed" in (tmp_path / "scored" / "sub" / "b.csv").read_text()
    for name, before in states.items():
        after = (tmp_path / "scored" / name).stat()
        assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert call("incoming", "-o", "scored", "--prefix", "p_")[0] == 0
    assert "p_label" in pq.read_schema(tmp_path / "scored" / "a.parquet").names


def test_a_file_of_others_in_the_folder_is_not_replaced(call: Call, incoming: Path, tmp_path: Path) -> None:
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "c.jsonl").write_text("precious")
    code, _, err = call("incoming", "-o", "scored")
    assert code == 2
    assert "error: scored/c.jsonl: already exists; move it away, or take its input out of this run" in err
    assert (tmp_path / "scored" / "c.jsonl").read_text() == "precious"
    assert (tmp_path / "scored" / "a.parquet").exists()


@pytest.mark.parametrize("length", [0, 40])
def test_an_output_that_lost_its_end_is_made_again(call: Call, incoming: Path, tmp_path: Path, length: int) -> None:
    assert call("incoming", "-o", "scored")[0] == 0
    whole = {path: path.read_bytes() for path in (tmp_path / "scored").rglob("[!.]*") if path.is_file()}
    cut = [path for path in whole if path.name in ("a.parquet", "c.jsonl")]
    for path in cut:
        path.write_bytes(whole[path][:length])
    code, _, err = call("incoming", "-o", "scored")
    assert (code, "--overwrite" in err) == (0, False), err
    assert err.count("scored again for a damaged output") == 2
    assert {path: path.read_bytes() for path in whole} == whole
    # Where nobody could know whose it is, a file without a byte is no loss.
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c.jsonl").touch()
    assert call("incoming", "-o", "other")[0] == 0


@pytest.mark.parametrize("options", [(), ("--checksum",)])
def test_an_output_in_which_a_byte_changed_is_made_again(
    call: Call, incoming: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert call("incoming", "-o", "scored")[0] == 0
    whole = {path: path.read_bytes() for path in (tmp_path / "scored").rglob("[!.]*") if path.is_file()}
    damaged = {path: data for path, data in whole.items() if path.name in ("a.parquet", "c.jsonl")}
    for path, data in damaged.items():
        path.write_bytes(data[:9] + bytes([data[9] ^ 1]) + data[10:])
    assert "2 files to score, 1 up to date" in call("incoming", "-o", "scored", "--dry-run", *options)[1]
    code, _, err = call("incoming", "-o", "scored", *options)
    assert (code, err.count("scored again for a damaged output")) == (0, 2), err
    assert {path: path.read_bytes() for path in whole} == whole


def test_several_inputs_and_globs_go_into_a_folder(call: Call, incoming: Path, tmp_path: Path) -> None:
    assert call("incoming/a.parquet", "incoming/c.jsonl", "-o", "one", "--output-format", "csv.gz")[0] == 0
    assert {path.name for path in (tmp_path / "one").glob("[!.]*") if ".prov" not in path.name} == {
        "a.csv.gz",
        "c.csv.gz",
    }
    assert call("incoming/*.parquet", "-o", "two")[0] == 0
    assert call("incoming/a.parquet", "-o", "two/")[0] == 0  # named as a folder
    assert [path.name for path in (tmp_path / "two").glob("[!.]*")] == ["a.parquet"]
    code, _, err = call("incoming/a.parquet", "incoming/c.jsonl", "-o", "all.parquet")
    assert (code, "several outputs need a folder" in err) == (2, True)
    (tmp_path / "incoming").rename(tmp_path / "reviews.parquet")  # as Spark calls its folders
    code, _, err = call("reviews.parquet", "-o", "all.parquet")
    assert code == 2
    assert "error: reviews.parquet: is a folder, so the output must be a folder too; name a folder" in err
    assert call("reviews.parquet", "-o", "three")[0] == 0
    (tmp_path / "reviews.parquet").rename(tmp_path / "incoming")
    code, _, err = call("incoming/a.parquet", "incoming/c.jsonl", "-o", "-")
    assert (code, "takes one input" in err) == (2, True)
    code, _, err = call("incoming", "-o", "no/such")
    assert (code, "no such folder" in err) == (5, True)
    code, _, err = call("incoming", "-o", "incoming")
    assert (code, "is the folder of the inputs itself" in err) == (2, True)


def test_outputs_below_the_inputs_are_no_inputs(call: Call, incoming: Path) -> None:
    for _ in range(2):
        code, _, err = call("incoming", "-o", "incoming/scored")
        assert code == 0, err
    assert "0 files scored, 3 up to date" in err
    assert not (incoming / "scored" / "scored").exists()


def test_inputs_below_the_outputs_are_inputs(call: Call, incoming: Path, tmp_path: Path) -> None:
    for inputs in (["incoming"], ["incoming/*.parquet"], ["incoming/a.parquet", "incoming/c.jsonl"]):
        code, _, err = call(*inputs, "-o", ".")
        assert code == 0, err
    assert (tmp_path / "a.parquet").exists()
    assert (tmp_path / "c.jsonl").exists()


def test_a_named_file_is_never_taken_for_an_output(call: Call, incoming: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("text\ngood\n")
    code, _, err = call("b.csv", "incoming/a.parquet", "-o", ".")
    assert (code, "error: b.csv: is the input itself; write to another file\n" in err) == (2, True)
    assert (tmp_path / "a.parquet").exists()
    (incoming / "scored").mkdir()
    (incoming / "scored" / "late.csv").write_text("text\ngood\n")
    code, _, err = call("incoming", "incoming/scored/late.csv", "-o", "incoming/scored")
    assert code == 0, err
    assert (incoming / "scored" / "late.csv").read_text() == "text\ngood\n"
    assert (incoming / "scored" / "scored" / "late.csv").exists()
    code, _, err = call("incoming/*.parquet", "-o", "incoming")
    assert (code, "incoming: is the folder of the inputs itself" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("in", "-o", ".", "--overwrite"), "in/a.csv: is also an input of this run; write to another folder"),
        (
            ("b.csv.rejects.jsonl", "b.csv", "-o", "out"),
            "b.csv: its output out/b.csv.rejects.jsonl would also be written by",
        ),
        ((".c.csv.tmp", "--format", "csv", "-o", "c.csv"), ".c.csv.tmp: is the input itself"),
        ((".c.csv.old", "--format", "csv", "-o", "c.csv"), ".c.csv.old: is the input itself"),
        (("b.csv", "-o", ""), "the output has an empty name"),
        (("", "-o", "out"), "an input has an empty name"),
        (("b.csv", "-o", "d.csv"), "d.csv.rejects.jsonl: is a folder"),
        (("in", "-o", "out", "--summary", "out/a.csv"), "out/a.csv: is an output, or a file that belongs to one"),
        (
            ("in", "-o", "out", "--metrics-file", "out/a.csv.provenance.json"),
            "is an output, or a file that belongs to one",
        ),
        (
            ("b.csv", "-o", "c.csv", "--metrics-file", "in/../c.csv.rejects.jsonl"),
            "is an output, or a file that belongs to one",
        ),
        (
            ("b.csv", "-o", "c.csv", "--summary", "s3://key:secret@b/s"),
            "s3://b/s: is a URL, but this must be a local file",
        ),
        (("b.csv", "-o", "memory://b/b.csv", "--model", "s3://key:secret@b/m"), "s3://b/m: is a URL; copy the bundle"),
    ],
)
def test_names_that_would_cost_a_file_are_refused(call: Call, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "in" / "in").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "d.csv.rejects.jsonl").mkdir()
    for name in ("in/a.csv", "in/in/a.csv", "b.csv", ".c.csv.tmp", ".c.csv.old"):
        (tmp_path / name).write_text(f"text\n{name}\n")
    (tmp_path / "b.csv.rejects.jsonl").write_text('{"text":"good"}\n')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = call(*arguments)
    assert (code, out) == (4 if "--model" in arguments else 2, "")
    assert says in err
    assert "secret" not in err
    assert {path: path.read_bytes() for path in before} == before


def test_names_that_are_no_text(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"1.csv", b"2\xe9.csv", b"3.csv"):
        (folder / os.fsdecode(name)).write_text("text\ngood\n")
    assert call("in", "-o", "out", "--summary", "s.json")[0] == 0
    outputs = json.loads((tmp_path / "s.json").read_text())["outputs"]
    assert [output["input"] for output in outputs] == ["in/1.csv", "in/2\\udce9.csv", "in/3.csv"]
    assert call("--verify", "out")[0] == 0
    odd = os.fsdecode(b"in/no\xe9.csv")
    assert call(odd, "-o", "b.csv", "--summary", "s.json")[0] == 3
    assert json.loads((tmp_path / "s.json").read_text())["failures"][0]["input"] == "in/no\\udce9.csv"
    assert call("in/1.csv", "-o", os.fsdecode(b"o\xff.parquet"))[0] == 0


def test_one_of_many_that_another_run_holds(call: Call, incoming: Path, tmp_path: Path) -> None:
    (tmp_path / "scored").mkdir()
    with locked(tmp_path / "scored" / "a.parquet"):
        code, _, err = call("incoming", "-o", "scored")
    assert (code, "a.parquet: another run holds this output" in err) == (6, True)
    assert (tmp_path / "scored" / "c.jsonl").exists()


def metrics(path: Path) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(path.read_text())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_metrics_tell_of_success_and_of_failure(call: Call, incoming: Path, tmp_path: Path) -> None:
    before = time.time()
    assert call("incoming/a.parquet", "-o", "a.parquet", "--metrics-file", "m.prom")[0] == 0
    good = metrics(tmp_path / "m.prom")
    assert (good["score_rows", "ok"], good["score_rows", "empty"], good["score_rows", "rejected"]) == (19, 1, 0)
    assert good[("score_exit_code",)] == 0
    assert good[("score_tokens",)] > 0
    assert before <= good[("score_last_success_timestamp_seconds",)] <= time.time()
    for arguments, code in [
        (("incoming/a.parquet", "-o", "a.parquet"), 2),
        (("incoming/no.parquet", "-o", "b.parquet"), 3),
        (("incoming/a.parquet", "-o", "b.parquet", "--model", "no-such"), 4),
        (("incoming/*.xyz", "-o", "scored"), 3),
    ]:
        assert call(*arguments, "--metrics-file", "m.prom")[0] == code
        bad = metrics(tmp_path / "m.prom")
        assert bad[("score_exit_code",)] == code
        assert bad[("score_last_success_timestamp_seconds",)] == good[("score_last_success_timestamp_seconds",)]


def test_metrics_and_summary_of_an_output_that_is_no_file_here(
    here: None, incoming: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    fsspec.filesystem("memory").store.clear()
    with pytest.raises(SystemExit) as left:
        run(score, ["no.csv", "-o", "memory://b/out.csv", "--metrics-file", "m.prom"], env_prefix="SCORER")
    assert left.value.code == 3
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == 3
    for output in ("-", "memory://b/out.csv"):
        arguments = ["incoming/sub/b.csv", "-o", output, "--metrics-file", "m.prom", "--summary", "s.json"]
        with pytest.raises(SystemExit) as left:
            run(score, arguments, env_prefix="SCORER")
        assert left.value.code == 0
        value = metrics(tmp_path / "m.prom")
        assert (value["score_rows", "ok"], value[("score_exit_code",)]) == (2, 0)
        assert value[("score_last_success_timestamp_seconds",)] > 0
        assert json.loads((tmp_path / "s.json").read_text())["rows"]["scored"] == 2
        (tmp_path / "m.prom").unlink()
        (tmp_path / "s.json").unlink()


@pytest.mark.parametrize("place", ["UnfinishedWork.remove", "RunReport.lines"])
def test_a_signal_behind_the_publishing_stops_nothing(
    call: Call, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    owner = {"UnfinishedWork": UnfinishedWork, "RunReport": RunReport}[place.partition(".")[0]]
    name = place.partition(".")[2]
    plain = getattr(owner, name)
    came: list[int] = []

    def signalled(self: object) -> object:
        if (tmp_path / "a.parquet").exists():
            came.append(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        return plain(self)

    monkeypatch.setattr(owner, name, signalled)
    code, _, err = call("incoming/a.parquet", "-o", "a.parquet", "--metrics-file", "m.prom")
    assert (code, len(came)) == (0, 1), err
    assert "20 rows" in err
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == 0
    assert verify_output(tmp_path / "a.parquet")
    assert {path.name for path in tmp_path.iterdir()} == {"incoming", "a.parquet", "m.prom"}


def test_a_report_never_takes_the_place_of_data(call: Call, incoming: Path, tmp_path: Path) -> None:
    stood = (incoming / "a.parquet").read_bytes()
    (tmp_path / "link.json").symlink_to(incoming / "a.parquet")
    (tmp_path / "hard.json").hardlink_to(incoming / "a.parquet")
    for target in ("incoming/a.parquet", "link.json", "hard.json", "out.csv", "/dev/null"):
        code, _, err = call("incoming/a.parquet", "-o", "out.csv", "--summary", target)
        assert code == 2, err
        assert call("incoming", "-o", "scored", "--metrics-file", "incoming/a.parquet")[0] == 2
    assert (incoming / "a.parquet").read_bytes() == stood
    assert call("incoming/a.parquet", "-o", "out.csv", "--summary", "no/s.json")[0] == 5
    assert not (tmp_path / "out.csv").exists()


def test_the_summary_of_one_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,good\n2,\n3,a,b\n")
    arguments = ("a.csv", "-o", "b.csv", "--on-bad-row", "reject", "--summary", "s.json")
    assert call(*arguments)[0] == 0
    value = json.loads((tmp_path / "s.json").read_text())
    assert value["rows"] == {"in": 3, "out": 2, "scored": 1, "empty": 1, "error": 0, "rejected": 1}
    assert value["outputs"][0]["provider"] == "CPUExecutionProvider"
    rejects = (tmp_path / "b.csv.rejects.jsonl").read_text()
    assert json.loads(rejects) == {
        "file": "a.csv", "row": 3, "line": 4, "byte_offset": 18, "reason": "3 fields, but the header has 2",
    }  # fmt: skip
    assert call(*arguments, "--overwrite", "--keep-raw")[0] == 0
    assert json.loads((tmp_path / "b.csv.rejects.jsonl").read_text())["raw"] == "3,a,b"
    for limit, code in [("1", 0), ("0", 3), ("34%", 0), ("33%", 3)]:
        assert call(*arguments, "--overwrite", "--max-bad", limit)[0] == code
    (tmp_path / "a.csv").write_text("id,text\n1,good\n")
    assert call(*arguments, "--overwrite")[0] == 0
    assert not (tmp_path / "b.csv.rejects.jsonl").exists()  # those of the rows that were there before


def test_standard_output(here: None, incoming: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    # What is written to the descriptor itself does not pass through Python's stdout.
    with pytest.raises(SystemExit) as left:
        run(score, ["incoming/sub/b.csv", "-o", "-", "--columns", "id", "-q"], env_prefix="SCORER")
    assert left.value.code == 0
    out = capfdbinary.readouterr().out
    assert out.startswith(b"id,pred_label,pred_score,")
    assert out.count(b"\n") == 3
    with pytest.raises(SystemExit) as left:
        run(score, ["incoming/a.parquet", "-o", "-", "-q"], env_prefix="SCORER")
    assert left.value.code == 2
    assert b"pass --output-format" in capfdbinary.readouterr().err


class Meanwhile(NoProgress):
    """Does something when one chunk is done and others are not."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act: Callable[[], object] | None = act

    def advance(self, rows: int, tokens: int) -> None:  # noqa: ARG002
        if self._act is not None:
            self._act()
            self._act = None


@pytest.mark.parametrize("change", ["grows", "replaced", "gone"])
def test_an_input_that_changes_meanwhile(tiny_bundle: Path, tmp_path: Path, change: str) -> None:
    path, output = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("text\n" + "".join(f"a good film {number}\n" for number in range(40)))

    def change_it() -> None:
        if change == "grows":
            with path.open("a") as file:
                file.write("one more\n")
        elif change == "replaced":
            (tmp_path / "new").write_text(path.read_text())
            (tmp_path / "new").replace(path)
        else:
            path.unlink()

    state = "back" if change == "gone" else "complete"
    with pytest.raises(InputError, match=f"since this run began; run again once it is {state}"):
        score_file(path, output, model=str(tiny_bundle), chunk_rows=4, threads=1, progress=Meanwhile(change_it))
    assert {item.name for item in tmp_path.iterdir()} == ({"in.csv"} if change != "gone" else set())


def test_unfinished_work_of_another_kind_is_dropped(call: Call, tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "in.parquet")
    leave_unfinished(tmp_path)
    code, _, err = call("in.parquet", "-o", "out.csv", "--chunk-rows", "50", "--prefix", "p_")
    assert code == 0
    assert "out.csv: dropping unfinished work of another input, model, option or version" in err
    leave_unfinished(tmp_path)
    code, _, err = call("in.parquet", "-o", "out.csv", "--chunk-rows", "50", "--overwrite", "--no-resume")
    assert (code, "dropping unfinished work left by an earlier run" in err) == (0, True)
    expected = (tmp_path / "out.csv").read_bytes()
    for damage in ("part", "journal", "count", "torn"):
        leave_unfinished(tmp_path)
        partial = tmp_path / "out.csv.partial"
        if damage == "part":
            data = bytearray((partial / "chunk-000000001.arrow").read_bytes())
            data[len(data) // 2] ^= 4
            (partial / "chunk-000000001.arrow").write_bytes(data)
        else:
            lines = (partial / "journal.jsonl").read_bytes()
            damaged = {"torn": lines[:-9], "journal": lines[:50] + b"?" + lines[51:]}
            damaged["count"] = lines.replace(b'"rows":50', b'"rows":51').replace(b'"ok":', b'"ko":')
            assert damaged[damage] != lines
            (partial / "journal.jsonl").write_bytes(damaged[damage])
        code, _, err = call("in.parquet", "-o", "out.csv", "--chunk-rows", "50", "--overwrite")
        assert code == 0, err
        assert (tmp_path / "out.csv").read_bytes() == expected
        assert not partial.exists()


def leave_unfinished(folder: Path) -> None:
    """Run over in.parquet and stop before the output is published."""
    from scorer.job import resumable_job

    def stop(*_: object, **__: object) -> None:
        raise BusyError("stopped by the test")

    assemble, resumable_job.assemble = resumable_job.assemble, stop  # type: ignore[assignment]
    try:
        with pytest.raises(BusyError):
            score_file(
                folder / "in.parquet", folder / "out.csv", chunk_rows=50, threads=1, overwrite=True,
                model=os.environ["SCORER_MODEL"],
            )  # fmt: skip
    finally:
        resumable_job.assemble = assemble
    assert len(list((folder / "out.csv.partial").glob("chunk-*.arrow"))) == 5  # the first one lies in the journal


def test_a_folder_of_that_name_that_is_not_ours(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\ngood\n")
    (tmp_path / "out.csv.partial").mkdir()
    (tmp_path / "out.csv.partial" / "precious").write_text("x")
    with pytest.raises(UsageError, match="is in the way: unfinished work is kept under this name"):
        score_file(tmp_path / "in.csv", tmp_path / "out.csv", model=str(tiny_bundle))
    assert (tmp_path / "out.csv.partial" / "precious").exists()
