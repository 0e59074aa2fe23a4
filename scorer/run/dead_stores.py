"""Stores that do not answer any more: a run does not wait for them again at each of its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scorer.errors import UnreachableError
from scorer.files.urls import is_url, store_of, without_secrets
from scorer.safe_text import counted

_MOST = 3
"""Files one after another at which a store did not answer, before it is asked for no other."""


class DeadStores:
    """The stores of a run, by the number of files in a row at which each of them did not answer."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    @contextmanager
    def watched(self, path: str, target: str) -> Iterator[None]:
        """Watch the stores of an input and of its output during the job between them.

        Raises:
            UnreachableError: one did not answer at the last files; the job does not begin.
        """
        stores = {store_of(url) for url in (path, target) if is_url(url)}
        if any(self._failures.get(store, 0) >= _MOST for store in stores):
            what = f"is not tried: its store did not answer for {counted(_MOST, 'file')} one after another"
            raise UnreachableError(what, path=without_secrets(path), hint="run again later")
        before = {store: self._failures.pop(store, 0) for store in stores}
        try:
            yield
        except UnreachableError:
            self._failures.update({store: number + 1 for store, number in before.items()})
            raise
