"""``score --doctor``: versions, providers and CUDA of this machine, and a test of the default model."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import onnxruntime as ort

from scorer.errors import ScorerError
from scorer.model.bundle import ModelBundle
from scorer.model.machine import cuda_device_count, usable_cpus
from scorer.model.scoring import Scorer
from scorer.version import package_version

_PACKAGES = ("onnxruntime-gpu", "onnxruntime", "tokenizers", "pyarrow", "polars", "numpy")


@dataclass(frozen=True)
class Diagnosis:
    """The state of this machine.

    Attributes:
        lines: for a person.
        healthy: True if the default model scores here.
    """

    lines: tuple[str, ...]
    healthy: bool


def diagnose() -> Diagnosis:
    """Look at the machine, and score one text with the default model."""
    lines = [
        f"review-scorer  {package_version()} on Python {platform.python_version()}, {platform.platform()}",
        f"packages       {', '.join(_versions())}",
        f"processors     {usable_cpus()} that this process may use",
        f"providers      {', '.join(ort.get_available_providers())}",
        f"CUDA devices   {cuda_device_count()}",
    ]
    try:
        bundle = ModelBundle.load()
        lines.append(f"model          {', '.join(bundle.variants)}; labels {', '.join(bundle.labels)}")
        scorer = Scorer.load()
        label = scorer.score(["A quiet, tender and very funny film."])["pred_label"][0].as_py()
        lines.append(f"a test review  {label}, {scorer.session.precision} on {scorer.session.device}")
    except ScorerError as error:
        return Diagnosis((*lines, f"a test review  failed: {error}"), healthy=False)
    return Diagnosis(tuple(lines), healthy=True)


def _versions() -> list[str]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
