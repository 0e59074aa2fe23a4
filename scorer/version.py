"""The version of this package, as stated in outputs and reports."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGE = "review-scorer"

DOCUMENTATION = "https://github.com/review-scorer/review-scorer/blob/main/docs"


def package_version() -> str:
    """The installed version of review-scorer; ``0+unknown`` in a bare source tree."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "0+unknown"
