"""Drift without gold labels: shares, scores, lengths and words, and the gates on them."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

import scorer.evaluation.predictions
from scorer import evaluate_labels
from scorer.commands.evaluate_labels import evaluate_labels as command_of
from scorer.errors import InputError, UsageError
from scorer.evaluation.drift import Profile, chance_of, stability_index, tenths
from scorer.metrics.values import Figure

NAMES = ("negative", "positive")


def night(positive, texts=None, labels=NAMES) -> pa.Table:
    """Predictions of one night, without gold labels."""
    predicted = [None if p is None else labels[int(p >= 0.5)] for p in positive]
    columns = {} if texts is None else {"text": texts}
    columns["pred_label"] = pa.array(predicted, pa.string())
    for place, label in enumerate(labels):
        values = [None if p is None else (1 - p, p)[place] for p in positive]
        columns[f"pred_prob_{label}"] = pa.array(values, pa.float32())
    return pa.table(columns)


@pytest.fixture
def nights(tmp_path, monkeypatch):
    """Two nights of 400 reviews; on the second more are positive, longer, and of other words."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(11)
    first, second = rng.beta(2, 3, 400), rng.beta(3, 2, 400)
    words = [" ".join(rng.choice(["good", "bad", "film", "plot"], 20)) for _ in range(400)]
    others = [" ".join(rng.choice(["good", "bad", "film", "battery"], 30)) for _ in range(400)]
    pq.write_table(night(first.tolist(), words), "then.parquet")
    pq.write_table(night(second.tolist(), others), "now.parquet")
    return first, second, words, others


@pytest.fixture
def command(nights, in_process):
    return in_process(command_of)


counts = st.lists(st.integers(0, 1000), min_size=5, max_size=5).filter(any)


@settings(max_examples=100)
@given(counts, counts)
def test_the_stability_index_is_its_formula(then, now):
    expected = 0.0
    for before, after in zip(then, now, strict=True):
        if before or after:
            b, c = max(before, 0.5) / sum(then), max(after, 0.5) / sum(now)
            expected += (c - b) * math.log(c / b)
    assert stability_index(np.array(then), np.array(now)).value == pytest.approx(expected)
    assert stability_index(np.array(then), np.array(then)).value == 0


def test_no_rows_have_no_stability_index():
    assert stability_index(np.array([0, 0]), np.array([1, 2])).value is None


def test_tenths_hold_a_tenth_of_the_baseline_each():
    rng = np.random.default_rng(12)
    then = np.bincount((rng.beta(2, 5, 100_000) * 1000).astype(int), minlength=1000)
    now = np.bincount((rng.beta(5, 2, 50_000) * 1000).astype(int), minlength=1000)
    before, after = tenths(then, now)
    assert len(before) == 10
    assert before.sum() == 100_000
    assert after.sum() == 50_000
    assert np.abs(before / 100_000 - 0.1).max() < 0.005


def save_scores(then, now):
    """Two files of the probabilities ``then`` and ``now`` of positive."""
    for name, values in (("then", then), ("now", now)):
        pq.write_table(night(list(map(float, values))), f"{name}.parquet")


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ([0.9] * 400, [0.2] * 400),
        ([0.0002] * 200 + [0.9998] * 200, [0.0002] * 200 + [0.51] * 200),
        ([0.1, 0.3, 0.6, 0.8] * 80 + [0.95] * 80, [0.1, 0.3, 0.6, 0.8] * 80 + [0.81] * 80),
    ],
)
def test_a_pile_of_scores_hides_nothing_below_it(tmp_path, monkeypatch, then, now):
    monkeypatch.chdir(tmp_path)
    save_scores(then, now)
    report = evaluate_labels("now.parquet", drift="then.parquet", max_psi=0.01)
    assert report.drift.score_psi.value > 0.25
    assert not report.gates[1].passed


@pytest.mark.parametrize(("then", "now"), [(500, 1), (1, 500), (500, 501)])
def test_texts_of_one_length_that_become_others_have_drifted(tmp_path, monkeypatch, then, now):
    monkeypatch.chdir(tmp_path)
    for name, length in (("then", then), ("now", now)):
        pq.write_table(night([0.5] * 50, ["x" * length] * 50), f"{name}.parquet")
    assert evaluate_labels("now.parquet", drift="then.parquet").drift.length.psi.value > 0.25


def test_the_index_by_chance_is_that_of_draws_of_one_distribution():
    rng = np.random.default_rng(13)
    found = []
    for _ in range(300):
        then, now = (np.bincount((rng.beta(2, 2, 60) * 1000).astype(int), minlength=1000) for _ in range(2))
        bins = tenths(then, now)
        chance = chance_of(*bins)
        found.append((stability_index(*bins).value, chance.mean, chance.high))
    index, mean, high = np.array(found).T
    assert index.mean() == pytest.approx(mean.mean(), rel=0.15)
    assert 0.97 <= (index <= high).mean() <= 1.0
    # With many rows it is nearly nothing, as its chi-squared distribution says.
    many = np.full(10, 100_000)
    assert chance_of(many, many).mean == pytest.approx(9 * 2 / 1_000_000, rel=0.1)


