"""Slices, mistakes, suspect labels, and thresholds that are written into a bundle."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorer.evaluation.slices
import scorer.evaluation.thresholds
from scorer import Scorer, evaluate_labels
from scorer.errors import InputError, ModelError, UsageError
from scorer.evaluation.slices import SlicedRows, SliceValues
from scorer.model.bundle import ModelBundle

NAMES = ("negative", "positive")


def table(gold, positive, **columns) -> pa.Table:
    predicted = [None if p is None else NAMES[int(p >= 0.5)] for p in positive]
    probabilities = {
        "pred_prob_negative": pa.array([None if p is None else 1 - p for p in positive], pa.float64()),
        "pred_prob_positive": pa.array(positive, pa.float64()),
    }
    labels = {"label": [NAMES[label] for label in gold], "pred_label": pa.array(predicted, pa.string())}
    return pa.table({**columns, **labels, **probabilities})


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def save(held: pa.Table, name: str = "preds.parquet") -> str:
        pq.write_table(held, name)
        return name

    return save


GOLD = [1, 1, 0, 0, 1, 0]
POSITIVE = [0.9, 0.2, 0.95, 0.1, 0.4, None]


# Slices


@settings(max_examples=60)
@given(st.data())
def test_slices_are_the_figures_of_their_rows_weakest_first(data):
    n_rows, n_labels = data.draw(st.integers(1, 60)), data.draw(st.integers(2, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    gold, predicted = rng.integers(n_labels, size=(2, n_rows))
    codes = rng.integers(5, size=n_rows)
    rows = SlicedRows(gold, predicted, tuple("abc"[:n_labels]), 1)
    group = rows.by("kind", codes, list("vwxyz"), built_in=False)
    assert sum(item.rows for item in group.slices) == n_rows
    accuracies = [item.accuracy.value for item in group.slices]
    assert accuracies == sorted(accuracies)
    for item in group.slices:
        own = codes == "vwxyz".index(item.value)
        assert item.rows == own.sum()
        assert item.accuracy.value == (gold[own] == predicted[own]).mean()
        right = ((gold == 1) & (predicted == 1) & own).sum()
        both = ((gold == 1) & own).sum() + ((predicted == 1) & own).sum()
        # Without a gold row of the label, zero would say nothing of the model.
        assert item.f1.value == (pytest.approx(2 * right / both) if ((gold == 1) & own).any() else None)
        assert item.accuracy.interval.low <= item.accuracy.value <= item.accuracy.interval.high


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array(["a", "b", None, "a", "b", "a"]), {"a": 2, "b": 2, "(no value)": 1}),
        (pa.array([1, 2, 1, 1, 2, 2], pa.int8()), {"1": 3, "2": 2}),
        (pa.array([True, False, None, True, False, True]), {"true": 2, "false": 2, "(no value)": 1}),
        (pa.array(["a", "b", None, "a", "b", "a"]).dictionary_encode(), {"a": 2, "b": 2, "(no value)": 1}),
        (pa.array([0, 1, 0, 1, 0, 1], pa.date32()), {"1970-01-01": 3, "1970-01-02": 2}),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_column_of_any_type_slices_the_evaluated_rows(saved, column, values):
    report = evaluate_labels(saved(table(GOLD, POSITIVE, kind=column)), slice_by="kind")
    group = report.slices[0]
    assert (group.by, group.built_in) == ("kind", False)
    assert {item.value: item.rows for item in group.slices} == values
    assert sum(item.share for item in group.slices) == pytest.approx(1)
    assert all(item.uncertain for item in group.slices)


def test_several_columns_and_built_in_slices_have_an_order(saved):
    texts = ["short", "a little longer", "x" * 100, "yes", "no", ""]
    status = ["ok", "ok", "truncated", "ok", "ok", "empty"]
    held = table(GOLD, POSITIVE, text=texts, one=list("aabbcc"), two=list("abcabc"), pred_status=status)
    report = evaluate_labels(saved(held), slice_by=("two", "one"))
    assert [group.by for group in report.slices] == ["two", "one", "length", "truncation", "confidence"]
    length = report.slices[2].slices
    assert {item.value: item.rows for item in length} == {
        "2 to 3 characters": 2,
        "4 to 5 characters": 1,
        "6 to 15 characters": 1,
        "16 to 100 characters": 1,
    }
    assert {item.value: item.rows for item in report.slices[3].slices} == {"ok": 4, "truncated": 1}
    assert {item.value: item.rows for item in report.slices[4].slices} == {
        "0.9 to 0.95": 2,
        "0.95 to 0.99": 1,
        "0.8 to 0.9": 1,
        "0.6 to 0.7": 1,
    }


def test_rows_without_a_text_are_a_slice_of_their_own(saved):
    texts = [None, "abc", None, "abcdef", "ab", "abcd"]
    report = evaluate_labels(saved(table(GOLD, POSITIVE, text=texts)))
    length = {item.value: item.rows for item in report.slices[0].slices}
    assert length["no text"] == 2
    assert not any("-1" in value for value in length)
    nothing = evaluate_labels(saved(table(GOLD, POSITIVE, text=pa.array([None] * 6, pa.string()))))
    assert [(item.value, item.rows) for item in nothing.slices[0].slices] == [("no text", nothing.evaluated)]


def test_no_two_slices_have_one_name(saved):
    kinds = ["null", None, "(no value)", "null", "(other values)", None]
    report = evaluate_labels(saved(table(GOLD, POSITIVE, kind=kinds)), slice_by="kind")
    names = [item.value for item in report.slices[0].slices]
    assert sorted(names) == ["'(no value)'", "'(other values)'", "(no value)", "null"]


def test_confidences_fall_into_the_same_slice_as_float32_and_as_float64(saved):
    positive = [0.7, 0.9, 0.95, 0.99, 0.6, 0.8]
    found = []
    for kind in (pa.float32(), pa.float64()):
        shares = {
            "pred_prob_negative": pa.array([1 - p for p in positive], kind),
            "pred_prob_positive": pa.array(positive, kind),
        }
        report = evaluate_labels(saved(pa.table({"label": [0, 1] * 3, "pred_label": ["positive"] * 6, **shares})))
        found.append({item.value: item.rows for item in report.slices[-1].slices})
    assert found[0] == found[1]
    assert found[0] == dict.fromkeys(
        ["0.6 to 0.7", "0.7 to 0.8", "0.8 to 0.9", "0.9 to 0.95", "0.95 to 0.99", "0.99 to 1"], 1
    )


def test_slices_do_not_depend_on_chunks_or_files(saved, monkeypatch):
    rng = np.random.default_rng(6)
    gold, positive = rng.integers(2, size=90), rng.random(90)
    held = table(gold.tolist(), positive.tolist(), kind=[f"k{number}" for number in rng.integers(9, size=90)])
    whole = evaluate_labels(saved(held), slice_by="kind")
    for module in (scorer.evaluation.predictions, scorer.evaluation.gold):
        monkeypatch.setattr(module, "LABEL_CHUNK_ROWS", 7)
    parts = [saved(held.slice(start, 40), f"part-{start}.parquet") for start in (0, 40, 80)]
    again = evaluate_labels(parts, slice_by="kind")
    assert again.slices == whole.slices
    assert again.figures == whole.figures
    assert again.curves == whole.curves
    places = [(review.file, review.row) for review in again.mistakes]
    offsets = {"part-0.parquet": 0, "part-40.parquet": 40, "part-80.parquet": 80}
    assert [offsets[file] + row for file, row in places] == [review.row for review in whole.mistakes]


def test_a_large_slice_is_certain_and_rare_values_share_one(saved, monkeypatch):
    monkeypatch.setattr(scorer.evaluation.slices, "SHOWN_VALUES", 3)
    kinds = ["often"] * 60 + ["some"] * 20 + [f"rare {number}" for number in range(10)]
    report = evaluate_labels(saved(table([0, 1] * 45, [0.2, 0.7] * 45, kind=kinds)), slice_by="kind")
    assert {item.value: (item.rows, item.uncertain) for item in report.slices[0].slices} == {
        "often": (60, False),
        "some": (20, True),
        "(other values)": (10, True),
    }


def test_columns_that_nothing_can_be_sliced_by(saved, monkeypatch):
    path = saved(table(GOLD, POSITIVE, ids=list("abcdef"), lists=[[1]] * 6))
    with pytest.raises(InputError, match="no column 'kind'"):
        evaluate_labels(path, slice_by="kind")
    with pytest.raises(InputError, match=r"column 'lists' holds list.*which cannot be sliced by"):
        evaluate_labels(path, slice_by="lists")
    monkeypatch.setattr(scorer.evaluation.slices, "MAX_VALUES", 5)
    with pytest.raises(InputError, match="column 'ids' holds more than 5 different values, too many for slices"):
        evaluate_labels(path, slice_by="ids")


def test_empty_pieces_of_a_column_are_no_rows():
    values = SliceValues("kind")
    values.add(pa.array([], pa.large_string()))
    values.add(pa.array(["a", None], pa.large_string()))
    assert values.codes.tolist() == [0, 1]


# Mistakes and suspect labels


def test_the_most_confident_mistakes_come_first_with_their_text(saved):
    texts = ["one", "two", "x" * 1500, "four", None, "six"]
    report = evaluate_labels(saved(table(GOLD, POSITIVE, text=texts)))
    assert report.n_mistakes == 3
    assert [(review.row, review.gold, review.predicted) for review in report.mistakes] == [
        (3, "negative", "positive"),
        (2, "positive", "negative"),
        (5, "positive", "negative"),
    ]
    assert [review.confidence for review in report.mistakes] == pytest.approx([0.95, 0.8, 0.6])
    assert [review.text for review in report.mistakes] == ["x" * 1000, "two", None]
    assert [review.cut for review in report.mistakes] == [True, False, False]
    assert len(evaluate_labels("preds.parquet", mistakes=1).mistakes) == 1
    assert evaluate_labels("preds.parquet", mistakes=0).mistakes == ()


def test_without_probabilities_mistakes_keep_the_order_of_the_file(saved):
    report = evaluate_labels(saved(table(GOLD, POSITIVE).drop_columns(["pred_prob_negative", "pred_prob_positive"])))
    assert [review.row for review in report.mistakes] == [2, 3, 5]
    assert report.mistakes[0].confidence is None
    assert report.figures["roc_auc"].reason == "there are no probabilities"
    assert (report.curves, report.thresholds, report.histogram, report.n_suspects) == ((), None, None, 0)


def test_the_score_of_the_predicted_label_alone_is_a_confidence(saved):
    held = table(GOLD, POSITIVE).drop_columns(["pred_prob_negative", "pred_prob_positive"])
    score = pa.array([0.9, 0.8, 0.95, 0.9, 0.6, None])
    report = evaluate_labels(saved(held.append_column("pred_score", score)))
    assert [review.row for review in report.mistakes] == [3, 2, 5]
    assert report.figures["ece"].value is not None
    assert report.figures["log_loss"].reason == "there are no probabilities"


def test_suspect_labels_are_those_of_confident_learning():
    rng = np.random.default_rng(8)
    truth = rng.integers(3, size=2000)
    logits = np.eye(3)[truth] * 3 + rng.normal(size=(2000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = np.where(rng.random(2000) < 0.05, rng.integers(3, size=2000), truth)
    # The confident joint, row by row, as in section 3.1 of the paper.
    means = [shares[gold == label, label].mean() for label in range(3)]
    expected = []
    for row in range(2000):
        confident = [label for label in range(3) if shares[row, label] >= means[label]]
        # cleanlab takes out the rows where the model agrees with the gold label.
        if shares[row].argmax() == gold[row]:
            continue
        if confident and max(confident, key=lambda label: shares[row, label]) != gold[row]:
            expected.append(row)
    expected.sort(key=lambda row: shares[row, gold[row]])
    found = suspects(gold, shares)
    assert found == expected
    wrong = set(np.flatnonzero(gold != truth).tolist())
    assert len(wrong & set(found[:50])) > 45


def test_rows_where_the_model_agrees_with_the_gold_label_are_not_suspect():
    # Of two unbalanced classes the rare one is confident for many rows of the other, which the model has right.
    rng = np.random.default_rng(9)
    gold = (rng.random(2000) < 0.03).astype(int)
    rare = 1 / (1 + np.exp(-rng.normal(np.where(gold == 1, 0.0, -5.0), 2.0)))
    shares = np.stack([1 - rare, rare], axis=1)
    found = suspects(gold, shares)
    assert found
    assert (shares[found].argmax(axis=1) != gold[found]).all()


def suspects(gold, shares):
    from scorer.evaluation.mistakes import suspect_labels
    from scorer.evaluation.rows import EvaluatedRows

    predicted = shares.argmax(axis=1).astype(np.int32)
    rows = EvaluatedRows((), (), gold.astype(np.int32), predicted, shares, shares.max(axis=1), None, ())
    return suspect_labels(rows).tolist()


def test_suspects_have_the_probability_of_their_gold_label(saved):
    gold, positive = [1] * 9 + [0] * 9 + [0], [0.8] * 9 + [0.1] * 9 + [0.97]
    report = evaluate_labels(saved(table(gold, positive)))
    assert report.n_suspects == 1
    assert (report.suspects[0].row, report.suspects[0].gold) == (19, "negative")
    assert report.suspects[0].self_confidence == pytest.approx(0.03)


# Thresholds


def test_a_threshold_reaches_the_bundle_and_its_predictions(saved, tiny_bundle, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    before = json.loads((bundle / "bundle.json").read_text())
    report = evaluate_labels(saved(table(GOLD, POSITIVE)), at_precision=0.6, write_threshold=bundle)
    (wanted,) = report.thresholds.wanted
    assert wanted.row.threshold == 0.2
    assert (report.thresholds.written, report.thresholds.written_to) == (0.2, str(bundle))
    assert report.notes == (f"the threshold 0.2 was written into {bundle}",)
    after = json.loads((bundle / "bundle.json").read_text())
    assert after == {**before, "threshold": 0.2}
    assert sorted(path.name for path in bundle.iterdir()) == sorted(path.name for path in tiny_bundle.iterdir())
    loaded = ModelBundle.load(bundle)
    assert loaded.threshold == 0.2
    loaded.variant("int8")  # its checksum still holds
    scored = Scorer.load(bundle).score(["A warm, funny film.", "Two hours of my life."])
    for label, positive in zip(scored["pred_label"].to_pylist(), scored["pred_prob_positive"].to_pylist(), strict=True):
        assert label == NAMES[int(positive >= 0.2)]


def test_the_best_f1_is_written_unless_something_else_is_wanted(saved, optimum_folder, tmp_path):
    # A folder of others has labels of its own and no bundle.json.
    folder = tmp_path / "theirs"
    shutil.copytree(optimum_folder, folder)
    evaluate_labels(saved(table(GOLD, POSITIVE)), write_threshold=folder)
    loaded = ModelBundle.load(folder)
    assert loaded.threshold == evaluate_labels("preds.parquet").thresholds.best_f1.threshold
    assert loaded.preprocessing == ModelBundle.load(optimum_folder).preprocessing
    assert "tokenizer.json" in loaded.checksums


@pytest.mark.parametrize(("fp", "fn"), [(5.0, 1.0), (1.0, 5.0), (None, 3.0), (0.0, 1.0)])
def test_the_threshold_of_the_least_cost_is_written(saved, tiny_bundle, tmp_path, fp, fn):
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    gold, scores = [0, 1, 1, 0, 1, 0, 1, 0], [0.1, 0.9, 0.4, 0.6, 0.7, 0.3, 0.2, 0.8]
    report = evaluate_labels(saved(table(gold, scores)), cost_fp=fp, cost_fn=fn, write_threshold=bundle)

    def cost(threshold):
        wrongly = sum(score >= threshold and not label for score, label in zip(scores, gold, strict=True))
        missed = sum(score < threshold and label for score, label in zip(scores, gold, strict=True))
        return (1.0 if fp is None else fp) * wrongly + fn * missed

    least = report.thresholds.least_cost
    assert least.cost == min(map(cost, [*scores, 1.0])) == cost(least.row.threshold)
    assert ModelBundle.load(bundle).threshold == report.thresholds.written == least.row.threshold
    assert report.notes == (f"the threshold {least.row.threshold:g} was written into {bundle}",)


def test_a_wanted_precision_goes_before_the_least_cost(saved, tiny_bundle, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    options = {"at_precision": 0.6, "cost_fp": 5.0, "write_threshold": bundle}
    report = evaluate_labels(saved(table(GOLD, POSITIVE)), **options)
    assert report.thresholds.written == report.thresholds.wanted[0].row.threshold


def test_a_gate_that_is_not_met_leaves_the_bundle_alone(saved, tiny_bundle, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    report = evaluate_labels(saved(table(GOLD, POSITIVE)), write_threshold=bundle, min_accuracy=0.9)
    assert report.notes == (f"no threshold was written into {bundle}: a gate was not met",)
    assert (bundle / "bundle.json").read_bytes() == (tiny_bundle / "bundle.json").read_bytes()


def test_changing_the_model_inside_the_package_warns(saved, tiny_bundle, tmp_path, monkeypatch, caplog):
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    monkeypatch.setattr(scorer.model.model_folder, "DEFAULT_MODEL", bundle)
    monkeypatch.setattr(logging.getLogger("scorer"), "propagate", True)  # commands turn it off
    with caplog.at_level("WARNING", "scorer"):
        report = evaluate_labels(saved(table(GOLD, POSITIVE)), write_threshold=bundle)
    assert "written into the built-in model" in report.notes[0]
    assert "--write-threshold changed the built-in model: its threshold is 0." in caplog.text


def test_bundles_that_a_threshold_does_not_fit(saved, tiny_bundle, three_label_bundle):
    path = saved(table(GOLD, POSITIVE))
    with pytest.raises(ModelError, match="no such model folder"):
        evaluate_labels(path, write_threshold="gone")
    with pytest.raises(UsageError, match="needs a model of two labels, but this one has 3"):
        evaluate_labels(path, write_threshold=three_label_bundle)
    with pytest.raises(UsageError, match="threshold is of its second label, positive; drop --positive"):
        evaluate_labels(path, write_threshold=tiny_bundle, positive="negative")
    renamed = table(GOLD, POSITIVE)
    names = [name.replace("pred_prob_positive", "pred_prob_good") for name in renamed.column_names]
    labels = ["negative" if value == "negative" else "good" for value in renamed["label"].to_pylist()]
    predicted = [value and value.replace("positive", "good") for value in renamed["pred_label"].to_pylist()]
    renamed = renamed.rename_columns(names).set_column(0, "label", pa.array(labels))
    saved(renamed.set_column(1, "pred_label", pa.array(predicted)), "renamed.parquet")
    with pytest.raises(UsageError, match="has the labels negative, positive, but the predictions have negative, good"):
        evaluate_labels("renamed.parquet", write_threshold=tiny_bundle)


def test_a_precision_that_no_threshold_reaches(saved, tiny_bundle):
    path = saved(table([0, 1, 0, 1], [0.9, 0.8, 0.1, 0.3]))
    report = evaluate_labels(path, at_precision=0.9)
    (wanted,) = report.thresholds.wanted
    assert (wanted.row, wanted.reason) == (None, "no threshold gives a precision of 0.9; the most is 0.6667")
    with pytest.raises(InputError, match=r"no threshold can be written: no threshold gives a precision of 0.9"):
        evaluate_labels(path, at_precision=0.9, write_threshold=tiny_bundle)
    without = saved(pa.table({"label": ["a", "b"], "pred_label": ["a", "b"]}), "plain.parquet")
    with pytest.raises(InputError, match="a threshold needs columns of probabilities"):
        evaluate_labels(without, at_recall=0.9)


# Values that are not probabilities


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "preds.parquet: row 2: nan in column 'pred_prob_positive', where a probability from 0 to 1"),
        (1.5, "preds.parquet: row 2: 1.5 in column 'pred_prob_positive', where a probability from 0 to 1 belongs"),
        (-0.1, "preds.parquet: row 2: -0.1 in column 'pred_prob_positive', where"),
        (float("inf"), "preds.parquet: row 2: inf in column 'pred_prob_positive', where"),
        (None, "preds.parquet: row 2: no value in column 'pred_prob_positive', where"),
    ],
)
def test_a_value_that_is_not_a_probability_is_named_with_its_row(saved, value, message):
    held = table(GOLD, POSITIVE)
    column = pa.array([0.9, value, *POSITIVE[2:]])
    with pytest.raises(InputError) as caught:
        evaluate_labels(saved(held.set_column(3, "pred_prob_positive", column)))
    assert str(caught.value).startswith(message)


def test_words_are_not_probabilities(saved):
    held = table(GOLD, POSITIVE)
    with pytest.raises(InputError, match="column 'pred_prob_positive' holds values that are no probabilities"):
        evaluate_labels(saved(held.set_column(3, "pred_prob_positive", pa.array(["high"] * 6))))


@pytest.mark.parametrize("gold", [[1] * 6, [0] * 6])
def test_one_class_only_is_an_error_before_anything_is_scored(saved, gold, tiny_bundle, monkeypatch):
    with pytest.raises(InputError, match=r"column 'label' holds one class only: every gold label is '(nega|posi)tive'"):
        evaluate_labels(saved(table(gold, POSITIVE)))
    path = saved(pa.table({"text": ["good", "bad"], "label": gold[:2]}), "labelled.parquet")
    monkeypatch.setattr(Scorer, "score_chunk", lambda *_: pytest.fail("a text was scored"))
    with pytest.raises(InputError, match="holds one class only"):
        evaluate_labels(path, model=tiny_bundle)


def test_one_class_under_two_names_is_one_class(saved):
    held = table(GOLD, POSITIVE)
    with pytest.raises(InputError, match="holds one class only"):
        evaluate_labels(saved(held.set_column(0, "label", pa.array(["1", "positive", "1", "1", "1", "1"]))))
