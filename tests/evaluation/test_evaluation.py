"""Evaluation of predictions with gold labels: from one file, from two, and from texts that are scored first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

import scorer.evaluation.data
import scorer.evaluation.gold
import scorer.evaluation.joining
import scorer.evaluation.predictions
from scorer import Scorer, evaluate_labels, score_file
from scorer.commands.evaluate_labels import evaluate_labels as command
from scorer.errors import InputError, UsageError
from scorer.evaluation.gates import Gate
from scorer.evaluation.options import EvaluateOptions
from scorer.metrics.values import Figure
from tests.conftest import VOCABULARY_TEXTS

NAMES = ("negative", "positive")


def predictions(predicted, gold, *, labels=NAMES, **more) -> pa.Table:
    """A table as ``score`` writes it: predicted labels and a column of probabilities for each label."""
    scores = {
        f"pred_prob_{label}": pa.array([None if p is None else float(p == label) for p in predicted], pa.float32())
        for label in labels
    }
    columns = {"pred_label": pa.array(predicted, pa.string()), **scores}
    return pa.table({**more, **({} if gold is None else {"label": gold}), **columns})


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Writes a table and returns its path; the test runs in its folder, so that paths are short."""
    monkeypatch.chdir(tmp_path)

    def save(table: pa.Table, name: str = "preds.parquet") -> str:
        if name.endswith(".csv"):
            pacsv.write_csv(table, name)
        else:
            pq.write_table(table, name)
        return name

    return save


FIVE = (
    ["positive", "negative", "positive", "positive", "negative"],
    ["positive", "negative", "negative", "positive", "positive"],
)


def test_predictions_with_labels(saved):
    report = evaluate_labels(saved(predictions(*FIVE)))
    assert report.labels == NAMES
    assert report.matrix.tolist() == [[1, 1], [1, 2]]
    assert (report.rows, report.evaluated, report.unscored) == (5, 5, 0)
    assert report.figures["accuracy"] == Figure(3 / 5)
    assert report.figures["f1"] == Figure(2 / 3)
    assert report.figures["macro_f1"].value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert report.notes == ()


@pytest.mark.parametrize(
    "gold",
    [
        pa.array([1, 0, 0, 1, 1], pa.int8()),
        pa.array([1, 0, 0, 1, 1], pa.uint64()),
        pa.array([1.0, 0.0, 0.0, 1.0, 1.0]),
        pa.array(["1", "0", "0", "1", "1"], pa.large_string()),
        pa.array(["1.0", "0.0", "0.0", "1.0", "1.0"]),
        pa.array(["positive", "0", "negative", "1", "positive"]),
        pa.array(FIVE[1]).dictionary_encode(),
        pa.array(FIVE[1], pa.string_view()),
        pa.array([name.encode() for name in FIVE[1]]),
    ],
    ids=lambda gold: str(gold.type),
)
@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_gold_labels_are_names_or_ids_of_any_type(saved, gold, extension):
    if extension == "csv":
        gold = gold.cast(pa.string())
    report = evaluate_labels(saved(predictions(FIVE[0], gold), f"preds.{extension}"))
    assert report.matrix.tolist() == [[1, 1], [1, 2]]


@pytest.mark.parametrize("gold", [pa.array([1, 5, 4]), pa.array([1.0, 5.0, 4.0]), pa.array(["1", "5", "4.0"])])
def test_labels_named_by_numbers_are_read_as_names(saved, gold):
    table = predictions(["1", "5", "3"], gold, labels=("1", "2", "3", "4", "5"))
    assert evaluate_labels(saved(table)).matrix.trace() == 2


@pytest.mark.parametrize(
    ("labels", "gold", "row"),
    [
        (("1", "2", "3", "4", "5"), [0, 4, 3], "1: '0'"),  # 4 would be the name of one and the id of another
        (("1 point", "2 points", "3 points"), [2, 1, 2], "1: '2'"),
        (("1 point", "2 points", "3 points"), ["1 point", "2 points", "1"], "3: '1'"),
        (("LABEL_1", "LABEL_0"), [0, 1, 1], "1: '0'"),
        (("top10", "other"), [1, 0, 1], "1: '1'"),
    ],
)
def test_numbers_are_no_ids_where_names_hold_numbers(saved, labels, gold, row):
    table = predictions([labels[0], labels[1], labels[0]], pa.array(gold), labels=labels)
    with pytest.raises(InputError, match=rf"preds.parquet: row {row} in column 'label' is not a label") as raised:
        evaluate_labels(saved(table))
    said = str(raised.value)
    assert f"labels of the predictions: {', '.join(map(repr, labels))}; labels in the file: " in said
    assert "numbers are no ids here, because the names hold numbers: write these names into the column" in said


