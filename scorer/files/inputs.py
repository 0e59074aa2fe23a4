"""Which files the arguments of a command stand for: files, folders, globs, standard input, and URLs."""

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
from scorer.files.urls import is_url, without_secrets

log = logging.getLogger(__name__)

_MAGIC = "*?["

# What this program leaves beside outputs, and what others leave while they write.
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


def expand_inputs(arguments: Sequence[str | os.PathLike[str]], *, bear_missing: bool = False) -> list[InputFile]:
    """Every file that ``arguments`` stand for: files, folders, globs, URLs and ``-``, sorted by name within each.

    Folders are searched to any depth for files of known formats; hidden files, links to folders, and
    what a run leaves beside its output are passed over. A file that is named twice is read once.
    With ``bear_missing`` an argument that stands for no file is left out, and the log says so.

    Raises:
        MissingInputError: an argument stands for no file; of a plain path with a known extension that is known later.
        InputError: a folder or a store cannot be listed.
        UsageError: there is no argument, two files would have one name, ``-`` stands beside others,
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
        for file in _expand_or_skip(name) if bear_missing else _expanded(name):
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


def _expand_or_skip(name: str) -> list[InputFile]:
    """What ``name`` stands for, or nothing."""
    try:
        files = _expanded(name)
        if len(files) == 1 and files[0].path == name and not (name == STDIN or is_url(name)) and is_missing(name):
            raise MissingInputError("no such file", path=name, hint="check the path")
    except MissingInputError as error:
        fields = {"file": error.path}
        log.info("%s: %s: left out", error.path, error.message, extra={"event": "missing_input", "fields": fields})
        return []
    return files


def searched_folder(name: str) -> Path | None:
    """The folder in which files for ``name`` are searched, a folder or a glob of this machine; else ``None``."""
    if name == STDIN or is_url(name):
        return None
    path = Path(name)
    if is_folder(path):
        return path
    return Path(*_before_magic(path.parts)) if _is_glob(name) else None


def _is_glob(name: str) -> bool:
    return any(char in name for char in _MAGIC) and not is_there(name)


def _expanded(name: str) -> list[InputFile]:
    if name == STDIN:
        return [InputFile(STDIN, "stdin")]
    if is_url(name):
        from scorer.files.remote import expand_url

        files = [InputFile(url, below) for url, below in expand_url(name) if _is_input(below) or url == name]
        if not files:
            raise MissingInputError("holds no file of a known format", path=without_secrets(name), hint=KNOWN_FORMATS)
        return files
    path = Path(name)
    if is_folder(path):
        return _in_folder(path)
    if _is_glob(name):
        return _in_glob(name)
    if not extension_of(path.name).is_input and is_missing(name):
        raise MissingInputError("no such file or folder", path=name, hint="check the path")
    return [InputFile(name, path.name)]


def _in_folder(folder: Path) -> list[InputFile]:
    files = sorted(below for below in _walk(folder) if _is_input(below))
    if not files:
        raise MissingInputError("holds no file of a known format", path=folder, hint=KNOWN_FORMATS)
    return [InputFile(str(folder / below), below) for below in files]


def _walk(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"cannot be listed: {error.strerror}", path=error.filename) from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for file in files:
            yield (Path(parent) / file).relative_to(folder).as_posix()


def _in_glob(pattern: str) -> list[InputFile]:
    # Not Path.glob: it takes no absolute patterns.
    matches = sorted(match for match in glob.glob(pattern, recursive=True) if is_plain_file(match))  # noqa: PTH207
    base = Path(*_before_magic(Path(pattern).parts))
    found = [InputFile(match, Path(match).relative_to(base).as_posix()) for match in matches]
    found = [file for file in found if _is_input(file.name)]
    if not found:
        raise MissingInputError("matches no file of a known format", path=pattern, hint="check the pattern")
    return found


def _before_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if any(char in part for char in _MAGIC):
            return
        yield part


def _is_input(below: str) -> bool:
    """Whether a file found by searching is one to read: named files are read whatever their name."""
    parts = below.split("/")
    return extension_of(below).is_input and not any(_is_hidden(part) for part in parts)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.endswith(_NOT_INPUTS)
