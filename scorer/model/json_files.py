"""The small JSON files beside a model: one object each, or the file is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scorer.disk.paths import is_plain_file
from scorer.errors import ModelError

MAX_BYTES = 64 * 2**20


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in ``path``; ``None`` where there is no such file.

    Raises:
        ModelError: it cannot be read, is larger than 64 MiB, or holds something else.
    """
    if not is_plain_file(path):
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"is larger than {MAX_BYTES >> 20} MiB", path=path)
        value = json.loads(path.read_bytes())
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a character could be written nowhere
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path=path) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is not JSON: {error}", path=path) from error
    if not isinstance(value, dict):
        raise ModelError("is not a JSON object", path=path)
    return value
