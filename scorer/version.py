"""Versions of installed packages, this one's among them; light to import."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache

PACKAGE = "review-scorer"

DOCUMENTATION = "https://github.com/review-scorer/review-scorer/blob/main/docs"


def package_version() -> str:
    """The installed version of review-scorer, as stated in outputs and reports; ``0+unknown`` in a bare source tree."""
    return installed_version(PACKAGE) or "0+unknown"


def installed_version(name: str) -> str | None:
    """The version of an installed package, given by its name with ``-`` between words; ``None`` if there is none."""
    found = _by_folders().get(name)
    if found is not None:
        return found
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _by_folders() -> dict[str, str]:
    """Versions by name, as the folders ``NAME-VERSION.dist-info`` state them.

    importlib.metadata takes longer to load than all else that a run without work needs.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        with suppress(OSError):
            for entry in os.listdir(folder or "."):  # noqa: PTH208
                name, _, rest = entry.partition("-")
                if rest.endswith(".dist-info"):
                    found.setdefault(name.lower().replace("_", "-"), rest.removesuffix(".dist-info"))
    return found
