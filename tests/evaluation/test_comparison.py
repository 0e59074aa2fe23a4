"""Comparison with a baseline: pairing, McNemar's test, gates, and the baseline of a nightly job."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as reference

import scorer.evaluation.baseline
from scorer import evaluate_labels
from scorer.commands.evaluate_labels import evaluate_labels as command_of
from scorer.errors import InputError, OutputError, UsageError
from scorer.evaluation.comparison import mcnemar

NAMES = ("negative", "positive")


def table(gold, positive, *, ids=None, texts=None) -> pa.Table:
    """Predictions as ``score`` writes them, from the probability of positive; ``None`` is a row without one."""
    predicted = [None if p is None else NAMES[int(p >= 0.5)] for p in positive]
    columns = {} if ids is None else {"id": ids}
    columns |= {} if texts is None else {"text": texts}
    columns |= {} if gold is None else {"label": [NAMES[label] for label in gold]}
    columns["pred_label"] = pa.array(predicted, pa.string())
    columns["pred_prob_negative"] = pa.array([None if p is None else 1 - p for p in positive], pa.float32())
    columns["pred_prob_positive"] = pa.array(positive, pa.float32())
    return pa.table(columns)


GOLD = [1, 1, 1, 0, 0, 0, 1, 0]
NEW = [0.9, 0.8, 0.4, 0.1, 0.2, 0.7, 0.6, 0.3]  # wrong in rows 3 and 6
OLD = [0.9, 0.3, 0.7, 0.1, 0.2, 0.6, 0.2, 0.3]  # wrong in rows 2, 6 and 7
IDS = list("abcdefgh")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(table(GOLD, NEW, ids=IDS), "new.parquet")
    pq.write_table(table(None, OLD, ids=IDS), "old.parquet")
    return tmp_path


@pytest.fixture
def command(folder, in_process):
    return in_process(command_of)


@settings(max_examples=200)
@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 50), st.integers(0, 50))
def test_mcnemar_is_statsmodels(only_new, only_old, both, neither):
    expected = reference([[both, only_new], [only_old, neither]], exact=True)
    assert mcnemar(only_new, only_old).p_value == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize("pairs", [0, 1, 2, 3, 999, 1000, 99_999, 1_000_000, 1_000_001])
@pytest.mark.parametrize("roots", [0.0, 0.5, 1.0, 3.0, 15.0])
def test_mcnemar_of_many_pairs_is_scipys(pairs, roots):
    fewer = max(0, int(pairs / 2 - roots * pairs**0.5))
    expected = binomtest(fewer, pairs, 0.5).pvalue if pairs else 1.0
    assert mcnemar(fewer, pairs - fewer).p_value == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert mcnemar(pairs - fewer, fewer).p_value == mcnemar(fewer, pairs - fewer).p_value


def test_mcnemar_of_a_certain_difference_is_zero():
    assert mcnemar(0, 1_000_000).p_value == 0.0
    assert mcnemar(0, 10).p_value == pytest.approx(2 / 2**10, rel=1e-15)


def test_two_predictions_of_the_same_rows(folder):
    found = evaluate_labels("new.parquet", baseline="old.parquet").comparison
    assert (found.rows, found.unpaired, found.paired_by) == (8, 0, None)
    assert (found.repaired, found.broken, found.other) == (2, 1, 0)
    assert (found.mcnemar.only_current_right, found.mcnemar.only_baseline_right) == (2, 1)
    by_name = {item.figure: item for item in found.differences}
    assert by_name["accuracy"].current.value == 6 / 8
    assert by_name["accuracy"].baseline.value == 5 / 8
    assert by_name["accuracy"].difference.value == pytest.approx(1 / 8)
    assert by_name["accuracy"].difference.interval.low < 0 < by_name["accuracy"].difference.interval.high
    old = evaluate_labels(_with_gold("old.parquet"))
    for name in ("f1", "mcc", "roc_auc", "average_precision", "log_loss", "brier", "ece"):
        assert by_name[name].baseline.value == pytest.approx(old.figures[name].value), name
    # Broken reviews come first, the most confident first.
    assert [(item.change, item.review.row, item.baseline) for item in found.changed] == [
        ("broken", 3, "positive"),
        ("repaired", 2, "negative"),
        ("repaired", 7, "negative"),
    ]


def _with_gold(path: str) -> str:
    held = pq.read_table(path)
    pq.write_table(held.append_column("label", pa.array([NAMES[label] for label in GOLD])), "labelled.parquet")
    return "labelled.parquet"


def test_rows_are_paired_by_id_in_any_order(folder):
    order = [3, 0, 7, 1, 2, 6, 5, 4]
    pq.write_table(pq.read_table("old.parquet").take(order), "shuffled.parquet")
    found = evaluate_labels("new.parquet", baseline="shuffled.parquet", on="id").comparison
    assert found.paired_by == "id"
    expected = evaluate_labels("new.parquet", baseline="old.parquet").comparison
    assert found.differences == expected.differences
    assert found.changed[0].review.id == "c"


def test_labels_and_baseline_are_joined_by_the_same_ids(folder):
    pq.write_table(pq.read_table("new.parquet").drop_columns(["label"]), "plain.parquet")
    pq.write_table(pa.table({"id": IDS[::-1], "label": [NAMES[label] for label in GOLD[::-1]]}), "gold.parquet")
    found = evaluate_labels("plain.parquet", labels="gold.parquet", on="id", baseline="old.parquet")
    assert found.comparison.rows == 8
    assert found.figures["accuracy"].value == 6 / 8


def test_rows_that_one_of_the_two_does_not_predict_are_left_out_and_counted(folder):
    pq.write_table(table(None, [None, *OLD[1:]], ids=IDS), "old.parquet")
    found = evaluate_labels("new.parquet", baseline="old.parquet").comparison
    assert (found.rows, found.unpaired) == (7, 1)
    pq.write_table(table(None, OLD[:6], ids=IDS[:6]), "old.parquet")
    found = evaluate_labels("new.parquet", baseline="old.parquet", on="id", allow_missing=True).comparison
    assert (found.rows, found.unpaired) == (6, 2)


@pytest.mark.parametrize(
    ("old", "options", "message"),
    [
        (
            table(None, OLD[:6]),
            {},
            "old.parquet: has 6 rows, but the current predictions have 8: these are not the same rows",
        ),
        (
            table(None, OLD, ids=IDS[::-1]),
            {},
            "old.parquet: row 1: its column 'id' differs from that of the current predictions",
        ),
        (
            table(GOLD[::-1], OLD),
            {},
            "old.parquet: row 1: its column 'label' differs from that of the current predictions",
        ),
        (table(None, OLD, ids=[*IDS[:7], "z"]), {"on": "id"}, "1 of 8 ids has no row in old.parquet ('h'), and 1 of 8"),
        (table(None, OLD, ids=["a", *IDS[:7]]), {"on": "id"}, "old.parquet: 1 id occurs more than once"),
        (table(None, OLD, ids=pa.array([None, *IDS[:7]])), {"on": "id"}, "old.parquet: row 1: the id in column"),
        (table(None, OLD), {"on": "id"}, "old.parquet: no column 'id'"),
        (table(None, []), {}, "old.parquet: holds no rows; there is nothing to compare with"),
        (pa.table({"label": ["positive"] * 8}), {}, "old.parquet: has no column 'pred_label', so it holds no"),
        (
            pa.table({"pred_label": ["good"] * 8}),
            {},
            "old.parquet: row 1: 'good' in column 'pred_label' is not a label",
        ),
        (
            pa.table({"pred_label": ["a"] * 8, "pred_prob_a": [1.0] * 8}),
            {},
            "old.parquet: its columns of probabilities name the labels 'a', but the current predictions",
        ),
        (table(None, [float("nan"), *OLD[1:]]), {}, "old.parquet: row 1: nan in column 'pred_prob_negative', where a"),
        (table(None, [None] * 8), {}, "old.parquet: predicts no row that is predicted here"),
    ],
)
def test_baselines_that_do_not_fit_are_exit_3_and_nothing_is_written(command, folder, old, options, message):
    pq.write_table(old, "old.parquet")
    with pytest.raises(InputError) as caught:
        evaluate_labels("new.parquet", baseline="old.parquet", **options)
    assert message in str(caught.value)
    before = sorted(path.name for path in folder.iterdir())
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    outputs = ("--json", "r.json", "--markdown", "r.md", "--write-baseline", "b.parquet")
    code, out, err = command("new.parquet", "--baseline", "old.parquet", *flags, *outputs)
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == before


def test_texts_tell_other_rows_apart_and_nothing_in_common_is_noted(folder):
    texts = [f"review {number}" for number in range(8)]
    pq.write_table(table(GOLD, NEW, texts=texts), "new.parquet")
    pq.write_table(table(None, OLD, texts=[*texts[:5], "another", *texts[6:]]), "old.parquet")
    with pytest.raises(
        InputError, match=r"old.parquet: row 6: its column 'text' differs from that of the current predictions"
    ):
        evaluate_labels("new.parquet", baseline="old.parquet")
    pq.write_table(table(None, OLD), "old.parquet")
    (note,) = evaluate_labels("new.parquet", baseline="old.parquet").notes
    assert note == "old.parquet was paired row by row, and no common column shows that the rows are the same"


def test_a_drop_is_measured_against_the_baseline_and_strictly_by_its_interval(command, folder):
    # The new one is better by 1/8, and so few rows say nothing for sure.
    assert command("new.parquet", "--baseline", "old.parquet", "--max-drop", "0")[0] == 0
    code, _, err = command("new.parquet", "--baseline", "old.parquet", "--max-drop", "0.1", "--strict")
    assert code == 8
    first, second = err.splitlines()
    assert first.startswith("error: new.parquet: drop in accuracy, lower end of its interval, 0.")
    assert first.endswith("is more than --max-drop 0.1")
    assert "drop in f1" in second
    # The other way round it is worse by 1/8, which is just allowed.
    _with_gold("old.parquet")
    report = evaluate_labels("labelled.parquet", baseline="new.parquet", max_drop=0.125)
    assert report.gates[0].passed
    code, out, err = command("labelled.parquet", "--baseline", "new.parquet", "--max-drop", "0.1")
    assert code == 8
    assert err.splitlines()[0] == "error: labelled.parquet: drop in accuracy 0.1250 is more than --max-drop 0.1"
    assert "gate NOT MET: drop in accuracy 0.1250 is more than --max-drop 0.1" in out


def test_strict_gates_ask_for_the_lower_end(folder):
    (loose,) = evaluate_labels("new.parquet", min_accuracy=0.7).gates
    (strict,) = evaluate_labels("new.parquet", min_accuracy=0.7, strict=True).gates
    assert (loose.passed, strict.passed) == (True, False)
    assert "accuracy, lower end of its interval, 0.4093 is below --min-accuracy 0.7" in str(strict)


def test_a_nightly_job_keeps_its_own_baseline(command, folder):
    arguments = ("--baseline", "kept.parquet", "--max-drop", "0.2", "--on", "id", "--write-baseline", "kept.parquet")
    code, out, _ = command("new.parquet", *arguments)
    assert code == 0
    assert "note: kept.parquet does not exist yet, so nothing was compared with it\n" in out
    assert out.endswith("note: these predictions are the next baseline: kept.parquet\n")
    kept = pq.read_table("kept.parquet")
    assert kept.column_names == ["id", "label", "pred_label", "pred_score", "pred_prob_negative", "pred_prob_positive"]
    assert kept["pred_prob_positive"].to_pylist() == pq.read_table("new.parquet")["pred_prob_positive"].to_pylist()
    # The next night is the same and passes; the one after is worse and leaves the baseline alone.
    assert command("new.parquet", *arguments)[0] == 0
    before = (folder / "kept.parquet").read_bytes()
    pq.write_table(table(GOLD, [1 - p for p in NEW], ids=IDS), "worse.parquet")
    code, out, err = command("worse.parquet", *arguments)
    assert code == 8
    assert out.endswith("note: kept.parquet was not changed: a gate was not met\n")
    assert err.count("error: worse.parquet: drop in ") == 2
    assert (folder / "kept.parquet").read_bytes() == before
    # Only the first night may be without one.
    code, _, err = command("new.parquet", "--baseline", "gone.parquet", "--write-baseline", "kept.parquet")
    assert (code, err) == (3, "error: gone.parquet: no such file; check the path\n")


def test_a_baseline_is_written_whole_or_not_at_all(folder, monkeypatch):
    (folder / "kept.parquet").write_bytes(b"old")
    monkeypatch.setattr(scorer.evaluation.baseline.pq.ParquetWriter, "write_table", _no_space)
    with pytest.raises(OutputError, match=r"kept.parquet: could not be written: No space left"):
        evaluate_labels("new.parquet", write_baseline="kept.parquet")
    assert (folder / "kept.parquet").read_bytes() == b"old"
    assert sorted(path.name for path in folder.iterdir()) == ["kept.parquet", "new.parquet", "old.parquet"]


def _no_space(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("new.parquet", UsageError, "--write-baseline names a file that is evaluated"),
        ("kept.csv", UsageError, "a baseline is a Parquet file"),
        ("nowhere/kept.parquet", OutputError, "no such folder"),
    ],
)
def test_destinations_of_a_baseline_are_checked_before_any_work(folder, path, error, message):
    with pytest.raises(error, match=message):
        evaluate_labels("new.parquet", write_baseline=path)


def test_a_baseline_of_scored_texts_can_be_compared_with(folder, tiny_bundle):
    texts = ["A warm film.", "Dull and loud.", "", "Great value!"]
    pq.write_table(pa.table({"text": texts, "label": [1, 0, 1, 1]}), "labelled.parquet")
    evaluate_labels("labelled.parquet", model=tiny_bundle, write_baseline="kept.parquet")
    kept = pq.read_table("kept.parquet")
    assert kept["text"].to_pylist() == texts
    assert kept["pred_label"].null_count == 1
    report = evaluate_labels("labelled.parquet", model=tiny_bundle, baseline="kept.parquet")
    assert report.comparison.mcnemar.p_value == 1
    assert all(item.difference.value in (0, None) for item in report.comparison.differences)


def test_a_baseline_of_files_of_which_one_has_texts(folder):
    held = {"id": ["a", "b"], "label": ["negative", "positive"], "pred_label": ["negative", "negative"]}
    pq.write_table(pa.table({**held, "review": ["Dull.", "Warm."]}), "one.parquet")
    pq.write_table(pa.table({**held, "id": ["c", "d"]}), "two.parquet")
    evaluate_labels(["one.parquet", "two.parquet"], on="id", write_baseline="kept.parquet")
    kept = pq.read_table("kept.parquet")
    assert kept.column_names == ["id", "label", "pred_label"]
    assert kept["id"].to_pylist() == ["a", "b", "c", "d"]
    evaluate_labels("one.parquet", on="id", write_baseline="kept.parquet")
    assert pq.read_table("kept.parquet")["text"].to_pylist() == ["Dull.", "Warm."]


@pytest.mark.parametrize("on", ["text", "label", "pred_label"])
def test_ids_of_a_baseline_have_a_column_of_their_own(folder, on):
    held = {"text": ["a", "b"], "label": ["negative", "positive"], "pred_label": ["negative", "negative"]}
    pq.write_table(pa.table({**held, "review": ["Dull.", "Warm."]}), "one.parquet")
    with pytest.raises(UsageError, match=f"--on '{on}' is the name of another column of a baseline"):
        evaluate_labels("one.parquet", on=on, text_column="review", write_baseline="kept.parquet")
    assert not (folder / "kept.parquet").exists()


def test_three_labels_are_compared_too(folder):
    rng = np.random.default_rng(4)
    labels, gold = ("bad", "so-so", "good"), rng.integers(3, size=300)
    for name, noise in (("new", 1.0), ("old", 1.6)):
        logits = np.eye(3)[gold] * 2 + rng.normal(size=(300, 3)) * noise
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        columns = {f"pred_prob_{label}": shares[:, place] for place, label in enumerate(labels)}
        predicted = [labels[place] for place in shares.argmax(axis=1)]
        held = {"label": [labels[place] for place in gold], "pred_label": predicted, **columns}
        pq.write_table(pa.table(held), f"{name}.parquet")
    report = evaluate_labels("new.parquet", baseline="old.parquet", max_drop=0.0)
    by_name = {item.figure: item.difference for item in report.comparison.differences}
    assert by_name["macro_f1"].value > 0
    assert by_name["roc_auc"].interval.low < by_name["roc_auc"].value < by_name["roc_auc"].interval.high
    assert [gate.name for gate in report.gates] == ["accuracy", "macro_f1"]
    assert by_name["f1"].value is None
    assert json.dumps(report.to_json(), allow_nan=False)
