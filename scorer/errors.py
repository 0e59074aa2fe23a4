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
    ├── QualityGateError        8   a quality gate was not met
    └── UnreachableError        9   a store or network does not answer; another try can help

Messages read ``FILE: row 3 (line 5): what is wrong; what to do next`` and fit on one line. Library code
raises; only the edge (:mod:`scorer.commands.console`) turns an error into a line and an exit code.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import Self

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
        place = "" if path is None else f"{os.fspath(path)}: "
        if path is not None and row is not None:
            place += f"row {row}: " if line is None else f"row {row} (line {line}): "
        super().__init__(in_utf8(place + message + (f"; {hint}" if hint else "")))
        self.message = in_utf8(message)
        self.path = None if path is None else in_utf8(os.fspath(path))
        self.row = row
        self.line = line
        self.hint = hint

    def at(self, path: str | os.PathLike[str] | None) -> Self:
        """The same error of the file ``path``."""
        return type(self)(self.message, path=path, row=self.row, line=self.line, hint=self.hint)

    def with_hint(self, hint: str | None) -> Self:
        """The same error with another hint."""
        return type(self)(self.message, path=self.path, row=self.row, line=self.line, hint=hint)


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
    if any(map(_is_of_memory, _chain(error))):
        hint = "lower --chunk-rows, or lower --threads, or free some memory"
        return OutOfMemoryError("memory ran out", path=named, hint=hint)
    if isinstance(error, ScorerError):
        return error
    what = f"{type(error).__name__}: {first_line(error)}"
    hint = "run again with --debug to see where"
    return ScorerError(f"internal error (please report it): {what}", path=named, hint=hint)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and the errors that led to it."""
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
    return isinstance(error, ImportError | OSError | RuntimeError) and _OF_MEMORY.search(str(error)) is not None
