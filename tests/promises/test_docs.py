"""The documentation says what the commands do."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.processes import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_commands", ROOT / "docs" / "generate_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_current(generator: ModuleType) -> None:
    assert generator.PAGE.read_text(encoding="utf-8") == generator.reference(), "run: make docs"


def test_the_tables_of_variables_are_current(generator: ModuleType) -> None:
    page = generator.VARIABLES_PAGE.read_text(encoding="utf-8")
    assert page == generator.with_variables(page), "run: make docs"
    assert "| `EXPORT_MODEL_PRECISION` | `--precision` |" in page


def test_every_error_of_the_page_has_its_anchor(generator: ModuleType) -> None:
    page = generator.ERRORS_PAGE.read_text(encoding="utf-8")
    assert page == generator.with_anchors(page), "run: make docs"
    assert generator.ERRORS_TABLE.read_text(encoding="utf-8") == generator.errors_table(page), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_a_page_names_exist(generator: ModuleType, page: Path) -> None:
    known = {option for command in generator.COMMANDS.values() for p in command.params for option in p.opts}
    known |= {option for command in generator.COMMANDS.values() for p in command.params for option in p.secondary_opts}
    known |= {"--help"}
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.removeprefix("$ ").split()
            if words and words[0] in generator.COMMANDS:
                for word in words:
                    if word.startswith("--"):
                        assert word.split("=")[0] in known, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_repository_that_a_page_names_exist(page: Path) -> None:
    folders = "|".join(("scorer", "train", "export", "benchmarks", "tests", "docs", "sample_data"))
    for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{page.name} names {path}"
    for module in re.findall(rf"python -m ((?:{folders})[\w.]*)", page.read_text(encoding="utf-8")):
        assert importlib.util.find_spec(module) is not None, f"{page.name} runs {module}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
