"""URLs and wildcards in paths, and paths as messages show them."""

from __future__ import annotations

import os.path
import re
from urllib.parse import urlsplit

from scorer.safe_text import in_utf8

_WILDCARDS = "*?["
_SCHEME = re.compile(r"(?:[A-Za-z0-9+.-]+::)*[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: str) -> bool:
    """True if ``path`` is a URL, for fsspec to open; a drive letter is not a scheme."""
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
        parts.port  # noqa: B018 - raises if a password, not a port, follows the colon
        place = parts.netloc.rpartition("@")[2] + parts.path
    except ValueError:
        place = rest.partition("?")[0].partition("#")[0].rpartition("@")[2] if "@" in rest else "…"
    return in_utf8(f"{scheme}://{place}")


def store_of(url: str) -> str:
    """The host or the bucket of a URL, with its scheme.

    >>> store_of("s3://bucket/reviews/a.csv")
    's3://bucket'
    """
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def has_wildcard(path: str) -> bool:
    """True if ``path`` has a wildcard."""
    return any(char in path for char in _WILDCARDS)


def folder_to_search(pattern: str) -> str:
    """The part of ``pattern`` before the first name with a wildcard.

    >>> folder_to_search("incoming/2026-*/part?.csv")
    'incoming'
    """
    return os.path.dirname(pattern[: min(pattern.index(char) for char in _WILDCARDS if char in pattern)])  # noqa: PTH120