@pytest.mark.parametrize("labels", [("LABEL_0", "LABEL_1"), ("0 stars", "1 star"), ("not covid19", "covid19")])
def test_numbers_are_ids_where_names_hold_their_own_or_the_same(saved, labels):
    table = predictions([labels[0], labels[1], labels[0]], pa.array([0, 1, 1]), labels=labels)
    assert evaluate_labels(saved(table)).matrix.tolist() == [[1, 0], [1, 1]]


def test_the_order_of_labels_is_that_of_the_probabilities(saved):
    report = evaluate_labels(saved(predictions(*FIVE, labels=("positive", "negative"))))
    assert report.labels == ("positive", "negative")
    assert report.matrix.tolist() == [[2, 1], [1, 1]]
    # The second of two labels is the positive one, whatever it is called.
    assert report.to_json()["positive"] == "negative"
    assert report.figures["recall"] == Figure(1 / 2)
    assert evaluate_labels("preds.parquet", positive="positive").figures["recall"] == Figure(2 / 3)
    assert evaluate_labels("preds.parquet", positive=0).figures["recall"] == Figure(2 / 3)


def test_without_probabilities_the_labels_are_the_predicted_ones(saved):
    table = pa.table({"target": FIVE[1], "pred_label": FIVE[0]})
    report = evaluate_labels(saved(table))
    assert report.labels == NAMES
    assert report.matrix.tolist() == [[1, 1], [1, 2]]
    assert report.notes == ()


def test_gold_ids_without_probabilities_are_read_by_alphabet_and_the_report_says_so(saved):
    report = evaluate_labels(saved(pa.table({"gold": [1, 0, 0, 1, 1], "pred_label": FIVE[0]})))
    assert report.matrix.tolist() == [[1, 1], [1, 2]]
    assert report.notes == (
        "preds.parquet has no columns of probabilities that give its labels an order,"
        " so gold ids were read by alphabet: 0 = negative, 1 = positive",
    )


def test_a_label_never_predicted_counts_if_only_one_was(saved):
    report = evaluate_labels(saved(pa.table({"label": ["rare", "usual"], "pred_label": ["usual", "usual"]})))
    assert report.labels == ("rare", "usual")
    assert report.figures["macro_precision"] == Figure(None, "rare was never predicted")
    assert report.notes == ("preds.parquet: gold labels that are never predicted: 'rare'",)


def test_a_label_never_predicted_counts_whatever_the_others_are(saved):
    report = evaluate_labels(saved(pa.table({"label": ["a", "b", "c"], "pred_label": ["a", "a", "c"]})))
    assert report.labels == ("a", "b", "c")
    assert report.figures["accuracy"] == Figure(2 / 3)
    assert report.by_label[1].recall == Figure(0.0)
    # Numbers that are names are no ids of others.
    report = evaluate_labels(saved(pa.table({"label": ["0", "1", "2"], "pred_label": ["1", "1", "2"]})))
    assert report.labels == ("0", "1", "2")
    # A slip is no other class.
    with pytest.raises(InputError, match="'C' in column 'label' is not a label"):
        evaluate_labels(saved(pa.table({"label": ["a", "C"], "pred_label": ["a", "c"]})))


def test_a_file_given_twice_is_refused_and_a_copy_is_noted(saved, tmp_path):
    path = saved(predictions(*FIVE))
    with pytest.raises(UsageError, match="is given twice, so its rows would count twice"):
        evaluate_labels([path, path])
    (tmp_path / "link.parquet").symlink_to(path)
    with pytest.raises(UsageError, match=r"link.parquet: is the same file as"):
        evaluate_labels([path, tmp_path / "link.parquet"])
    (tmp_path / "copy.parquet").write_bytes(Path(path).read_bytes())
    (note,) = evaluate_labels([path, tmp_path / "copy.parquet"]).notes
    assert "copy.parquet holds the same bytes as" in note


def test_probabilities_that_do_not_sum_to_one_are_refused(saved):
    held = {"label": ["a", "b"], "pred_label": ["a", "b"]}
    with pytest.raises(InputError, match=r"row 2: the probabilities of its 2 labels sum to 0.3, not to 1"):
        evaluate_labels(saved(pa.table({**held, "pred_prob_a": [0.9, 0.1], "pred_prob_b": [0.1, 0.2]})))
    # Two decimals of 40 labels may be a little off.
    names = [f"label {number}" for number in range(40)]
    shares = {f"pred_prob_{name}": [0.03, 0.02] for name in names}
    evaluate_labels(saved(pa.table({"label": names[:2], "pred_label": names[:2], **shares})))


