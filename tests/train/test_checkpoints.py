"""BERT's layout rearranged into DistilBERT's, and checkpoints that cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
)

from scorer.errors import ModelError
from tests.conftest import VOCABULARY_TEXTS
from train.bert_layout import distilbert_from_bert
from train.checkpoints import load_classifier


def test_the_two_layouts_compute_the_same(tiny_bert_checkpoint: Path) -> None:
    bert = BertModel.from_pretrained(tiny_bert_checkpoint).eval()
    # Trained models have both; a fresh one has zero biases, which would hide a forgotten one.
    with torch.no_grad():
        for parameter in bert.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    distilbert = distilbert_from_bert(bert).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert_checkpoint)
    batch = tokenizer(list(VOCABULARY_TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = bert(**batch).last_hidden_state
        got = distilbert(batch["input_ids"], batch["attention_mask"]).last_hidden_state
    seen = batch["attention_mask"].bool()
    assert torch.allclose(got[seen], expected[seen], atol=1e-5)
    n_bert = sum(p.numel() for name, p in bert.named_parameters() if "pooler" not in name and "token_type" not in name)
    assert sum(p.numel() for p in distilbert.parameters()) == n_bert


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps 1e-05"),
        ({"hidden_act": "gelu_new"}, "activation 'gelu_new'"),
        ({"position_embedding_type": "relative_key"}, "relative_key positions"),
    ],
)
def test_what_the_layout_cannot_express_is_refused(change: dict[str, Any], says: str) -> None:
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
    config = BertConfig(**{**sizes, "vocab_size": 9, **change})
    with pytest.raises(ModelError, match=says):
        distilbert_from_bert(BertModel(config))


def test_a_bert_checkpoint_becomes_a_classifier(tiny_bert_checkpoint: Path) -> None:
    model, tokenizer = load_classifier(
        str(tiny_bert_checkpoint), ["bad", "fair", "good"], dropout=0.3, attention_dropout=0.0
    )
    assert isinstance(model, DistilBertForSequenceClassification)
    assert model.config.id2label == {0: "bad", 1: "fair", 2: "good"}
    assert (model.config.dropout, model.config.attention_dropout) == (0.3, 0.0)
    assert tokenizer.is_fast


def test_a_distilbert_checkpoint_keeps_its_head(tiny_checkpoint: Path) -> None:
    model, _ = load_classifier(str(tiny_checkpoint), ["negative", "positive"])
    original = DistilBertForSequenceClassification.from_pretrained(tiny_checkpoint)
    for name, value in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("name", ["./nowhere", "/no/where/at/all", "nobody-at-all/no-such-model"])
def test_a_checkpoint_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_classifier(name, ["a", "b"])
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_head_of_another_number_of_labels_is_replaced(tiny_checkpoint: Path) -> None:
    model, _ = load_classifier(str(tiny_checkpoint), ["bad", "fair", "good"])
    original = DistilBertForSequenceClassification.from_pretrained(tiny_checkpoint)
    assert model.classifier.weight.shape == (3, 32)
    assert torch.equal(model.pre_classifier.weight, original.pre_classifier.weight)


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json, so it is not a checkpoint"):
        load_classifier(str(tmp_path), ["a", "b"])


def test_a_checkpoint_without_a_tokenizer(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_checkpoint / name, tmp_path)
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        load_classifier(str(tmp_path), ["a", "b"])


@pytest.mark.parametrize("model", ["tiny_checkpoint", "tiny_bert_checkpoint"])
@pytest.mark.parametrize("renamed", ["", "model."])
def test_a_checkpoint_that_lacks_weights(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, renamed: str
) -> None:
    folder = shutil.copytree(request.getfixturevalue(model), tmp_path / "lacks")
    tensors = load_file(folder / "model.safetensors")
    # All under another name, or the first layer's norms under none.
    kept = {f"{renamed}{name}": value for name, value in tensors.items() if renamed or "layer.0.out" not in name}
    kept |= {name: value for name, value in kept.items() if ".ffn." in name} if renamed else {}
    save_file({name: value.clone() for name, value in kept.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks: has no weights for .+; copy or save it again"):
        load_classifier(str(folder), ["a", "b"])


def test_a_checkpoint_without_a_head_is_an_encoder(tiny_checkpoint: Path, tmp_path: Path) -> None:
    original = DistilBertForMaskedLM.from_pretrained(tiny_checkpoint)
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "masked")
    for encoder in (original, original.distilbert):
        encoder.save_pretrained(folder)
        model, _ = load_classifier(str(folder), ["a", "b"])
        for name, value in original.distilbert.state_dict().items():
            assert torch.equal(model.distilbert.state_dict()[name], value), name


def test_a_damaged_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_classifier(str(folder), ["a", "b"])
