"""The commands that made a model, as provenance states them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def score_command(value: Mapping[str, Any], output: str, model: str | None = None) -> str:
    """The command line of ``score`` that gives an output with the provenance ``value``, under the name ``output``.

    ``model`` is a name for its bundle; ``None`` is the name in its lineage, or one made of its fingerprint.
    """
    bundle, options = value["bundle"], value.get("options", {})
    words = ["score", *(str(item.get("name")) for item in value.get("inputs", ())), "-o", output]
    unnamed = {"makes": f"MODEL-{str(bundle['fingerprint'])[:12]}"}
    cut = bundle.get("preprocessing", {})
    given = {
        "--model": model or (stated_lineage(value) or [unnamed])[-1]["makes"],
        "--precision": bundle.get("precision"),
        "--text-column": options.get("text_column"),
        "--prefix": options.get("prefix") if options.get("prefix") != "pred_" else None,
        "--max-length": cut.get("max_length"),
        "--long-text": cut.get("long_text"),
        "--threshold": bundle.get("threshold"),
    }
    return shlex.join([*words, *(str(part) for option in given.items() if option[1] is not None for part in option)])


def stated_lineage(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps that made the model, if a provenance states them; each names what it ``makes``."""
    stated = value.get("lineage")
    return [one for one in stated if isinstance(one, dict) and "makes" in one] if isinstance(stated, list) else []
