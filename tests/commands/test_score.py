"""The command `score` as its users type it: output files, whole messages, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import Scorer, score_file
from scorer.commands.score import score
from scorer.errors import UsageError
from tests.conftest import Call, InProcess

ROWS = pa.table(
    {
        "id": [1, 2, 3, 4, 5],
        "text": ["A warm film.", None, "dull and loud", " ", "good " * 600],
        "tags": pa.array([["a"], [], None, ["b", "c"], []], pa.list_(pa.string())),
    }
).replace_schema_metadata({"source": "a test"})


@pytest.fixture
def call(in_process: InProcess) -> Call:
    """Runs `score` with arguments; gives the exit code, stdout and stderr."""

    return in_process(score)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    pq.write_table(ROWS, tmp_path / "reviews.parquet")
    return tmp_path / "reviews.parquet"


def test_parquet_to_parquet(call: Call, reviews: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "preds.parquet"
    code, out, err = call(reviews, "-o", output, "--model", tiny_bundle)
    assert (code, out) == (0, "")
    assert "5 rows (1 truncated, 2 empty)" in err
    assert "int8 on cpu" in err
    written = pq.read_table(output)
    assert written.select(ROWS.schema.names).equals(ROWS)
    assert written.schema.metadata[b"source"] == b"a test"
    expected = Scorer.load(tiny_bundle).score(ROWS["text"])
    assert written.select(expected.schema.names).to_pylist() == expected.to_pylist()
    assert {path.name for path in tmp_path.iterdir()} == {"preds.parquet", "reviews.parquet"}


def test_csv_to_csv_carries_text_as_it_is(call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text,price\n007,"good, ""very""\nfilm",1.50\n008,,\n', encoding="utf-8")
    assert call(tmp_path / "a.csv", "-o", tmp_path / "b.csv", "--model", tiny_bundle)[0] == 0
    lines = (tmp_path / "b.csv").read_text(encoding="utf-8")
    assert lines.startswith(
        "id,text,price,pred_label,pred_score,pred_prob_negative,pred_prob_positive,pred_status\n"
        '007,"good, ""very""\nfilm",1.50,'
    )
    assert lines.endswith("\n008,,,,,,,empty\n")


def test_parquet_to_csv_and_csv_to_parquet(call: Call, reviews: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    assert call(reviews, "-o", tmp_path / "a.csv", "--model", tiny_bundle)[0] == 0
    table = pyarrow.csv.read_csv(
        tmp_path / "a.csv", convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=False)
    )
    assert table["tags"].to_pylist() == ['["a"]', "[]", "", '["b","c"]', "[]"]
    assert call(tmp_path / "a.csv", "-o", tmp_path / "b.parquet", "--model", tiny_bundle, "--prefix", "again_")[0] == 0
    again = pq.read_table(tmp_path / "b.parquet")
    assert again["again_label"].to_pylist() == pq_labels(tmp_path / "a.csv")
    assert again["id"].to_pylist() == ["1", "2", "3", "4", "5"]


def pq_labels(path: Path) -> list[str | None]:
    return [value or None for value in pyarrow.csv.read_csv(path)["pred_label"].to_pylist()]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_no_rows_give_a_valid_empty_output(call: Call, tiny_bundle: Path, tmp_path: Path, suffix: str) -> None:
    pq.write_table(ROWS.slice(0, 0), tmp_path / "none.parquet")
    output = tmp_path / f"preds.{suffix}"
    code, _, err = call(tmp_path / "none.parquet", "-o", output, "--model", tiny_bundle)
    assert code == 0, err
    if suffix == "parquet":
        written = pq.read_table(output)
        assert written.num_rows == 0
        assert written.schema.names[:3] == ["id", "text", "tags"]
        assert written.schema.field("tags").type == pa.list_(pa.string())
        assert written.schema.names[-1] == "pred_status"
    else:
        assert output.read_text().startswith("id,text,tags,pred_label,")


def test_columns_threads_chunks_and_quiet(call: Call, reviews: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    outputs = []
    for number, options in enumerate([("--threads", "1"), ("--threads", "3", "--chunk-rows", "2")]):
        output = tmp_path / f"{number}.parquet"
        code, out, err = call(reviews, "-o", output, "--model", tiny_bundle, "--columns", "tags,id", "-q", *options)
        assert (code, out, err) == (0, "", "")
        outputs.append(pq.read_table(output))
    assert outputs[0].schema.names[:3] == ["tags", "id", "pred_label"]
    assert outputs[0].equals(outputs[1])


def test_options_from_the_environment(
    call: Call, reviews: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORER_MODEL", str(tiny_bundle))
    monkeypatch.setenv("SCORER_PREFIX", "p_")
    assert call(reviews, "-o", tmp_path / "a.parquet")[0] == 0
    assert "p_label" in pq.read_schema(tmp_path / "a.parquet").names


def test_a_folder_of_plain_optimum_is_a_model(
    call: Call, reviews: Path, optimum_folder: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    assert call(reviews, "-o", tmp_path / "a.parquet", "--model", optimum_folder)[0] == 0
    ours = Scorer.load(tiny_bundle, precision="fp32").score(ROWS["text"])
    assert pq.read_table(tmp_path / "a.parquet")["pred_prob_positive"].to_pylist() == pytest.approx(
        ours["pred_prob_positive"].to_pylist()
    )


def broken(tmp_path: Path) -> dict[str, Path]:
    """Inputs that no run can use, by name."""
    files = {name: tmp_path / f"{name}.parquet" for name in ("corrupt", "empty", "no-text", "two", "numbers")}
    files["missing"] = tmp_path / "missing.parquet"
    files["corrupt"].write_bytes(b"PAR1 this is no parquet file PAR1")
    files["empty"].write_bytes(b"")
    pq.write_table(pa.table({"a": ["x"], "b": [1]}), files["no-text"])
    pq.write_table(pa.table({"text": ["x"], "review": ["y"]}), files["two"])
    pq.write_table(pa.table({"text": [1, 2]}), files["numbers"])
    return files


@pytest.mark.parametrize(
    ("name", "options", "code", "says"),
    [
        ("missing", (), 3, "no such file; check the path"),
        ("corrupt", (), 3, "is damaged or of another format: "),
        ("empty", (), 3, "is empty (0 bytes)"),
        ("no-text", (), 3, "no column is named text, review, content, sentence, comment or body; "
         "name one with --text-column; its columns: a, b"),
        ("two", (), 3, "several columns could hold the text: text, review; name one with --text-column"),
        ("two", ("--text-column", "tex"), 3, "no column 'tex'; did you mean 'text'? its columns: text, review"),
        ("numbers", (), 3, "column 'text' holds int64, not text; name another with --text-column"),
        ("no-text", ("--text-column", "b"), 3, "column 'b' holds int64, not text"),
        ("two", ("--text-column", "text", "--columns", "reviews"), 3, "no column 'reviews'; did you mean 'review'?"),
        ("two", ("--text-column", "text", "--model", "no-such"), 4, "no-such: no such model folder"),
        ("two", ("--text-column", "text", "--device", "cuda"), 4, "device cuda was requested, but"),
        ("two", ("--text-column", "text", "--device", "tpu"), 2, "unknown device 'tpu'"),
        ("two", ("--text-column", "text", "--precision", "int4"), 2, "Invalid value for '--precision'"),
        ("two", ("--text-column", "text", "--threads", "0"), 2, "Invalid value for '--threads'"),
        ("two", ("--nonsense",), 2, "No such option"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored(
    call: Call, tmp_path: Path, tiny_bundle: Path, name: str, options: tuple[str, ...], code: int, says: str
) -> None:
    output = tmp_path / "preds.parquet"
    output.write_bytes(b"what stood here before")
    model = () if "--model" in options else ("--model", tiny_bundle)
    got, out, err = call(broken(tmp_path)[name], "-o", output, "--overwrite", *model, *options)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err
    assert output.read_bytes() == b"what stood here before"
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_bundle(call: Call, reviews: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    code, _, err = call(reviews, "-o", tmp_path / "a.parquet", "--model", tmp_path / "model")
    assert code == 4
    assert "has no config.json" in err


def test_an_existing_output_is_left_alone(call: Call, reviews: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.parquet"
    output.write_bytes(b"old")
    code, _, err = call(reviews, "-o", output, "--model", tiny_bundle)
    assert (code, err) == (2, f"error: {output}: already exists; pass --overwrite to replace it\n")
    assert output.read_bytes() == b"old"
    code, _, err = call(reviews, "-o", output, "--model", tiny_bundle, "--overwrite")
    assert (code, "scored again for --overwrite" in err) == (0, True), err
    assert pq.read_table(output).num_rows == 5


def test_replacing_an_output_that_is_up_to_date_blames_no_option(
    call: Call, reviews: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    arguments = (reviews, "-o", tmp_path / "a.parquet", "--model", tiny_bundle, "--overwrite")
    assert "again" not in call(*arguments)[2]
    assert "scored again for --overwrite" in call(*arguments)[2]
    assert ": overwrite, 5 rows" in call(*arguments, "--dry-run")[1]
    assert "scored again for other options" in call(*arguments, "--keep-raw", "--on-bad-row", "keep")[2]
    assert "scored again for other options" in call(*arguments, "--max-length", "7")[2]


def test_destinations_that_cannot_be(call: Call, reviews: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.parquet").symlink_to(reviews)
    for output, code, says in [
        (reviews, 2, "is the input itself"),
        (tmp_path / "link.parquet", 2, "is the input itself"),
        (tmp_path / "folder.csv", 2, "is a folder"),
        (tmp_path / "a.xlsx", 2, "no output format has this extension"),
        (tmp_path / "nowhere" / "a.csv", 5, "no such folder"),
    ]:
        got, _, err = call(reviews, "-o", output, "--overwrite")
        assert (got, says in err) == (code, True), err
    assert pq.read_table(reviews).equals(ROWS)


def test_an_added_column_that_stands_in_the_input(call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "pred_score": [1.0]}), tmp_path / "a.parquet")
    code, _, err = call(tmp_path / "a.parquet", "-o", tmp_path / "b.parquet", "--model", tiny_bundle)
    assert code == 2
    assert "column 'pred_score' already exists in the input; choose another --prefix" in err
    arguments = (tmp_path / "a.parquet", "-o", tmp_path / "b.parquet", "--model", tiny_bundle)
    assert call(*arguments, "--columns", "text")[0] == 0


def test_a_failure_in_the_middle_leaves_what_stood_there(call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    rows = "".join(f"{number},good film\n" for number in range(50))
    (tmp_path / "a.csv").write_text("id,text\n" + rows + '50,"never closed\n')
    output = tmp_path / "b.parquet"
    output.write_bytes(b"old")
    arguments = (tmp_path / "a.csv", "-o", output, "--overwrite", "--model", tiny_bundle, "--chunk-rows", "10")
    code, _, err = call(*arguments)
    assert code == 3
    assert "a.csv: row 51 (line 52): a quote opens and is never closed" in err
    assert output.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.parquet"}


def test_control_characters_of_a_name_are_escaped(call: Call, tmp_path: Path) -> None:
    code, _, err = call(tmp_path / "\x1b[31mred.parquet", "-o", tmp_path / "a.parquet")
    assert code == 3
    assert "\x1b" not in err
    assert "\\x1b[31mred.parquet" in err


def test_the_python_function(reviews: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    summary = score_file(reviews, tmp_path / "a.parquet", model=str(tiny_bundle), threads=1)
    assert summary.counts.rows == 5
    assert summary.counts.by_status == {"ok": 2, "truncated": 1, "windowed": 0, "empty": 2, "error": 0}
    assert summary.provider == "CPUExecutionProvider"
    with pytest.raises(UsageError, match=r"score_file\(\) has no argument 'modell'; did you mean 'model'\?"):
        score_file(reviews, tmp_path / "b.parquet", modell="x")


def test_as_a_process_of_its_own(reviews: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    code = "from scorer.commands.score import score_main; score_main()"
    output = tmp_path / "a.parquet"
    command = [sys.executable, "-c", code, str(reviews), "-o", str(output), "--model", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(output).num_rows == 5
