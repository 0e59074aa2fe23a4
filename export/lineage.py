"""The commands that made a bundle, from the first training to the export, in the order in which they ran."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

_OPTIONS = ("eval", "text_column", "label_column", "opset", "max_drop")


def lineage_of_bundle(name: str, description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Steps as ``train.lineage`` describes them: those before the training, the training's own, and the export.

    ``description`` is that of ``bundle.json``. A training without a recorded command is a step without one.
    """
    training, checkpoint = description["training"] or {}, description["export"]["checkpoint"]
    steps = [*(training.get("lineage") or ()), _step(checkpoint, (training.get("settings") or {}).get("command"))]
    baseline = (training.get("baseline") or {}).get("command")
    if baseline:
        steps.append(_step(f"the baseline's row of {checkpoint}", baseline))
    return [*steps, _step(name, export_command(name, description))]


def export_command(name: str, description: Mapping[str, Any]) -> str:
    """The command line of ``export-model`` that wrote the bundle ``name``."""
    export, base = description["export"], description["base_model"] or {}
    words = ["export-model", export["checkpoint"], "-o", name, "--precision", ",".join(export["precisions"])]
    given = {f"--{option.replace('_', '-')}": export[option] for option in _OPTIONS}
    given |= {"--base-model": base.get("name"), "--license": base.get("license")}
    return shlex.join([*words, *(str(part) for item in given.items() if item[1] is not None for part in item)])


def _step(makes: str, command: str | None) -> dict[str, Any]:
    return {"makes": makes, "command": command, "sha256": {}}
