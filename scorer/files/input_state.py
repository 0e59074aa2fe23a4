"""The state of an input when a run began, to find out whether it has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer.disk.checksums import sha256_of
from scorer.disk.paths import STDIN, is_folder, is_plain_file
from scorer.errors import InputError, MissingInputError
from scorer.files.file_marks import Mark, mark_in_store
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets
from scorer.safe_text import in_utf8

CHANGED = "has changed since this run began"


@dataclass(frozen=True)
class InputState:
    """An input as it was when the run began; it must be the same at the end.

    Attributes:
        file: the input.
        mark: changes with the content: size, mtime and inode, or the marks of its store; ``None`` for a stream.
    """

    file: InputFile
    mark: Any

    @classmethod
    def of(cls, file: InputFile) -> InputState:
        """The state of ``file`` now.

        Raises:
            InputError: it does not exist or may not be read.
            UnreachableError: its store does not answer.
        """
        return cls(file, _mark_of(file.path))

    @property
    def can_be_read_again(self) -> bool:
        """True if a later run can find the same rows there: not for standard input or a pipe."""
        return self.mark is not None

    def check(self) -> None:
        """Compare with the state now.

        Raises:
            MissingInputError: it is gone.
            InputError: it has changed or may not be read.
            UnreachableError: its store does not answer.
        """
        try:
            now = _mark_of(self.file.path)
        except MissingInputError as error:
            what, hint = "was removed since this run began", "run again once it is back"
            raise MissingInputError(what, path=error.path, hint=hint) from error
        if now != self.mark:
            shown = without_secrets(self.file.path)
            raise InputError(CHANGED, path=shown, hint="run again once it is complete")

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Of an input that has changed or is gone nobody needs to know what else is wrong with it.

        Raises:
            InputError, UnreachableError: as :meth:`check` says, if the block raises an :class:`InputError`.
        """
        try:
            yield
        except InputError:
            self.check()
            raise

    def description(self) -> dict[str, Any]:
        """Name, size and SHA-256 for the provenance; for a URL, size and marks of its store.

        Raises:
            InputError: it cannot be read, or has changed meanwhile.
        """
        name = in_utf8(self.file.name)
        if self.mark is None:
            return {"name": name}
        if is_url(self.file.path):
            return description_in_store(name, mark_in_store(self.mark) or [self.mark.get("size")])
        try:
            digest = sha256_of(Path(self.file.path))
        except OSError as error:
            self.check()
            raise InputError(f"cannot be read: {error.strerror}", path=self.file.path) from error
        self.check()
        return {"name": name, "bytes": self.mark[0], "sha256": digest}


def description_in_store(name: str, mark: Mark) -> dict[str, Any]:
    """Name, size and marks of an object for the provenance, from its ``mark`` in its store."""
    size, *marks = mark
    return {"name": in_utf8(name), "bytes": size, "state": {"size": size, **dict(marks)}}


def _mark_of(path: str) -> Any:
    if path == STDIN:
        return None
    if is_url(path):
        from scorer.files.remote import url_state

        return url_state(path)
    try:
        state = Path(path).stat()
    except FileNotFoundError as error:
        raise MissingInputError("no such file", path=path, hint="check the path") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    if not is_plain_file(path) and not is_folder(path):
        return None  # a pipe
    return (state.st_size, state.st_mtime_ns, state.st_ino, state.st_dev)
