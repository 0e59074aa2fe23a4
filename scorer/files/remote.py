"""Files by URL, through fsspec: ``s3://``, ``gs://``, ``hf://``, ``https://`` and ``memory://``."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import IO, Any, cast

from scorer.errors import MissingInputError, UsageError
from scorer.files.file_marks import Mark, mark_in_store
from scorer.files.store_errors import asked, is_refusal, says_not_there, store_errors
from scorer.files.urls import folder_to_search, has_wildcard, without_secrets

_ON_THIS_MACHINE = ("file", "local", "dir", "simplecache", "filecache", "blockcache")

_PROBE = ".score.tmp"
"""Name of the file with which a store is tried; no search takes it for an input."""


def expand_url(url: str) -> list[tuple[str, str, Mark | None]]:
    """The files that a URL of a file, a folder or a glob stands for, each with its path below that and its mark.

    Raises:
        MissingInputError: there is none.
        InputError, UnreachableError, UsageError: as :func:`open_url` says.
    """
    shown = without_secrets(url)
    found = asked(shown, lambda: _files_below(url))
    if not found:
        raise MissingInputError("no such file", path=shown, hint="check the URL and what may be read there")
    return found


def _files_below(url: str) -> list[tuple[str, str, Mark | None]]:
    files, path = file_system(url)
    base = folder_to_search(path) if has_wildcard(path) else path.rstrip("/")
    # Asked first, because a search takes a store that does not answer for an empty one, and so does isfile().
    about = _info(files, base if has_wildcard(path) else path) if base else {}
    if about.get("type") == "file" and path == base:
        return [(url, path.rpartition("/")[2], mark_in_store(about))]
    search = files.glob if has_wildcard(path) else files.find
    matches = search(path, detail=True, **({"on_error": "raise"} if _searches_folders(files) else {}))
    names = sorted(name for name, match in matches.items() if match.get("type", "file") == "file")
    scheme = url.partition("://")[0]
    return [
        (f"{scheme}://{name.lstrip('/')}", name[len(base) :].lstrip("/"), mark_in_store(matches[name]))
        for name in names
    ]


def _info(files: Any, path: str) -> dict[str, Any]:
    """What a store tells about ``path``; if it refuses, it is asked in the way that has the reason in its answer."""
    try:
        return dict(files.info(path))
    except Exception as error:
        if is_refusal(error):
            files.cat_file(path, start=0, end=1)  # the answer to HEAD has no words, such as ExpiredToken
        raise


def _searches_folders(files: Any) -> bool:
    """True if fsspec searches folder by folder and leaves out those that fail unless told otherwise."""
    from fsspec import AbstractFileSystem
    from fsspec.asyn import AsyncFileSystem

    kind: Any = type(files)
    if issubclass(kind, AsyncFileSystem):
        return kind._find is AsyncFileSystem._find
    return kind.find is AbstractFileSystem.find


def open_url(url: str) -> IO[bytes]:
    """Open a URL for reading bytes from any place; the file raises the same errors while it is read.

    Raises:
        MissingInputError: it is not there.
        InputError: it may not be read.
        UnreachableError: its store does not answer.
        UsageError: the package for its scheme is not installed.
    """
    shown = without_secrets(url)

    def opened() -> _StoreFile:
        files, path = file_system(url)
        return _StoreFile(files.open(path, "rb"), shown)

    return cast("IO[bytes]", asked(shown, opened))


class _StoreFile(io.RawIOBase):
    """An open file of a store, whose errors are those of this package."""

    def __init__(self, file: Any, shown: str) -> None:
        self._file = file
        self._shown = shown

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        place = None

        def read() -> bytes:
            nonlocal place
            if place is not None:  # another try
                self._file.seek(place)
            place = self._file.tell()
            return bytes(self._file.read(-1 if size is None else size))

        return asked(self._shown, read)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        with store_errors(self._shown):
            self._file.seek(offset, whence)
            return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def url_state(url: str) -> dict[str, Any]:
    """Size of a remote file and the marks that its store gives it; they change with its content.

    Raises:
        InputError, UnreachableError, UsageError: as :func:`open_url` says.
    """

    def state() -> dict[str, Any]:
        files, path = file_system(url)
        files.invalidate_cache()
        return _info(files, path)

    about = asked(without_secrets(url), state)
    marks = ("ETag", "etag", "md5Hash", "generation", "VersionId", "LastModified", "last_modified", "mtime", "blob_id")
    return {"size": about.get("size"), **{mark: str(about[mark]) for mark in marks if about.get(mark) is not None}}


def url_modified(url: str) -> datetime | None:
    """Time of the last change of a remote file, or ``None`` if its store does not tell.

    Raises:
        InputError, UnreachableError, UsageError: as :func:`open_url` says.
    """

    def modified() -> Any:
        files, path = file_system(url)
        try:
            return files.modified(path)
        except NotImplementedError:
            return None

    moment = asked(without_secrets(url), modified)
    if not isinstance(moment, datetime):
        return None
    # fsspec's own rule: a time without an offset is in UTC.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        UsageError: its package is not installed, or files cannot be read from its scheme.
    """
    shown = without_secrets(url)
    scheme = url.partition("://")[0].lower()
    if scheme in _ON_THIS_MACHINE:
        raise UsageError("is not a remote file", path=shown, hint="pass a plain path")
    known = "known: s3://, gs://, hf://"
    if "::" in scheme:  # a chain of file systems, whose first could write to this machine
        raise UsageError(f"{scheme}:// is not supported", path=shown, hint=known)
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        hint = 'pip install "review-scorer[remote]"'
        raise UsageError("needs packages that are not installed", path=shown, hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{scheme}:// is not supported", path=shown, hint=known) from error
    return files, str(path)


def place_of(url: str) -> tuple[str, str]:
    """Store and path of a URL; two URLs of one file have the same, however they are written.

    Raises:
        UsageError: as :func:`file_system` says.
    """
    with store_errors(without_secrets(url)):
        files, path = file_system(url)
    return type(files).__name__, path.strip("/")


def is_in_store(files: Any, path: str) -> bool:
    """True if there is something at ``path``; ``exists()`` of some file systems takes every error for a no."""
    try:
        files.info(path)
    except FileNotFoundError as error:
        if says_not_there(error):
            return False
        raise
    return True


def check_writable(url: str) -> None:
    """Write a small file into the folder ``url`` of a store and remove it, before any work is done for files there.

    Raises:
        OutputError: it cannot be written, or there is no such bucket.
        UnreachableError: the store does not answer.
    """
    shown = without_secrets(url)

    def probe() -> None:
        files, folder = file_system(url)
        path = f"{folder.rstrip('/')}/{_PROBE}"
        files.pipe_file(path, b"score writes here")
        try:
            files.rm_file(path)
        except Exception as error:  # who may write may not always remove
            if not is_refusal(error):
                raise

    asked(shown, probe, writing=True)
