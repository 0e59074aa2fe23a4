"""``OUTPUT.training``: the folder of an unfinished training, and the conditions of its resume."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scorer.disk.durable import write_durably
from scorer.errors import InputError, OutputExistsError, UsageError
from scorer.interrupts import held_back
from train.options import TrainOptions
from train.saving import saving

log = logging.getLogger(__name__)

PRETRAINING = "pretraining"
"""Name of the adaptation's folder inside it."""

_SUFFIX = ".training"
_OPTIONS_FILE = "options.json"
_REPLACED = "replaced"
_FILES = "sha256"
_MAY_CHANGE = ("output", "resume", "overwrite", "min_f1", "threads")


class UnfinishedTraining:
    """The folder beside an output that holds the checkpoints for ``resume``.

    :meth:`begin` makes it, in place of an older one, before the first write: by then options and data are
    known to be good. :meth:`publish` removes it.

    Attributes:
        folder: its path.
    """

    def __init__(self, options: TrainOptions) -> None:
        self.folder = options.folder.with_name(options.folder.name + _SUFFIX)
        self._options = options
        self._files: Mapping[str, str] = {}
        self._begun = False

    def check(self) -> None:
        """Require, before any work, that folder and output may be written and that the options fit a resume.

        Raises:
            OutputExistsError: the output or the folder exists and may not be replaced.
            UsageError: there is no training to resume, or it began with other options.
        """
        self._restore_output()
        self._require_free_output()
        if (self.folder.is_symlink() or self.folder.exists()) and not self._is_ours():
            raise OutputExistsError(
                "is in the way: unfinished work is kept under this name", path=self.folder, hint="move or rename it"
            )
        if not self._options.resume:
            if self.can_be_resumed() and not self._options.overwrite:
                raise OutputExistsError(
                    "holds an unfinished training",
                    path=self.folder,
                    hint="pass --resume to continue it, or --overwrite to start over",
                )
            return
        if not self.can_be_resumed():
            raise UsageError("there is no checkpoint to resume from", path=self.folder, hint="drop --resume")
        before, now = self._recorded(), _as_json(self._options)
        name = next((name for name in now if before.get(name, now[name]) != now[name]), None)
        if name is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} was {before[name]} and is {now[name]}",
                path=self.folder,
                hint="resume with the command that started the run",
            )

    def can_be_resumed(self) -> bool:
        """True if it holds work that took time: a checkpoint of any stage, or a teacher's predictions."""
        kept = ("*/trainer_state.json", f"{PRETRAINING}/*/trainer_state.json", f"{PRETRAINING}/*.json", "*.npy")
        return any(path for pattern in kept for path in self.folder.glob(pattern))

    def take_files(self, files: Mapping[str, str]) -> None:
        """Record the files that the run reads, SHA-256 by name.

        Raises:
            InputError: a resumed run began with other files.
        """
        self._files = files
        before = self._recorded().get(_FILES, files) if self._options.resume else files
        changed = sorted(name for name in {*before, *files} if before.get(name) != files.get(name))
        if changed:
            raise InputError(
                "has changed since this training began",
                path=changed[0],
                hint="restore it and resume, or start over with --overwrite",
            )

    def begin(self) -> None:
        """Make the folder, once, unless the run is resumed.

        Raises:
            OutputError: it cannot be written.
        """
        if self._begun:
            return
        with saving(self.folder):
            if self.folder.exists() and not self._options.resume:
                if self.can_be_resumed():
                    log.warning("%s: dropping the unfinished training", self.folder)
                shutil.rmtree(self.folder)
            self.folder.mkdir(exist_ok=True)
            record = {**_as_json(self._options), _FILES: self._files}
            write_durably(self.folder / _OPTIONS_FILE, (json.dumps(record, indent=2) + "\n").encode())
        self._begun = True

    def publish(self, finished: Path) -> None:
        """Rename ``finished``, a folder inside this one, to the output, and remove the rest.

        Raises:
            OutputExistsError: the output exists by now; a resumed run can publish later.
            OutputError: it could not be renamed; an output that existed before is restored.
        """
        self._require_free_output()
        output, replaced = self._options.folder, self.folder / _REPLACED
        with saving(output), held_back(forget=True):
            shutil.rmtree(replaced, ignore_errors=True)
            if output.exists():
                output.rename(replaced)
            try:
                finished.rename(output)
            except OSError:
                if replaced.exists():
                    replaced.rename(output)
                raise
        shutil.rmtree(self.folder, ignore_errors=True)

    def _restore_output(self) -> None:
        """Restore the old output if a run was killed between the two renames of :meth:`publish`."""
        replaced = self.folder / _REPLACED
        if self._is_ours() and replaced.is_dir() and not self._options.folder.exists():
            with saving(self._options.folder):
                replaced.rename(self._options.folder)

    def _require_free_output(self) -> None:
        output = self._options.folder
        if output.exists() and not self._options.overwrite:
            raise OutputExistsError("already exists", path=output, hint="pass --overwrite to replace it")
        if output.exists() and not (output / "config.json").is_file():
            raise OutputExistsError(
                "is not a checkpoint, so it was not replaced", path=output, hint="choose another name"
            )

    def _is_ours(self) -> bool:
        """True if a training made it: it has the options of one, or was killed before it wrote them."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return False
        return bool(self._recorded()) or all(path.name == f".{_OPTIONS_FILE}.tmp" for path in self.folder.iterdir())

    def _recorded(self) -> dict[str, Any]:
        try:
            value = json.loads((self.folder / _OPTIONS_FILE).read_bytes())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) and "preprocessing" in value else {}


def _as_json(options: TrainOptions) -> dict[str, Any]:
    values = {name: value for name, value in asdict(options).items() if name not in _MAY_CHANGE}
    return dict(json.loads(json.dumps(values, default=str)))
