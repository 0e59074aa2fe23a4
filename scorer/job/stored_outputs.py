"""The outputs in a folder of a store, listed once, so that a night with nothing new asks for few of them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from scorer.errors import ScorerError
from scorer.files.beside_outputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.file_marks import Mark, mark_in_store
from scorer.files.remote import file_system
from scorer.files.store_errors import asked, store_errors
from scorer.files.urls import without_secrets
from scorer.job.provenance import in_footer

log = logging.getLogger(__name__)

_SIDE_BY_SIDE = 16
"""Requests at a time."""

_FOOTER = 64 * 1024
"""Bytes at the end of a Parquet file that are asked for first; a longer footer is a second request."""


class StoredOutputs:
    """A folder of a store, as its listing shows it."""

    def __init__(self, url: str) -> None:
        """List the folder.

        Raises:
            UnreachableError, OutputError: it cannot be listed.
        """
        self._shown = without_secrets(url)
        self._store, self._base = file_system(url)
        self._about = asked(self._shown, self._listing, writing=True)

    def refresh(self) -> None:
        """List the folder anew; what cannot be listed counts as unchanged."""
        with self._unless_it_fails(""):
            self._about = self._listing()

    def _listing(self) -> dict[str, Mapping[str, Any]]:
        self._store.invalidate_cache()
        try:
            return dict(self._store.find(self._base.rstrip("/"), detail=True))
        except FileNotFoundError:
            return {}

    def name(self, target: str) -> str:
        """Path of an output below the folder."""
        return self._path(target).removeprefix(self._base.rstrip("/") + "/")

    def holds(self, name: str) -> bool:
        """True if the listing has the file ``name``."""
        return self._in_folder(name) in self._about

    def marks(self, target: str, suffixes: Sequence[str]) -> dict[str, Mark | None]:
        """Marks of an output and of the files beside it that are there, by suffix."""
        path = self._path(target)
        return {
            suffix: mark_in_store(self._about[path + suffix]) for suffix in suffixes if path + suffix in self._about
        }

    def place(self, name: str) -> str:
        """URL of a small file in the folder."""
        return f"{self._shown.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes | None:
        """Content of a small file in the folder; ``None`` if it is not there or cannot be read."""
        if not self.holds(name):
            return None
        with suppress(ScorerError), store_errors(self._shown):
            return bytes(self._store.cat_file(self._in_folder(name)))
        return None

    def write(self, name: str, data: bytes) -> None:
        """Write a small file in the folder."""
        with self._unless_it_fails(name):
            self._store.pipe_file(self._in_folder(name), data)

    def clear(self, name: str) -> None:
        """Remove a small file from the folder."""
        with self._unless_it_fails(name):
            self._store.rm_file(self._in_folder(name))

    def provenances(self, targets: Sequence[str]) -> dict[str, tuple[bytes | None, int, bool]]:
        """Sealed text, size and whether there are rejects of those of ``targets`` that are there, side by side.

        One request each; a second for a long footer. What cannot be read has no text.
        """
        from concurrent.futures import ThreadPoolExecutor

        there = [target for target in targets if self._path(target) in self._about]
        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="store") as pool:
            return dict(zip(there, pool.map(self._provenance, there), strict=True))

    def _provenance(self, target: str) -> tuple[bytes | None, int, bool]:
        path = self._path(target)
        size, text = int(self._about[path].get("size") or 0), None
        with suppress(ScorerError), store_errors(self._shown):
            if path + PROVENANCE_SUFFIX in self._about:
                text = bytes(self._store.cat_file(path + PROVENANCE_SUFFIX)).removesuffix(b"\n")
            else:
                text = in_footer(io.BytesIO(self._end_of(path, size)))
        return text, size, path + REJECTS_SUFFIX in self._about

    def _end_of(self, path: str, size: int) -> bytes:
        """The end of a file of ``size`` bytes with the whole footer of Parquet."""
        data = bytes(self._store.cat_file(path, start=max(0, size - _FOOTER), end=size))
        footer = int.from_bytes(data[-8:-4], "little") + 8
        if len(data) < footer <= size:
            data = bytes(self._store.cat_file(path, start=size - footer, end=size))
        return data

    @contextmanager
    def _unless_it_fails(self, name: str) -> Iterator[None]:
        try:
            with store_errors(self.place(name), writing=True):
                yield
        except ScorerError as error:
            log.debug("%s", error)

    def _path(self, target: str) -> str:
        return str(self._store._strip_protocol(target))

    def _in_folder(self, name: str) -> str:
        return f"{self._base.rstrip('/')}/{name}"
