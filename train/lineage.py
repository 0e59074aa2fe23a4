"""The origin of a training's weights and teachers: the commands before its own, as far as files tell."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from transformers import AutoConfig
from transformers.utils import cached_file

from scorer.job.lineage import score_command, stated_lineage
from scorer.job.provenance import parsed, read_provenance
from scorer.model.json_files import read_object
from train.data_files import data_files
from train.data_record import hashes_by_name
from train.history import HISTORY_FILE
from train.options import TrainOptions
from train.teacher_checkpoints import is_checkpoint

Step = dict[str, Any]
"""``makes``: a name; ``command``: the command that made it, ``None`` if unknown; ``sha256`` by file name.

A step that makes predictions may have ``inputs``, SHA-256 by file name, and ``model``, the fingerprint of a bundle.
"""


def step(makes: str, command: str | None, sha256: Mapping[str, str], **more: Any) -> Step:
    """One step of a lineage."""
    return {"makes": makes, "command": command, "sha256": dict(sha256), **more}


def lineage_of(options: TrainOptions) -> list[Step]:
    """The steps that made the starting checkpoint and the teachers of a training, in order, each once.

    A pretrained model of others is not a step; :func:`start_of` describes it.

    Raises:
        ModelError: a checkpoint's history cannot be read.
        InputError: the provenance of a file of predictions cannot be read.
    """
    found = [_steps_of_checkpoint(options.model)]
    for teacher in options.teacher:
        if is_checkpoint(teacher):
            unknown = step(Path(teacher).resolve().name, None, sha256_of_weights(teacher))
            found.append(_steps_of_checkpoint(teacher) or [unknown])
        else:
            found += [_steps_of_predictions(file) for file in data_files(teacher)]
    steps: dict[tuple[Any, Any], Step] = {}
    for one in chain.from_iterable(found):
        known = steps.setdefault((one["makes"], one.get("command")), dict(one))
        # A bundle's own record of a step lacks the hashes.
        known["sha256"] = {**one.get("sha256", {}), **known.get("sha256", {})}
    return list(steps.values())


def start_of(model: str) -> dict[str, Any]:
    """A JSON object about the checkpoint that a training starts from.

    ``name``; ``sha256`` of its weights by file name, if it is a folder; ``revision``, if it came from the
    Hub; ``base_model`` and ``base_sha256``, the pretrained model at the beginning of the line;
    ``license`` of that, as its README states it, or ``None``.
    """
    folder = Path(model)
    history = _history(folder)
    name = folder.resolve().name if folder.is_dir() else model
    if history is None:
        base = {"base_model": name, "base_sha256": sha256_of_weights(model), "license": _license_of(model)}
    else:
        base = {key: _section(history, "start").get(key) for key in ("base_model", "base_sha256", "license")}
    return {"name": name, "sha256": sha256_of_weights(model), "revision": _revision(model), **base}


def sha256_of_weights(source: str) -> dict[str, str]:
    """SHA-256 by file name of the weights in a folder; empty for anything else."""
    return hashes_by_name(sorted(Path(source).glob("*.safetensors")))


def _steps_of_checkpoint(source: str) -> list[Step]:
    folder = Path(source)
    history = _history(folder)
    if history is None:
        return []
    own = step(folder.resolve().name, _section(history, "settings").get("command"), sha256_of_weights(source))
    baseline = _section(history, "baseline").get("command")
    beside = [step(f"the baseline's row of {own['makes']}", baseline, {})] if baseline else []
    return [*stated_lineage(history), own, *beside]


def _steps_of_predictions(path: Path) -> list[Step]:
    """The steps that made a file of predictions, by its own provenance."""
    own, text = hashes_by_name([path]), read_provenance(path)
    value = {} if text is None else parsed(text, path)
    inputs = {str(item.get("name")): str(item.get("sha256")) for item in value.get("inputs", ())}
    if "command" in value:  # of the baseline
        return [step(path.name, value["command"], own, inputs=inputs)]
    if "bundle" not in value:
        return [step(path.name, None, own)]
    return [
        *stated_lineage(value),
        step(path.name, score_command(value, path.name), own, inputs=inputs, model=value["bundle"]["fingerprint"]),
    ]


def _history(folder: Path) -> dict[str, Any] | None:
    return read_object(folder / HISTORY_FILE) if folder.is_dir() else None


def _section(history: Mapping[str, Any], key: str) -> dict[str, Any]:
    section = history.get(key)
    return dict(section) if isinstance(section, dict) else {}


def _license_of(model: str) -> str | None:
    """The licence in the front matter of a model's README, if it has one."""
    try:
        readme = cached_file(model, "README.md", _raise_exceptions_for_missing_entries=False,
                             _raise_exceptions_for_connection_errors=False)  # fmt: skip
        license = None if readme is None else ModelCard.load(readme, ignore_metadata_errors=True).data.license
    except (OSError, ValueError):
        return None
    return license if isinstance(license, str) else None


def _revision(model: str) -> str | None:
    """The commit of a checkpoint of the Hub."""
    if Path(model).is_dir():
        return None
    try:
        revision = getattr(AutoConfig.from_pretrained(model), "_commit_hash", None)
    except (OSError, ValueError):
        return None
    return revision if isinstance(revision, str) else None
