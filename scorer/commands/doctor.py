"""``score --doctor``: versions, providers and CUDA of this machine, and a test of the default model."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import onnxruntime as ort

from scorer.errors import ScorerError
from scorer.model.bundle import ModelBundle
from scorer.model.machine import cuda_device_count, cudnn_version, usable_cpus
from scorer.model.scoring import Scorer
from scorer.version import package_version

_PACKAGES = ("onnxruntime-gpu", "onnxruntime", "nanotoken", "tokenizers", "pyarrow", "numpy", "polars")

_REVIEW = "A quiet, tender and very funny film."

_ON_CUDA = f"""
import sys
from scorer import Scorer
from scorer.errors import ScorerError
try:
    scorer = Scorer.load(sys.argv[1] or None, device="cuda")
    label = scorer.score([{_REVIEW!r}])["pred_label"][0].as_py()
    print(f"\\n{{label}}, {{scorer.session.precision}} on {{scorer.session.device}}")
except ScorerError as error:
    print(f"\\nfailed: {{error}}")
"""

_KERNEL = re.compile(r"\bSdpaKernel=(\w+)")


@dataclass(frozen=True)
class Diagnosis:
    """The state of this machine.

    Attributes:
        lines: for a person.
        healthy: True if the model scores here.
    """

    lines: tuple[str, ...]
    healthy: bool


def diagnose(model: str | None = None) -> Diagnosis:
    """Look at the machine, and score one text with ``model`` or the built-in one; on CUDA too, if there is a device."""
    devices = cuda_device_count()
    lines = [
        f"review-scorer  {package_version()} on Python {platform.python_version()}, {platform.platform()}",
        f"packages       {', '.join(_versions())}",
        f"processors     {usable_cpus()} that this process may use",
        f"providers      {', '.join(ort.get_available_providers())}",
        f"CUDA devices   {devices}",
    ]
    if devices:
        ort.preload_dlls()
        lines.append(f"cuDNN          {'.'.join(map(str, cudnn_version() or ())) or 'not found'}")
        lines += cuda_lines(_output_on_cuda(model))
    try:
        bundle = ModelBundle.load(model)
        lines.append(f"model          {', '.join(bundle.variants)}; labels {', '.join(bundle.labels)}")
        scorer = Scorer.load(model)
        label = scorer.score([_REVIEW])["pred_label"][0].as_py()
        lines.append(f"tokenizer      {scorer.tokenizer}")
        lines.append(f"a test review  {label}, {scorer.session.precision} on {scorer.session.device}")
    except ScorerError as error:
        return Diagnosis((*lines, f"a test review  failed: {error}"), healthy=False)
    return Diagnosis(tuple(lines), healthy=True)


def _output_on_cuda(model: str | None) -> str:
    """Stdout of a process that scores one text on CUDA: onnxruntime prints there which attention kernel runs."""
    environment = {**os.environ, "ORT_ENABLE_ATTENTION_KERNEL_DEBUG_INFO": "1"}
    command = [sys.executable, "-c", _ON_CUDA, model or ""]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def cuda_lines(output: str) -> list[str]:
    """The result and the attention kernel of a run on CUDA, from what it printed; its result is the last line."""
    result = output.strip().rpartition("\n")[2] or "failed: the process ended without a result"
    kernels = ", ".join(dict.fromkeys(_KERNEL.findall(output))) or "not reported by onnxruntime"
    return [f"on CUDA        {result}"] + ([] if result.startswith("failed") else [f"attention      {kernels}"])


def _versions() -> list[str]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
