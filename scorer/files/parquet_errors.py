"""The boundary where errors of pyarrow become errors of a Parquet file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from scorer.errors import InputError, OutOfMemoryError
from scorer.safe_text import first_line

MAX_ROW_GROUP_BYTES = 64 * 2**30
"""Bytes that no row group decompresses to: a larger size is a damaged one."""


@contextmanager
def reading_errors(path: str) -> Iterator[None]:
    """The boundary where errors of pyarrow and the file system become :class:`InputError`."""
    try:
        yield
    except InputError:
        raise
    except pa.ArrowMemoryError as error:
        wanted = re.search(r"\d+", str(error))
        if wanted and int(wanted[0]) > MAX_ROW_GROUP_BYTES:  # no page is as large as a damaged size can say
            raise _damaged(error, path) from error
        hint = "write it with smaller row groups, or score it where there is more memory"
        raise OutOfMemoryError("memory ran out while a row group was read", path=path, hint=hint) from error
    except OSError as error:
        if error.strerror:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from error
        raise _damaged(error, path) from error
    # A damaged file gives pyarrow's own errors, and those of names that are not UTF-8 and numbers out of range.
    except (pa.ArrowException, UnicodeDecodeError, OverflowError, ValueError, KeyError, EOFError) as error:
        raise _damaged(error, path) from error


def _damaged(error: Exception, path: str) -> InputError:
    first = first_line(error)
    if "ncrypted" in first or "ecryption" in first:
        return InputError("is encrypted", path=path, hint="decrypt it first")
    if isinstance(error, pa.ArrowNotImplementedError) or first.startswith("Not yet implemented"):
        return InputError(f"uses a part of Parquet that is not supported: {first}", path=path, hint="write it again")
    reason = first.split(". ")[0].removesuffix(".")
    return InputError(f"is damaged or of another format: {reason}", path=path, hint="copy or write it again")