def test_the_same_predictions_have_the_same_figures_as_parquet_and_as_csv(tmp_path):
    rng = np.random.default_rng(31)
    positive = rng.integers(0, 21, 400).astype(np.float32) / np.float32(20)  # some are 0 and 1, some lie on edges
    gold = rng.integers(2, size=400)
    names = ("negative", "positive")
    columns = {"label": [names[label] for label in gold], "pred_label": [names[int(p >= 0.5)] for p in positive]}
    columns |= {"pred_prob_negative": 1 - positive, "pred_prob_positive": positive}
    pq.write_table(pa.table(columns), tmp_path / "preds.parquet")
    pacsv.write_csv(pa.table(columns), tmp_path / "preds.csv")
    reports = [evaluate_labels(tmp_path / f"preds.{kind}") for kind in ("parquet", "csv")]
    for name, figure in reports[0].figures.items():
        assert figure.value == pytest.approx(reports[1].figures[name].value, rel=1e-6), name
    assert reports[0].slices == reports[1].slices
    assert [cell.rows for cell in reports[0].reliability] == [cell.rows for cell in reports[1].reliability]
    assert reports[0].histogram == reports[1].histogram


def test_a_row_without_a_prediction_is_unscored_and_in_no_figure(saved):
    report = evaluate_labels(saved(predictions([*FIVE[0], None, None], [*FIVE[1], "positive", "negative"])))
    assert (report.rows, report.evaluated, report.unscored) == (7, 5, 2)
    assert report.figures["accuracy"] == Figure(3 / 5)
    report = evaluate_labels(saved(pa.table({"label": ["a", "b"], "pred_label": ["a", ""]}), "preds.csv"))
    assert (report.evaluated, report.unscored) == (1, 1)


def test_more_than_two_labels_have_a_positive_one_only_when_named(saved):
    labels = ("bad", "so-so", "good")
    path = saved(predictions(["bad", "good", "good"], ["bad", "so-so", "good"], labels=labels))
    report = evaluate_labels(path, min_f1=0.5)
    assert report.positive is None
    assert report.figures["f1"] == Figure(None, "none of the 3 labels is the positive one")
    assert report.gates[0].name == "macro_f1"
    report = evaluate_labels(path, positive="good", min_f1=0.5)
    assert report.figures["f1"] == Figure(2 / 3)
    assert report.gates[0].name == "f1"


@settings(max_examples=40)
@given(data=st.data())
def test_chunks_of_any_size_give_scikit_learns_figures(tmp_path, monkeypatch, data):
    labels = data.draw(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=4, unique=True), "labels")
    labels = [f"l{label}" for label in labels if "\x00" not in label] or ["l", "m"]
    row = st.tuples(st.sampled_from(labels), st.sampled_from([*labels, None]))
    rows = data.draw(st.lists(row, min_size=1, max_size=40), "rows")
    monkeypatch.setattr(scorer.evaluation.predictions, "LABEL_CHUNK_ROWS", data.draw(st.integers(1, 50)))
    monkeypatch.setattr(scorer.evaluation.gold, "LABEL_CHUNK_ROWS", data.draw(st.integers(1, 50)))
    gold, predicted = (list(column) for column in zip(*rows, strict=True))
    path = tmp_path / "preds.parquet"
    pq.write_table(predictions(predicted, gold, labels=labels), path)
    kept = [(g, p) for g, p in rows if p is not None]
    if len(set(gold)) < 2 or not kept:
        with pytest.raises(InputError, match="no row has both" if len(set(gold)) > 1 else "one class only"):
            evaluate_labels(path)
        return
    report = evaluate_labels(path)
    golds, guesses = zip(*kept, strict=True)
    assert report.matrix.tolist() == reference.confusion_matrix(golds, guesses, labels=labels).tolist()
    assert report.unscored == len(rows) - len(kept)
    assert report.figures["accuracy"].value == reference.accuracy_score(golds, guesses)
    assert report.figures["macro_f1"].value == pytest.approx(reference.f1_score(golds, guesses, average="macro"))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), n_labels=st.integers(2, 4), n_rows=st.integers(6, 50), chunk=st.integers(1, 60))
