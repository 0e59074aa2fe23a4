"""The error tree: every failure that a user can cause or meet, with its exit code.

::

    ScorerError                 1   internal error
    ├── UsageError              2   the command line asks for something impossible
    │   └── OutputExistsError   2   the output already exists and --overwrite was not given
    ├── InputError              3   the data cannot be read, or are not as they should be
    │   └── MissingInputError   3   an input matches no file
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

import os
from typing import Self

from scorer.safe_text import in_utf8


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
