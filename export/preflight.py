"""Mistakes in a command line of ``export-model`` that are found before torch and its like are loaded, in a moment."""

from __future__ import annotations

from pathlib import Path

from export.options import ExportOptions
from export.publishing import require_free
from scorer.errors import ModelError
from scorer.evaluation.inputs import open_files
from scorer.evaluation.options import EvaluateOptions


def check_before_loading(options: ExportOptions) -> None:
    """Check that the checkpoint is there, that the output is free, and that the labelled file can be opened.

    Raises:
        OutputExistsError: the output exists and may not be replaced.
        OutputError: its folder does not exist.
        ModelError: the checkpoint is missing.
        InputError: the labelled file is missing or damaged, or a column cannot be found.
    """
    require_free(options.output, overwrite=options.overwrite)
    require_checkpoint(options.checkpoint)
    if options.eval is not None:
        open_files([options.eval], EvaluateOptions(text_column=options.text_column, label_column=options.label_column))


def require_checkpoint(source: str) -> None:
    """Require that ``source`` is the folder of a checkpoint, or can be a Hub id.

    Raises:
        ModelError: it is neither.
    """
    folder = Path(source)
    if folder.exists() and not folder.is_dir():
        raise ModelError("is a file, not a checkpoint folder", path=source, hint="pass the folder that holds it")
    if not folder.is_dir() and (source.count("/") != 1 or source.startswith((".", "/", "~")) or source.endswith("/")):
        raise ModelError("no such checkpoint folder", path=source, hint="pass a folder that train-model wrote")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError("has no config.json", path=source, hint="pass a folder that train-model wrote")
