"""Inputs of a command, expanded to files: from files, folders, globs, standard input and URLs."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scorer.disk.paths import STDIN, is_folder, is_missing, is_plain_file, is_there
from scorer.errors import InputError, MissingInputError, UsageError
from scorer.files.formats import KNOWN_FORMATS, extension_of
from scorer.files.urls import folder_to_search, has_wildcard, is_url, without_secrets

log = logging.getLogger(__name__)

# This program leaves these beside outputs, and others leave the rest while they write.
REJECTS_SUFFIX = ".rejects.jsonl"
PROVENANCE_SUFFIX = ".provenance.json"
_NOT_INPUTS = (REJECTS_SUFFIX, PROVENANCE_SUFFIX, ".partial", ".tmp", ".lock", ".part", ".crdownload", "~")


@dataclass(frozen=True)
class InputFile:
    """One file to be read.

    Attributes:
        path: a local path, a URL, or ``-``.
        name: its path below the folder or the glob that it was found by, with ``/``; else its file name.
    """

    path: str
    name: str


def expand_inputs(arguments: Sequence[str | os.PathLike[str]], *, skip_missing: bool = False) -> list[InputFile]:
    """Expand files, folders, globs, URLs and ``-`` to files, sorted by name within each argument.

    Folders are searched to any depth for files of known formats; hidden files, links to folders, and the
    files that a run leaves beside its output are skipped. A file that is named twice is read once.
    With ``skip_missing`` an argument without files is skipped, and the log says so.

    Raises:
        MissingInputError: an argument has no file; for a plain path with a known extension, opening it tells.
        InputError: a folder or a store cannot be listed.
        UsageError: there is no argument, two files would have one name, ``-`` is not alone,
            or a URL needs a package that is not installed.
    """
    if not arguments:
        raise UsageError("no input was named")
    names = [os.fspath(argument) for argument in arguments]
    if "" in names:
        raise UsageError("an input has an empty name", hint="is a variable unset?")
    if STDIN in names and len(names) > 1:
        raise UsageError("- stands beside other inputs", hint="read standard input alone")
    found: dict[str, InputFile] = {}
    for name in names:
        for file in _expand_or_skip(name) if skip_missing else _expand(name):
            key = file.path if is_url(file.path) or file.path == STDIN else os.path.realpath(file.path)
            found.setdefault(key, file)
    by_name: dict[str, InputFile] = {}
    for file in found.values():
        other = by_name.setdefault(file.name, file)
        if other is not file:
            raise UsageError(
                f"has the same name as {without_secrets(other.path)}, so their outputs would be one",
                path=without_secrets(file.path),
                hint="score them in separate runs",
            )
    return list(found.values())


def searched_folder(name: str) -> Path | None:
    """The local folder that is searched for the files of ``name``; ``None`` if it is no folder or local glob."""
    if name == STDIN or is_url(name):
        return None
    if is_folder(name):
        return Path(name)
    return Path(folder_to_search(name)) if _is_glob(name) else None


def _expand_or_skip(name: str) -> list[InputFile]:
    try:
        files = _expand(name)
        if len(files) == 1 and files[0].path == name and not (name == STDIN or is_url(name)) and is_missing(name):
            raise MissingInputError("no such file", path=name, hint="check the path")
    except MissingInputError as error:
        fields = {"file": error.path}
        log.info("%s: %s: left out", error.path, error.message, extra={"event": "missing_input", "fields": fields})
        return []
    return files


def _expand(name: str) -> list[InputFile]:
    if name == STDIN:
        return [InputFile(STDIN, "stdin")]
    path = Path(name)
    if is_url(name):
        from scorer.files.remote import expand_url

        files = [InputFile(url, below) for url, below in expand_url(name) if _is_input(below) or url == name]
    elif is_folder(name):
        files = [InputFile(str(path / below), below) for below in sorted(_walk(path)) if _is_input(below)]
    elif _is_glob(name):
        return _expand_glob(name)
    elif not extension_of(path.name).is_input and is_missing(name):
        raise MissingInputError("no such file or folder", path=name, hint="check the path")
    else:
        return [InputFile(name, path.name)]
    if not files:
        shown = without_secrets(name) if is_url(name) else path
        raise MissingInputError("holds no file of a known format", path=shown, hint=KNOWN_FORMATS)
    return files


def _walk(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"cannot be listed: {error.strerror}", path=error.filename) from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for file in files:
            yield (Path(parent) / file).relative_to(folder).as_posix()


def _is_glob(name: str) -> bool:
    return has_wildcard(name) and not is_there(name)


def _expand_glob(pattern: str) -> list[InputFile]:
    # Not Path.glob: it takes no absolute patterns.
    matches = sorted(match for match in glob.glob(pattern, recursive=True) if is_plain_file(match))  # noqa: PTH207
    base = folder_to_search(pattern)
    found = [InputFile(match, Path(match).relative_to(base).as_posix()) for match in matches]
    found = [file for file in found if _is_input(file.name)]
    if not found:
        raise MissingInputError("matches no file of a known format", path=pattern, hint="check the pattern")
    return found


def _is_input(below: str) -> bool:
    """True for a file found by searching that is to be read; files named by the user are read under any name."""
    return extension_of(below).is_input and not any(_is_hidden(part) for part in below.split("/"))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.endswith(_NOT_INPUTS)
