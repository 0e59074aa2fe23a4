"""Inputs by URL, through fsspec: ``s3://``, ``gs://``, ``hf://`` and ``memory://``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any

from scorer.errors import InputError, MissingInputError, ScorerError, UsageError
from scorer.files.urls import without_secrets

_MAGIC = "*?["

_ON_THIS_MACHINE = ("file", "local", "dir", "simplecache", "filecache", "blockcache")


def expand_url(url: str) -> list[tuple[str, str]]:
    """The files that a URL of a file, a folder or a glob stands for, each with its path below that.

    Raises:
        InputError: there is none, or the place cannot be reached.
        UsageError: the package for its scheme is not installed.
    """
    with _translated(url):
        files, path = file_system(url)
        if any(char in path for char in _MAGIC):
            base = _before_magic(path)
            matches = sorted(name for name in files.glob(path) if files.isfile(name))
        elif files.isfile(path):
            return [(url, path.rpartition("/")[2])]
        else:
            base = path.rstrip("/")
            matches = sorted(files.find(base))
        scheme = url.partition("://")[0]
        found = [(f"{scheme}://{name.lstrip('/')}", name[len(base) :].lstrip("/")) for name in matches]
    if not found:
        raise MissingInputError(
            "no such file", path=without_secrets(url), hint="check the URL and what may be read there"
        )
    return found


def open_url(url: str) -> IO[bytes]:
    """A URL, opened for reading bytes; it can be read from any place.

    Raises:
        InputError: it is not there or cannot be reached.
        UsageError: the package for its scheme is not installed.
    """
    with _translated(url):
        files, path = file_system(url)
        opened: IO[bytes] = files.open(path, "rb")
        return opened


def url_state(url: str) -> dict[str, Any]:
    """What tells one state of a remote file from another: its size and whatever mark its store gives it.

    Raises:
        InputError: it is not there or cannot be reached.
    """
    with _translated(url):
        files, path = file_system(url)
        files.invalidate_cache()
        about = files.info(path)
    marks = ("ETag", "etag", "md5Hash", "generation", "VersionId", "LastModified", "last_modified", "mtime", "blob_id")
    return {"size": about.get("size"), **{mark: str(about[mark]) for mark in marks if about.get(mark) is not None}}


def url_modified(url: str) -> datetime | None:
    """When a remote file was modified last, as its store says; ``None`` where it does not.

    Raises:
        InputError: it is not there or cannot be reached.
    """
    with _translated(url):
        files, path = file_system(url)
        try:
            moment = files.modified(path)
        except NotImplementedError:
            return None
    if not isinstance(moment, datetime):
        return None
    # fsspec's own rule: what has no offset is in UTC.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        UsageError: its package is not installed, or its scheme is no place for files.
    """
    try:
        import fsspec
    except ImportError as error:
        raise _not_installed(url) from error
    scheme = url.partition("://")[0].lower()
    if scheme in _ON_THIS_MACHINE:
        raise UsageError("is no remote file", path=without_secrets(url), hint="pass a plain path")
    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise _not_installed(url) from error
    except ValueError as error:
        raise UsageError(
            f"{scheme}:// is no place that files are read from",
            path=without_secrets(url),
            hint="known: s3://, gs://, hf://",
        ) from error
    return files, str(path)


def place_of(url: str) -> tuple[str, str]:
    """Which file a URL names, however it is written: two URLs of one file have one place.

    Raises:
        UsageError: as :func:`file_system` says.
    """
    files, path = file_system(url)
    return type(files).__name__, path.strip("/")


def _not_installed(url: str) -> UsageError:
    return UsageError(
        "needs packages that are not installed",
        path=without_secrets(url),
        hint='install them with: pip install "review-scorer[remote]"',
    )


def _before_magic(path: str) -> str:
    first = min(path.index(char) for char in _MAGIC if char in path)
    return path[:first].rpartition("/")[0]


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """The boundary to fsspec, whose file systems each raise errors of their own libraries."""
    try:
        yield
    except ScorerError:
        raise
    except FileNotFoundError as error:
        raise MissingInputError("no such file", path=without_secrets(url), hint="check the URL") from error
    except Exception as error:
        # Their messages may hold signed URLs and keys: the kind of the error is enough.
        raise InputError(
            f"cannot be read ({type(error).__name__})",
            path=without_secrets(url),
            hint="check the URL, the network and the credentials",
        ) from error
