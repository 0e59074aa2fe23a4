"""Hints of a model that does not run on the device: what can be done without a GPU is done as it stands."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from export.cli import export_model
from scorer.model import device
from scorer.model.bundle_writer import write_description
from tests.conftest import Call, InProcess
from tests.helpers.processes import ROOT


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    (tmp_path / "a.csv").write_text("text\ngood film\nbad film\n")
    return "a.csv"


def installs(hint: str) -> bool:
    """True if the line of pip in ``hint`` names the package and extras that it has."""
    found = re.search(r'pip install "([\w-]+)\[(\w+)\]"', hint)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found is not None and found[1] == project["name"] and found[2] in project["optional-dependencies"]


def test_an_onnxruntime_without_cuda(call_score: Call, reviews: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    code, _, err = call_score(reviews, "-o", "o.csv", "--device", "cuda")
    hint = 'pip install "review-scorer[gpu]", or pass --device cpu'
    assert (code, err.splitlines()[-1].partition("; ")[2]) == (4, hint)
    assert installs(hint)
    assert call_score(reviews, "-o", "o.csv", "--device", "cpu")[0] == 0


def test_an_onnxruntime_that_does_not_find_the_libraries_of_cuda(
    call_score: Call, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device.cuda_device_count():
        pytest.skip("a GPU is here")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is for the CPU alone")
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    code, _, err = call_score(reviews, "-o", "o.csv", "--device", "cuda")
    hint = 'pip install "review-scorer[gpu]" for its CUDA libraries, or pass --device cpu'
    assert (code, err.splitlines()[-1].partition("; ")[2]) == (4, hint), err
    assert installs(hint)
    assert call_score(reviews, "-o", "o.csv", "--device", "cpu")[0] == 0


def sealed(bundle: Path) -> None:
    """Write the checksums of its files anew."""
    description = json.loads((bundle / "bundle.json").read_text())
    write_description(bundle, {name: value for name, value in description.items() if name != "files"})


def test_a_model_without_a_variant_for_cuda(
    call_score: Call,
    reviews: str,
    tiny_checkpoint: Path,
    tiny_bundle: Path,
    in_process: InProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Followed up to the bundle that has it."""
    monkeypatch.setattr(device, "_require_cuda", lambda _device: None)
    shutil.copytree(tiny_bundle, "only-int8", ignore=shutil.ignore_patterns("model.onnx", "model_fp16.onnx"))
    sealed(Path("only-int8"))
    code, _, err = call_score(reviews, "-o", "o.csv", "--model", "only-int8", "--device", "cuda")
    hint = "export one with: export-model CHECKPOINT -o BUNDLE --precision fp16,int8"
    assert (code, err.splitlines()[-1].partition("; ")[2]) == (4, hint)
    words = hint.partition("export-model ")[2].replace("CHECKPOINT", str(tiny_checkpoint)).split()
    assert in_process(export_model)(*words)[0] == 0
    assert (Path("BUNDLE") / "model_fp16.onnx").is_file()


def with_nan(bundle: Path, folder: Path) -> None:
    """A copy of ``bundle`` whose int8 model gives no numbers."""
    shutil.copytree(bundle, folder)
    model = onnx.load(folder / "model_int8.onnx")
    last = next(node for node in model.graph.node if "logits" in node.output)
    for tensor in model.graph.initializer:
        if tensor.name == last.input[-1]:
            value = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(value, np.nan), tensor.name))
    onnx.save(model, folder / "model_int8.onnx")
    sealed(folder)


def test_a_model_that_gives_no_numbers(
    call_score: Call, reviews: str, tiny_checkpoint: Path, tiny_bundle: Path, tmp_path: Path, in_process: InProcess
) -> None:
    with_nan(tiny_bundle, tmp_path / "broken")
    code, _, err = call_score(reviews, "-o", "o.csv", "--model", "broken", "--precision", "int8")
    assert not Path("o.csv.partial").exists()  # nothing was scored
    hint = "export the model again, or try --precision fp32"
    assert (code, err.splitlines()[-1].partition("; ")[2]) == (4, hint), err
    assert call_score(reviews, "-o", "o.csv", "--model", "broken", "--precision", "fp32")[0] == 0
    assert in_process(export_model)(tiny_checkpoint, "-o", "broken", "--precision", "int8", "--overwrite")[0] == 0
    assert call_score(reviews, "-o", "p.csv", "--model", "broken", "--precision", "int8")[0] == 0
