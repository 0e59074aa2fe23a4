"""Bundles from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from scorer.errors import ModelError


def download(hub_id: str) -> Path:
    """The folder of the bundle ``hub_id`` in the local cache of the Hub, downloaded if need be.

    Raises:
        ModelError: ``huggingface_hub`` is not installed, or the Hub has no such bundle or cannot be reached.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(
            "is no folder, and a Hub id needs huggingface_hub",
            path=hub_id,
            hint="install review-scorer[remote], or pass a folder",
        ) from error
    patterns = ["*.json", "*.onnx", "onnx/*.onnx"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"is no folder and cannot be had from the Hub ({type(error).__name__})",
            path=hub_id,
            hint="check the name and the network, or pass a folder",
        ) from error
