"""Where inputs lie: files, folders, globs, standard input, and URLs that fsspec opens."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scorer.errors import InputError, MissingInputError, UsageError, in_utf8

STDIN = "-"

log = logging.getLogger(__name__)

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""Input formats by extension."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Compressions of text formats by the second extension."""

_SCHEME = re.compile(r"(?:[A-Za-z0-9+.-]+::)*[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = "*?["
_KNOWN = f"known: {', '.join([*FORMATS, *COMPRESSIONS])}"
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


def is_url(path: str) -> bool:
    """Whether ``path`` is for fsspec; a drive letter is no scheme."""
    return _SCHEME.match(path) is not None


def without_secrets(path: str) -> str:
    """``path`` as messages may show it: a URL loses its user, its password and its query.

    >>> without_secrets("s3://key:secret@bucket/a.csv?X-Amz-Signature=1")
    's3://bucket/a.csv'
    >>> without_secrets("s3://key:secret/of/stores@bucket/a@b.csv")  # a slash in a password ends nothing
    's3://b.csv'
    """
    if not is_url(path):
        return in_utf8(path)
    scheme, _, rest = path.partition("://")
    try:
        parts = urlsplit(f"{scheme.rpartition('::')[2]}://{rest}")
        parts.port  # noqa: B018 - raises where what stands behind the colon is no port, but a password
        place = parts.netloc.rpartition("@")[2] + parts.path
    except ValueError:
        place = rest.partition("?")[0].partition("#")[0].rpartition("@")[2] if "@" in rest else "…"
    return in_utf8(f"{scheme}://{place}")


def format_of(path: str) -> str:
    """The format that the extension of ``path`` names, a ``.gz`` or ``.zst`` behind it left aside.

    Raises:
        InputError: it names none that is known.
    """
    shown = without_secrets(path)
    found = _known_format(shown)
    if found is not None:
        return found
    suffix = Path(shown).suffix.lower()
    if suffix in COMPRESSIONS and _known_format(shown[: -len(suffix)]) == "parquet":
        raise InputError("is packed Parquet, which is packed already", path=shown, hint="unpack it first")
    raise InputError(
        f"unknown format {suffix!r}" if suffix else "has no extension that names its format",
        path=shown,
        hint=f"known: {', '.join(FORMATS)}, those of text also with {' or '.join(COMPRESSIONS)}; or pass --format",
    )


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
        for file in _borne(name) if bear_missing else _expanded(name):
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


def _borne(name: str) -> list[InputFile]:
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


def is_missing(path: str) -> bool:
    """Whether nothing is there; what may not be looked at is there."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there; what may not be looked at, or has no possible name, is none."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises then


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether anything is there; what may not be looked at, or has no possible name, is not."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises then


def is_plain_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there that is no folder, pipe or device; what may not be looked at is none."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises then


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
        from scorer.remote import expand_url

        files = [InputFile(url, below) for url, below in expand_url(name) if _is_input(below) or url == name]
        if not files:
            raise MissingInputError("holds no file of a known format", path=without_secrets(name), hint=_KNOWN)
        return files
    path = Path(name)
    if is_folder(path):
        return _in_folder(path)
    if _is_glob(name):
        return _in_glob(name)
    if _known_format(path.name) is None and is_missing(name):
        raise MissingInputError("no such file or folder", path=name, hint="check the path")
    return [InputFile(name, path.name)]


def _in_folder(folder: Path) -> list[InputFile]:
    files = sorted(below for below in _walk(folder) if _is_input(below))
    if not files:
        raise MissingInputError("holds no file of a known format", path=folder, hint=_KNOWN)
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
    return _known_format(below) is not None and not any(_is_hidden(part) for part in parts)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.endswith(_NOT_INPUTS)


def _known_format(path: str) -> str | None:
    name = Path(path)
    suffix = name.suffix.lower()
    if suffix in COMPRESSIONS:
        inner = FORMATS.get(Path(name.stem).suffix.lower())
        return inner if inner != "parquet" else None
    return FORMATS.get(suffix)
