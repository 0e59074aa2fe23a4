"""Ray kept from printing, and from taking over the signals of this process."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

log = logging.getLogger(__name__)

_STDERR = 2


@contextmanager
def signals_kept() -> Iterator[None]:
    """The handlers of signals as they are: Ray puts its own in their place, which leave with another code."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        with suppress(ValueError):  # of the main thread alone
            for number, handler in before.items():
                signal.signal(number, handler)

    try:
        yield
    except SystemExit:  # what Ray's handler raises
        restore()
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        restore()


@contextmanager
def without_noise() -> Iterator[None]:
    """Ray silent, unless the log tells everything: what goes wrong comes as one line of ours.

    Parts of Ray write to the descriptor of stderr, past every logger: for the time of the block that
    leads nowhere, and Python's own stderr to where it led before.
    """
    if logging.getLogger().isEnabledFor(logging.INFO):  # -vv
        yield
        return
    with ExitStack() as stack:
        for name in ("ray", "ray.data"):
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_descriptor_of_stderr_closed())
        yield


@contextmanager
def _descriptor_of_stderr_closed() -> Iterator[None]:
    before = sys.stderr
    try:
        before.flush()
        is_descriptor = before.fileno() == _STDERR
        kept = os.dup(_STDERR)
    except (AttributeError, OSError, ValueError):  # none, closed, or somebody's own
        yield
        return
    with ExitStack() as stack:
        stack.callback(os.close, kept)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        stack.callback(os.dup2, kept, _STDERR)
        if is_descriptor:
            now = open(kept, "w", encoding=before.encoding, errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
            stack.callback(_swap_stderr, now, before)
            _swap_stderr(before, now)
        yield


def _swap_stderr(before: TextIO, after: TextIO) -> None:
    before.flush()
    sys.stderr = after
    for name in ("scorer", "train", "export"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                handler.setStream(after)


class ToLog(io.TextIOBase):
    """A stdout whose lines go to the log of those who want to know everything."""

    def write(self, text: str) -> int:
        """Log each line of ``text`` that is not blank."""
        for line in text.splitlines():
            if line.strip():
                log.debug("%s", line.strip())
        return len(text)
