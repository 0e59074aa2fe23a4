"""Differences of logits, as a whole and by length; and the padded comparison that a broken mask does not pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from transformers import AutoModelForSequenceClassification

from export.differences import Difference, bucket_names, by_length, compare
from export.parity import PADDED_BATCH, _of_all_lengths, prove, reference_logits
from export.proof_texts import PROOF_TEXTS
from scorer.errors import QualityGateError
from scorer.model.graph import both_labels
from scorer.model.scoring import Scorer


def test_differences_of_logits_and_probabilities() -> None:
    expected = np.array([[0.0, 0.0], [2.0, 1.0], [0.0, 3.0]], dtype=np.float32)
    logits = np.array([[0.0, 0.0], [1.0, 1.5], [0.0, 3.0]], dtype=np.float32)
    found = compare(logits, expected, "softmax")
    assert (found.max_logit, found.flips, found.widest_flip) == (1.0, 1, 1.0)
    assert found.mean_logit == pytest.approx(1.5 / 6)
    moved = 1 / (1 + np.exp(-1)) - 1 / (1 + np.exp(0.5))
    assert found.max_probability == pytest.approx(moved)
    assert found.mean_probability == pytest.approx(moved / 3)


def test_of_one_logit_the_other_side_of_one_half_is_a_flip() -> None:
    expected, logits = (both_labels(np.array([[value], [3.0]], dtype=np.float32)) for value in (-0.5, 0.25))
    found = compare(logits, expected, "softmax")
    assert (found.flips, found.widest_flip) == (1, 0.5)
    assert found.max_probability == pytest.approx(1 / (1 + np.exp(-0.25)) - 1 / (1 + np.exp(0.5)))


def test_buckets_are_by_tokens_and_take_the_worst_of_all_ways() -> None:
    assert bucket_names(np.array([3, 32, 33, 128, 129, 256, 257, 512, 513])) == [
        "1-32", "1-32", "33-128", "33-128", "129-256", "129-256", "257-512", "257-512", "513-",
    ]  # fmt: skip
    expected = np.array([[0, 1], [0, 1], [0, 1]], dtype=np.float32)
    alone, padded = expected.copy(), expected.copy()
    alone[0] += (0.5, 0)
    padded[1] = (4, 1)
    short, long = by_length({"alone": alone, "padded": padded}, expected, np.array([300, 5, 6]), "softmax")
    assert (short.name, short.texts, short.agreement, short.difference.max_logit) == ("1-32", 2, 0.5, 4)
    assert (long.name, long.texts, long.agreement, long.difference.max_logit) == ("257-512", 1, 1, 0.5)
    assert Difference.worst([short.difference, long.difference]) == short.difference


def test_padded_batches_hold_long_and_short_runs() -> None:
    lengths = np.array([3] * 40 + [512, 500, 490])
    batches = list(_of_all_lengths(lengths))
    assert sorted(np.concatenate(batches).tolist()) == list(range(43))
    assert len(batches) == 3
    for batch in batches:
        assert len(batch) <= PADDED_BATCH
        assert (lengths[batch].max(), lengths[batch].min()) > (489, 3)
        assert (lengths[batch] == 3).sum() >= 12


def test_a_graph_that_forgets_its_mask_does_not_pass(tiny_checkpoint: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (folder / "bundle.json").unlink()
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "attention_mask":
                node.input[place] = "ones"
    model.graph.node.insert(0, helper.make_node("Equal", ["input_ids", "input_ids"], ["same"]))
    model.graph.node.insert(1, helper.make_node("Cast", ["same"], ["ones"], to=onnx.TensorProto.INT64))
    onnx.save(model, folder / "model.onnx")
    scorer = Scorer.load(folder, precision="fp32", threads=1)
    checkpoint = AutoModelForSequenceClassification.from_pretrained(tiny_checkpoint).eval()
    reference = reference_logits(checkpoint, scorer.encode(list(PROOF_TEXTS)), name="checkpoint")
    with pytest.raises(QualityGateError, match=r"^fp32 padded: "):
        prove(scorer.bundle, "fp32", reference, checkpoint, threads=1)
