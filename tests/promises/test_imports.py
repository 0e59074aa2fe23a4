"""The direction of imports, and that help is cheap: the latter shown in processes of their own."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.processes import CODE, EVALUATE, ROOT, base_environment

PACKAGES = ("scorer", "train", "export", "benchmarks")

HEAVY = {"torch", "transformers", "optimum", "datasets", "evaluate", "train", "export", "benchmarks"}

FORBIDDEN = {
    "scorer": HEAVY,
    "train": {"export", "benchmarks"},
    "export": {"train", "benchmarks"},
    "benchmarks": {"train"},
}

MAY_IMPORT = {
    "disk": "",
    "files": "disk",
    "model": "files disk",
    "job": "model files disk",
    "cluster": "job model files disk",
    "run": "cluster job files disk",
    "metrics": "",
    "evaluation": "metrics model files disk",
    "report": "evaluation metrics disk",
    "commands": "run job report evaluation model files disk",
}
"""Rooms of ``scorer`` that each room may import, beside itself and the files on the ground floor."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


def imported(path: Path) -> set[str]:
    """Full names of what a file imports, inside functions and under ``TYPE_CHECKING`` too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, path
            assert node.level == 0, path
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole}
    return found


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room_of(name: str) -> str:
    """The room of a module of ``scorer``; empty on the ground floor."""
    parts = name.split(".")
    return parts[1] if len(parts) > 2 or name.removeprefix("scorer.") in MAY_IMPORT else ""


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_imports_what_its_package_must_not(package: str) -> None:
    for name, found in IMPORTS.items():
        if name.partition(".")[0] == package:
            assert not {one.partition(".")[0] for one in found} & FORBIDDEN[package], name


def test_the_table_names_every_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "scorer").glob("*/__init__.py")}
    assert rooms == set(MAY_IMPORT)


def test_rooms_import_in_one_direction() -> None:
    wrong = []
    for name, found in IMPORTS.items():
        if not name.startswith("scorer.") or name == "scorer.__main__":
            continue  # scorer/__init__.py names the public values of all rooms, and scorer/__main__.py is a command
        own = room_of(name)
        allowed = {own, "", *MAY_IMPORT.get(own, "").split()} if own else {""}
        wrong += [f"{name} -> {one}" for one in found if one.startswith("scorer.") and room_of(one) not in allowed]
    assert not wrong


def test_no_circle_of_files() -> None:
    graph = {name: {one for one in found if one in MODULES} - {"scorer"} for name, found in IMPORTS.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_opens_empty(room: str) -> None:
    """Its ``__init__.py`` is a docstring: a re-export would load libraries for ``--help``."""
    tree = ast.parse((ROOT / "scorer" / room / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def loaded_modules(code: str) -> set[str]:
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()}


def test_every_module_of_scorer_loads_without_torch_and_transformers() -> None:
    names = sorted(name for name in MODULES if name.partition(".")[0] == "scorer")
    assert {room_of(name) for name in names} == {"", *MAY_IMPORT}
    assert not loaded_modules("import " + ", ".join(names)) & HEAVY


@pytest.mark.parametrize(
    "call",
    [
        f"sys.argv[1:] = ['--help']; {CODE}",
        f"sys.argv[1:] = ['--help']; {EVALUATE}",
        "import train.cli; sys.argv[1:] = ['--help']; train.cli.main()",
        "import export.cli; sys.argv[1:] = ['--help']; export.cli.main()",
    ],
)
def test_help_loads_nothing_heavy(call: str) -> None:
    heavy = {"torch", "transformers", "onnxruntime", "polars", "pyarrow", "numpy", "sklearn", "rich", "datasets"}
    assert not loaded_modules(call) & heavy


def test_import_scorer_loads_nothing_heavy() -> None:
    assert not loaded_modules("import scorer") & {"torch", "onnxruntime", "polars", "pyarrow", "numpy"}


# The packages of [train] and [export] cannot be imported, as in a plain install.
PLAIN = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "optimum", "onnx", "datasets", "sklearn", "safetensors"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Missing())
"""


def test_scoring_and_evaluating_need_neither_transformers_nor_optimum(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "good,positive\nbad,negative\n" * 10)
    page = ("--report", "page.html", "--json", "figures.json")
    for code, arguments in (
        (CODE, ("a.csv", "-o", "scored.csv", "--model", str(tiny_bundle))),
        (EVALUATE, ("scored.csv", *page)),
        (EVALUATE, ("a.csv", "--model", str(tiny_bundle))),
    ):
        words = [sys.executable, "-c", PLAIN + code, *arguments]
        done = subprocess.run(words, cwd=tmp_path, env=base_environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len((tmp_path / "scored.csv").read_text().splitlines()) == 21
