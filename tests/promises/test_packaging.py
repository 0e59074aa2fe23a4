"""What is published: metadata, the files in the source distribution, and what the workflow runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.processes import ROOT


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the source distribution, without its first folder."""
    folder = tmp_path_factory.mktemp("sdist")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "model_int8.onnx")
    shutil.copytree(ROOT, folder / "clone", ignore=ignored)
    (folder / "clone" / "scorer" / "default_model" / "model_int8.onnx").touch()  # its name is enough here
    build = "from setuptools import build_meta; build_meta.build_sdist('..')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=folder / "clone", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        return {name.partition("/")[2] for name in files.getnames()}


def files_of(folder: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.mark.parametrize("folder", ["docs", "sample_data", "tests", "benchmarks", "scorer", "train", "export"])
def test_the_source_distribution_has_every_file_of_a_folder(sdist: set[str], folder: str) -> None:
    assert files_of(folder) - sdist == set()


def test_the_source_distribution_has_what_people_look_for(sdist: set[str]) -> None:
    assert sdist >= {
        "README.md", "LICENSE", "NOTICE", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md", "Makefile",
        "constraints.txt", "pyproject.toml",
    }  # fmt: skip


def test_there_is_one_version(project: dict[str, Any]) -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]
    assert cited["repository-code"] == project["urls"]["Source"]


def test_the_notice_names_the_model_and_its_data(project: dict[str, Any]) -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    card = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    pretrained = re.search(r"^\| Pretrained model \| (.+) \|$", card, re.MULTILINE)
    assert pretrained is not None
    assert pretrained[1] in notice
    for words in ("Large Movie Review Dataset", "Apache License", "sample_data"):
        assert words in notice
    assert project["license-files"] == ["LICENSE", "NOTICE"]


def test_the_workflow_runs_the_commands_of_the_makefile_on_every_python(
    workflow: dict[str, Any], project: dict[str, Any]
) -> None:
    test = workflow["jobs"]["test"]
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    run = [step["run"] for step in test["steps"] if "run" in step]
    assert [command.split()[:2] for command in run] == [["make", "demo"], ["make", "test"]]
    assert {command.split()[1] for command in run} <= targets
    told = [line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert test["strategy"]["matrix"] == {"os": ["ubuntu-latest", "macos-latest"], "python": told}


def test_the_page_of_an_index_has_no_relative_link() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [target for target in re.findall(r"\]\(([^)]+)\)", page) if not target.startswith(("https://", "#"))] == []


def test_absolute_links_of_the_front_page_lead_to_files_of_this_repository(project: dict[str, Any]) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    source = re.escape(project["urls"]["Source"])
    raw = source.replace(r"github\.com", r"raw\.githubusercontent\.com")
    named = re.findall(rf"\]\((?:{source}/(?:blob|tree)/main|{raw}/main)/([^)#]+)", page)
    assert named
    assert [name for name in named if not Path(ROOT / name).exists()] == []
