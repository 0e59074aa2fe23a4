"""What a Python programmer and the tools of one see: names, types, short forms, a bar in a notebook."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import scorer
from scorer import EvaluateOptions, ScoreOptions, Scorer, evaluate_labels, score_file
from scorer.evaluation.options import EvaluateArguments
from scorer.files.file_options import FileArguments, FileOptions
from scorer.job.options import ScoreArguments
from scorer.model.options import ModelArguments, ModelOptions
from scorer.version import package_version
from tests.helpers.processes import ROOT

WIDER = {"model", "columns", "reuse"}
"""Arguments that take more types than the field holds: paths, and lists."""


def test_names_and_version() -> None:
    assert scorer.__version__ == package_version()
    assert set(dir(scorer)) == {*scorer.__all__, "__version__"}
    assert all(hasattr(scorer, name) for name in dir(scorer))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (FileArguments, FileOptions),
        (ModelArguments, ModelOptions),
        (ScoreArguments, ScoreOptions),
        (EvaluateArguments, EvaluateOptions),
    ],
)
def test_the_typed_arguments_are_the_fields(arguments: type, options: type) -> None:
    assert set(arguments.__annotations__) == {item.name for item in fields(options)}, "add the field to its arguments"
    for item in fields(options):
        stated = arguments.__annotations__[item.name]
        stated = stated if isinstance(stated, str) else stated.__forward_arg__
        assert item.name in WIDER or stated == item.type, item.name


SNIPPET = """
from scorer import Scorer, evaluate_labels, score_file

score_file("a.csv", "b.csv", overwrite=True, model="m", columns=["id"], max_bad="1%", progress=True)
evaluate_labels(["a.csv"], min_f1=0.9, slice_by="genre", device="cpu")
Scorer.load("m", device="cpu", threads=2).score(["a"]).num_rows

score_file("a.csv", "b.csv", overwirte=True)  # line 8
score_file("a.csv", "b.csv", threads="two")  # line 9
evaluate_labels("a.csv", min_f2=0.9)  # line 10
Scorer.load(devcie="cpu")  # line 11
"""


def test_a_type_checker_finds_a_misspelt_argument(tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(SNIPPET)
    cache = tmp_path / "cache"
    if (ROOT / ".mypy_cache").exists():  # of the check of the whole, which makes this one short
        shutil.copytree(ROOT / ".mypy_cache", cache)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--cache-dir", str(cache), "--no-error-summary", str(tmp_path / "snippet.py")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [line.split("snippet.py:")[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert [line.split(":")[0] for line in found] == ["8", "9", "10", "11"], done.stdout + done.stderr
    assert 'Unexpected keyword argument "overwirte" for "score_file"' in found[0]


def test_a_scorer_and_a_report_have_short_forms(tiny_bundle: Path, labelled_texts: Path) -> None:
    model = Scorer.load(tiny_bundle, device="cpu")
    assert repr(model) == "Scorer('bundle', labels=('negative', 'positive'), device='cpu', precision='int8')"
    assert repr(Scorer.load(device="cpu")).startswith("Scorer('the built-in model', labels=")
    report = evaluate_labels(labelled_texts, model=tiny_bundle, min_accuracy=0.0, min_f1=1.0)
    assert repr(report).startswith("<EvaluationReport rows=96, labels=('negative', 'positive'), accuracy=0.")
    assert repr(report).endswith("1 of 2 gates met>")
    html = report._repr_html_()
    assert "<tr><th>accuracy</th><td>0." in html
    assert "gate NOT MET: f1" in html
    assert ", positive label positive</caption>" in html
    accuracy = report.figures["accuracy"]
    assert accuracy.interval is not None
    rough = replace(accuracy, interval=replace(accuracy.interval, warning="<10 rows"))
    html = replace(report, figures={**report.figures, "accuracy": rough})._repr_html_()
    assert f"<td>~ {accuracy.interval.low:.4f} to " in html
    assert "<td colspan=3>~ approximate, not 95 %: &lt;10 rows</td>" in html
    assert html.count("<table>") == html.count("</table>") == 1


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A process that looks like the kernel of a notebook; what its cell shows, in order."""
    shown: list[str] = []

    class Cell:
        update = staticmethod(shown.append)

    def display(what: str, *, display_id: bool) -> Any:
        shown.append(what)
        return Cell()

    module, of_display = ModuleType("IPython"), ModuleType("IPython.display")
    module.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    of_display.HTML, of_display.display = str, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", of_display)
    return shown


def test_a_notebook_has_a_bar(notebook: list[str], tiny_bundle: Path, tmp_path: Path, labelled_texts: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "good film\n" * 30)
    score_file(tmp_path / "a.csv", tmp_path / "b.csv", model=tiny_bundle)
    assert notebook[1].startswith("<progress></progress> 0 rows, ")  # how many rows a CSV has is not known before
    assert notebook[-1].startswith('<progress value="30" max="30"></progress> 30/~30 rows, ')
    evaluate_labels(labelled_texts, model=tiny_bundle)
    assert notebook[-1].startswith('<progress value="96" max="96"></progress> 96/96 rows, ')
    Scorer.load(tiny_bundle).score(["a", "b"])
    assert notebook[-1].startswith('<progress value="2" max="2"></progress> 2/2 rows, ')
    before = len(notebook)
    Scorer.load(tiny_bundle).score(["a", "b"], progress=False)
    assert len(notebook) == before


def test_elsewhere_a_call_is_silent_unless_it_is_asked(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Scorer.load(tiny_bundle)
    assert model.score(["a"], progress=True).equals(model.score(["a"]))
    assert capsys.readouterr() == ("", "")  # no terminal, and no 30 seconds