def test_few_rows_of_one_distribution_meet_the_gate_and_others_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(14)
    passed = []
    for _ in range(20):
        save_scores(rng.beta(2, 2, 30), rng.beta(2, 2, 30))
        passed.append(
            all(gate.passed for gate in evaluate_labels("now.parquet", drift="then.parquet", max_psi=0.1).gates)
        )
    assert sum(passed) >= 18
    save_scores(rng.beta(9, 2, 30), rng.beta(2, 9, 30))
    gate = evaluate_labels("now.parquet", drift="then.parquet", max_psi=0.1).gates[1]
    assert not gate.passed
    assert gate.limit > 0.3
    assert "is above --max-psi 0.1 (" in str(gate)
    assert " for so few rows)" in str(gate)


def test_a_handful_of_rows_meets_no_gate_on_drift(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_scores([0.1] * 500 + [0.9] * 500, [0.1] * 9)
    labels, scores = evaluate_labels("now.parquet", drift="then.parquet", max_psi=0.25).gates
    assert not labels.passed
    assert not scores.passed
    assert "psi of scores is undefined (9 rows are too few to tell drift from chance)" in str(scores)


def test_a_share_that_changed_just_as_much_as_allowed_meets_its_gate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_scores([0.9] * 7 + [0.1] * 3, [0.9] * 8 + [0.1] * 2)
    (gate,) = evaluate_labels("now.parquet", drift="then.parquet", max_share_shift=0.1).gates
    assert gate.passed
    (gate,) = evaluate_labels("now.parquet", drift="then.parquet", max_share_shift=0.0999).gates
    assert not gate.passed


def test_scores_fall_into_the_same_bins_as_float32_and_as_float64():
    values = np.arange(0, 1001) / 1000
    bins = []
    for kind in (np.float32, np.float64):
        profile = Profile(NAMES, 1)
        profile._add_scores(values.astype(kind))
        bins.append(profile.scores)
    assert bins[0].tolist() == bins[1].tolist()


def test_two_nights_without_a_label_column(nights):
    first, second, words, others = nights
    report = evaluate_labels("now.parquet", drift="then.parquet")
    assert not report.labelled
    assert (report.rows, report.evaluated) == (400, 0)
    assert set(report.figures.values()) == {Figure(None, "there are no gold labels")}
    drift = report.drift
    shares = {share.label: (share.baseline, share.current) for share in drift.label_shares}
    assert shares["positive"] == pytest.approx(((first >= 0.5).mean(), (second >= 0.5).mean()))
    assert drift.of == "probability of positive"
    assert list(drift.baseline_scores) == np.histogram(first.astype("f4"), np.linspace(0, 1, 21))[0].tolist()
    assert sum(drift.current_scores) == 400
    assert drift.score_psi.value > 0.25
    lengths = [len(text) for text in words]
    assert drift.length.baseline.mean == pytest.approx(np.mean(lengths))
    assert drift.length.baseline.median == np.quantile(lengths, 0.5, method="inverted_cdf")
    assert drift.length.current.p99 == np.quantile([len(text) for text in others], 0.99, method="inverted_cdf")
    assert drift.length.psi.value > 1
    names = ["bad", "battery", "film", "good", "plot"]
    held = [np.array([" ".join(texts).split().count(name) for name in names]) for texts in (words, others)]
    assert drift.vocabulary.distance.value == pytest.approx(jensenshannon(*held, base=2))
    assert drift.vocabulary.unseen.value == pytest.approx(held[1][1] / held[1].sum())
    assert {item.word for item in drift.vocabulary.words[:2]} == {"battery", "plot"}
    assert [(item.path, item.role, item.rows) for item in report.provenance.inputs] == [
        ("now.parquet", "evaluated", 400),
        ("then.parquet", "drift", 400),
    ]


def test_the_same_night_has_not_drifted(nights):
    drift = evaluate_labels("then.parquet", drift="then.parquet").drift
    assert drift.label_psi.value == drift.score_psi.value == drift.length.psi.value == 0
    assert drift.vocabulary.distance.value == pytest.approx(0, abs=1e-9)
    assert drift.vocabulary.words == ()


def test_drift_does_not_depend_on_chunks(nights, monkeypatch):
    whole = evaluate_labels("now.parquet", drift="then.parquet").drift
    monkeypatch.setattr(scorer.evaluation.predictions, "TEXT_CHUNK_ROWS", 3)
    assert evaluate_labels("now.parquet", drift="then.parquet").drift == whole


def test_each_drift_gate_that_fails_has_its_line(command):
    gates = ("--max-psi", "0.2", "--max-share-shift", "0.1", "--max-length-psi", "0.3", "--max-vocabulary-shift", "0.2")
    code, out, err = command("now.parquet", "--drift", "then.parquet", *gates)
    assert code == 8
    lines = err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("error: now.parquet: ") for line in lines)
    for line, words in zip(lines, ("labels", "scores", "share", "lengths", "words"), strict=True):
        assert words in line
        assert " is above --max-" in line
    assert out.startswith("now.parquet\n400 rows without gold labels\n\nWhat the predictions reached cannot be told")
    assert "\nexpected without gold labels" in out
    assert "\nagainst then.parquet\n400 rows now, 400 then\n" in out
    code, _, err = command("then.parquet", "--drift", "then.parquet", *gates)
    assert (code, err) == (0, "")


