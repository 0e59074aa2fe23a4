"""SIGTERM and SIGINT: raised where the program stands, or held back while files change their names."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM arrived. Not an ``Exception``, so that nothing but the edge takes it for a failure."""


PATIENCE_SECONDS = 10.0
"""For what a signal ends to be put in order: another one within this time changes nothing."""

_arrived: list[type[BaseException]] = []

_since = 0.0

_all_is_done = False


def install() -> None:
    """From now on SIGTERM raises :class:`Terminated` in the main thread, and SIGINT ``KeyboardInterrupt``."""
    global _all_is_done
    _all_is_done = False
    _arrived.clear()
    signal.signal(signal.SIGTERM, _raise)
    # Where a shell has put the command into the background, SIGINT is not meant for it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _raise)


def arrived() -> type[BaseException] | None:
    """What has arrived before, though another error may have come of it: a library's, that was being imported."""
    return _arrived[0] if _arrived else None


def check() -> None:
    """Raise what has arrived before.

    An exception that a signal raises inside a finalizer is printed and lost; long loops ask here.
    """
    if _arrived:
        raise _arrived[0]


def ignore() -> None:
    """From now on neither signal does anything: the process is about to leave, and its exit code stands."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def held_back(*, forget: bool) -> Iterator[None]:
    """Within the block both signals only take note of themselves.

    With ``forget``, one that came is forgotten when the block ends well, and so is every one that comes
    behind it: what they were to stop is done. Without, or when the block fails, it is raised at the end.
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
