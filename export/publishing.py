"""A bundle is built beside its destination and takes its place in one rename, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scorer.bundle import BUNDLE_FILE
from scorer.durable import sync, sync_folder
from scorer.errors import OutputError, OutputExistsError


def require_free(output: Path, *, overwrite: bool) -> None:
    """See to it, before any work, that ``output`` can be written.

    Raises:
        OutputExistsError: something stands there that may not be replaced.
        OutputError: the folder it should lie in is not there.
    """
    if output.is_symlink() or output.exists():
        if not overwrite:
            raise OutputExistsError("stands already", path=output, hint="pass --overwrite to replace it")
        if output.is_symlink() or not (output / BUNDLE_FILE).is_file():
            raise OutputExistsError(
                f"is no bundle (no {BUNDLE_FILE}) and is left alone", path=output, hint="choose another name"
            )
    parent = output.absolute().parent
    if not parent.is_dir():
        raise OutputError("no such folder", path=parent, hint="make it first")


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """An empty folder beside ``output`` that is gone afterwards, whatever happened.

    Raises:
        OutputError: it cannot be made.
    """
    target = output.absolute()
    folder = target.with_name(f".{target.name}.{os.getpid()}.exporting")
    try:
        folder.mkdir()
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", path=output) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(finished: Path, output: Path) -> None:
    """Rename ``finished`` to ``output``; a bundle that stands there is removed once the new one is in place.

    Raises:
        OutputError: it could not be done; what stood there stands there again.
    """
    old = finished.with_name(finished.name + ".old")
    replaced = False
    try:
        for path in (*finished.rglob("*"), finished):
            if path.is_dir():
                sync_folder(path)
            else:
                with path.open("r+b") as file:
                    sync(file)
        if output.exists():
            output.rename(old)
            replaced = True
        finished.rename(output)
        sync_folder(output.absolute().parent)
    except OSError as error:
        if replaced and not output.exists():
            old.rename(output)
        raise OutputError(f"the bundle could not be written: {error.strerror}", path=output) from error
    if replaced:
        shutil.rmtree(old, ignore_errors=True)
