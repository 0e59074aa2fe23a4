"""What is left in a folder of outputs: outputs without an input, unfinished work and locks without an owner."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scorer.disk.locking import is_held, lock_file
from scorer.disk.paths import is_plain_file
from scorer.errors import InputError
from scorer.files.beside_outputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.formats import extension_of
from scorer.files.inputs import InputFile
from scorer.job.provenance import read_provenance
from scorer.safe_text import counted

log = logging.getLogger(__name__)

_PARTIAL = ".partial"

_LISTED = 10


@dataclass(frozen=True)
class Leftovers:
    """Files of ours in a folder of outputs that no input of this run accounts for.

    Attributes:
        outputs: outputs without an input, with the files that belong to them.
        partials: folders of unfinished work without an input.
        locks: lock files that no run holds.
    """

    outputs: tuple[Path, ...]
    partials: tuple[Path, ...]
    locks: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, targets: Mapping[str, InputFile]) -> Leftovers:
        """What is left in ``folder`` by others than ``targets``, the outputs of all inputs of this run."""
        known = {os.path.abspath(target) for target in targets}  # noqa: PTH100 - links stay links
        outputs, partials, locks = [], [], []
        for parent, folders, files in os.walk(folder.absolute()):
            for name in [name for name in folders if name.endswith(_PARTIAL)]:
                folders.remove(name)
                path = Path(parent) / name
                owner = path.with_name(name.removesuffix(_PARTIAL))
                if str(owner) not in known and _is_free(owner) and (path / "journal.jsonl").is_file():
                    partials.append(path)
            for name in files:
                path = Path(parent) / name
                if _is_lock(path):
                    if not is_held(path):
                        locks.append(path)
                elif str(path) not in known and _is_output(path):
                    outputs.append(path)
        return cls(tuple(sorted(outputs)), tuple(sorted(partials)), tuple(sorted(locks)))

    def say(self) -> None:
        """Say with ``-v`` how many there are, and their names."""
        for kind, paths in self._kinds():
            more = f" and {len(paths) - _LISTED:,} more" if len(paths) > _LISTED else ""
            log.debug("%s: %s%s", kind, ", ".join(str(path) for path in paths[:_LISTED]), more)

    def counted(self) -> str:
        """Counts of all kinds for a question; empty if nothing is left."""
        return ", ".join(kind for kind, _ in self._kinds())

    def remove(self) -> None:
        """Remove all of them."""
        for path in self.outputs:
            for suffix in (REJECTS_SUFFIX, PROVENANCE_SUFFIX, ""):
                _try(path.with_name(path.name + suffix).unlink)
        for path in self.partials:
            _try(partial(shutil.rmtree, path))
        for path in self.locks:
            _try(path.unlink)

    def _kinds(self) -> Iterator[tuple[str, tuple[Path, ...]]]:
        """The kinds that are there, counted, and their paths."""
        for noun, rest, paths in (
            ("output", "without an input", self.outputs),
            ("folder", "of unfinished work without an input", self.partials),
            ("lock", "that no run holds", self.locks),
        ):
            if paths:
                yield f"{counted(len(paths), noun)} {rest}", paths


def remove_temporaries(targets: Iterable[Path]) -> None:
    """Remove the temporary files that dead runs have left beside the files of a report, ``.NAME.PID.tmp``."""
    for target in targets:
        for path in target.absolute().parent.glob(f".{target.name}.*.tmp"):
            number = path.name.removesuffix(".tmp").rpartition(".")[2]
            if number.isdecimal() and not _runs(int(number)):
                log.debug("%s: removed, a dead run has left it", path)
                _try(path.unlink)


def _is_lock(path: Path) -> bool:
    """True for the lock file of an output, which has nothing in it."""
    output = path.name.removesuffix(".lock").removeprefix(".")
    if path != lock_file(path.with_name(output)) or not extension_of(output).kind:
        return False
    with suppress(OSError):
        return is_plain_file(path) and not path.stat().st_size
    return False


def _is_output(path: Path) -> bool:
    """True for a file that an earlier run has published."""
    name = path.name
    if name.startswith((".", "_")) or name.endswith((REJECTS_SUFFIX, PROVENANCE_SUFFIX)) or not extension_of(name).kind:
        return False
    with suppress(InputError):
        return is_plain_file(path) and read_provenance(path) is not None
    return False


def _is_free(output: Path) -> bool:
    return not is_held(lock_file(output))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _try(remove: Callable[[], object]) -> None:
    try:
        remove()
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("%s: cannot be removed: %s", error.filename, error.strerror)