def test_figures_of_probabilities_in_a_file_are_scikit_learns(tmp_path, monkeypatch, seed, n_labels, n_rows, chunk):
    monkeypatch.setattr(scorer.evaluation.predictions, "LABEL_CHUNK_ROWS", chunk)
    rng = np.random.default_rng(seed)
    names = [f"label {label}" for label in range(n_labels)]
    gold = np.append(np.arange(n_labels), rng.integers(n_labels, size=n_rows - n_labels))
    # Few different values, so that there are ties, and some that are sure.
    shares = rng.integers(0, 4, size=(n_rows, n_labels)) + (np.arange(n_labels) == rng.integers(n_labels))
    shares = (shares + 1e-9 * rng.integers(0, 2)) / np.maximum(shares.sum(axis=1, keepdims=True), 1)
    shares[np.abs(shares.sum(axis=1) - 1) > 1e-6] = 1 / n_labels
    shares = np.clip(shares, 0, 1).astype(rng.choice(["f4", "f8"]))
    predicted = shares.argmax(axis=1)
    columns = {f"pred_prob_{name}": shares[:, label] for label, name in enumerate(names)}
    held = {"label": [names[label] for label in gold], "pred_label": [names[label] for label in predicted], **columns}
    pq.write_table(pa.table(held), tmp_path / "preds.parquet")
    found = {name: figure.value for name, figure in evaluate_labels(tmp_path / "preds.parquet").figures.items()}
    binary = n_labels == 2
    scores = shares[:, 1] if binary else shares
    hot = gold if binary else np.eye(n_labels)[gold]
    one_hot = np.eye(n_labels)[gold]
    least = float(np.finfo(np.float32).eps)
    told = np.clip(shares.astype(float), least, 1 - least)
    expected = {
        "accuracy": reference.accuracy_score(gold, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(gold, predicted),
        "macro_f1": reference.f1_score(gold, predicted, average="macro"),
        "weighted_f1": reference.f1_score(gold, predicted, average="weighted"),
        "average_precision": reference.average_precision_score(hot, scores),
        "roc_auc": reference.roc_auc_score(hot, scores),
        "log_loss": reference.log_loss(gold, told, labels=range(n_labels)),
        "brier": float(((shares.astype(float) - one_hot) ** 2).sum(axis=1).mean() / (2 if binary else 1)),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)
    if len(set(predicted)) > 1:
        assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(gold, predicted))


def test_several_files_are_evaluated_as_one(saved):
    first = saved(predictions(FIVE[0][:2], FIVE[1][:2]), "a.parquet")
    second = saved(predictions(FIVE[0][2:], FIVE[1][2:]), "b.csv")
    report = evaluate_labels([first, second])
    assert report.matrix.tolist() == [[1, 1], [1, 2]]
    assert report.provenance.files == ("a.parquet", "b.csv")


# Joining


def joined(saved, ids, gold_ids, gold, **options):
    predicted = (FIVE[0] * len(ids))[: len(ids)]
    preds = saved(predictions(predicted, None, id=ids))
    labels = saved(pa.table({"id": gold_ids, "label": gold}), "gold.csv")
    return evaluate_labels(preds, labels=labels, on="id", **options)


def test_labels_of_another_file_are_joined_by_id_whatever_its_order(saved):
    order = [3, 0, 4, 1, 2]
    gold = [FIVE[1][place] for place in order]
    report = joined(saved, list("abcde"), [list("abcde")[place] for place in order], gold)
    assert report.matrix.tolist() == [[1, 1], [1, 2]]
    assert report.provenance.labels_file == "gold.csv"
    # A number in Parquet is the same number in CSV.
    report = joined(saved, [10, 11, 12, 13, 14], [10 + place for place in order], gold)
    assert report.matrix.tolist() == [[1, 1], [1, 2]]


def test_a_join_does_not_depend_on_chunks(saved, monkeypatch):
    for module in (scorer.evaluation.predictions, scorer.evaluation.gold, scorer.evaluation.joining):
        monkeypatch.setattr(module, "LABEL_CHUNK_ROWS", 2)
    report = joined(saved, list("abcde"), list("edcba"), FIVE[1][::-1])
    assert report.matrix.tolist() == [[1, 1], [1, 2]]


def test_the_labels_of_the_other_file_count_even_beside_own_ones(saved):
    preds = saved(predictions(FIVE[0], ["negative"] * 5, id=list("abcde")))
    gold = saved(pa.table({"id": list("abcde"), "label": FIVE[1]}), "gold.parquet")
    assert evaluate_labels(preds, labels=gold, on="id").matrix.tolist() == [[1, 1], [1, 2]]


def test_ids_that_do_not_match_are_an_error_until_they_are_allowed(saved):
    ids, gold_ids = list("abcde"), list("cdefgh")
    gold = ["negative", "positive", "positive", "negative", "negative", "negative"]
    with pytest.raises(InputError) as caught:
        joined(saved, ids, gold_ids, gold)
    assert str(caught.value) == (
        "preds.parquet: 2 of 5 ids have no label in gold.csv ('a', 'b'), and 3 of 6 ids of gold.csv are not here"
        " ('f', 'g', 'h'); correct the ids, or pass --allow-missing to leave these out"
    )
    report = joined(saved, ids, gold_ids, gold, allow_missing=True)
    assert (report.rows, report.evaluated, report.rows_unmatched, report.labels_unmatched) == (5, 3, 2, 3)
    assert report.matrix.tolist() == [[0, 1], [1, 1]]


