"""Every encoder that can be fine-tuned: adapted, trained, resumed, exported and scored."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, pipeline

from export.exporting import export_model
from export.families import FAMILIES, complete_fusion
from export.options import ExportOptions
from scorer.errors import ModelError
from scorer.model.preprocessing import Preprocessing
from scorer.model.scoring import Scorer
from tests.helpers.encoders import KINDS, save_tiny_encoder
from tests.helpers.trainings import assert_same_training, interrupt, train_tiny
from train.checkpoints import load_classifier
from train.encoders import ENCODERS, depths
from train.encoding import padding_multiple
from train.pretraining import MaskedWords, _copy_head


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    return {kind: save_tiny_encoder(kind, folder / kind) for kind in KINDS}


def test_whatever_can_be_trained_can_be_exported() -> None:
    assert ENCODERS.keys() == FAMILIES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_adaptation_begins_with_the_loss_of_the_checkpoint_s_own_head(kind: str, encoders: dict[str, Path]) -> None:
    reference = AutoModelForMaskedLM.from_pretrained(encoders[kind]).eval()
    with torch.no_grad():
        for parameter in reference.parameters():  # a fresh head has biases of zero, which would hide a forgotten one
            parameter += 0.05 * torch.randn_like(parameter)
    if kind == "modernbert":  # has a matrix of its own where the embeddings are taken
        reference.decoder.weight = reference.get_input_embeddings().weight
    folder = encoders[kind].parent / f"{kind} trained"
    reference.save_pretrained(folder)
    masked = MaskedWords(reference.base_model).eval()
    _copy_head(masked, str(folder))
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 200, (4, 16), generator=generator)
    labels = torch.where(torch.rand(4, 16, generator=generator) < 0.3, ids, -100)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        expected = reference(input_ids=ids, attention_mask=mask, labels=labels).loss
        got = masked(ids, mask, labels)["loss"]
    assert torch.allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_is_adapted_trained_resumed_exported_and_scored(
    kind: str, encoders: dict[str, Path], labelled_texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {
        "preprocessing": Preprocessing(max_length=64, stride=16),
        "keep_layout": True,
        "pretrain_on": (str(labelled_texts),),
        "pretrain_max_length": 16,
        "save_steps": 2,
    }
    whole = train_tiny(encoders[kind], labelled_texts, tmp_path / "whole", **recipe)
    interrupt(monkeypatch, before_step=6)  # of 9
    with pytest.raises(KeyboardInterrupt):
        train_tiny(encoders[kind], labelled_texts, tmp_path / "halved", **recipe)
    monkeypatch.undo()
    assert_same_training(whole, train_tiny(encoders[kind], labelled_texts, tmp_path / "halved", **recipe, resume=True))
    assert AutoConfig.from_pretrained(whole).model_type == kind

    report = export_model(ExportOptions(str(whole), tmp_path / "bundle", precisions=("fp16", "int8"), threads=1))
    fused = complete_fusion(AutoConfig.from_pretrained(whole))
    assert [variant.fused for variant in report.variants] == [None, fused, fused]
    assert fused.gelu >= 1
    texts = pq.read_table(labelled_texts)["text"].to_pylist()[:6]
    found = pipeline("text-classification", model=str(whole), device="cpu")(texts, batch_size=6)
    for precision in ("fp16", "int8"):
        scored = Scorer.load(tmp_path / "bundle", precision=precision, device="cpu", threads=1).score(texts)
        same = [label == one["label"] for label, one in zip(scored["pred_label"].to_pylist(), found, strict=True)]
        assert all(same[row] for row, one in enumerate(found) if one["score"] > 0.6)


def test_every_layer_of_albert_is_exported(tmp_path: Path, encoders: dict[str, Path]) -> None:
    config = AutoConfig.from_pretrained(encoders["albert"], num_hidden_layers=3)
    torch.manual_seed(2)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "checkpoint")
    load_classifier(str(encoders["albert"]), ["a", "b"])[1].save_pretrained(tmp_path / "checkpoint")
    report = export_model(ExportOptions(str(tmp_path / "checkpoint"), tmp_path / "bundle", threads=1))
    # The first layer's attention stays as it is, and the mask with it.
    assert [variant.fused and variant.fused.attention for variant in report.variants] == [None, 2, 2]


def test_rates_fall_by_the_layers_of_every_architecture(encoders: dict[str, Path]) -> None:
    for kind in KINDS:
        model, _ = load_classifier(str(encoders[kind]), ["a", "b"], keep_layout=True)
        found = depths(model)
        assert set(found.values()) == {0, 1, 2}, kind
        assert found["classifier.weight" if "classifier.weight" in found else "classifier.out_proj.weight"] == 0
        assert found[next(name for name in found if "word_embeddings" in name or "tok_embeddings" in name)] == 2


def test_dropout_reaches_every_architecture(encoders: dict[str, Path]) -> None:
    for kind in KINDS:
        model, _ = load_classifier(
            str(encoders[kind]), ["a", "b"], dropout=0.35, attention_dropout=0.25, keep_layout=True
        )
        rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
        rates |= {getattr(module, "attention_dropout", 0.0) for module in model.modules()}
        assert 0.35 in rates, kind
        settings = model.config.to_dict()
        assert 0.25 in (settings.get("attention_dropout"), settings.get("attention_probs_dropout_prob")), kind


def test_a_decoder_is_refused(tmp_path: Path) -> None:
    AutoConfig.for_model("gpt2").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"is a gpt2 checkpoint, which train-model does not know; pass one of: distil"):
        load_classifier(str(tmp_path), ["a", "b"])


def test_padding_stays_within_the_positions() -> None:
    assert [padding_multiple(*case) for case in ((512, 512), (60, 64), (66, 66), (65, 66), (60, None))] == [
        8, 8, None, None, 8,
    ]  # fmt: skip
