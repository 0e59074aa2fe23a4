"""The versions of packages that outputs are compared by; light to import."""

from __future__ import annotations

from collections.abc import Mapping

from scorer.job.options import Versions

_TO_THE_MINOR = ("numpy",)
"""Packages whose patch releases move no score."""

_NOT_COUNTED = ("pyarrow", "tokenizers")
"""Packages that are stated and move no score; ``tokenizers`` counts where it is the tokenizer."""


def counted_versions(stated: Mapping[str, str], tokenizer: str, versions: Versions) -> dict[str, str]:
    """Those of the ``stated`` versions that are part of a fingerprint."""
    if versions == "ignore":
        return {}
    counted = {name: version for name, version in stated.items() if name not in _NOT_COUNTED or name == tokenizer}
    return {
        name: ".".join(version.split(".")[:2]) if name in _TO_THE_MINOR else version
        for name, version in counted.items()
    }
