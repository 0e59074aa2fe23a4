"""Work beside other work: one item computed ahead of its use, one call behind its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class _End:
    """Marks that an iterator has ended."""


_END: Final = _End()


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """``items`` in order, each computed by a thread of its own while the one before is in use."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        following = pool.submit(next, items, _END)
        while not isinstance(item := following.result(), _End):
            following = pool.submit(next, items, _END)
            yield item


class OneBehind(Generic[T]):
    """Calls a function in a thread of its own, one call behind: the disk works while the model does.

    A context manager that gives the call.
    """

    def __init__(self, function: Callable[[T], object]) -> None:
        self._function = function
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="behind")
        self._pending: Future[object] | None = None

    def __enter__(self) -> Callable[[T], None]:
        return self._call

    def _call(self, item: T) -> None:
        if self._pending is not None:
            self._pending.result()
        self._pending = self._pool.submit(self._function, item)

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        # What is on its way to the disk is finished either way; its error counts where there is no other.
        self._pool.shutdown(wait=True)
        if self._pending is not None and kind is None:
            self._pending.result()
