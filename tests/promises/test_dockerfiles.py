"""The Dockerfiles of docs/nightly: their commands run in order, without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.helpers.processes import ROOT, environment, tell

NIGHTLY = ROOT / "docs" / "nightly"
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.cuda")


def instructions(name: str) -> Iterator[tuple[str, str]]:
    """Instruction and rest of each line, continued lines joined."""
    text = (NIGHTLY / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def build(name: str, root: Path, *, quick: bool) -> dict[str, Any]:
    """Do the steps of `docker build`, in order, with every path of the image below ``root``.

    With ``quick`` packages come from this environment in place of an index. The same commands run
    either way; pip is told by variables. This machine stands in for the base image.
    """
    folder, variables, image = root, dict(environment()), {"USER": "", "ENTRYPOINT": [], "CMD": []}
    variables.pop("PYTHONPATH")
    if quick:
        variables |= {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_QUIET": "1"}

    def inside(path: str) -> Path:
        return root / path.lstrip("/") if path.startswith("/") else folder / path

    for word, rest in instructions(name):
        if word == "WORKDIR":
            folder = inside(rest)
            folder.mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            *sources, target = rest.split()
            if sources[0].startswith("--from="):
                assert inside(sources[1]).exists(), f"{name}: {rest}"
                continue
            for source in sources:
                if source.endswith("/"):
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / source, inside(target), dirs_exist_ok=True, ignore=ignored)
                else:
                    shutil.copy(ROOT / source, inside(target))
        elif word == "RUN":
            # The paths of the image, below root; the python of the base image is ours.
            command = re.sub(r"(?<![\w.])/(opt|src|data)\b", rf"{root}/\1", rest)
            command = re.sub(r"^python ", f"{sys.executable} ", command)
            done = subprocess.run(
                ["sh", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{name}: {rest}\n{done.stdout}{done.stderr}"
            if quick and " -m venv " in command:
                (site,) = root.glob("opt/review-scorer/lib/python*/site-packages")
                ours = [path for path in sys.path if path.endswith("-packages")]
                # Before its own packages: those that ensurepip brought may be too old to build.
                (site / "this-environment.pth").write_text(f"import sys; sys.path[:0] = {ours!r}\n")
        elif word == "ENV":
            for setting in rest.split():
                key, _, value = setting.partition("=")
                value = re.sub(r"(?<![\w.])/(opt|src|data)\b", rf"{root}/\1", value)
                variables[key] = value.replace("$PATH", variables["PATH"])
        elif word in ("ENTRYPOINT", "CMD"):
            image[word] = json.loads(rest)
        elif word == "USER":
            image[word] = rest
        else:
            assert word in ("FROM", "ARG"), f"{name}: {word}"
    return {**image, "folder": folder, "environment": variables}


def check_image(image: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image["USER"])  # not root, by number, as runAsNonRoot wants it
    assert image["environment"]["HF_HUB_OFFLINE"] == "1"
    shown = subprocess.run(
        [*image["ENTRYPOINT"], *image["CMD"]],
        cwd=image["folder"], env=image["environment"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, shown.stdout.startswith("Usage: score ")) == (0, True), shown.stderr
    (image["folder"] / "incoming").mkdir()
    shutil.copy(ROOT / "sample_data" / "reviews.parquet", image["folder"] / "incoming")
    command = [*image["ENTRYPOINT"], "incoming/", "-o", "scored/"]
    if os.geteuid() == 0 and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0:
        command = ["unshare", "--net", *command]  # without any network
    done = subprocess.run(
        command, cwd=image["folder"], env=image["environment"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(image["folder"] / "scored" / "reviews.parquet").num_rows == 300


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def test_the_commands_of_the_dockerfile_run_in_order(tmp_path: Path) -> None:
    check_image(build("Dockerfile.cpu", tmp_path, quick=True))
    (requires,) = tmp_path.glob("opt/review-scorer/lib/python*/site-packages/review_scorer-*/METADATA")
    needed = [line for line in requires.read_text(encoding="utf-8").splitlines() if "extra ==" not in line]
    assert [line for line in needed if "onnxruntime-gpu" in line] == []
    assert len([line for line in needed if "Requires-Dist: onnxruntime" in line]) == 2


@pytest.mark.torture
@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_commands_of_each_dockerfile_with_all_packages(name: str, tmp_path: Path) -> None:
    check_image(build(name, tmp_path, quick=False))
    if name == "Dockerfile.cpu":
        size = size_of(tmp_path / "opt")
        tell(f"the environment of {name}: {size / 1e6:.0f} MB")
        # With about 130 MB for Python's slim image below it, the whole stays under 550 MB.
        assert size <= 410e6


def test_the_two_images_differ_in_cuda_alone() -> None:
    cpu, cuda = (list(instructions(name)) for name in DOCKERFILES)
    install = "python -m pip --python /opt/review-scorer/bin/python install --no-cache-dir --disable-pip-version-check"
    assert [line for line in cpu if line not in cuda] == [
        ("RUN", """sed -i 's/"onnxruntime-gpu>=/"onnxruntime>=/' pyproject.toml"""),
        ("RUN", f"{install} -c constraints.txt ."),
    ]
    assert [line[1].split()[-1].strip('"') for line in cuda if line not in cpu] == [
        ".[gpu]", "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    ]  # fmt: skip
