"""The commands that made a bundle, from the first training to the export, in the order in which they ran."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def lineage_of_bundle(name: str, description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Steps as ``train.lineage`` describes them: those before the training, the training's own, and the export.

    ``description`` is that of ``bundle.json``. A training that recorded no command is a step without one.
    """
    training = description.get("training") or {}
    export = description.get("export") or {}
    checkpoint = export.get("checkpoint")
    steps = list(training.get("lineage") or ())
    if checkpoint is not None:
        steps.append(_step(checkpoint, (training.get("settings") or {}).get("command")))
    baseline = (training.get("baseline") or {}).get("command")
    if baseline:
        steps.append(_step(f"the baseline's row of {checkpoint}", baseline))
    if export:
        steps.append(_step(name, export_command(name, description)))
    return steps


def export_command(name: str, description: Mapping[str, Any]) -> str:
    """The command line of ``export-model`` that wrote the bundle ``name``."""
    export, base = description["export"], description.get("base_model") or {}
    words = ["export-model", export["checkpoint"], "-o", name, "--precision", ",".join(export["precisions"])]
    given = {"--eval": export.get("eval"), "--text-column": export.get("text_column")}
    given |= {"--label-column": export.get("label_column"), "--opset": export.get("opset")}
    given |= {"--max-drop": export.get("max_drop"), "--base-model": base.get("name"), "--license": base.get("license")}
    return shlex.join([*words, *(str(part) for item in given.items() if item[1] is not None for part in item)])


def _step(makes: str, command: str | None) -> dict[str, Any]:
    return {"makes": makes, "command": command, "sha256": {}}
