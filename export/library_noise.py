"""Silence for the libraries below: this package checks what matters of their warnings, and says it itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep tracer, deprecation and progress notes of torch, transformers and onnxruntime off the terminal.

    With ``-vv``, which gives the root logger a handler, all of them pass.
    """
    if not all(isinstance(handler, logging.NullHandler) for handler in logging.getLogger().handlers):
        yield
        return
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
