"""``bundle.json`` written: for a new bundle, or with the threshold of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.disk.durable import write_durably, write_errors
from scorer.disk.paths import check_folder
from scorer.errors import ModelError, UsageError
from scorer.model.bundle import BUNDLE_FILE, BUNDLE_FORMAT, ModelBundle, checksum_of


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write ``bundle.json`` into ``folder`` with the checksum of every file that lies there.

    Raises:
        ModelError: a file cannot be read.
    """
    value = {"format": BUNDLE_FORMAT, **description, "files": _checksums_of(folder)}
    (folder / BUNDLE_FILE).write_text(_text_of(value), encoding="utf-8")


def writable_bundle(folder: Path, labels: tuple[str, ...], positive: int | None) -> ModelBundle:
    """The bundle that a threshold is to be written into, checked before any work.

    Raises:
        ModelError: it is no bundle.
        UsageError: its labels are not those of the predictions, or not two.
        OutputError: it cannot be written to.
    """
    if not folder.is_dir():
        raise ModelError("no such model folder", path=folder, hint="pass the folder of a bundle")
    bundle = ModelBundle.load(folder)
    if len(bundle.labels) != 2:
        raise UsageError(
            f"--write-threshold needs a model of two labels, but this one has {len(bundle.labels)}", path=folder
        )
    if bundle.labels != labels:
        raise UsageError(
            f"has the labels {', '.join(bundle.labels)}, but the predictions have {', '.join(labels)}",
            path=folder,
            hint="name the bundle that made the predictions",
        )
    if positive != 1:
        raise UsageError(
            f"a bundle's threshold is of its second label, {labels[1]}", path=folder, hint="drop --positive"
        )
    check_folder(folder / BUNDLE_FILE)
    return bundle


def write_threshold(bundle: ModelBundle, threshold: float) -> None:
    """Set the threshold in ``bundle.json``; all other entries stay, the checksums of the files among them.

    A folder of others has no ``bundle.json`` yet and gets one. The file is replaced whole or not at all.

    Raises:
        OutputError: it could not be written.
    """
    path = bundle.folder / BUNDLE_FILE
    description = dict(bundle.description)
    if not description:
        description = {
            "format": BUNDLE_FORMAT,
            "preprocessing": bundle.preprocessing.to_json(),
            "files": _checksums_of(bundle.folder),
        }
    description["threshold"] = threshold
    with write_errors(path):
        write_durably(path, _text_of(description).encode("utf-8"), locked=False)


def _checksums_of(folder: Path) -> dict[str, str]:
    """The checksum of every file in ``folder`` but ``bundle.json``, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != BUNDLE_FILE)
    return {path.relative_to(folder).as_posix(): checksum_of(path) for path in files}


def _text_of(description: Mapping[str, Any]) -> str:
    return json.dumps(description, indent=2, ensure_ascii=False) + "\n"
