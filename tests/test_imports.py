"""The direction of imports, and that help is cheap: shown in processes of their own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "scorer": {"torch", "transformers", "optimum", "datasets", "evaluate", "train", "export"},
    "train": {"export"},
    "export": {"train"},
}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_imports_what_its_package_must_not(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        imported = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
        assert not imported & FORBIDDEN[package], path


def loaded_modules(code: str) -> set[str]:
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()}


def test_every_module_of_scorer_loads_without_torch_and_transformers() -> None:
    names = [f"scorer.{path.stem}" for path in (ROOT / "scorer").glob("*.py") if not path.stem.startswith("_")]
    heavy = {"torch", "transformers", "optimum", "datasets", "evaluate", "train", "export"}
    assert not loaded_modules("import " + ", ".join(names)) & heavy


@pytest.mark.parametrize(
    "call",
    [
        "import scorer.cli; sys.argv[1:] = ['--help']; scorer.cli.score_main()",
        "import scorer.evaluate_cli; sys.argv[1:] = ['--help']; scorer.evaluate_cli.evaluate_main()",
        "import train.cli; sys.argv[1:] = ['--help']; train.cli.main()",
        "import export.cli; sys.argv[1:] = ['--help']; export.cli.main()",
    ],
)
def test_help_loads_nothing_heavy(call: str) -> None:
    heavy = {"torch", "transformers", "onnxruntime", "polars", "pyarrow", "numpy", "sklearn", "rich", "datasets"}
    assert not loaded_modules(call) & heavy


def test_import_scorer_loads_nothing_heavy() -> None:
    assert not loaded_modules("import scorer") & {"torch", "onnxruntime", "polars", "pyarrow", "numpy"}
