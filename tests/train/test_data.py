"""Labelled files for training: formats, labels, splits."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import evaluate_labels
from scorer.errors import InputError, UsageError
from scorer.model.preprocessing import Preprocessing
from scorer.model.token_runs import TextEncoder
from tests.conftest import Call, tiny_tokenizer
from train.data import LabelledReviews, load_splits
from train.data_files import read_rows
from train.encoding import encode_rows
from train.options import TrainOptions

ROWS: list[dict[str, Any]] = [{"text": f"film number {i}", "label": i % 2, "film": f"f{i // 4}"} for i in range(40)]


def options(tmp_path: Path, train: Path, **more: Any) -> TrainOptions:
    settings = {"output": tmp_path / "out", "train": (str(train),), "validation_split": 0.25, **more}
    return TrainOptions(**settings)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(part: LabelledReviews) -> list[tuple[str, int]]:
    return list(zip(part.texts, part.labels.tolist(), strict=True))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_formats_give_the_same_rows(tmp_path: Path, suffix: str) -> None:
    train, held = load_splits(options(tmp_path, write(tmp_path / f"a.{suffix}", ROWS)))
    assert train.label_names == ["LABEL_0", "LABEL_1"]
    rows = sorted([*rows_of(train), *rows_of(held)], key=lambda row: int(row[0].split()[-1]))
    assert rows == [(row["text"], row["label"]) for row in ROWS]
    assert sorted(held.labels) == [0] * 5 + [1] * 5


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "b.parquet", ROWS[:20])
    write(tmp_path / "data" / "a.parquet", ROWS[20:])
    train, held = load_splits(options(tmp_path, tmp_path / "data"))
    assert len(train) + len(held) == 40


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ROWS)
    train, held = load_splits(options(tmp_path, path, group_column="film"))
    films = {row["text"]: row["film"] for row in ROWS}
    sides = [{films[text] for text in part.texts} for part in (train, held)]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(films.values())
    again = load_splits(options(tmp_path, path, group_column="film"))[1]
    assert again.texts == held.texts


def test_names_as_labels(tmp_path: Path) -> None:
    rows = [{"review": row["text"], "sentiment": ("bad", "good")[row["label"]]} for row in ROWS]
    train, _ = load_splits(options(tmp_path, write(tmp_path / "a.csv", rows)))
    assert train.label_names == ["bad", "good"]


def test_given_names_for_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ROWS)
    train, _ = load_splits(options(tmp_path, path, label_names=("negative", "positive")))
    assert train.label_names == ["negative", "positive"]


def test_fewer_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ROWS)
    train, held = load_splits(options(tmp_path, path, max_train_samples=7))
    assert (len(train), len(held)) == (7, 10)


def with_label(value: Any) -> list[dict[str, Any]]:
    return [*ROWS, {"text": "x", "label": value, "film": "z"}]


@pytest.mark.parametrize(
    ("rows", "more", "says"),
    [
        ([{**row, "label": 1} for row in ROWS], {}, "every training row has the one label 1; train on two or more"),
        (
            [{**row, "label": 0} for row in ROWS],
            {"label_names": ("a", "b")},
            "every training row has the one label 'a'",
        ),
        ([{**row, "label": row["label"] / 2} for row in ROWS], {}, "label 0.5 is neither a name nor a whole number"),
        ([{**row, "label": [row["label"]]} for row in ROWS], {}, "column 'label' holds no labels"),
        ([{**row, "text": " "} for row in ROWS], {}, "every text in column 'text' is empty"),
        ([{**row, "label": "good"} for row in ROWS], {}, "every training row has the one label 'good'"),
        (with_label(None), {}, "the label is null"),
        (with_label(5), {}, "label ids are 0, 1, 5, not 0, 1, …"),
        (with_label(5), {"label_names": ("a", "b")}, "unknown label 5; known: a, b"),
        ([{"text": "x", "film": "y"}], {}, "no column is named label, sentiment, gold or target"),
        (ROWS, {"text_column": "tex"}, "did you mean 'text'?"),
        (ROWS, {"group_column": "movie"}, "no column 'movie'"),
        ([{**row, "text": 3} for row in ROWS], {}, "column 'text' holds no text"),
    ],
)
def test_what_cannot_be_trained_on(tmp_path: Path, rows: list[dict[str, Any]], more: dict[str, Any], says: str) -> None:
    path = write(tmp_path / "a.parquet", rows)
    with pytest.raises(InputError) as caught:
        load_splits(options(tmp_path, path, **more))
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("values", [(0.0, 1.0), (False, True), ("0", "1"), (" 0", "1 "), (Decimal("0.00"), Decimal(1))])
def test_ids_in_any_type(tmp_path: Path, values: tuple[Any, Any]) -> None:
    path = write(tmp_path / "a.parquet", [{**row, "label": values[row["label"]]} for row in ROWS])
    train, held = load_splits(options(tmp_path, path))
    assert train.label_names == ["LABEL_0", "LABEL_1"]
    assert sorted([*train.labels, *held.labels]) == [0] * 20 + [1] * 20


@pytest.mark.parametrize("names", [("0", "1"), ("bad", "good")])
def test_an_empty_label_in_a_csv_is_no_label(tmp_path: Path, names: tuple[str, str]) -> None:
    lines = [f"film number {i},{names[i % 2] if i != 6 else ''}" for i in range(40)]
    (tmp_path / "a.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"a\.csv: row 7: the label is null; add a label, or drop the row"):
        load_splits(options(tmp_path, tmp_path / "a.csv"))


def test_validation_labels_that_training_does_not_have(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", [{"text": "x", "label": name} for name in ("bad", "good")] * 5)
    held = write(tmp_path / "b.csv", [{"text": "x", "label": "so-so"}])
    with pytest.raises(InputError, match=r"b\.csv: row 1: unknown label 'so-so'; known: bad, good"):
        load_splits(options(tmp_path, train, eval=(str(held),), validation_split=0.0))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.parquet", b"PAR1 no", "is damaged or of another format"),
        ("none.csv", None, "no such file"),
        ("none/", None, "no such file or folder"),
        ("a.parquet", b"", r"a\.parquet: is empty \(0 bytes\)"),
        ("a.csv", b"", r"a\.csv: is empty \(0 bytes\)"),
        ("a.jsonl", b"", r"a\.jsonl: is empty \(0 bytes\)"),
        ("a.csv", b"text,label\n\n", r"a\.csv: holds no rows"),
        ("a.csv", b"text,label\na,good\nb,bad,more\n", r"a\.csv: row 2 \(line 3\): 3 fields, but the header has 2; "),
        ("a.csv", b"text,label\ncaf\xe9,good\nb,bad\n", r"a\.csv: row 1 \(line 2\): holds bytes that are not UTF-8; "),
        ("a.csv", b"text,label\na,good\nb\n", r"a\.csv: row 2 \(line 3\): 1 field, but the header has 2; "),
        ("a.csv", b'text,label\na,good\n"b,bad\n', r"a\.csv: row 2 .*: a quote opens and is never closed; try --quote"),
        ("a.tsv", b"text\tlabel\na\tgood\tb\n", r"a\.tsv: row 1 \(line 2\): 3 fields, but the header has 2"),
        ("a.csv", b"text,text,label\na,b,good\n", r"a\.csv: 2 columns are named 'text'; rename all but one"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text":\n', r"a\.jsonl: row 2 \(line 2\): is not JSON: "),
        ("a.xlsx", b"x", "unknown format"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        load_splits(options(tmp_path, tmp_path / name))


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}), tmp_path / "a.parquet"
    )
    with pytest.raises(InputError, match=r"a\.parquet: holds no rows"):
        load_splits(options(tmp_path, tmp_path / "a.parquet"))


def test_files_of_other_columns_or_formats(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("text,label\na,1\nb,0\n")
    (tmp_path / "data" / "b.csv").write_text("text,label,more\na,1,2\n")
    with pytest.raises(InputError, match="data: cannot be read: the files do not have the same columns"):
        load_splits(options(tmp_path, tmp_path / "data"))
    (tmp_path / "data" / "b.csv").unlink()
    write(tmp_path / "data" / "b.parquet", [{"text": "a", "label": 1}])
    with pytest.raises(InputError, match="data: cannot be read: the files do not have the same types of columns"):
        load_splits(options(tmp_path, tmp_path / "data"))


def test_the_hub_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"stanfordnlp/imdb could not be downloaded from the Hub .* pass --train and --eval"
    ):
        load_splits(TrainOptions(output=tmp_path / "out"))


def test_a_share_of_the_hub_s_training_rows_is_held_out_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def hub(name: str, *, split: str) -> datasets.Dataset:
        read.append((name, split))
        return datasets.Dataset.from_list([{"text": f"{split} {n}", "label": n % 2} for n in range(40)])

    monkeypatch.setattr(datasets, "load_dataset", hub)
    train_set, held = load_splits(TrainOptions(output=tmp_path / "out", validation_split=0.25))
    assert read == [("stanfordnlp/imdb", "train")]
    assert (len(train_set), len(held)) == (30, 10)
    train_set, held = load_splits(TrainOptions(output=tmp_path / "out"))
    assert read[1:] == [("stanfordnlp/imdb", "train"), ("stanfordnlp/imdb", "test")]
    assert {text.split()[0] for text in held.texts} == {"test"}


def test_nothing_to_validate_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to validate on"):
        load_splits(options(tmp_path, write(tmp_path / "a.parquet", ROWS), validation_split=0.0))


def test_encoded_rows_lose_no_empty_text(tmp_path: Path) -> None:
    rows = [*ROWS[:4], {"text": "", "label": 1, "film": "e"}, {"text": None, "label": 0, "film": "e"}]
    _, held = load_splits(options(tmp_path, write(tmp_path / "a.parquet", ROWS), eval=(), validation_split=0.25))
    path = write(tmp_path / "b.parquet", rows)
    given = TrainOptions(output=tmp_path / "o", train=(str(path),), eval=(str(path),))
    encoded = encode_rows(load_splits(given)[1], TextEncoder(tiny_tokenizer(), Preprocessing()))
    assert [len(ids) for ids in encoded["input_ids"][-2:]] == [2, 2]
    assert encoded["length"] == [len(ids) for ids in encoded["input_ids"]]
    assert len(held) == 10


def test_values_of_a_csv_are_text_however_late_one_is_of_another_type(tmp_path: Path) -> None:
    lines = [f"film number {i},{i % 2},{i},,{i},7" for i in range(10_200)]
    (tmp_path / "a.csv").write_text("text,label,votes,title,,\n" + "\n".join(lines) + "\nfilm,1,,a title,x,y\n")
    rows = read_rows((str(tmp_path / "a.csv"),), "train")
    assert rows.column_names == ["text", "label", "votes", "title", "Unnamed: 4", "Unnamed: 5"]
    assert rows.slice(7, 1).to_pylist()[0] == {
        "text": "film number 7", "label": "1", "votes": "7", "title": "", "Unnamed: 4": "7", "Unnamed: 5": "7"
    }  # fmt: skip
    assert len(load_splits(options(tmp_path, tmp_path / "a.csv"))[1]) == 2551
    (tmp_path / "b.csv").write_text("text,label\n" + "film,0\nfilm,1\n" * 5100 + "film,\n")
    with pytest.raises(InputError, match=r"b\.csv: row 10201: the label is null"):
        load_splits(options(tmp_path, tmp_path / "b.csv"))


def test_csv_and_tsv_files_of_one_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text('text,label\n"one, two",1\nthree,0\n')
    (tmp_path / "data" / "b.tsv").write_text("text\tlabel\nfour, five\t1\nsix\t0\n")
    rows = read_rows((str(tmp_path / "data"),), "train")
    assert rows["text"].to_pylist() == ["one, two", "three", "four, five", "six"]


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    for suffix in ("parquet", "jsonl", "csv"):
        path = write(tmp_path / f"a.{suffix}", [{"text": "old", "label": 1}])
        time = path.stat().st_mtime_ns
        assert read_rows((str(path),), "train")["text"].to_pylist() == ["old"]
        write(path, [{"text": "new", "label": 1}])
        os.utime(path, ns=(time, time))
        assert read_rows((str(path),), "train")["text"].to_pylist() == ["new"]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_numbers_are_names_where_all_of_them_are(tmp_path: Path, suffix: str) -> None:
    stars = write(tmp_path / f"stars.{suffix}", [{**row, "label": row["label"] + 1} for row in ROWS])
    train, held = load_splits(options(tmp_path, stars, label_names=("1", "2", "3")))
    assert {(int(text.split()[-1]) % 2, label) for text, label in rows_of(train) + rows_of(held)} == {(0, 0), (1, 1)}
    ids = write(tmp_path / f"ids.{suffix}", [{**row, "label": number % 3} for number, row in enumerate(ROWS)])
    train, held = load_splits(options(tmp_path, ids, label_names=("1", "2", "3")))
    assert {(int(text.split()[-1]) % 3, label) for text, label in rows_of(train) + rows_of(held)} == {
        (0, 0), (1, 1), (2, 2),
    }  # fmt: skip
    # Ids in the one file are ids in the other, though 1 and 2 are names as well.
    given = options(tmp_path, ids, label_names=("1", "2", "3"), eval=(str(stars),), validation_split=0.0)
    assert set(load_splits(given)[1].labels) == {1, 2}


def test_the_classes_of_a_data_set_are_ids_whatever_their_names(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["0", "2", "1"])}
    )
    rows = [{"text": row["text"], "label": row["label"] + 1} for row in ROWS]
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "a.parquet")
    train, held = load_splits(options(tmp_path, tmp_path / "a.parquet"))
    assert train.label_names == ["0", "2", "1"]
    assert set(train.labels) == set(held.labels) == {1, 2}


@pytest.mark.parametrize("values", [("1.0", "0.0"), ("true", "False")])
def test_ids_in_the_words_of_a_csv(tmp_path: Path, values: tuple[str, str]) -> None:
    path = write(tmp_path / "a.csv", [{**row, "label": values[1 - row["label"]]} for row in ROWS])
    train, held = load_splits(options(tmp_path, path, label_names=("bad", "good")))
    assert {(int(text.split()[-1]) % 2, label) for text, label in rows_of(train) + rows_of(held)} == {(0, 0), (1, 1)}


def test_an_unknown_label_lists_some_that_are_known(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", [{"text": "x", "label": f"name {number}"} for number in range(3000)])
    for label, said in (("so-so", "'so-so'"), ("so " * 100, "a value of 300 characters")):
        held = write(tmp_path / "b.csv", [{"text": "x", "label": label}])
        with pytest.raises(InputError) as caught:
            load_splits(options(tmp_path, train, eval=(str(held),), validation_split=0.0))
        assert str(caught.value) == (
            f"{held}: row 1: unknown label {said}; known: name 0, name 1, name 10, name 100, name 1000, name 1001,"
            " name 1002, name 1003 and 2,992 more"
        )


def test_a_local_folder_has_no_test_split_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("imdb").mkdir()
    write(Path("imdb") / "a.parquet", ROWS)
    with pytest.raises(UsageError, match="nothing to validate on"):
        load_splits(TrainOptions(output=tmp_path / "out"))


def test_the_library_that_reads_says_nothing_itself(
    call_train: Call, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"text":\n')
    code, out, err = call_train("--baseline", "--train", tmp_path / "a.jsonl", "--validation-split", "0.5")
    assert (code, out, err.count("\n")) == (3, "", 1), err
    assert err.startswith("error: ")
    assert [record for record in caplog.records if record.name.startswith("datasets")] == []


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_spaces_around_labels_mean_the_same_as_to_an_evaluation(tmp_path: Path, suffix: str) -> None:
    written = [" bad", "good ", "\tgood", "bad \n", "bad", "good"] * 4
    rows = [
        {"text": f"film {i}", "label": label, "pred_label": label.strip(), "pred_score": 0.9}
        for i, label in enumerate(written)
    ]
    path = write(tmp_path / f"a.{suffix}", rows)
    train, held = load_splits(options(tmp_path, path))
    assert train.label_names == ["bad", "good"]
    assert {text: train.label_names[label] for text, label in rows_of(train) + rows_of(held)} == {
        row["text"]: row["pred_label"] for row in rows
    }
    report = evaluate_labels(path)
    assert report.labels == ("bad", "good")
    assert report.matrix.tolist() == [[12, 0], [0, 12]]
