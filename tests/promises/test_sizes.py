"""A plain install stays small: the packages it brings, and their bytes as they are installed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

from tests.helpers.processes import ROOT

PAGE = ROOT / "docs" / "internals" / "dependencies.md"

PIP_AND_SETUPTOOLS = 34e6
"""Bytes of what ``python -m venv`` itself brings on Python 3.11, compiled files included."""

CPU_BUILD = 70e6
"""Bytes of ``onnxruntime``, which takes the place of ``onnxruntime-gpu`` in an image for CPUs."""


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """``name`` and everything that it needs on this machine, in lower case."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    yield name
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        chosen = [*extras, ""]
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in chosen):
            yield from needed(_normal(requirement.name), frozenset(requirement.extras), seen)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def size_of(name: str) -> int:
    """Bytes of the files that a package has installed."""
    found = distribution(name)
    paths = [found.locate_file(file) for file in found.files or []]
    return sum(path.stat().st_size for path in paths if path.is_file())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def sizes() -> dict[str, int]:
    """Bytes of each package that a plain install brings beside this one."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    seen: set[tuple[str, frozenset[str]]] = set()
    names: set[str] = set()
    for line in project["dependencies"]:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            try:
                names |= set(needed(_normal(requirement.name), frozenset(requirement.extras), seen))
            except PackageNotFoundError as error:
                pytest.skip(f"another set of packages is installed here: {error}")
    return {name: size_of(name) for name in names}


def own_size() -> int:
    return sum(path.stat().st_size for path in (ROOT / "scorer").rglob("*") if path.is_file())


def test_a_plain_environment_has_at_most_900_mb(sizes: dict[str, int]) -> None:
    assert sum(sizes.values()) + own_size() + PIP_AND_SETUPTOOLS <= 900e6


def test_the_environment_of_the_image_for_cpus_has_at_most_410_mb(sizes: dict[str, int]) -> None:
    """With about 130 MB for Python's slim image, 550 MB in all."""
    others = {name: size for name, size in sizes.items() if not name.startswith("onnxruntime")}
    assert sum(others.values()) + own_size() + CPU_BUILD <= 410e6


def test_the_page_of_dependencies_tells_the_reason_of_each(sizes: dict[str, int]) -> None:
    told = {_normal(name) for name in re.findall(r"^\| `([\w.-]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    assert sizes.keys() - told == set()
