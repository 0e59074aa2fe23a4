"""Work done ahead of its use."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

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