def test_ids_that_differ_in_leading_zeros_alone_are_not_left_out_without_a_hint(saved):
    ids, gold_ids = ["8", "9", "10"], ["08", "09", "10"]
    with pytest.raises(InputError) as caught:
        joined(saved, ids, gold_ids, ["positive", "negative", "positive"])
    assert str(caught.value) == (
        "preds.parquet: 2 of 3 ids have no label in gold.csv ('8', '9'), and 2 of 3 ids of gold.csv are not here"
        " ('08', '09'); write leading zeros alike in both, or pass --allow-missing to leave these out"
    )


@pytest.mark.parametrize(
    ("ids", "gold_ids", "message"),
    [
        (["a", "b", "a"], ["a", "b"], "preds.parquet: 1 id occurs more than once in column 'id' ('a')"),
        (["a", "b"], ["a", "b", "b", "a"], "gold.csv: 2 ids occur more than once in column 'id' ('a', 'b')"),
        (["a", None], ["a", "b"], "preds.parquet: row 2: the id in column 'id' is null"),
        (["a", "b"], ["a", None], "gold.csv: row 2: the id in column 'id' is null"),
        (
            ["7", "8"],
            ["007", "009"],
            "preds.parquet: the ids of column 'id' meet those of gold.csv only without leading zeros:"
            " '7', '8' here, '007', '009' there; write the ids alike in both",
        ),
        (
            ["7", "8"],
            ["9", "010"],
            "no id of column 'id' is in gold.csv: '7', '8' here, '9', '010' there;"
            " check that --on names the same ids in both",
        ),
        ([], ["a"], "preds.parquet: holds no rows"),
        (["a"], [], "gold.csv: holds no rows"),
    ],
)
def test_ids_that_cannot_be_joined_are_errors_whatever_is_allowed(saved, ids, gold_ids, message):
    gold = pa.array(["positive"] * len(gold_ids), pa.string())
    with pytest.raises(InputError) as caught:
        joined(saved, pa.array(ids, pa.string()), pa.array(gold_ids, pa.string()), gold, allow_missing=True)
    assert message in str(caught.value)


# Rows without a label


@pytest.mark.parametrize(
    "gold",
    [
        pa.array(["positive", None, "negative", "", " "]),
        pa.array([1.0, float("nan"), 0.0, None, None]),
        pa.array([1, None, 0, None, None], pa.int8()),
    ],
)
def test_rows_without_a_label_are_counted_and_left_out(saved, gold, in_process):
    path = saved(predictions(["positive", "positive", "positive", None, "negative"], gold))
    report = evaluate_labels(path)
    assert report.matrix.tolist() == [[0, 1], [0, 1]]
    assert (report.rows, report.evaluated, report.unscored, report.rows_unlabelled) == (5, 2, 0, 3)
    assert report.to_json()["rows"]["unlabelled"] == 3
    code, out, _ = in_process(command)(str(path), "--report", "page.html")
    assert (code, "3 rows without a gold label, left out" in out) == (0, True)
    assert "<dt>rows without a label</dt><dd>3</dd>" in Path("page.html").read_text(encoding="utf-8")


def test_joined_rows_without_a_label_are_counted_apart_from_those_without_an_id(saved):
    gold = pa.array(["negative", None, "positive", " ", "negative"])
    report = joined(saved, list("abcde"), list("abcdf"), gold, allow_missing=True)
    assert (report.rows, report.evaluated) == (5, 2)
    assert (report.rows_unlabelled, report.rows_unmatched, report.labels_unmatched) == (2, 1, 1)


def test_joined_labels_that_are_all_missing_are_refused(saved):
    with pytest.raises(InputError, match=r"gold.csv: no row has a label in column 'label'"):
        joined(saved, list("abcde"), list("abcde"), pa.array([None] * 5, pa.string()))
    gold = pa.array([None, None, None, None, None, "negative", "positive"])
    with pytest.raises(InputError, match=r"preds.parquet: no row has a label in column 'label'"):
        joined(saved, list("abcde"), list("abcdefg"), gold, allow_missing=True)


def test_a_column_without_any_label_tells_what_to_expect(saved):
    report = evaluate_labels(saved(predictions(FIVE[0], pa.array([None] * 5, pa.string()))))
    assert not report.labelled
    assert report.expectation.rows == 5
    assert report.notes == ("no row has a label in column 'label': all are taken as unlabelled",)


