"""Packages that are not installed: the message has the line to type."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from export.cli import export_model
from scorer.commands.score import score
from tests.helpers.processes import ROOT
from train.cli import train_model

FOR_DEVELOPERS = {"test", "dev"}

CALLS: dict[str, tuple[click.Command, tuple[str, ...], tuple[str, ...]]] = {
    "train": (train_model, ("torch", "transformers", "evaluate", "accelerate"), ("-o", "out", "--train", "a.csv")),
    "baseline": (train_model, ("sklearn",), ("--baseline", "--train", "a.csv")),
    "export": (export_model, ("optimum", "optimum.onnxruntime", "onnx"), ("checkpoint", "-o", "out")),
    "ray": (score, ("ray",), ("a.csv", "-o", "out.csv", "--engine", "ray")),
    "remote": (score, ("s3fs", "gcsfs"), ("s3://bucket/a.csv", "gs://bucket/a.csv", "-o", "out")),
    "delta": (score, ("deltalake",), ("table", "-o", "out")),
}
"""Command, the packages of the extra, and arguments that need any one of them."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text,label\ngood,1\nbad,0\n" * 20)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)
    return tmp_path


def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, list[str]] = project["optional-dependencies"]
    return found


@pytest.mark.parametrize(("extra", "package"), [(extra, package) for extra in CALLS for package in CALLS[extra][1]])
def test_a_missing_package_is_an_error_with_the_line_to_type(
    extra: str, package: str, folder: Path, in_process, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, arguments = CALLS[extra]
    if package in ("gcsfs", "s3fs"):
        arguments = tuple(word for word in arguments if not word.startswith({"gcsfs": "s3", "s3fs": "gs"}[package]))
    monkeypatch.setitem(sys.modules, package, None)
    for scheme in ("s3", "gs"):  # whose classes fsspec keeps once another test has used them
        monkeypatch.delitem(import_module("fsspec.registry")._registry, scheme, raising=False)
    code, out, err = in_process(command)(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert f'; pip install "review-scorer[{extra}]"' in err
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "checkpoint", "table"]


def test_a_model_of_the_hub_without_its_package(folder: Path, in_process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, _, err = in_process(score)("a.csv", "-o", "out.csv", "--model", "someone/model")
    assert code == 4
    assert '; pip install "review-scorer[remote]", or pass a folder' in err


def test_every_extra_is_tried() -> None:
    assert extras().keys() - FOR_DEVELOPERS == CALLS.keys() | {"gpu"}


def test_a_plain_install_has_no_package_of_an_extra_but_those_that_come_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = " ".join(project["dependencies"])
    for package in ("torch", "scikit-learn", "scipy", "matplotlib", "pillow", "pandas", "polars", "ray", "datasets"):
        assert package not in base
