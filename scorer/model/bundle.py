"""The model folder: what ``transformers`` and Optimum write, plus our ``bundle.json``; validated once.

Any folder or Hub repository that Optimum exported for sequence classification works. Ours adds
``bundle.json`` with the SHA-256 of every file, the preprocessing, and where the model came from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scorer.disk.checksums import sha256_of
from scorer.disk.paths import is_plain_file
from scorer.errors import DeviceError, ModelError, UsageError
from scorer.model.configuration import (
    Activation,
    activation_of,
    has_one_logit,
    labels_of,
    max_length_of,
    max_positions_of,
)
from scorer.model.json_files import read_object
from scorer.model.model_folder import DEFAULT_MODEL, locate, refuse_links, variants_in
from scorer.model.onnx_safety import OnnxFile, is_name_within
from scorer.model.own_code import refuse_own_code
from scorer.model.preprocessing import LongText, Preprocessing

BUNDLE_FILE = "bundle.json"

BUNDLE_FORMAT = 1

EXPORT_HINT = "export one with: export-model CHECKPOINT -o BUNDLE --precision fp16,int8"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelBundle:
    """A validated model folder.

    Attributes:
        folder: where it lies.
        labels: label names in the order of the logits; a model of one logit has two, see ``one_logit``.
        preprocessing: how texts are cleaned and cut.
        variants: the ONNX file of each precision that is there.
        threshold: probability of the second of two labels from which on it is predicted; ``None`` is
            argmax.
        temperature: the logits are divided by it before softmax.
        activation: ``softmax``, ``sigmoid`` where labels do not exclude one another, or ``none`` where the
            model gives probabilities.
        one_logit: true where ``config.json`` names one label: the model gives the logit of the second of ``labels``.
        max_positions: tokens that the model has positions for; ``None`` where it does not say.
        checksums: SHA-256 in hexadecimal by file name, as ``bundle.json`` states them; empty for
            folders of others.
        description: the whole of ``bundle.json``, or empty.
    """

    folder: Path
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    variants: Mapping[str, Path]
    threshold: float | None = None
    temperature: float = 1.0
    activation: Activation = "softmax"
    one_logit: bool = False
    max_positions: int | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, model: str | os.PathLike[str] | None = None) -> ModelBundle:
        """Open a bundle folder, a Hub id, or (``None``) the bundle inside the package.

        Raises:
            UsageError: ``model`` is empty.
            ModelError: the folder lacks a file, or one of them is damaged, foreign or unsafe.
        """
        if model == "":
            raise UsageError("the model has an empty name", hint="is a variable unset?")
        folder, may_link_to = locate(model)
        if folder != DEFAULT_MODEL:  # installers link the files of a package to those of others
            refuse_links(folder, may_link_to)
        return _read_folder(folder)

    def with_options(
        self,
        *,
        max_length: int | None = None,
        long_text: LongText | None = None,
        stride: int | None = None,
        threshold: float | None = None,
    ) -> ModelBundle:
        """A copy in which what is not ``None`` replaces the bundle's own value.

        Raises:
            UsageError: a value is out of range for this model.
        """
        if max_length is not None and self.max_positions is not None and max_length > self.max_positions:
            raise UsageError(f"--max-length {max_length} is more than the model's {self.max_positions} positions")
        if threshold is not None and not 0 <= threshold <= 1:
            raise UsageError(f"--threshold {threshold} is not a probability", hint="pass a number from 0 to 1")
        if threshold is not None and len(self.labels) != 2:
            raise UsageError(f"--threshold needs a model of two labels, but this one has {len(self.labels)}")
        preprocessing = self.preprocessing.with_options(max_length=max_length, long_text=long_text, stride=stride)
        chosen = self.threshold if threshold is None else threshold
        return replace(self, preprocessing=preprocessing, threshold=chosen)

    @property
    def tokenizer_file(self) -> Path:
        """The ``tokenizer.json`` of the ``tokenizers`` library."""
        return self.folder / "tokenizer.json"

    def variant(self, precision: str) -> Path:
        """The ONNX file of ``precision``, its checksum and those of its weights verified where the bundle states them.

        Raises:
            DeviceError: the bundle has no such file.
            ModelError: the file or its weights are damaged, unsafe or not there.
        """
        if precision not in self.variants:
            there = " and ".join(self.variants)
            those = " or ".join(self.variants)
            command = f"export-model CHECKPOINT -o BUNDLE --precision {precision}"
            hint = f"pass --precision {those}, or export one with: {command}"
            raise DeviceError(f"has no {precision} model, only {there}", path=self.folder, hint=hint)
        path = self.variants[precision]
        self.verify(path)
        for file, size in OnnxFile.read(path).weights.items():
            name = file.relative_to(path.parent)
            if not is_plain_file(file):
                raise ModelError(f"keeps weights in {name}, which is not there", path=path, hint="copy it here too")
            if file.stat().st_size < size:
                raise ModelError(f"keeps weights behind the end of {name}", path=path, hint="copy both files again")
            self.verify(file)
        return path

    def files(self, precision: str) -> list[Path]:
        """The ONNX file of ``precision`` and the files of its weights.

        Raises:
            ModelError: the file is damaged or unsafe.
        """
        path = self.variants[precision]
        return [path, *sorted(OnnxFile.read(path).weights)]

    def verify(self, path: Path) -> None:
        """Compare ``path`` with its stated checksum, where there is one.

        Raises:
            ModelError: they differ, the file cannot be read, or checksums are stated and none for this file.
        """
        if not self.checksums:
            return
        name = path.relative_to(self.folder).as_posix()
        if name not in self.checksums:
            raise ModelError(
                "is not among the files of bundle.json", path=path, hint="export the bundle again, or drop the file"
            )
        if checksum_of(path) != self.checksums[name]:
            raise ModelError(
                "does not have the checksum that bundle.json states", path=path, hint="export or copy the bundle again"
            )

    def fingerprint(self, precision: str) -> str:
        """SHA-256 over everything of the bundle that a score of ``precision`` depends on."""
        model, *weights = self.files(precision)
        parts = {
            "model": checksum_of(model),
            **{f"weights in {file.relative_to(model.parent)}": checksum_of(file) for file in weights},
            "tokenizer": checksum_of(self.tokenizer_file),
            "labels": list(self.labels),
            "preprocessing": self.preprocessing.to_json(),
            "threshold": self.threshold,
            "temperature": self.temperature,
            "activation": self.activation,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def checksum_of(path: Path) -> str:
    """SHA-256 of a file of a bundle, in hexadecimal.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path=path) from error