# Refused data


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (
            predictions(FIVE[0], ["positive", "neutral", "negative", "negativ", "neutral"]),
            {},
            "preds.parquet: row 2: 'neutral' in column 'label' is not a label of the predictions;"
            " labels of the predictions:"
            " 'negative', 'positive' or their ids 0 to 1; labels in the file: 'negativ', 'negative', 'neutral',"
            " 'positive'",
        ),
        (
            predictions(FIVE[0], ["positive", "negativ", "negative", "negative", "positive"]),
            {},
            "preds.parquet: row 2: 'negativ' in column 'label' is not a label of the predictions;"
            " did you mean 'negative'?"
            " labels of the predictions: 'negative', 'positive' or their ids 0 to 1; labels in the file: 'negativ',"
            " 'negative', 'positive'",
        ),
        (
            predictions(FIVE[0], [1, 0, 2, 0, 1]),
            {},
            "preds.parquet: row 3: '2' in column 'label' is not a label of the predictions;"
            " labels of the predictions: 'negative', 'positive' or their ids 0 to 1; labels in the file: '0', '1', '2'",
        ),
        (
            predictions(FIVE[0], pa.array([True, False, True, True, False])),
            {},
            "preds.parquet: row 1: 'true' in column 'label' is not a label of the predictions;"
            " labels of the predictions: 'negative', 'positive' or their ids 0 to 1; labels in"
            " the file: 'false', 'true'; pass --label-map false=negative,true=positive",
        ),
        (
            predictions(FIVE[0], pa.array([None] * 5, pa.string())),
            {"min_accuracy": 0.5},
            "preds.parquet: no row has a label in column 'label'; fill in labels, or name another column with"
            " --label-column",
        ),
        (
            predictions(FIVE[0], [" ", "", None, "", " "]).drop(["pred_prob_negative", "pred_prob_positive"]),
            {},
            "preds.parquet: no row has a label in column 'label'; fill in labels, or name another column with"
            " --label-column",
        ),
        (
            predictions(FIVE[0], [1, 1, None, 1, 1]),
            {},
            "preds.parquet: column 'label' holds one class only: every gold label is '1'; evaluate rows of at least"
            " two classes",
        ),
        (
            predictions(FIVE[0], [["a"]] * 5),
            {},
            "preds.parquet: column 'label' holds list<element: string>, not labels; name another with --label-column",
        ),
        (
            predictions(["negative", "neutral"], ["negative", "positive"]),
            {},
            "preds.parquet: row 2: 'neutral' in column 'pred_label' has no column of probabilities;"
            " labels that have one: 'negative', 'positive'",
        ),
        (
            predictions([None, None], ["negative", "positive"]),
            {},
            "preds.parquet: no row has both a prediction and a label",
        ),
        (
            pa.table({"label": ["a"], "pred_label": pa.array([None], pa.string())}),
            {},
            "preds.parquet: no row has a value in 'pred_label'; score it again",
        ),
        (predictions([], pa.array([], pa.string())), {}, "preds.parquet: holds no rows; there is nothing to evaluate"),
        (
            pa.table({"id": ["a", "b"], "pred_label": ["positive", "negative"]}),
            {},
            "preds.parquet: no column is named label, sentiment, gold or target; name one with --label-column;"
            " its columns: id",
        ),
        (
            predictions(*FIVE),
            {"prefix": "old_"},
            "preds.parquet: no column 'old_label'; did you mean 'pred_label'?"
            " its columns: label, pred_label, pred_prob_negative, pred_prob_positive",
        ),
        (
            pa.table({"label": ["a"], "id": ["1"]}),
            {},
            "preds.parquet: has no column 'pred_label' to evaluate; and to score it first: no column is named text,"
            " review, content, sentence, comment or body; name one with --text-column; its columns: label, id",
        ),
        (
            pa.table({"label": ["a"], "text": [5]}),
            {},
            "preds.parquet: column 'text' holds int64, not text; name another with --text-column",
        ),
        (
            predictions(["positive"] * 1001, [str(number) for number in range(1001)]),
            {},
            "preds.parquet: column 'label' holds more than 1000 different values, so these are no labels;"
            " name another with --label-column",
        ),
    ],
)
def test_data_that_cannot_be_evaluated(saved, table, options, message):
    with pytest.raises(InputError) as caught:
        evaluate_labels(saved(table), **options)
    assert str(caught.value) == message


def test_a_review_taken_for_a_label_is_not_shown(saved):
    with pytest.raises(InputError) as caught:
        evaluate_labels(saved(predictions(["positive"], [VOCABULARY_TEXTS[0]])))
    assert "a value of 78 characters" in str(caught.value)
    assert "film" not in str(caught.value)


