"""Weights in files beside an ONNX file: followed under plain names, refused everywhere else they could be hidden."""

from __future__ import annotations

import json
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scorer import Scorer
from scorer.cluster.worker import load_model, model_files
from scorer.errors import ModelError
from scorer.job.options import ScoreOptions
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_writer import write_description
from scorer.model.onnx_safety import OnnxFile

TEXTS = ["A warm, funny film.", "dull and loud", None, "Great value!"]


def split(folder: Path, **more: object) -> Path:
    """Move the weights of ``model.onnx`` in ``folder`` into a file beside it."""
    model = onnx.load(folder / "model.onnx")
    settings = {"location": "model.onnx.data", "size_threshold": 0, **more}
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, **settings)
    return folder


@pytest.fixture
def external(optimum_folder: Path, tmp_path: Path) -> Path:
    """A folder of Optimum with its weights in ``model.onnx.data``."""
    return split(shutil.copytree(optimum_folder, tmp_path / "external"))


def test_weights_beside_the_model_give_the_same_scores(optimum_folder: Path, external: Path) -> None:
    assert (external / "model.onnx").stat().st_size < (optimum_folder / "model.onnx").stat().st_size / 2
    assert (
        Scorer.load(external, device="cpu").score(TEXTS).equals(Scorer.load(optimum_folder, device="cpu").score(TEXTS))
    )


@pytest.mark.parametrize("in_subfolder", [False, True])
def test_weights_in_a_file_for_each_tensor(optimum_folder: Path, tmp_path: Path, *, in_subfolder: bool) -> None:
    folder = shutil.copytree(optimum_folder, tmp_path / "external")
    split(folder, all_tensors_to_one_file=False, location=None)
    files = [path for path in folder.iterdir() if path.suffix != ".json"]
    assert len(files) > 10
    if in_subfolder:
        (folder / "onnx").mkdir()
        for path in files:
            path.rename(folder / "onnx" / path.name)
    assert Scorer.load(folder, device="cpu").score(TEXTS).equals(Scorer.load(optimum_folder, device="cpu").score(TEXTS))


def test_the_fingerprint_and_the_checksums_cover_the_weights(external: Path) -> None:
    write_description(external, {})
    before = ModelBundle.load(external)
    assert "model.onnx.data" in before.checksums
    before.variant("fp32")
    fingerprint = before.fingerprint("fp32")
    with (external / "model.onnx.data").open("r+b") as file:
        file.seek(100)
        file.write(b"\x01\x02\x03")
    with pytest.raises(ModelError, match=r"model\.onnx\.data: does not have the checksum"):
        ModelBundle.load(external).variant("fp32")
    assert ModelBundle.load(external).fingerprint("fp32") != fingerprint
    content = json.loads((external / "bundle.json").read_text())
    del content["files"]["model.onnx.data"]
    (external / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="is not among the files of bundle"):
        ModelBundle.load(external).variant("fp32")


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_weights_travel_to_other_machines(external: Path, precision: str) -> None:
    files = model_files(ModelBundle.load(external), precision)
    assert {"model.onnx", "model.onnx.data"} <= files.keys()
    scorer, identity = load_model(files, ScoreOptions(device="cpu", model=str(external)))
    assert scorer.score(TEXTS).equals(Scorer.load(external, device="cpu").score(TEXTS))
    assert identity.bundle["fingerprint"] == ModelBundle.load(external).fingerprint("fp32")


