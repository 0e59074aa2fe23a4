"""Where a model lies: a folder, a Hub id, or the folder inside the package; and which ONNX files it holds."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path

from scorer.disk.paths import is_folder, is_plain_file, is_there
from scorer.errors import ModelError
from scorer.files.urls import is_url, without_secrets
from scorer.model.hub import download
from scorer.model.onnx_safety import OnnxFile

VARIANT_FILES: Mapping[str, tuple[str, ...]] = {
    "fp32": ("model.onnx",),
    "fp16": ("model_fp16.onnx",),
    # model_quantized.onnx is the name that Optimum's quantizer gives.
    "int8": ("model_int8.onnx", "model_quantized.onnx"),
}
"""File names of each precision, in the folder itself or in its ``onnx`` subfolder."""

DEFAULT_MODEL = Path(__file__).parents[1] / "default_model"
"""The bundle inside the package; it holds int8 alone, for size."""


BUILT_IN_MODEL = "the built-in model"
"""Words for the model of :data:`DEFAULT_MODEL`."""


def is_built_in(folder: Path) -> bool:
    """True for the bundle inside the package."""
    return folder.is_dir() and folder.samefile(DEFAULT_MODEL)


def locate(model: str | os.PathLike[str] | None) -> tuple[Path, Path | None]:
    """The model's folder, and where links in it may lead: the Hub's cache keeps its files behind links."""
    if model is None:
        return DEFAULT_MODEL, None
    name = os.fspath(model)
    path = Path(name)
    if is_url(name):
        raise ModelError("is a URL", path=without_secrets(name), hint="copy the bundle here, or pass a Hub id")
    if is_folder(path):
        return path, None
    if is_there(path):
        raise ModelError("is a file, not a model folder", path=path, hint="pass the folder that holds it")
    if _is_hub_id(name):
        folder = _downloaded(name)
        return folder, folder.parent.parent / "blobs"
    raise ModelError("no such model folder", path=path, hint="pass a bundle folder or a Hub id such as org/name")


def located(model: str | None) -> Path | None:
    """The folder of a model; ``None`` for one of the Hub, which only a download can tell.

    Raises:
        ModelError: there is none.
    """
    if model is not None and not is_there(model) and _is_hub_id(model):
        return None
    return locate(model)[0]


def _is_hub_id(name: str) -> bool:
    """True for ORG/NAME; anything else that is not there is a folder that is not there."""
    return not is_url(name) and name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/")


def _downloaded(hub_id: str) -> Path:
    """The folder of a model of the Hub: what a bundle has, and weights beside its ONNX files under any name."""
    names = [f"{place}{name}*" for names in VARIANT_FILES.values() for name in names for place in ("", "onnx/")]
    folder = download(hub_id, ["*.json", *names])
    weights = {file for path in variants_in(folder).values() for file in OnnxFile.read(path).weights}
    missing = [glob.escape(str(file.relative_to(folder))) for file in weights if not file.exists()]
    return download(hub_id, missing, revision=folder.name) if missing else folder


def refuse_links(folder: Path, may_link_to: Path | None) -> None:
    """Refuse a folder whose files are, by a link, files of somewhere else.

    Raises:
        ModelError: it holds a symlink or a hard link; in the Hub's cache, a symlink that leaves it.
    """
    if not is_plain_file(folder / "config.json"):
        return  # no bundle, and perhaps the root of a large tree
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                if may_link_to is None or not path.resolve().is_relative_to(may_link_to.resolve()):
                    raise ModelError("is a symlink", path=path, hint="copy the bundle with its files: cp -rL")
            elif path.is_file() and path.stat().st_nlink > 1 and may_link_to is None:
                raise ModelError("is a hard link", path=path, hint="copy the bundle: cp -r")
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path=folder) from error


def variants_in(folder: Path) -> dict[str, Path]:
    """The first file of each precision that is there."""
    found = {
        precision: [path for name in names for path in (folder / name, folder / "onnx" / name) if is_plain_file(path)]
        for precision, names in VARIANT_FILES.items()
    }
    return {precision: paths[0] for precision, paths in found.items() if paths}