def test_files_that_do_not_fit_each_other(saved):
    scored = saved(predictions(*FIVE), "scored.parquet")
    plain = saved(pa.table({"text": ["x"], "label": ["positive"]}), "plain.parquet")
    other = saved(predictions(["a"], ["b"], labels=("a", "b")), "other.parquet")
    with pytest.raises(InputError, match=r"plain.parquet: has no column 'pred_label', which scored.parquet has"):
        evaluate_labels([scored, plain])
    with pytest.raises(InputError, match=r"other.parquet: its columns of probabilities name the labels 'a', 'b'"):
        evaluate_labels([scored, other])
    with pytest.raises(UsageError, match="no file"):
        evaluate_labels([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "gold.csv"}, "--labels needs --on"),
        ({"on": "id"}, "--on needs --labels or --baseline"),
        ({"max_drop": 0.1}, "--max-drop needs --baseline"),
        ({"strict": True}, "--strict needs a gate"),
        ({"max_psi": 0.1}, "--max-psi needs --drift"),
        ({"drift": "a", "max_psi": -1.0}, "--max-psi -1 must be 0 or more"),
        ({"write_threshold": "b", "at_recall": 0.5, "at_precision": 0.5}, "cannot follow both"),
        ({"slice_by": ("a", "a")}, "--slice-by names a column twice"),
        ({"at_recall": 95.0}, "--at-recall 95 must be between 0 and 1; for 95 % pass 0.95"),
        ({"mistakes": -1}, "--mistakes -1 must be 0 or more"),
        ({"allow_missing": True}, "--allow-missing needs --labels"),
        ({"text_column": "a", "label_column": "a"}, "both name 'a'"),
        ({"min_f1": 92.0}, "--min-f1 92 must be between 0 and 1; for 92 % pass 0.92"),
        ({"min_accuracy": float("nan")}, "--min-accuracy nan must be between 0 and 1"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(UsageError) as caught:
        EvaluateOptions(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "bundle"}, "preds.parquet: has predictions in column 'pred_label', so --model would not be used"),
        ({"label_column": "pred_label"}, "preds.parquet: --label-column pred_label holds predictions"),
        (
            {"positive": "neutral"},
            "--positive neutral is not a label of the predictions; labels: 'negative', 'positive'",
        ),
    ],
)
def test_options_that_do_not_fit_the_file(saved, options, message):
    with pytest.raises(UsageError) as caught:
        evaluate_labels(saved(predictions(*FIVE)), **options)
    assert message in str(caught.value)


def test_an_unknown_option_is_a_mistake_of_the_caller():
    with pytest.raises(UsageError, match=r"evaluate_labels\(\) has no argument 'label'; did you mean 'labels'\?"):
        evaluate_labels("preds.parquet", label="x")


# Gates


def test_a_gate_is_met_by_exactly_its_minimum(saved):
    report = evaluate_labels(saved(predictions(*FIVE)), min_accuracy=0.6, min_f1=0.66667)
    met, missed = report.gates
    assert (met.passed, missed.passed) == (True, False)
    assert str(met) == "accuracy 0.6000 reaches --min-accuracy 0.6"
    # As many digits as it takes to see that it is below.
    assert str(missed) == "f1 0.666667 is below --min-f1 0.66667"
    assert [str(error) for error in report.gate_errors()] == [f"preds.parquet: {missed}"]


@pytest.mark.parametrize("difference", [0.0, 1e-17])
def test_no_drop_is_no_negative_zero(difference):
    gate = Gate("--max-drop", "accuracy", Figure(difference), 0.01, "drop")
    assert str(gate) == "drop in accuracy 0.0000 is within --max-drop 0.01"


def test_a_gate_on_an_undefined_figure_is_not_met(saved):
    report = evaluate_labels(saved(predictions(["negative", None], ["negative", "positive"])), min_f1=0.0)
    assert str(report.gates[0]) == (
        "f1 is undefined (positive is neither a gold label nor predicted), --min-f1 demands 0"
    )
    assert not report.gates[0].passed


# Scoring first