def _read_folder(folder: Path) -> ModelBundle:
    refuse_own_code(folder)
    config = read_object(folder / "config.json")
    if config is None:
        raise ModelError("has no config.json", path=folder, hint="pass a folder that export-model made")
    description = read_object(folder / BUNDLE_FILE) or {}
    tokenizer_config = read_object(folder / "tokenizer_config.json") or {}
    if not is_plain_file(folder / "tokenizer.json"):
        raise ModelError(
            "has no tokenizer.json", path=folder, hint="save the tokenizer with a fast tokenizer of transformers"
        )
    variants = variants_in(folder)
    if not variants:
        raise ModelError(
            "has no model.onnx, model_fp16.onnx or model_int8.onnx", path=folder, hint="export-model makes them"
        )
    stated = description.get("preprocessing")
    if stated is not None:
        preprocessing = Preprocessing.from_json(stated, source=folder / BUNDLE_FILE)
    else:
        preprocessing = Preprocessing().with_options(max_length=max_length_of(config, tokenizer_config))
    checksums = description.get("files", {})
    if description and description.get("format") != BUNDLE_FORMAT:
        raise ModelError(
            f"is of format {description.get('format')!r}, this version reads {BUNDLE_FORMAT}",
            path=folder / BUNDLE_FILE,
            hint="upgrade review-scorer or export the model again",
        )
    if not isinstance(checksums, dict):
        raise ModelError("files is not an object", path=folder / BUNDLE_FILE)
    for name, checksum in checksums.items():
        if not is_name_within(name):
            raise ModelError(f"files names {name!r}, which is not a file of the bundle", path=folder / BUNDLE_FILE)
        if not isinstance(checksum, str) or not _SHA256.fullmatch(checksum):
            raise ModelError(f"files states no SHA-256 for {name!r}", path=folder / BUNDLE_FILE)
    bundle = ModelBundle(
        folder=folder,
        labels=labels_of(config, folder),
        preprocessing=preprocessing,
        variants=variants,
        threshold=_number(description, "threshold", folder, low=0.0, high=1.0),
        temperature=_number(description, "temperature", folder, low=1e-3, high=1e3) or 1.0,
        activation=activation_of(config, folder),
        one_logit=has_one_logit(config),
        max_positions=max_positions_of(config),
        checksums=checksums,
        description=description,
    )
    for name in ("config.json", "tokenizer.json"):
        bundle.verify(folder / name)
    return bundle


def _number(description: Mapping[str, Any], key: str, folder: Path, *, low: float, high: float) -> float | None:
    value = description.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ModelError(f"{key} is {value!r}, not a number from {low:g} to {high:g}", path=folder / BUNDLE_FILE)
    return float(value)
