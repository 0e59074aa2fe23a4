"""Scoring against the model run by hand, and the added columns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from scorer import Scorer
from scorer.errors import UsageError
from scorer.model.probabilities import probabilities_of

TEXTS = ["A warm, funny film.", None, "dull and loud, badly acted " * 3, "", "Great value! 😀", " \n", "war"]


def by_hand(bundle: Path, text: str, name: str = "model.onnx") -> np.ndarray:
    """Probabilities of one text from nothing but onnxruntime and tokenizers."""
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
    session = ort.InferenceSession(bundle / name, providers=["CPUExecutionProvider"])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    (logits,) = session.run(["logits"], {item.name: feeds[item.name] for item in session.get_inputs()})
    exponentials = np.exp(logits[0] - logits[0].max())
    return exponentials / exponentials.sum()


@pytest.mark.parametrize(("precision", "name"), [("fp32", "model.onnx"), ("int8", "model_int8.onnx")])
def test_probabilities_are_those_of_the_model_run_by_hand(tiny_bundle: Path, precision: str, name: str) -> None:
    table = Scorer.load(tiny_bundle, precision=precision).score(TEXTS)
    for row, text in enumerate(TEXTS):
        got = [table[f"pred_prob_{label}"][row].as_py() for label in ("negative", "positive")]
        if text is None or not text.strip():
            assert got == [None, None]
            continue
        expected = by_hand(tiny_bundle, text, name)
        assert got == pytest.approx(expected, abs=2e-6)
        best = int(np.argmax(expected))
        assert table["pred_label"][row].as_py() == ("negative", "positive")[best]
        assert table["pred_score"][row].as_py() == got[best]


def test_columns_types_and_statuses(tiny_bundle: Path) -> None:
    table = Scorer.load(tiny_bundle, max_length=12).score(TEXTS)
    assert table.schema == pa.schema(
        [
            ("pred_label", pa.string()),
            ("pred_score", pa.float32()),
            ("pred_prob_negative", pa.float32()),
            ("pred_prob_positive", pa.float32()),
            ("pred_status", pa.string()),
        ]
    )
    assert table["pred_status"].to_pylist() == ["ok", "empty", "truncated", "empty", "ok", "empty", "ok"]


def test_no_rows(tiny_bundle: Path) -> None:
    assert Scorer.load(tiny_bundle).score([]).num_rows == 0


def test_three_labels(three_label_bundle: Path) -> None:
    table = Scorer.load(three_label_bundle, precision="fp32").score(["A warm film.", "dull"])
    names = ("negative", "neutral", "positive")
    probabilities = np.array([table[f"pred_prob_{name}"].to_pylist() for name in names])
    assert probabilities.sum(axis=0) == pytest.approx([1, 1])
    assert table["pred_label"].to_pylist() == [names[best] for best in probabilities.argmax(axis=0)]
    with pytest.raises(UsageError, match="two labels"):
        Scorer.load(three_label_bundle, threshold=0.5)


def test_a_window_has_the_mean_probability_of_its_parts(tiny_bundle: Path) -> None:
    words = [
        "warm",
        "funny",
        "film",
        "dull",
        "loud",
        "badly",
        "acted",
        "great",
        "value",
        "colour",
        "shop",
        "letters",
    ] * 3
    scorer = Scorer.load(tiny_bundle, precision="fp32", long_text="window", max_length=10, stride=2)
    encoded = scorer.encode([" ".join(words)])
    logits = scorer.session.logits(encoded)
    assert len(logits) > 3
    table = scorer.score([" ".join(words)])
    assert table["pred_status"].to_pylist() == ["windowed"]
    assert table["pred_prob_positive"][0].as_py() == pytest.approx(probabilities_of(logits)[:, 1].mean(), abs=1e-6)


def test_threshold_moves_the_label_and_its_score(tiny_bundle: Path) -> None:
    texts = [text for text in TEXTS if text and text.strip()]
    positive = Scorer.load(tiny_bundle).score(texts)["pred_prob_positive"].to_pylist()
    cut = sorted(positive)[1]
    table = Scorer.load(tiny_bundle, threshold=cut).score(texts)
    for label, score, probability in zip(
        table["pred_label"].to_pylist(), table["pred_score"].to_pylist(), positive, strict=True
    ):
        assert label == ("positive" if probability >= cut else "negative")
        assert score == pytest.approx(probability if label == "positive" else 1 - probability, abs=1e-6)


def test_temperature_and_threshold_of_the_bundle_apply(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, folder)
    description = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**description, "temperature": 2.0, "threshold": 1.0}))
    plain = Scorer.load(tiny_bundle, precision="fp32")
    logits = plain.session.logits(plain.encode(["war"]))[0].astype(np.float64)
    table = Scorer.load(folder, precision="fp32").score(["war"])
    expected = 1 / (1 + np.exp((logits[0] - logits[1]) / 2))
    assert table["pred_prob_positive"][0].as_py() == pytest.approx(expected, abs=1e-6)
    assert table["pred_label"].to_pylist() == ["negative"]


@settings(max_examples=15)
@given(
    texts=st.lists(st.one_of(st.none(), st.text(max_size=60), st.sampled_from(["good film", "bad film"])), max_size=9)
)
def test_a_score_depends_on_its_own_text_alone(tiny_bundle: Path, texts: list[str | None]) -> None:
    scorer = Scorer.load(tiny_bundle, threads=2)
    together = scorer.score(texts)
    alone = [scorer.score([text]) for text in texts]
    assert together.equals(pa.concat_tables([scorer.score([]), *alone]))


def test_batches_by_tokens_agree_with_reviews_alone(tiny_bundle: Path) -> None:
    texts = [text * n for n in (1, 2, 5) for text in ("good film ", "dull ", "the story is thin ")]
    alone = Scorer.load(tiny_bundle, precision="fp32").score(texts)
    for budget in (1, 40, 10_000):
        batched = Scorer.load(tiny_bundle, precision="fp32", batching="tokens", batch_tokens=budget).score(texts)
        assert batched["pred_prob_positive"].to_pylist() == pytest.approx(
            alone["pred_prob_positive"].to_pylist(), abs=1e-5
        )
        assert batched["pred_status"].equals(alone["pred_status"])


def test_texts_of_every_arrow_kind(tiny_bundle: Path) -> None:
    scorer = Scorer.load(tiny_bundle)
    expected = scorer.score(["war", None])
    assert scorer.score(pa.array(["war", None])).equals(expected)
    assert scorer.score(pa.chunked_array([["war"], [None]], pa.large_string())).equals(expected)


@pytest.mark.parametrize("texts", ["one string", ["a", 3], pa.array([1, 2])])
def test_what_is_no_text_is_refused(tiny_bundle: Path, texts: object) -> None:
    with pytest.raises(UsageError):
        Scorer.load(tiny_bundle).score(texts)  # type: ignore[arg-type]