@pytest.mark.parametrize("bundle", ["tiny_bundle", "three_label_bundle"])
@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_text_is_scored_and_then_evaluated_as_its_predictions_are(saved, request, monkeypatch, bundle, extension):
    model = request.getfixturevalue(bundle)
    monkeypatch.setattr(scorer.evaluation.predictions, "SCORED_CHUNK_ROWS", 4)
    texts = [*VOCABULARY_TEXTS, "", "  "]
    predicted = Scorer.load(model).score(texts)["pred_label"].to_pylist()
    gold = (["positive", "negative"] * len(texts))[: len(texts)]
    path = saved(pa.table({"review": texts, "label": gold}), f"labelled.{extension}")
    report = evaluate_labels(path, model=model)
    kept = [(g, p) for g, p in zip(gold, predicted, strict=True) if p is not None]
    expected = reference.confusion_matrix(*zip(*kept, strict=True), labels=report.labels)
    assert report.matrix.tolist() == expected.tolist()
    assert (report.rows, report.unscored) == (len(texts), 2)
    assert report.provenance.model == str(model)
    assert (report.provenance.precision, report.provenance.device) == ("int8", "cpu")
    score_file(path, f"preds.{extension}", model=model)
    again = evaluate_labels(f"preds.{extension}")
    assert again.matrix.tolist() == report.matrix.tolist()
    # CSV has the shortest decimals of 32-bit floats, which are read with 64 bits.
    for name, figure in report.figures.items():
        assert again.figures[name].value == pytest.approx(figure.value, abs=1e-6), name
    assert again.unscored == 2


def test_text_is_scored_and_joined_with_labels_of_another_file(saved, tiny_bundle):
    ids = [str(number) for number in range(len(VOCABULARY_TEXTS))]
    reviews = saved(pa.table({"id": ids, "text": VOCABULARY_TEXTS}), "reviews.parquet")
    predicted = Scorer.load(tiny_bundle).score(VOCABULARY_TEXTS)["pred_label"].to_pylist()
    gold = saved(pa.table({"id": ids[::-1], "label": predicted[::-1]}), "gold.csv")
    report = evaluate_labels(reviews, labels=gold, on="id", model=tiny_bundle)
    assert report.figures["accuracy"] == Figure(1.0)
    assert report.evaluated == len(ids)


def test_wrong_labels_are_found_before_the_first_text_is_scored(saved, tiny_bundle, monkeypatch):
    path = saved(pa.table({"text": ["good", "bad"], "label": ["positive", "unsure"]}), "labelled.parquet")
    monkeypatch.setattr(Scorer, "score_chunk", lambda *_: pytest.fail("a text was scored"))
    with pytest.raises(
        InputError, match=r"labelled.parquet: row 2: 'unsure' in column 'label' is not a label of the model"
    ):
        evaluate_labels(path, model=tiny_bundle)


def test_progress_counts_every_row_that_is_scored(saved, tiny_bundle):
    from scorer.progress import NoProgress

    class Told(NoProgress):
        total, rows, tokens = None, 0, 0

        def start(self, total_rows):
            self.total = total_rows

        def advance(self, rows, tokens):
            self.rows += rows
            self.tokens += tokens

    told = Told()
    path = saved(pa.table({"text": ["good film", "bad film"], "label": [1, 0]}), "labelled.parquet")
    evaluate_labels(path, model=tiny_bundle, progress=told)
    assert (told.total, told.rows) == (2, 2)
    assert told.tokens >= 8


def test_the_json_form_is_plain_and_whole(saved):
    report = evaluate_labels(saved(predictions(["negative"] * 2, ["negative", "positive"])), min_accuracy=0.9)
    value = report.to_json()
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert value["schema"] == "review-scorer/evaluation"
    assert value["schema_version"] == 2
    assert value["files"] == ["preds.parquet"]
    assert value["rows"] == {
        "total": 2,
        "evaluated": 2,
        "unscored": 0,
        "unmatched": 0,
        "labels_unmatched": 0,
        "unlabelled": 0,
        "left_out": 0,
    }
    assert value["figures"]["precision"] == {
        "value": None,
        "reason": "positive was never predicted",
        "interval": None,
    }
    assert value["figures"]["f1"]["value"] == 0.0
    assert value["confusion_matrix"] == [[1, 0], [1, 0]]
    assert [label["gold"] for label in value["by_label"]] == [1, 1]
    (gate,) = value["gates"]
    assert (gate["option"], gate["figure"], gate["kind"], gate["bound"]) == ("--min-accuracy", "accuracy", "least", 0.9)
    assert (gate["value"], gate["passed"]) == (0.5, False)
    assert gate["interval"]["method"] == "wilson"


def test_a_file_that_changes_between_its_two_readings_is_an_error(saved, monkeypatch):
    path = saved(predictions(*FIVE))
    read_gold = scorer.evaluation.data.read_gold

    def then_changed(files, options):
        gold = read_gold(files, options)
        return replace(gold, rows=gold.rows + 1)

    monkeypatch.setattr(scorer.evaluation.data, "read_gold", then_changed)
    with pytest.raises(InputError, match="6 rows at first, 5 later"):
        evaluate_labels(path)


def test_the_matrix_of_a_report_cannot_be_changed(saved):
    report = evaluate_labels(saved(predictions(*FIVE)))
    with pytest.raises(ValueError, match="read-only"):
        report.matrix[0, 0] = 9
    assert report.matrix.dtype == np.int64