@pytest.mark.parametrize("name", ["model.onnx.data", "weights.pb"])
def test_weights_come_from_the_hub(
    optimum_folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository is a folder here, and files come as symlinks to blobs, those alone that are asked for."""
    repository = split(shutil.copytree(optimum_folder, tmp_path / "repository"), location=name)
    (repository / "pytorch_model.bin").write_bytes(b"x")
    snapshot, blobs = tmp_path / "cache" / "snapshots" / "abc", tmp_path / "cache" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()

    def snapshot_download(hub_id: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        from huggingface_hub.utils import filter_repo_objects

        assert (hub_id, revision in (None, "abc")) == ("org/model", True)
        for file in filter_repo_objects([path.name for path in repository.iterdir()], allow_patterns=allow_patterns):
            shutil.copy(repository / file, blobs / file)
            if not (snapshot / file).exists():
                (snapshot / file).symlink_to(Path("..", "..", "blobs", file))
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert Scorer.load("org/model", device="cpu").score(TEXTS).num_rows == len(TEXTS)
    assert (snapshot / name).is_symlink()
    assert not (snapshot / "pytorch_model.bin").exists()


def hostile(place: str, **entries: str) -> onnx.ModelProto:
    """A model with one tensor in another file, as ``entries`` describe it, somewhere in the graph."""
    tensor = TensorProto(name="w", data_type=1, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key.rstrip("_"), value=value)
    model = helper.make_model(helper.make_graph([], "g", [], []))
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "attribute":
        model.graph.node.append(constant)
    elif place == "subgraph":
        inner = helper.make_graph([constant], "inner", [], [])
        model.graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner))
    elif place == "sparse":
        model.graph.sparse_initializer.add(values=tensor, indices=tensor, dims=[1])
    elif place == "function":
        model.functions.append(helper.make_function("d", "f", [], ["w"], [constant], []))
    else:
        model.training_info.add().algorithm.initializer.append(tensor)
    return model


PLACES = ("initializer", "attribute", "subgraph", "sparse", "function", "training")


@pytest.mark.parametrize("place", PLACES)
def test_weights_are_found_wherever_they_are(tmp_path: Path, place: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(hostile(place, location="w.bin", offset="4", length="8").SerializeToString())
    assert OnnxFile.read(path).weights == {tmp_path / "w.bin": 12}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name",
    [
        "../secret", "/etc/passwd", "a/../../secret", "..", ".", "", "./w", "a//w", "C:\\w", "C:w", "..\\w", "a\\w",
        "w\0.bin", "*/_ORT_MEM_ADDR_/*", "https://host/w",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, place: str, name: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(hostile(place, location=name).SerializeToString())
    with pytest.raises(ModelError, match="which is not a file beside it; save it again"):
        OnnxFile.read(path)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({}, "not a file beside it"),
        ({"offset": "0"}, "not a file beside it"),
        ({"location": "w.bin", "offset": "-4"}, "in an unknown way"),
        ({"location": "w.bin", "length": "1e9"}, "in an unknown way"),
        ({"location": "w.bin", "length": "9" * 30}, "in an unknown way"),
        ({"location": "w.bin", "basepath": "/etc"}, "in an unknown way"),
        ({"location": "w.bin", "location_": "../secret"}, "not an ONNX model, or is damaged"),
    ],
)
def test_descriptions_that_are_none_are_refused(tmp_path: Path, entries: dict[str, str], says: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(hostile("initializer", **entries).SerializeToString())
    with pytest.raises(ModelError, match=says):
        OnnxFile.read(path)


def test_a_tensor_in_two_pieces_hides_nothing(tmp_path: Path) -> None:
    """Protobuf merges them: the first names the file, the second says that it counts."""
    named = TensorProto(name="w", data_type=1, dims=[2])
    named.external_data.add(key="location", value="../secret")
    external = TensorProto(data_location=TensorProto.EXTERNAL)
    attributes = [onnx.AttributeProto(name="value", type=4, t=tensor) for tensor in (named, external)]
    node = b"".join(b"\x2a" + bytes([len(data)]) + data for data in (one.SerializeToString() for one in attributes))
    path = tmp_path / "model.onnx"
    graph = b"\x0a" + bytes([len(node)]) + node
    path.write_bytes(b"\x3a" + bytes([len(graph)]) + graph)
    with pytest.raises(ModelError, match="not a file beside it"):
        OnnxFile.read(path)


def test_weights_that_are_not_there_or_cut_off(external: Path) -> None:
    data = external / "model.onnx.data"
    with data.open("r+b") as file:
        file.truncate(data.stat().st_size // 2)
    with pytest.raises(ModelError, match=r"keeps weights behind the end of model\.onnx\.data; copy both files again"):
        ModelBundle.load(external).variant("fp32")
    data.unlink()
    with pytest.raises(ModelError, match=r"keeps weights in model\.onnx\.data, which is not there; copy it here too"):
        ModelBundle.load(external).variant("fp32")
    data.mkdir()
    with pytest.raises(ModelError, match="which is not there"):
        ModelBundle.load(external).variant("fp32")


def test_weights_behind_links_are_refused(external: Path, tmp_path: Path) -> None:
    data, elsewhere = external / "model.onnx.data", tmp_path / "elsewhere"
    data.rename(elsewhere)
    for link, says in ((data.symlink_to, "is a symlink"), (data.hardlink_to, "is a hard link")):
        link(elsewhere)
        with pytest.raises(ModelError, match=says):
            ModelBundle.load(external)
        data.unlink()
    elsewhere.unlink()
    os.mkfifo(data)
    with pytest.raises(ModelError, match="which is not there"):
        ModelBundle.load(external).variant("fp32")


def test_a_model_that_is_no_protobuf(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for content in (b"", b"\xff" * 100, b"{}", b"\x3a\xff\x01abc"):
        path.write_bytes(content)
        with pytest.raises(ModelError):
            OnnxFile.read(path)


def test_a_model_that_is_cut_off_or_altered(optimum_folder: Path, tmp_path: Path) -> None:
    whole = (optimum_folder / "model.onnx").read_bytes()
    path = tmp_path / "model.onnx"
    draw = random.Random(4)
    damaged = 0
    for _ in range(100):
        cut = draw.randrange(1, len(whole))
        path.write_bytes(whole[:cut])
        with suppress(ModelError):  # a cut between two fields leaves a message
            OnnxFile.read(path)
            continue
        damaged += 1
    assert damaged > 90


@pytest.mark.parametrize(
    ("operators", "last"),
    [(["MatMul"], "MatMul"), (["Sigmoid"], "Sigmoid"), (["Sigmoid", "Cast", "Identity"], "Sigmoid"), ([], "")],
)
def test_the_last_operator_that_changes_values(tmp_path: Path, operators: list[str], last: str) -> None:
    nodes = [helper.make_node(name, [str(place)], [str(place + 1)]) for place, name in enumerate(operators)]
    weight = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], [weight])), path)
    assert OnnxFile.read(path).last_operator(str(len(operators))) == last
