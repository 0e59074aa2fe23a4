"""The version of this package, as outputs and reports state it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGE = "review-scorer"


def package_version() -> str:
    """The installed version of review-scorer; ``0+unknown`` when it runs from a bare source tree."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "0+unknown"
