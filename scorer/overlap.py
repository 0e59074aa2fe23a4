"""Work in parallel with other work: items computed one ahead of their use, calls made one behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class _End:
    """Marks that an iterator has ended."""


_END: Final = _End()


@contextmanager
def one_ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Give ``items`` in order, each computed in another thread while the one before it is in use.

    The thread ends with the block. It must not end with an iterator, which the garbage collector may close at any
    place: joining a thread while another one starts never returns.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        yield _computed(items, pool)


def _computed(items: Iterator[T], pool: ThreadPoolExecutor) -> Iterator[T]:
    following = pool.submit(next, items, _END)
    while not isinstance(item := following.result(), _End):
        following = pool.submit(next, items, _END)
        yield item


class OneBehind(Generic[T]):
    """Calls a function in another thread, one call behind: the disk works while the model does.

    The context manager gives the function to call.
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
        # The pending call is finished either way; its error is raised if there is no other.
        self._pool.shutdown(wait=True)
        if self._pending is not None and kind is None:
            self._pending.result()
