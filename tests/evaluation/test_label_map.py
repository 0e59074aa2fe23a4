"""Gold labels as people write them, mapped to the labels of a model."""

from __future__ import annotations

import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import InputError, UsageError
from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.label_map import advice, read_label_map
from scorer.report.markdown import to_markdown

NAMES = ("negative", "positive")


def write(path: Path, gold: list[str]) -> Path:
    predicted = [NAMES[number % 2] for number in range(len(gold))]
    pq.write_table(pa.table({"label": gold, "pred_label": predicted}), path)
    return path


@pytest.mark.parametrize("as_file", [False, True])
def test_mapped_values_are_labels_and_an_empty_one_leaves_rows_out(tmp_path: Path, as_file: bool) -> None:
    given = "1=negative,2=negative,4=positive,5=positive,3="
    if as_file:
        (tmp_path / "map.txt").write_text(given.replace(",", "\n"), encoding="utf-8")
        given = str(tmp_path / "map.txt")
    report = evaluate_labels(write(tmp_path / "a.parquet", ["1", "5", " 2 ", "3", "1", "4"]), label_map=given)
    assert report.evaluated == 5
    assert report.matrix.tolist() == [[3, 0], [0, 2]]
    assert report.rows_left_out == 1
    assert "1 row left out by" in to_markdown(report)


def test_spaces_around_a_label_do_not_count(tmp_path: Path) -> None:
    gold = [" negative", "positive ", "negative", "positive"]
    assert evaluate_labels(write(tmp_path / "a.parquet", gold)).matrix.tolist() == [[2, 0], [0, 2]]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["NEGATIVE", "POSITIVE"], "NEGATIVE=negative,POSITIVE=positive"),
        (["LABEL_0", "LABEL_1"], "LABEL_0=negative,LABEL_1=positive"),
        (["0", "4"], "0=negative,4=positive"),
        (["1", "3", "5"], "1=negative,3=,5=positive"),
        (["True", "False"], "False=negative,True=positive"),
        (["1 star", "5 stars"], "'1 star=negative,5 stars=positive'"),
        (["-1", "0", "1"], "-1=negative,0=,1=positive"),
        (["red", "negative"], None),
    ],
)
def test_a_refusal_shows_the_map_that_would_do(values: list[str], shown: str | None, tmp_path: Path) -> None:
    assert advice(values, NAMES) == (shown and f"pass --label-map {shown}")
    if shown is not None:
        path = write(tmp_path / "a.parquet", (values * 4)[: len(values) * 2])
        with pytest.raises(InputError) as caught:
            evaluate_labels(path)
        assert f"--label-map {shown}" in str(caught.value.hint)
        assert evaluate_labels(path, label_map=shlex.split(shown)[0]).evaluated > 0


@pytest.mark.parametrize(
    ("values", "names", "shown"),
    [
        (["no", "yes"], ("positive", "negative"), "no=negative,yes=positive"),
        (["0", "4"], ("Bad", "Good"), "0=Bad,4=Good"),
        (["0", "1"], ("1 star", "2 stars"), "'0=1 star,1=2 stars'"),
        (["-1", "0", "1"], ("1 star", "2 stars"), "'-1=1 star,0=,1=2 stars'"),
        (["1", "2", "3"], ("1 star", "2 stars", "3 stars"), "'1=1 star,2=2 stars,3=3 stars'"),
        (["LABEL_2", "LABEL_0"], ("a", "b", "c"), "LABEL_0=a,LABEL_2=c"),
        (["LABEL_3", "LABEL_0"], ("a", "b", "c"), None),
        (["1", "5"], ("a", "b", "c"), None),
    ],
)
def test_the_map_fits_the_names_of_the_model(values, names, shown) -> None:
    assert advice(values, names) == (shown and f"pass --label-map {shown}")


def test_names_with_commas_are_mapped_by_a_file(tmp_path: Path) -> None:
    names = ("bad, very", "good, a bit")
    gold = ["BAD, VERY", "GOOD, A BIT"] * 2
    table = pa.table({"label": gold, "pred_label": list(names) * 2, "pred_score": [0.9] * 4})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError) as caught:
        evaluate_labels(tmp_path / "a.parquet")
    lines = ["BAD, VERY=bad, very", "GOOD, A BIT=good, a bit"]
    assert f"pass --label-map with a file of these lines: {' / '.join(lines)}" in str(caught.value.hint)
    (tmp_path / "map.txt").write_text("\n".join(lines), encoding="utf-8")
    report = evaluate_labels(tmp_path / "a.parquet", label_map=str(tmp_path / "map.txt"))
    assert report.matrix.tolist() == [[2, 0], [0, 2]]


@pytest.mark.parametrize(
    "names", [("1", "2"), ("1 star", "2 stars"), ("LABEL_1", "LABEL_2"), ("one star", "two stars")]
)
def test_numbers_are_no_ids_where_names_hold_other_numbers(tmp_path: Path, names: tuple[str, str]) -> None:
    gold = [0, 1, 0, 1]
    columns = {f"pred_prob_{name}": [0.5] * 4 for name in names}
    table = pa.table({"label": gold, "pred_label": list(names) * 2, **columns})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="numbers are no ids here") as caught:
        evaluate_labels(tmp_path / "a.parquet")
    assert "'0' in column 'label' is not a label of the predictions" in str(caught.value)
    report = evaluate_labels(tmp_path / "a.parquet", label_map=f"0={names[0]},1={names[1]}")
    assert report.matrix.tolist() == [[2, 0], [0, 2]]


def test_a_map_to_a_label_that_was_never_predicted_names_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ["1", "5", "3", "5"])
    report = evaluate_labels(path, label_map="1=negative,5=positive,3=neutral")
    assert report.labels == ("negative", "neutral", "positive")
    assert report.notes == (f"{path}: gold labels that are never predicted: 'neutral'",)


def test_a_map_to_no_label_is_refused_by_its_words(tmp_path: Path) -> None:
    columns = {f"pred_prob_{name}": [0.5] * 4 for name in NAMES}
    pq.write_table(pa.table({"label": [1, 5, 1, 5], "pred_label": list(NAMES) * 2, **columns}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"--label-map maps '1' to 'negativ', which is not a label.* did you mean"):
        evaluate_labels(tmp_path / "a.parquet", label_map="1=negativ,5=positive")


def test_a_map_joins_labels_of_another_file(tmp_path: Path) -> None:
    predicted = pa.table({"id": list("abcd"), "pred_label": list(NAMES) * 2, "pred_score": [0.9] * 4})
    pq.write_table(predicted, tmp_path / "a.parquet")
    (tmp_path / "gold.csv").write_text("id,label\nd,5.0\nc, 1\nb,3\na,1\n", encoding="utf-8")
    report = evaluate_labels(
        tmp_path / "a.parquet", labels=tmp_path / "gold.csv", on="id", label_map="1=negative,5=positive,3="
    )
    assert report.matrix.tolist() == [[2, 0], [0, 1]]
    assert (report.rows_left_out, report.rows_unmatched) == (1, 0)


@pytest.mark.parametrize("given", ["no such file", "=positive", "1=a,1=b"])
def test_a_map_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(UsageError):
        read_label_map(given)
