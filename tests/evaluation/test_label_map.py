"""Gold labels as people write them, mapped to the labels of a model."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import InputError, UsageError
from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.label_map import read_label_map, suggested_map

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
    assert "--label-map leaves out 1 rows" in report.notes


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
        (["red", "negative"], None),
    ],
)
def test_a_refusal_shows_the_map_that_would_do(values: list[str], shown: str | None, tmp_path: Path) -> None:
    assert suggested_map(values, NAMES) == shown
    if shown is not None:
        path = write(tmp_path / "a.parquet", (values * 4)[: len(values) * 2])
        with pytest.raises(InputError) as caught:
            evaluate_labels(path)
        assert f"--label-map {shown}" in str(caught.value.hint)
        assert evaluate_labels(path, label_map=shown).evaluated > 0


@pytest.mark.parametrize("given", ["no such file", "=positive", "1=a,1=b"])
def test_a_map_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(UsageError):
        read_label_map(given)
