"""The boundary where errors of saving a part of a checkpoint become one of ours; light to import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from scorer.errors import OutputError
from scorer.safe_text import first_line


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn the errors with which each library fails to save a part of ``path`` into one of ours.

    Raises:
        OutputError: it could not be written.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise OutputError(
            f"the checkpoint could not be written: {reason}",
            path=path,
            hint="make room, then run the same command again",
        ) from error
