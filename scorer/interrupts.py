"""SIGTERM and SIGINT: raised as exceptions at once, or held back while files are renamed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM arrived; not an ``Exception``, so that only the edge handles it."""


PATIENCE_SECONDS = 10.0
"""Time to clean up after a signal: another one within this time is ignored."""

_arrived: list[type[BaseException]] = []
_since = 0.0
_all_is_done = False


def install() -> None:
    """Make SIGTERM raise :class:`Terminated` in the main thread, and SIGINT ``KeyboardInterrupt``."""
    global _all_is_done
    _all_is_done = False
    _arrived.clear()
    signal.signal(signal.SIGTERM, _raise)
    # A shell that puts the command into the background has it ignore SIGINT.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _raise)


def arrived() -> type[BaseException] | None:
    """Exception of the last signal, even if it ended in another error: of a library that was being imported."""
    return _arrived[0] if _arrived else None


def check() -> None:
    """Raise the exception of a signal that arrived earlier.

    An exception that a signal raises inside a finalizer is printed and lost, so long loops call this.
    """
    if _arrived:
        raise _arrived[0]


def ignore() -> None:
    """Ignore both signals from now on: the process is about to exit, and its exit code is final."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def held_back(*, forget: bool) -> Iterator[None]:
    """Hold both signals back during the block.

    With ``forget``, a signal is forgotten if the block succeeds, and so is every later one: the work that
    they would stop is done. Without it, or if the block fails, the signal is raised at the end.
    """
    global _all_is_done
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
        _all_is_done = _all_is_done or forget
    except BaseException:
        forget = False
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came and not forget:
            signal.raise_signal(came[0])


def _raise(number: int, _frame: FrameType | None) -> None:
    global _since
    if _all_is_done or (_arrived and time.monotonic() - _since < PATIENCE_SECONDS):
        return
    _since = time.monotonic()
    _arrived.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
    raise _arrived[-1]
