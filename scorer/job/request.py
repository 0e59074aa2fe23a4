"""All that a run asks for beside its inputs, as a key that is known without loading the model."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorer.disk.checksums import fingerprint, sha256_of
from scorer.files.file_marks import is_settled, mark_of
from scorer.job.options import ScoreOptions
from scorer.job.versions import counted_versions
from scorer.model.model_folder import located
from scorer.safe_text import in_utf8
from scorer.version import installed_version, package_version

_NEUTRAL = (
    "overwrite",
    "resume",
    "reuse",
    "reuse_replaced",
    "versions",
    "actors",
    "cores_per_actor",
    "max_bad",
    "model",
)
"""Options that no row of an output depends on; ``versions`` and ``model`` are looked at apart."""

_NEUTRAL_ON_CPU = ("engine", "ray_address", "gpus_per_actor", "device")
"""Options that choose the engine and the device: on the CPU all give the same rows."""

_NEUTRAL_ALONE = ("threads", "chunk_rows", "batch_tokens")
"""Options that count only where texts are padded together, which they are not on the CPU by default."""

_ONNXRUNTIME = ("onnxruntime-gpu", "onnxruntime")

_GPUS = Path("/dev")


@dataclass(frozen=True)
class Request:
    """A run's model, options and versions.

    Attributes:
        key: SHA-256 over the content of the bundle, the options, the versions that count, and the GPUs that are there.
        bundle: content of the bundle, by the marks of its files, for the next run.
    """

    key: str
    bundle: Mapping[str, Any]

    @classmethod
    def of(cls, options: ScoreOptions, known: Mapping[str, Any]) -> Request | None:
        """The request of ``options``; ``known`` is what an earlier one says of its bundle.

        ``None`` if it cannot be known: the bundle or onnxruntime is missing, or the model is one of the Hub.

        Raises:
            ModelError: there is no such model.
        """
        folder = located(options.model)
        bundle = None if folder is None else _content(folder, known)
        versions = _versions()
        if bundle is None or versions is None:
            return None
        neutral, machine = [*_NEUTRAL], [os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("RAY_ADDRESS"), _gpus()]
        if _is_for_cpus(options, bundle["marks"]):
            neutral += [*_NEUTRAL_ON_CPU, *(() if options.batching == "tokens" else _NEUTRAL_ALONE)]
            machine = []
        asked = {name: value for name, value in asdict(options).items() if name not in neutral}
        counted = counted_versions(versions, "tokenizers", options.versions)
        parts = {"bundle": bundle["content"], "options": asked, "machine": machine, "versions": counted}
        return cls(fingerprint(parts), bundle)

    def still_holds(self) -> bool:
        """True if no file of the bundle has changed since the request was made."""
        return bool(_marks(Path(self.bundle["folder"])) == self.bundle["marks"])


def _content(folder: Path, known: Mapping[str, Any]) -> dict[str, Any] | None:
    """Folder, marks and hash of the content of a bundle; it is hashed only if it is not ``known`` with these marks."""
    now, marks = time.time_ns(), _marks(folder)
    if marks is None:
        return None
    shown = in_utf8(str(folder.absolute()))
    if known.get("folder") == shown and known.get("marks") == marks and known.get("settled"):
        return dict(known)
    try:
        hashes = {name: sha256_of(folder / name) for name in marks}
    except OSError:
        return None
    settled = all(is_settled(mark, now) for mark in marks.values())
    return {"folder": shown, "marks": marks, "content": fingerprint(hashes), "settled": settled}


def _marks(folder: Path) -> dict[str, Any] | None:
    """Marks of the files of a bundle; ``None`` if it is none, and perhaps the root of a large tree."""
    if not (folder / "config.json").is_file():
        return None
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): mark_of(path) for path in paths}


def _is_for_cpus(options: ScoreOptions, files: Collection[str]) -> bool:
    """True if the model, in a bundle with these ``files``, is sure to run on CPUs, whatever the engine."""
    if options.device != "auto" or options.gpus_per_actor:
        return options.device == "cpu"
    models = [name for name in files if name.endswith(".onnx")]
    is_elsewhere = options.engine == "ray" and bool(options.ray_address or os.environ.get("RAY_ADDRESS"))
    return all("int8" in name for name in models) or not (_gpus() or is_elsewhere)


def _versions() -> dict[str, str] | None:
    """Versions of the packages that move scores; ``None`` if one cannot be found."""
    found = {"review-scorer": package_version()}
    for names in (_ONNXRUNTIME, ("tokenizers",), ("nanotoken",), ("numpy",)):
        for version in filter(None, map(installed_version, names)):
            found[names[-1]] = version
            break
    return found if {"onnxruntime", "tokenizers", "numpy"} <= found.keys() else None


def _gpus() -> list[str]:
    try:
        return sorted(name for name in os.listdir(_GPUS) if name.startswith("nvidia") and name[6:].isdigit())  # noqa: PTH208
    except OSError:
        return []
