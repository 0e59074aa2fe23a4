"""Inputs by URL, through fsspec: ``s3://``, ``gs://``, ``hf://`` and ``memory://``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any

from scorer.errors import InputError, MissingInputError, ScorerError, UsageError
from scorer.files.urls import folder_to_search, has_wildcard, without_secrets

_ON_THIS_MACHINE = ("file", "local", "dir", "simplecache", "filecache", "blockcache")


def expand_url(url: str) -> list[tuple[str, str]]:
    """The files that a URL of a file, a folder or a glob stands for, each with its path below that.

    Raises:
        InputError: there is none, or the store cannot be reached.
        UsageError: the package for its scheme is not installed.
    """
    with _file_in_store(url) as (files, path):
        if has_wildcard(path):
            base = folder_to_search(path)
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
    """Open a URL for reading bytes from any place.

    Raises:
        InputError: it is not there or cannot be reached.
        UsageError: the package for its scheme is not installed.
    """
    with _file_in_store(url) as (files, path):
        file: IO[bytes] = files.open(path, "rb")
        return file


def url_state(url: str) -> dict[str, Any]:
    """Size of a remote file and the marks that its store gives it; they change with its content.

    Raises:
        InputError: it is not there or cannot be reached.
    """
    with _file_in_store(url) as (files, path):
        files.invalidate_cache()
        about = files.info(path)
    marks = ("ETag", "etag", "md5Hash", "generation", "VersionId", "LastModified", "last_modified", "mtime", "blob_id")
    return {"size": about.get("size"), **{mark: str(about[mark]) for mark in marks if about.get(mark) is not None}}


def url_modified(url: str) -> datetime | None:
    """Time of the last change of a remote file, or ``None`` if its store does not tell.

    Raises:
        InputError: it is not there or cannot be reached.
    """
    with _file_in_store(url) as (files, path):
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
        raise UsageError("is no remote file", path=shown, hint="pass a plain path")
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        hint = 'install them with: pip install "review-scorer[remote]"'
        raise UsageError("needs packages that are not installed", path=shown, hint=hint) from error
    except ValueError as error:
        hint = "known: s3://, gs://, hf://"
        raise UsageError(f"{scheme}:// is no place that files are read from", path=shown, hint=hint) from error
    return files, str(path)


def place_of(url: str) -> tuple[str, str]:
    """Store and path of a URL; two URLs of one file have the same, however they are written.

    Raises:
        UsageError: as :func:`file_system` says.
    """
    files, path = file_system(url)
    return type(files).__name__, path.strip("/")


@contextmanager
def _file_in_store(url: str) -> Iterator[tuple[Any, str]]:
    """:func:`file_system`, and the boundary to fsspec, whose file systems each raise errors of their own libraries."""
    try:
        yield file_system(url)
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
