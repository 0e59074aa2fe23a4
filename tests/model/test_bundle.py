"""Model folders: ours, those of others, and damaged ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import DeviceError, ModelError, UsageError
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_writer import write_description


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
    del content["id2label"], content["label2id"]
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
    with pytest.raises(ModelError, match="could not be downloaded from the Hub"):
        ModelBundle.load("nobody-at-all/no-such-model")


def test_a_missing_precision_says_how_to_export_it(optimum_folder: Path) -> None:
    with pytest.raises(
        DeviceError,
        match=r"has no int8 model, only fp32; pass --precision fp32, or export one .* --precision int8",
    ):
        ModelBundle.load(optimum_folder).variant("int8")


def test_options_out_of_range(bundle: Path) -> None:
    loaded = ModelBundle.load(bundle)
    with pytest.raises(UsageError, match="more than the model's 512 positions"):
        loaded.with_options(max_length=513)
    with pytest.raises(UsageError, match="is not a probability"):
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


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "model_int8.onnx", "README.md", "onnx/model.onnx", "more/x"]
)
def test_links_in_a_bundle_are_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    path = bundle / name
    path.parent.mkdir(exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.write_text("x")
    path.symlink_to(elsewhere)
    with pytest.raises(ModelError, match="is a symlink; copy the bundle"):
        ModelBundle.load(bundle)
    path.unlink()
    path.hardlink_to(elsewhere)
    with pytest.raises(ModelError, match="is a hard link"):
        ModelBundle.load(bundle)


def test_a_bundle_behind_a_link_is_fine(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(bundle)
    assert ModelBundle.load(tmp_path / "latest").labels == ("negative", "positive")


def test_a_snapshot_of_the_hubs_cache(optimum_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are symlinks to blobs beside it; one that leads anywhere else is refused."""
    cache = tmp_path / "hub" / "models--someone--reviews"
    snapshot, blobs = cache / "snapshots" / ("0" * 40), cache / "blobs"
    for folder in (snapshot, blobs, cache / "refs"):
        folder.mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    for number, file in enumerate(sorted(path for path in optimum_folder.iterdir() if path.is_file())):
        shutil.copy(file, blobs / str(number))
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / str(number))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    loaded = ModelBundle.load("someone/reviews")
    assert loaded.folder == snapshot
    assert loaded.variant("fp32").name == "model.onnx"
    (tmp_path / "secret").write_text("{}")
    (snapshot / "extra.json").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match="is a symlink"):
        ModelBundle.load("someone/reviews")


@pytest.mark.parametrize(
    "name",
    ["../config.json", "/etc/passwd", "a/../../b", "", "onnx//model.onnx", "C:\\model.onnx", "a\\b", "a\0b", "."],
)
def test_paths_in_bundle_json_that_lead_outside(bundle: Path, name: str) -> None:
    change(bundle / "bundle.json", files={name: "0" * 64})
    with pytest.raises(ModelError, match="is not a file of the bundle"):
        ModelBundle.load(bundle)


@pytest.mark.parametrize("checksum", [None, 7, "", "0" * 63, "G" * 64])
def test_checksums_that_are_none(bundle: Path, checksum: object) -> None:
    change(bundle / "bundle.json", files={"config.json": checksum})
    with pytest.raises(ModelError, match="states no SHA-256"):
        ModelBundle.load(bundle)


def test_a_model_that_bundle_json_does_not_know(bundle: Path) -> None:
    content = json.loads((bundle / "bundle.json").read_text())
    del content["files"]["model_int8.onnx"]
    (bundle / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"is not among the files of bundle\.json"):
        ModelBundle.load(bundle).variant("int8")


def test_operators_of_other_libraries_are_refused(optimum_folder: Path, tmp_path: Path) -> None:
    import onnx

    from scorer.model.options import ModelOptions
    from scorer.model.session import ModelSession

    folder = shutil.copytree(optimum_folder, tmp_path / "custom")
    model = onnx.load(folder / "model.onnx")
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(onnx.helper.make_opsetid("somebody.else", 1))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(ModelError):
        ModelSession(ModelBundle.load(folder), ModelOptions(device="cpu"))


def test_nothing_is_ever_unpickled() -> None:
    """By the names that would do it; ``weights_only`` is the default of torch.load."""
    import ast

    root = Path(__file__).parents[2]
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    arguments = {"allow_pickle", "trust_remote_code", "register_custom_ops_library"}
    for file in [path for package in ("scorer", "train", "export") for path in (root / package).rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            elif isinstance(node, ast.keyword) and not (
                isinstance(node.value, ast.Constant) and node.value.value is False
            ):
                assert node.arg not in arguments, file
                assert node.arg != "weights_only", file
            elif isinstance(node, ast.Attribute):
                assert node.attr not in {"register_custom_ops_library", "read_pickle"}, file
            assert not {name.split(".")[0] for name in names} & modules, file
