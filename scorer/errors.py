"""The error tree: every failure that a user can cause or meet, with its exit code.

::

    ScorerError                 1   internal error
    ├── UsageError              2   the command line asks for something impossible
    │   └── OutputExistsError   2   the output already exists and --overwrite was not given
    ├── InputError              3   the data cannot be read, or are not as they should be
    │   └── MissingInputError   3   an input matches no file
    │       └── EmptyInputError 3   a folder that exists has none
    ├── ModelError              4   the model, the device or the precision cannot be used
    │   └── DeviceError         4   the requested device or precision cannot be used
    ├── OutputError             5   the output could not be written
    ├── BusyError               6   another run holds the output
    ├── OutOfMemoryError        7   memory ran out, on the machine or on the device
    │   └── PassedOverError     7   too many runs have died at a file
    ├── QualityGateError        8   a quality gate was not met
    └── UnreachableError        9   a store or network does not answer; another try can help

Messages read ``FILE: row 3 (line 5): what is wrong; what to do next`` and fit on one line. They are written with
options of the command line, ``--overwrite``; to a caller in Python an error names its keyword arguments instead,
``overwrite=True`` (:mod:`scorer.keyword_words`). Library code raises; only the edge
(:mod:`scorer.commands.console`) turns an error into a line and an exit code.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import Any, Self

from scorer.keyword_words import in_words_of_the_caller
from scorer.safe_text import first_line, in_utf8

# Words with which libraries say, in errors of other classes, that memory ran out.
_OF_MEMORY = re.compile(
    r"bad_alloc|bad allocation|can't start new thread|[Cc]annot allocate memory|[Ff]ailed to allocate memory"
    r"|[Mm]emory allocation|failed to map segment|[Oo]ut of memory"
)


class ScorerError(Exception):
    """Base of every error that the package raises on purpose; its ``str()`` is one line."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        row: int | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        """Build ``path: row 3 (line 5): message; hint`` from the parts that are given.

        ``row`` counts rows of data from 1, ``line`` the lines of a text file, as editors do.
        """
        super().__init__(message)
        self.path = None if path is None else in_utf8(os.fspath(path))
        self.row = row
        self.line = line
        self._message = in_utf8(message)
        self._hint = None if hint is None else in_utf8(hint)

    def __str__(self) -> str:
        place = "" if self.path is None else f"{self.path}: "
        if self.path is not None and self.row is not None:
            place += f"row {self.row}: " if self.line is None else f"row {self.row} (line {self.line}): "
        return place + self.message + (f"; {self.hint}" if self.hint else "")

    @property
    def message(self) -> str:
        """Say what is wrong, in the words of the caller."""
        return in_words_of_the_caller(self._message)

    @property
    def hint(self) -> str | None:
        """Say what to do next, in the words of the caller; ``None`` if there is no more to say."""
        return None if self._hint is None else in_words_of_the_caller(self._hint)

    def parts(self) -> dict[str, Any]:
        """The arguments that make the same error, its text with options of the command line."""
        return {"message": self._message, "path": self.path, "row": self.row, "line": self.line, "hint": self._hint}

    def at(self, path: str | os.PathLike[str] | None) -> Self:
        """The same error of the file ``path``."""
        return type(self)(**{**self.parts(), "path": path})

    def with_hint(self, hint: str | None) -> Self:
        """The same error with another hint."""
        return type(self)(**{**self.parts(), "hint": hint})


class UsageError(ScorerError):
    """The command line (or the call) asks for something impossible."""

    exit_code = 2


class OutputExistsError(UsageError):
    """The output already exists, and overwriting was not requested."""


class InputError(ScorerError):
    """Input data are missing, cannot be read, or are not as they should be."""

    exit_code = 3


class MissingInputError(InputError):
    """An input matches no file; ``--on-missing-input ok`` skips it."""


class MissingBucketError(MissingInputError):
    """The bucket of an input does not exist."""


class EmptyInputError(MissingInputError):
    """A folder that exists has no file to read; ``--on-missing-input empty`` skips it."""


class ModelError(ScorerError):
    """The model cannot be loaded or run."""

    exit_code = 4


class DeviceError(ModelError):
    """The requested device or precision cannot be used."""


class OutputError(ScorerError):
    """The output could not be written."""

    exit_code = 5


class BusyError(ScorerError):
    """Another run holds the output."""

    exit_code = 6


class OutOfMemoryError(ScorerError):
    """Memory ran out, on the machine or on the device."""

    exit_code = 7


class PassedOverError(OutOfMemoryError):
    """Too many runs have died at a file, most likely for want of memory; it is not tried again."""


class QualityGateError(ScorerError):
    """A quality gate was not met."""

    exit_code = 8


class UnreachableError(ScorerError):
    """A store or the network does not answer; unlike a missing input, it may do so at another try."""

    exit_code = 9


def explained(error: BaseException, *, path: str | os.PathLike[str] | None = None) -> ScorerError:
    """``error`` as one of this tree: itself, one of memory if that is behind it, else an internal error.

    ``path`` is the file in hand, for an error that names none.
    """
    named = error.path if isinstance(error, ScorerError) and error.path is not None else path
    if isinstance(error, OutOfMemoryError):
        return error if error.path == named else error.at(named)
    if any(map(_is_of_memory, chain_of(error))):
        hint = "lower --chunk-rows, or lower --threads, or free some memory"
        return OutOfMemoryError("memory ran out", path=named, hint=hint)
    if isinstance(error, ScorerError):
        return error
    what = f"{type(error).__name__}: {first_line(error)}"
    hint = "run again with --debug to see where"
    return ScorerError(f"internal error (please report it): {what}", path=named, hint=hint)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and the errors that led to it, at most 20."""
    for _ in range(20):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, ScorerError):
        return isinstance(error, OutOfMemoryError)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, ImportError | OSError | RuntimeError) and tells_of_memory(str(error))


def tells_of_memory(said: str) -> bool:
    """True if a library says that memory ran out, in an error of any class."""
    return _OF_MEMORY.search(said) is not None
