"""Models from the Hugging Face Hub."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import ModelError

log = logging.getLogger(__name__)


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
    log.info("%s: asking the Hugging Face Hub", hub_id)
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"is not a folder and could not be downloaded from the Hub ({_reason(error)})",
            path=hub_id,
            hint="check the name and the network, or download it elsewhere and pass the folder",
        ) from error


def _reason(error: Exception) -> str:
    """The reason for a failed download in a few words; each is the name of a class otherwise."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    if isinstance(error, RepositoryNotFoundError):
        return "it has no such model, or a private one"
    if isinstance(error, HFValidationError):
        return "this is no name of a model"
    if isinstance(error, LocalEntryNotFoundError | ConnectionError | TimeoutError):
        return "huggingface.co does not answer, and the cache does not have it"
    return type(error).__name__