def test_without_texts_lengths_and_words_are_unknown_and_their_gates_not_met(nights):
    first, second, *_ = nights
    pq.write_table(night(first.tolist()), "then.parquet")
    report = evaluate_labels("now.parquet", drift="then.parquet", max_length_psi=1.0)
    assert (report.drift.length, report.drift.vocabulary) == (None, None)
    assert report.drift.reason == "the baseline has no texts beside them"
    assert str(report.gates[0]) == (
        "psi of text lengths is undefined (the baseline has no texts beside them), --max-length-psi allows 1"
    )
    assert not report.gates[0].passed
    pq.write_table(night(second.tolist()), "now.parquet")
    assert evaluate_labels("now.parquet", drift="now.parquet").drift.score_psi.value == 0


def test_a_label_that_appears_or_vanishes_is_a_shift(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"pred_label": ["a", "a", "b"]}), "then.parquet")
    pq.write_table(pa.table({"pred_label": ["c", "a", "c", "c"]}), "now.parquet")
    drift = evaluate_labels("now.parquet", drift="then.parquet").drift
    shares = {share.label: (share.baseline, share.current) for share in drift.label_shares}
    assert shares == {"a": (pytest.approx(2 / 3), 0.25), "c": (0, 0.75), "b": (pytest.approx(1 / 3), 0)}
    assert drift.score_psi.reason == "there are no probabilities in both"


def test_drift_and_figures_are_both_given_if_there_are_labels(nights):
    held = pq.read_table("now.parquet")
    pq.write_table(held.append_column("label", pa.array(["positive", "negative"] * 200)), "now.parquet")
    report = evaluate_labels("now.parquet", drift="then.parquet", min_accuracy=0.1, max_psi=10.0)
    assert report.labelled
    assert report.figures["accuracy"].value is not None
    assert [gate.passed for gate in report.gates] == [True, True, True]


def test_a_nightly_job_without_labels_keeps_its_own_baseline(command, tmp_path):
    kept = tmp_path / "kept.parquet"
    arguments = ("--drift", "kept.parquet", "--max-psi", "0.25", "--write-baseline", "kept.parquet")
    code, out, _ = command("then.parquet", *arguments)
    assert code == 0
    assert "note: kept.parquet does not exist yet, so nothing was compared with it" in out
    assert pq.read_table(kept).column_names == [
        "text", "pred_label", "pred_score", "pred_prob_negative", "pred_prob_positive"
    ]  # fmt: skip
    before = kept.read_bytes()
    assert command("now.parquet", *arguments)[0] == 8
    assert kept.read_bytes() == before
    assert command("then.parquet", *arguments)[0] == 0


def test_texts_are_scored_before_they_are_compared(nights, tiny_bundle):
    texts = ["A warm film.", "Dull and loud.", "Great value!"]
    pq.write_table(pa.table({"review": texts}), "plain.parquet")
    evaluate_labels("plain.parquet", drift="then.parquet", model=tiny_bundle, write_baseline="kept.parquet")
    drift = evaluate_labels("plain.parquet", drift="kept.parquet", model=tiny_bundle).drift
    assert (drift.baseline_rows, drift.score_psi.value, drift.length.psi.value) == (3, 0, 0)


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (night([]), "then.parquet: holds no rows"),
        (night([None, None]), "then.parquet: no row has a prediction"),
        (pa.table({"text": ["a"]}), "then.parquet: has no column 'pred_label', so it holds no predictions"),
        (night([0.5], labels=("bad", "good")), "then.parquet: its columns of probabilities name the labels 'bad'"),
        (night([float("nan")]), "then.parquet: row 1: nan in column 'pred_prob_negative'"),
    ],
)
def test_baselines_that_drift_cannot_be_measured_against(nights, then, message):
    pq.write_table(then, "then.parquet")
    with pytest.raises(InputError) as caught:
        evaluate_labels("now.parquet", drift="then.parquet")
    assert str(caught.value).startswith(message)


def test_options_that_need_gold_labels_still_ask_for_them(nights):
    with pytest.raises(InputError, match="no column is named label, sentiment, gold or target"):
        evaluate_labels("now.parquet", drift="then.parquet", min_accuracy=0.5)
    with pytest.raises(UsageError, match="--max-psi needs --drift"):
        evaluate_labels("now.parquet", max_psi=0.5)
