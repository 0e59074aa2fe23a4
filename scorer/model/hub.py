"""Models from the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scorer.errors import ModelError


def download(hub_id: str, patterns: Sequence[str], *, revision: str | None = None) -> Path:
    """Download the files of ``hub_id`` that match ``patterns``, and return their folder in the cache of the Hub.

    Raises:
        ModelError: ``huggingface_hub`` is not installed, or the Hub has no such model or cannot be reached.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(
            "is not a folder, and a Hub id needs huggingface_hub",
            path=hub_id,
            hint='pip install "review-scorer[remote]", or pass a folder',
        ) from error
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"is not a folder and could not be downloaded from the Hub ({type(error).__name__})",
            path=hub_id,
            hint="check the name and the network, or pass a folder",
        ) from error
