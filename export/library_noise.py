"""The libraries below talk a lot; what matters of it is checked by us and said in our own words."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep tracer, deprecation and progress notes of torch, transformers and onnxruntime off the terminal.

    With ``-vv`` the root logger has a handler, and everything is let through.
    """
    if logging.getLogger().handlers:
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
