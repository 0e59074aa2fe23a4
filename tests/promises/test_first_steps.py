"""README.md and docs/tutorial.md, followed to the letter from an empty folder.

Every command of both pages runs, in order, as it stands. Only what takes minutes or would change this machine has a
stand-in of the same name: git, pip, pipx, uvx and crontab. The encoder of the Hub is a tiny one in the Hub's cache.
The commands of this project are processes that fork from two in which the libraries are loaded.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import save_tiny_bert
from tests.helpers.forks import Forks, forks
from tests.helpers.pages import python_blocks
from tests.helpers.processes import ROOT, environment

REPOSITORY = "https://github.com/review-scorer/review-scorer"
ENCODER = "sentence-transformers/all-MiniLM-L6-v2"

MAINS = {
    "score": "from scorer.commands.score import score_main as main",
    "evaluate-labels": "from scorer.commands.evaluate_labels import evaluate_main as main",
    "train-model": "from train.cli import main",
    "export-model": "from export.cli import main",
    "model-card": "from export.card_cli import main",
}


def shell_blocks(page: Path) -> list[str]:
    """The shell commands of a page, block by block."""
    return re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def executable(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)


def python(path: Path) -> None:
    """An interpreter whose ``-m venv`` copies the environment that is made already."""
    executable(path, '[ "$1 $2" = "-m venv" ] && cp -r "$HOME/made" "$3" && exit', f'exec {sys.executable} "$@"')


def environment_of_python(folder: Path, scoring: Forks, training: Forks) -> None:
    """An environment as ``python3 -m venv`` and an installation would leave it in ``folder``, with this source tree."""
    for name, main in MAINS.items():
        command = (scoring if "scorer" in main else training).executable(f"{main}; main()")
        executable(folder / "bin" / name, command)
    for name in ("python", "python3"):
        python(folder / "bin" / name)
    executable(folder / "bin" / "pip", f'echo "pip $*" >> {folder}/pip.log')
    (folder / "bin" / "activate").write_text(f"PATH={folder}/bin:$PATH\nexport PATH\n")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the Hub with the encoder of the pages, of one layer and one head: most of a training is attention."""
    folder = tmp_path_factory.mktemp("hub")
    cached = folder / f"models--{ENCODER.replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    save_tiny_bert(cached / "snapshots" / ("0" * 40), layers=1, heads=1)
    return folder


@pytest.fixture(scope="module")
def train_forks(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Processes of `train-model` and `export-model`."""
    variables = {**environment(), "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    with forks(tmp_path_factory.mktemp("forks"), ["train.training", "export.exporting"], variables) as running:
        yield running


@pytest.fixture
def newcomer(tmp_path: Path, hub: Path, score_forks: Forks, train_forks: Forks) -> dict[str, str]:
    """The variables of somebody with an empty folder, ``work``, and a machine that has git, make and Python."""
    tools, home = tmp_path / "tools", tmp_path / "home"
    (tmp_path / "work").mkdir()
    copied = "README.md Makefile pyproject.toml constraints.txt sample_data docs"
    executable(
        tools / "git",
        f'[ "$1 $2" = "clone {REPOSITORY}" ] || exit 1',
        f"mkdir review-scorer && cd {ROOT} && cp -r {copied} $OLDPWD/review-scorer",
    )
    executable(tools / "pipx", f'[ "$*" = "install git+{REPOSITORY}" ]')
    executable(tools / "uvx", f'[ "$1 $2" = "--from git+{REPOSITORY}" ] && shift 2 && exec "$@"')
    executable(tools / "crontab", f'[ "$1" = -l ] && echo "# old" || cat > {tmp_path}/installed')
    python(tools / "python3")
    environment_of_python(home / "made", score_forks, train_forks)
    variables = {name: value for name, value in environment().items() if not name.startswith(("SCORER_", "TRAIN_"))}
    # As uvx and pipx put them on the path, in front of anything that is installed here.
    path = f"{tools}:{home / 'made' / 'bin'}:/usr/bin:/bin"
    return {
        **variables, "PATH": path, "HOME": str(home), "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def follow(blocks: list[str], folder: Path, variables: dict[str, str], before: str = "") -> str:
    """Type the blocks into one shell; returns what was printed. The first command that fails ends it."""
    typed = "\n".join(["set -e", before, *(block.replace("; echo $?", " || echo $?") for block in blocks)])
    done = subprocess.run(["sh", "-c", typed], cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


# What make would do before the first command of its recipe: an environment that is up to date.
MADE = "cp -r $HOME/made .venv && touch .venv/base .venv/dev\nmake demo"


def test_every_command_of_the_readme_runs_from_an_empty_folder(newcomer: dict[str, str], tmp_path: Path) -> None:
    blocks = [block.replace("make demo", MADE) for block in shell_blocks(ROOT / "README.md")]
    night = next(block for block in blocks if "REPO=" in block)
    blocks[blocks.index(night)] = (
        f"{night.replace('REPO=~/review-scorer', f'REPO={ROOT}')}\ncd {tmp_path}/work/review-scorer"
    )
    shown = follow(blocks, tmp_path / "work", newcomer)
    clone = tmp_path / "work" / "review-scorer"
    assert shown.count("positive  0.") >= 2  # --text, by uvx and in the clone
    assert pq.read_metadata(clone / "preds.parquet").num_rows == 300
    assert (clone / "report.html").stat().st_size > 20_000
    assert "\n99\n" in shown
    assert (tmp_path / "installed").read_text().startswith("# old\n")
    assert (clone / "mine.csv").read_text(encoding="utf-8").count("pred_label") == 1
    assert "svm" in shown


def test_the_python_of_the_readme_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = python_blocks(ROOT / "README.md")
    exec(block, {})
    told = re.findall(r"#  ?(\[.*\])$", block, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == told


def test_every_command_of_the_tutorial_runs_from_an_empty_folder(newcomer: dict[str, str], tmp_path: Path) -> None:
    page = ROOT / "docs" / "tutorial.md"
    blocks = [block.replace("make demo", MADE) for block in shell_blocks(page)]
    shown = follow(blocks, tmp_path / "work", newcomer)
    clone = tmp_path / "work" / "review-scorer"
    for name in ("first.csv", "report.html", "mine.html", "my-model/history.json", "my-bundle/bundle.json", "card.md"):
        assert (clone / name).exists(), name
    assert "McNemar" in shown
    assert "\n99\n" in shown


@pytest.mark.torture
def test_the_readme_installs_from_a_real_clone_with_all_packages(tmp_path: Path) -> None:
    """The part of the page above *From Python*, with the true git, make, pip, and pipx and uvx where there are such."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## From Python\n")[0]
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    missing = tuple(name for name in ("pipx", "uvx") if shutil.which(name) is None)
    there = [line for line in lines if not line.startswith(missing)]
    variables = {name: value for name, value in environment().items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    # The address of the repository stands for this clone.
    variables |= {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": REPOSITORY,
    }
    variables |= {"GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": "*", "HOME": str(tmp_path)}
    shown = follow(there, tmp_path, variables)
    assert "positive  0.8127" in shown
    assert "accuracy              0.9028" in shown
    assert (tmp_path / "review-scorer" / "scored.csv").exists()
