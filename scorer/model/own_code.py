"""Models that ask for code of their own: refused before any library that could run it sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scorer.errors import ModelError
from scorer.model.hub import download
from scorer.model.json_files import read_object

_FILES = ("config.json", "tokenizer_config.json")

_KEYS = (
    "auto_map",
    "custom_pipelines",
    "trust_remote_code",
    "configuration_files",  # names other files, which transformers reads in place of config.json
)


def refuse_own_code(model: str | Path) -> None:
    """Refuse a model whose configuration, at any depth, names code to run; ``model`` is a folder or a Hub id.

    Besides the keys for that, an attention implementation that is a repository of kernels is such a name:
    ``transformers`` fetches and runs it whatever ``trust_remote_code`` says (CVE-2026-4372).

    Raises:
        ModelError: it does, a file cannot be read, or the Hub has no such model or cannot be reached.
    """
    folder = Path(model) if Path(model).is_dir() else download(str(model), _FILES)
    for path in (folder / name for name in _FILES):
        key = _named_code(read_object(path))
        if key is not None:
            raise ModelError(
                f"asks for code of its own: {key!r:.60}",
                path=path,
                hint="no command runs that; if the architecture is one of transformers itself, remove the entry",
            )


def _named_code(config: Any) -> str | None:
    """The first key that names code."""
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if (key in _KEYS and item) or ("attn_implementation" in key and _names_repository(item)):
                    return str(key)
        left += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return None


def _names_repository(value: Any) -> bool:
    if isinstance(value, dict | list):  # one for each part of the model
        return any(map(_names_repository, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and "/" in value
