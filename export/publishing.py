"""Publishing a bundle: built beside its destination, and put there by one rename or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scorer.disk.durable import DISK_IS_FULL, sync, sync_folder
from scorer.errors import OutputError, OutputExistsError
from scorer.interrupts import held_back
from scorer.model.bundle import BUNDLE_FILE


def require_free(output: Path, *, overwrite: bool) -> None:
    """Require, before any work, that ``output`` can be written.

    Raises:
        OutputExistsError: it exists and may not be replaced.
        OutputError: its parent folder does not exist.
    """
    if output.is_symlink() or output.exists():
        if not overwrite:
            raise OutputExistsError("already exists", path=output, hint="pass --overwrite to replace it")
        if output.is_symlink() or not (output / BUNDLE_FILE).is_file():
            raise OutputExistsError(
                f"is not a bundle (no {BUNDLE_FILE}), so it was not replaced", path=output, hint="choose another name"
            )
    parent = output.absolute().parent
    if not parent.is_dir():
        raise OutputError("no such folder", path=parent, hint="make it first")


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """An empty folder beside ``output``, removed at the end in any case.

    Raises:
        OutputError: it cannot be made, or the disk is full.
    """
    folder = _beside(output, "exporting")
    try:
        folder.mkdir()
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", path=output) from error
    try:
        yield folder
    except Exception as error:
        reason = _full_disk(error)
        if reason is None:
            raise
        raise OutputError(f"the bundle could not be written: {reason}", path=output) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(finished: Path, output: Path, *, overwrite: bool) -> None:
    """Rename ``finished`` to ``output``, and remove an older bundle once the new one is in place.

    A signal waits until then and is forgotten: the work that it was to stop is done.

    Raises:
        OutputExistsError: the output has appeared since :func:`require_free` looked.
        OutputError: it could not be renamed; an older bundle is restored.
    """
    old = _beside(output, "old")
    try:
        for path in (*finished.rglob("*"), finished):
            if path.is_dir():
                sync_folder(path)
            else:
                with path.open("r+b") as file:
                    sync(file)
        with held_back(forget=True):
            require_free(output, overwrite=overwrite)
            _exchange(finished, output, old)
    except OSError as error:
        hint = f"the old bundle is now {old}" if old.exists() else None
        raise OutputError(f"the bundle could not be written: {error.strerror}", path=output, hint=hint) from error
    shutil.rmtree(old, ignore_errors=True)


def _exchange(finished: Path, output: Path, old: Path) -> None:
    """Rename ``output`` to ``old`` and ``finished`` to ``output``; on any error, undo both."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in ((output, old), (finished, output)):
            if source.exists():
                source.rename(target)
                done.append((source, target))
        sync_folder(output.absolute().parent)
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _beside(output: Path, what: str) -> Path:
    """A name beside ``output`` for this process alone."""
    target = output.absolute()
    return target.with_name(f".{target.name}.{os.getpid()}.{what}")


def _full_disk(error: BaseException | None) -> str | None:
    """The system's words for a full disk if that caused the error; some libraries pass on nothing but those words."""
    while error is not None:
        for code in DISK_IS_FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code)
        error = error.__cause__ or error.__context__
    return None
