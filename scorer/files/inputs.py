"""Inputs of a command, expanded to files: from files, folders, globs, standard input and URLs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from scorer.disk.paths import STDIN, is_folder, is_missing, is_there
from scorer.errors import EmptyInputError, InputError, MissingInputError, ScorerError, UnreachableError, UsageError
from scorer.files import delta
from scorer.files.beside_outputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.formats import KNOWN_FORMATS, extension_of
from scorer.files.listing import matching_files, unlisted
from scorer.files.urls import folder_to_search, has_wildcard, is_url, without_secrets

log = logging.getLogger(__name__)

_NOT_INPUTS = (REJECTS_SUFFIX, PROVENANCE_SUFFIX, ".partial", ".tmp", ".lock", ".part", ".crdownload", "~")
"""Ends of the names of files that this program leaves beside outputs, and that others leave while they write."""


@dataclass(frozen=True)
class InputFile:
    """One file to be read.

    Attributes:
        path: a local path, a URL, or ``-``.
        name: its path below the folder or the glob that it was found by, with ``/``; else its file name.
            Levels ``key=value`` that end the path of that folder come first: they are columns of a data set.
        mark: its mark in its store, if a listing has it; see :func:`scorer.files.file_marks.mark_in_store`.
    """

    path: str
    name: str
    mark: Any = field(default=None, compare=False, repr=False)


def expand_inputs(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    skip_missing: bool = False,
    skip_empty: bool = False,
    any_format: bool = False,
    failed: Callable[[ScorerError], None] | None = None,
    left_out: Callable[[ScorerError], None] | None = None,
) -> list[InputFile]:
    """Expand files, folders, globs, URLs and ``-`` to files, sorted by name within each argument.

    Folders are searched to any depth for files of known formats, or for all with ``any_format``; names that begin
    with ``_`` or ``.``, links to folders, and the files that a run leaves beside its output are skipped. Of a Delta
    table the files of its current version are taken. A file that is named twice is read once, by
    a name that is no link.
    With ``skip_missing`` an argument without files is skipped, with ``skip_empty`` one that exists; with either, so is
    a folder in it that is gone when its turn comes. ``left_out`` takes the error that says so; without it the log
    does. ``failed`` takes the error of one of several
    arguments, or of a folder or a Delta table in one; the others are expanded all the same. Without it the error is
    raised.

    Raises:
        MissingInputError: an argument has no file; for a plain path with a known extension, opening it tells.
        InputError: a folder or a store cannot be listed.
        UsageError: there is no argument, ``-`` is not alone, or a URL needs a package that is not installed.
    """
    if not arguments:
        raise UsageError("no input was given")
    names = [os.fspath(argument) for argument in arguments]
    if "" in names:
        raise UsageError("an input has an empty name", hint="is a variable unset?")
    if STDIN in names and len(names) > 1:
        raise UsageError("- (standard input) cannot be combined with other inputs", hint="pass - alone")
    found: dict[str, InputFile] = {}
    again: set[str] = set()
    real_folder = cache(os.path.realpath)

    def real(path: str) -> str:
        folder, name = os.path.split(path)
        return os.path.realpath(path) if os.path.islink(path) else os.path.join(real_folder(folder), name)  # noqa: PTH114, PTH118

    search = _Search(any_format, skip_missing, skip_missing or skip_empty, failed, left_out or say_left_out)
    for name in names:
        try:
            files = search.expand(name)
        except (InputError, UnreachableError) as error:
            if failed is None or len(names) == 1:
                raise
            failed(error)
            continue
        for file in files:
            key = file.path if is_url(file.path) or file.path == STDIN else real(file.path)
            first = found.setdefault(key, file)
            if os.path.islink(first.path) and not os.path.islink(file.path):  # noqa: PTH114 - a URL is none
                found[key], file = file, first
            if found[key] is not file:
                again.add(without_secrets(file.path))
    _say_passed_over("inputs", "second names of files", again)
    return list(found.values())


def searched_folder(name: str) -> Path | None:
    """The local folder that is searched for the files of ``name``; ``None`` if it is no folder or local glob."""
    if name == STDIN or is_url(name):
        return None
    if is_folder(name):
        return Path(name)
    return Path(folder_to_search(name)) if _is_glob(name) else None


def is_gone(name: str) -> bool:
    """True if a local argument, or the folder that it searches, does not exist, as after a mount that failed."""
    return not (name == STDIN or is_url(name)) and is_missing(folder_to_search(name) or "." if _is_glob(name) else name)


def say_left_out(error: ScorerError) -> None:
    """Say in the log that an input which is missing is left out."""
    about = {"event": "missing_input", "fields": {"file": error.path}}
    log.info("%s: %s: left out", error.path, error.message, extra=about)


def _say_passed_over(where: object, what: str, names: set[str]) -> None:
    """Say with ``-v`` how many inputs are passed over, and the first names."""
    if names:
        more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
        log.debug("%s: %d passed over, %s: %s%s", where, len(names), what, ", ".join(sorted(names)[:10]), more)


@dataclass(frozen=True)
class _Search:
    """Options of :func:`expand_inputs`."""

    any_format: bool
    skip_missing: bool
    skip_empty: bool
    failed: Callable[[ScorerError], None] | None
    left_out: Callable[[ScorerError], None]

    def expand(self, name: str) -> list[InputFile]:
        """The files of one argument."""
        if not self.skip_empty:
            return _expand(name, self)
        try:
            files = _expand(name, self)
            if self.skip_missing and [file.path for file in files] == [name] and is_gone(name):
                raise MissingInputError("no such file", path=name, hint="check the path")
        except MissingInputError as error:
            if not (self.skip_missing or isinstance(error, EmptyInputError)):
                raise
            self.left_out(error)
            return []
        return files

    def fail(self, error: InputError) -> None:
        """Pass on the error of a part of an argument, or raise it."""
        if isinstance(error, MissingInputError) and self.skip_empty:
            self.left_out(error)
        elif self.failed is None:
            raise error
        else:
            self.failed(error)


def _expand(name: str, search: _Search) -> list[InputFile]:
    if name == STDIN:
        return [InputFile(STDIN, "stdin")]
    in_tables: list[InputFile] = []
    if is_url(name):
        from scorer.files.remote import expand_url

        base = folder_to_search(name) if has_wildcard(name) else name
        found = [InputFile(url, below, mark) for url, below, mark in expand_url(name)]
        if len(found) == 1 and found[0].path == name:
            return found
        found, in_tables = _tables_of_store(base, found)
    elif is_folder(name):
        base = name
        found, in_tables = _walk(Path(name), search)
    elif _is_glob(name):
        base = folder_to_search(name)
        matches = matching_files(name, partial(_fail_shown, name, search))
        is_current = delta.check_of_versions()
        found = [InputFile(match, Path(match).relative_to(base).as_posix()) for match in matches if is_current(match)]
    elif not extension_of(Path(name).name).is_input and is_missing(name):
        raise MissingInputError("no such file or folder", path=name, hint="check the path")
    else:
        _check_reachable(name)
        return [InputFile(name, Path(name).name)]
    inputs = [file for file in found if _is_input(file.name, name.removeprefix(base), search.any_format)]
    shown = without_secrets(name) if is_url(name) else Path(name)
    _say_passed_over(
        shown, "of an unknown extension or hidden", {file.name for file in found} - {f.name for f in inputs}
    )
    inputs += in_tables
    if not inputs and base == name:
        raise EmptyInputError("holds no file of a known format", path=shown, hint=KNOWN_FORMATS)
    if not inputs and not (is_url(name) or is_missing(base or ".")):
        raise EmptyInputError("matches no file of a known format", path=shown, hint="check the pattern")
    if not inputs:
        raise MissingInputError("matches no file of a known format", path=shown, hint="check the pattern")
    levels = _hive_levels(base)
    return [replace(file, name=levels + file.name) for file in sorted(inputs, key=lambda file: file.name)]


def _fail_shown(pattern: str, search: _Search, error: InputError) -> None:
    """Pass on the error of a folder in which ``pattern`` is looked for, unless it is hidden."""
    base = folder_to_search(pattern)
    below = (error.path or "").removeprefix(without_secrets(base)).lstrip("/")
    if not _is_hidden_below(below, pattern.removeprefix(base)):
        search.fail(error)


def _check_reachable(name: str) -> None:
    """Check that a path of which nobody knows whether it is a folder may be looked at."""
    try:
        Path(name).stat()
    except PermissionError as error:
        hint = "give this user the right to enter the folders above it"
        raise InputError(f"cannot be read: {error.strerror}", path=name, hint=hint) from error
    except (OSError, ValueError):
        return


def _walk(folder: Path, search: _Search) -> tuple[list[InputFile], list[InputFile]]:
    """The files in ``folder``, with hidden folders in place of theirs, and the files of its Delta tables."""

    def refuse(error: OSError) -> None:
        refused = unlisted(error, error.filename)
        refused.__cause__ = error
        if error.filename == str(folder):
            raise refused
        search.fail(refused)

    def files_of_table(table: str) -> list[str]:
        try:
            return delta.current_files(table)
        except InputError as error:
            search.fail(error)
            return []

    found: list[InputFile] = []
    in_tables: list[InputFile] = []
    linked: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=refuse):
        is_table = delta.LOG in folders
        files = files_of_table(parent) if is_table else [*files, *(f"{name}/" for name in folders if _is_hidden(name))]
        folders[:] = [] if is_table else [name for name in folders if not _is_hidden(name)]
        below = Path(parent).relative_to(folder).as_posix().removeprefix(".")
        linked |= {f"{below}/{name}".removeprefix("/") for name in folders if (Path(parent) / name).is_symlink()}
        shown = "" if parent == os.curdir else parent
        for file in files:
            one = InputFile(os.path.join(shown, file), f"{below}/{file}".removeprefix("/"))  # noqa: PTH118 - quicker
            (in_tables if is_table else found).append(one)
    _say_passed_over(folder, "linked folders", linked)
    is_current = delta.check_of_versions()  # the folder itself may lie in a table
    return [file for file in found if is_current(file.path)], in_tables


def _tables_of_store(base: str, found: list[InputFile]) -> tuple[list[InputFile], list[InputFile]]:
    """The files found below a URL that are in no Delta table, and the files of the tables."""
    logs = (file.name.split(f"{delta.LOG}/")[0] for file in found if f"/{delta.LOG}/" in f"/{file.name}")
    in_tables = []
    for root in sorted(set(logs)):
        url = f"{base.rstrip('/')}/{root}"
        found = [file for file in found if not file.name.startswith(root)]
        in_tables += [InputFile(url + below, root + below) for below in delta.current_files(url.rstrip("/"))]
    return found, in_tables


def _is_glob(name: str) -> bool:
    return has_wildcard(name) and not is_there(name)


def _is_input(below: str, pattern: str, any_format: bool) -> bool:
    """True for a file found by searching that is to be read; files named by the user are read under any name."""
    return not _is_hidden_below(below, pattern) and (extension_of(below).is_input or any_format)


def _is_hidden_below(below: str, pattern: str) -> bool:
    named = {part[:1] for part in pattern.split("/")}  # a pattern such as _staging/*.csv asks for hidden names
    return any(_is_hidden(part) and part[0] not in named for part in below.split("/"))


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_")) or name.endswith(_NOT_INPUTS)


def _hive_levels(folder: str) -> str:
    """The levels ``key=value`` that end the path of a folder.

    >>> _hive_levels("reviews/year=2024/month=01/")
    'year=2024/month=01/'
    """
    parts = folder.replace(os.sep, "/").rstrip("/").split("/")
    levels = list(takewhile(lambda part: part.partition("=")[0] and "=" in part, reversed(parts)))
    return "".join(f"{part}/" for part in reversed(levels))
