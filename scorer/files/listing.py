"""Local files that match a pattern, and the errors of folders that cannot be listed, which ``glob`` takes for empty."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable
from itertools import pairwise

from scorer.errors import InputError, MissingInputError
from scorer.files.urls import folder_to_search, has_wildcard


def matching_files(pattern: str, failed: Callable[[InputError], None]) -> list[str]:
    """The regular files that match ``pattern``, sorted, and those of which nobody may know whether they are.

    ``failed`` takes the error of each folder on the way that may not be looked into.

    Raises:
        InputError: the folder before the first wildcard may not be listed.
    """
    base = folder_to_search(pattern)
    error = _refusal(base or ".", "*")
    if error is not None:
        raise error
    # Not Path.glob: it takes no absolute patterns.
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207
    parts = pattern.removeprefix(base).lstrip("/").split("/")
    above, refused = base, set[str]()
    for part, following in pairwise([*parts, "*"] if parts[-1] == "**" else parts):
        above = os.path.join(above, part)  # noqa: PTH118
        for folder in sorted({*glob.glob(f"{above}/", recursive=True)} - refused):  # noqa: PTH207
            error = _refusal(folder, following)
            if error is not None:
                refused.add(folder)
                failed(error)
    return sorted(name for name in names if _may_be_file(name))


def unlisted(error: OSError, folder: str) -> InputError:
    """The error of a ``folder`` that cannot be listed."""
    if isinstance(error, FileNotFoundError):
        return MissingInputError("was removed while it was listed", path=folder)
    hint = "give this user the right to read it" if isinstance(error, PermissionError) else None
    return InputError(f"cannot be listed: {error.strerror}", path=folder, hint=hint)


def _refusal(folder: str, part: str) -> InputError | None:
    """The error of looking into ``folder`` for ``part`` of a pattern; ``None`` without one, or if it is not there."""
    try:
        if has_wildcard(part):
            with os.scandir(folder):
                pass
        else:
            os.stat(os.path.join(folder, part))  # noqa: PTH116, PTH118 - as glob does
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return unlisted(error, folder.rstrip("/") or folder)
    return None


def _may_be_file(path: str) -> bool:
    """True for a regular file, and for a path that cannot be looked at: its reader says why."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - as glob does
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
