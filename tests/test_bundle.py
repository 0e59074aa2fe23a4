"""Model folders: ours, those of others, and damaged ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scorer.bundle import ModelBundle, write_description
from scorer.errors import DeviceError, ModelError, UsageError


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


def test_ours(bundle: Path) -> None:
    loaded = ModelBundle.load(bundle)
    assert loaded.labels == ("negative", "positive")
    assert set(loaded.variants) == {"fp32", "fp16", "int8"}
    assert loaded.max_positions == 512
    assert set(loaded.checksums) >= {"config.json", "tokenizer.json", "model.onnx", "model_int8.onnx"}


def test_a_folder_of_plain_optimum(optimum_folder: Path) -> None:
    loaded = ModelBundle.load(optimum_folder)
    assert set(loaded.variants) == {"fp32"}
    assert loaded.preprocessing.max_length == 512
    assert loaded.checksums == {}


def test_models_in_the_onnx_subfolder_and_quantized_names(optimum_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hub-layout"
    shutil.copytree(optimum_folder, folder)
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model_quantized.onnx")
    assert ModelBundle.load(folder).variants == {"int8": folder / "onnx" / "model_quantized.onnx"}


def test_labels_that_transformers_leaves_out(bundle: Path) -> None:
    content = json.loads((bundle / "config.json").read_text())
    del content["id2label"]
    (bundle / "config.json").write_text(json.dumps(content))
    (bundle / "bundle.json").unlink()
    assert ModelBundle.load(bundle).labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        ModelBundle.load(bundle)


def test_no_model_at_all(bundle: Path) -> None:
    for path in bundle.glob("*.onnx"):
        path.unlink()
    with pytest.raises(ModelError, match=r"has no model\.onnx"):
        ModelBundle.load(bundle)


def test_a_flipped_bit_is_found(bundle: Path) -> None:
    path = bundle / "model_int8.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    loaded = ModelBundle.load(bundle)
    with pytest.raises(ModelError, match="checksum"):
        loaded.variant("int8")
    assert loaded.variant("fp32").name == "model.onnx"


def test_a_changed_tokenizer_is_found(bundle: Path) -> None:
    with (bundle / "tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(ModelError, match="checksum"):
        ModelBundle.load(bundle)


@pytest.mark.parametrize(
    ("file", "values", "says"),
    [
        ("bundle.json", {"format": 99}, "is of format 99, this version reads 1"),
        ("bundle.json", {"threshold": 1.5}, "threshold is 1.5"),
        ("bundle.json", {"temperature": "warm"}, "temperature is 'warm'"),
        ("bundle.json", {"preprocessing": {"max_length": 0}}, "leaves no room"),
        ("bundle.json", {"preprocessing": 7}, "is not a JSON object"),
        ("bundle.json", {"files": []}, "files is not an object"),
        ("config.json", {"id2label": {"0": "a", "2": "b"}}, "does not number"),
        ("config.json", {"id2label": {"0": "a", "1": "a"}}, "two labels the same name"),
        ("config.json", {"id2label": "ab"}, "is not an object of names"),
        ("config.json", {"problem_type": "regression"}, "regression"),
    ],
)
def test_damaged_descriptions(bundle: Path, file: str, values: dict[str, Any], says: str) -> None:
    change(bundle / file, **values)
    with pytest.raises(ModelError, match=says):
        ModelBundle.load(bundle)


@pytest.mark.parametrize("content", ["{", "[1]", "\xff", '{"a":' * 3000])
def test_config_that_is_no_json_object(bundle: Path, content: str) -> None:
    (bundle / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError, match="JSON"):
        ModelBundle.load(bundle)


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "nowhere", "a/b/c"])
def test_no_such_folder(name: str) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        ModelBundle.load(name)


def test_a_file_is_no_folder(bundle: Path) -> None:
    with pytest.raises(ModelError, match="is a file"):
        ModelBundle.load(bundle / "model.onnx")


def test_a_hub_id_without_a_network() -> None:
    with pytest.raises(ModelError, match="cannot be had from the Hub"):
        ModelBundle.load("nobody-at-all/no-such-model")


def test_a_missing_precision_says_how_to_export_it(optimum_folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"has no int8 model, only fp32; export one with: export-model"):
        ModelBundle.load(optimum_folder).variant("int8")


def test_options_out_of_range(bundle: Path) -> None:
    loaded = ModelBundle.load(bundle)
    with pytest.raises(UsageError, match="more than the model's 512 positions"):
        loaded.with_options(max_length=513)
    with pytest.raises(UsageError, match="no probability"):
        loaded.with_options(threshold=1.1)


def test_the_fingerprint_follows_what_a_score_depends_on(bundle: Path) -> None:
    loaded = ModelBundle.load(bundle)
    assert loaded.fingerprint("int8") == ModelBundle.load(bundle).fingerprint("int8")
    others = [loaded.fingerprint("fp32"), loaded.with_options(max_length=100).fingerprint("int8")]
    others.append(loaded.with_options(threshold=0.3).fingerprint("int8"))
    assert len({loaded.fingerprint("int8"), *others}) == 4


def test_a_multi_label_model_has_sigmoids(bundle: Path) -> None:
    change(bundle / "config.json", problem_type="multi_label_classification")
    write_description(bundle, {})
    assert ModelBundle.load(bundle).activation == "sigmoid"
