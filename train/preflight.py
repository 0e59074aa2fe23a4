"""Mistakes in a command line of ``train-model`` that are found before torch and its like are loaded, in a moment."""

from __future__ import annotations

from pathlib import Path

from scorer.disk.locking import locked
from scorer.errors import ModelError, OutputError, OutputExistsError, UsageError
from train.data_files import data_files, validation_sources
from train.options import TrainOptions

PREDICTION_KINDS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
"""Formats of the baseline's predictions by their extensions."""


def check_before_loading(options: TrainOptions) -> None:
    """Check that files and folders are there, that the output is free, and that there is something to validate on.

    Raises:
        UsageError: there is nothing to validate on, or no training to resume.
        OutputExistsError: the output already exists, or an unfinished training does.
        BusyError: another training to the same output is running.
        InputError: a file is missing.
        ModelError: the folder to start from is missing.
        OutputError: the output cannot be written.
    """
    if not options.baseline:
        from train.unfinished import UnfinishedTraining  # needs safetensors, which the baseline does without

        with locked(options.folder):
            UnfinishedTraining(options).check()
        require_model_folder(options.model)
    elif options.predictions is not None:
        require_writable(options.predictions, overwrite=options.overwrite)
    teachers = [source for source in options.teacher if not Path(source).is_dir()]
    read = (*options.train, *validation_sources(options), *options.predict, *options.unlabelled, *options.pretrain_on)
    for source in (*read, *teachers):
        data_files(source)


def require_model_folder(model: str) -> None:
    """Require that ``model`` is the folder of a checkpoint, or can be a Hub id.

    Raises:
        ModelError: it is neither.
    """
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise ModelError("no such folder", path=model, hint="pass a checkpoint folder or a Hub id")
    if Path(model).exists() and not (Path(model) / "config.json").is_file():
        raise ModelError("has no config.json, so it is not a checkpoint", path=model, hint="pass a folder that has one")


def require_writable(path: Path, *, overwrite: bool) -> None:
    """Require, before any work, that predictions can be written to ``path``.

    Raises:
        UsageError: its format is not Parquet, CSV or JSONL.
        OutputExistsError: it already exists.
        OutputError: its folder does not exist.
    """
    if path.suffix not in PREDICTION_KINDS:
        raise UsageError(
            f"predictions cannot be written as {path.name!r}", hint=f"choose {', '.join(PREDICTION_KINDS)}"
        )
    if path.exists() and not overwrite:
        raise OutputExistsError("already exists", path=path, hint="pass --overwrite to replace it")
    if not path.absolute().parent.is_dir():
        raise OutputError("no such folder", path=path.absolute().parent, hint="make it first")
