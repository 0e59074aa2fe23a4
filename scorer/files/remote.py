"""Files by URL, through fsspec: ``s3://``, ``gs://``, ``hf://``, ``https://`` and ``memory://``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any, cast

from scorer.errors import InputError, MissingInputError, OutputError, ScorerError, UnreachableError, UsageError
from scorer.files.urls import folder_to_search, has_wildcard, without_secrets

_ON_THIS_MACHINE = ("file", "local", "dir", "simplecache", "filecache", "blockcache")

# Parts of names of classes: each library behind a store (botocore, aiohttp, requests, google.auth) has its own.
_NOT_TRUSTED = ("Certificate", "CertVerification")
_NO_ANSWER = {
    "Timeout": "no answer in time",
    "DNS": "its host name is not known",
    "gaierror": "its host name is not known",
    "Refused": "the connection was refused",
    "ConnectionError": "the connection failed",
    "HTTPClientError": "the connection failed",
    "PayloadError": "the connection broke",
    "ChunkedEncoding": "the connection broke",
    "IncompleteRead": "the connection broke",
    "Transport": "the connection failed",
}
_NO_ACCESS = ("PermissionError", "Credential", "Token", "RefreshError", "GatedRepo", "Forbidden")
_LATER = (408, 425, 429, *range(500, 600))
_DENIED = (401, 403, 407)


def expand_url(url: str) -> list[tuple[str, str]]:
    """The files that a URL of a file, a folder or a glob stands for, each with its path below that.

    Raises:
        MissingInputError: there is none.
        InputError, UnreachableError, UsageError: as :func:`open_url` says.
    """
    shown = without_secrets(url)
    with store_errors(shown):
        files, path = file_system(url)
        base = folder_to_search(path) if has_wildcard(path) else path.rstrip("/")
        # Asked first, because a search takes a store that does not answer for an empty one, and so does isfile().
        about = files.info(base if has_wildcard(path) else path) if base else {}
        if about.get("type") == "file" and path == base:
            return [(url, path.rpartition("/")[2])]
        search = files.glob if has_wildcard(path) else files.find
        matches = search(path, detail=True, **({"on_error": "raise"} if _searches_folders(files) else {}))
        names = sorted(name for name, match in matches.items() if match.get("type", "file") == "file")
        scheme = url.partition("://")[0]
        found = [(f"{scheme}://{name.lstrip('/')}", name[len(base) :].lstrip("/")) for name in names]
    if not found:
        raise MissingInputError("no such file", path=shown, hint="check the URL and what may be read there")
    return found


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
    with store_errors(shown):
        files, path = file_system(url)
        return cast("IO[bytes]", _StoreFile(files.open(path, "rb"), shown))


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
        with store_errors(self._shown):
            return bytes(self._file.read(-1 if size is None else size))

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
    with store_errors(without_secrets(url)):
        files, path = file_system(url)
        files.invalidate_cache()
        about = files.info(path)
    marks = ("ETag", "etag", "md5Hash", "generation", "VersionId", "LastModified", "last_modified", "mtime", "blob_id")
    return {"size": about.get("size"), **{mark: str(about[mark]) for mark in marks if about.get(mark) is not None}}


def url_modified(url: str) -> datetime | None:
    """Time of the last change of a remote file, or ``None`` if its store does not tell.

    Raises:
        InputError, UnreachableError, UsageError: as :func:`open_url` says.
    """
    with store_errors(without_secrets(url)):
        files, path = file_system(url)
        try:
            moment = files.modified(path)
        except NotImplementedError:
            return None
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
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        hint = 'pip install "review-scorer[remote]"'
        raise UsageError("needs packages that are not installed", path=shown, hint=hint) from error
    except ValueError as error:
        hint = "known: s3://, gs://, hf://"
        raise UsageError(f"{scheme}:// is not supported", path=shown, hint=hint) from error
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
        if isinstance(_translated(error, ""), MissingInputError):
            return False
        raise
    return True


@contextmanager
def store_errors(shown: str, *, writing: bool = False) -> Iterator[None]:
    """The boundary to fsspec, whose file systems each raise errors of their own libraries; ``shown`` is the URL."""
    try:
        yield
    except ScorerError:
        raise
    except Exception as error:
        translated = _translated(error, shown)
        if writing and not isinstance(translated, UnreachableError):
            translated = OutputError(
                f"could not be written ({_kind(error)})",
                path=shown,
                hint="check the URL, the network and the credentials",
            )
        raise translated from error


def _translated(error: Exception, shown: str) -> ScorerError:
    """``error`` by its kind and status alone: its text may hold signed URLs and keys."""
    chain = [error, *_behind(error)]
    names = " ".join(kind.__name__ for one in chain for kind in type(one).__mro__)
    names += "".join(f" {_s3_code(one)}" for one in chain) + (
        " Forbidden" if str(error).startswith("Forbidden") else ""
    )
    statuses = [status for one in chain if (status := _status(one))]
    later = [f"it answers with status {status}" for status in statuses if status in _LATER]
    if any(part in names for part in _NOT_TRUSTED):
        hint = "check the URL, the clock of this machine and its certificates"
        return InputError("its certificate is not trusted", path=shown, hint=hint)
    later += [reason for part, reason in _NO_ANSWER.items() if part in names]
    if later:
        return UnreachableError(
            f"cannot be reached: {later[0]}", path=shown, hint="check the URL and the network, or run again later"
        )
    if any(status in _DENIED for status in statuses) or any(part in names for part in _NO_ACCESS):
        return InputError(
            f"may not be read ({_kind(error)})",
            path=shown,
            hint="renew or check the credentials; some stores say so too of what is not there",
        )
    if isinstance(error, FileNotFoundError) or 404 in statuses or 410 in statuses:
        return MissingInputError("no such file", path=shown, hint="check the URL")
    return InputError(
        f"cannot be read ({_kind(error)})", path=shown, hint="check the URL, the network and the credentials"
    )


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """The errors that led to ``error``."""
    for _ in range(20):
        error = None if error is None else error.__cause__ or error.__context__
        if error is None:
            return
        yield error


def _kind(error: Exception) -> str:
    status = next((status for one in [error, *_behind(error)] if (status := _status(one))), 0)
    return f"status {status}" if status else type(error).__name__


def _status(error: BaseException) -> int:
    """The HTTP status that an error states, else 0."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status", None) or getattr(response, "status_code", None) or getattr(error, "code", None)
    return int(found) if str(found).isdecimal() and 400 <= int(found) < 600 else 0


def _s3_code(error: BaseException) -> str:
    """The code of S3, such as ``ExpiredToken``, which comes with status 400."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
