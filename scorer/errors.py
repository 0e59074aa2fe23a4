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
    └── QualityGateError        8   a quality gate was not met

Messages read ``FILE[:ROW]: what is wrong; what to do next`` and fit on one line. Library code
raises; only the edge (:mod:`scorer.commands.console`) turns an error into a line and an exit code.
"""

from __future__ import annotations

import os

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
        hint: str | None = None,
    ) -> None:
        """Build the line ``path:row: message; hint`` from the parts that are given.

        ``row`` counts data rows from 1.
        """
        place = ""
        if path is not None:
            place = f"{os.fspath(path)}:{row}: " if row is not None else f"{os.fspath(path)}: "
        super().__init__(in_utf8(place + message + (f"; {hint}" if hint else "")))
        self.message = in_utf8(message)
        self.path = None if path is None else in_utf8(os.fspath(path))
        self.row = row
        self.hint = hint


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
