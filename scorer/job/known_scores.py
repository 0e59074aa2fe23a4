"""Predictions by text: a table that is filled from earlier outputs and looked up chunk by chunk."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.model.known_rows import KnownRows

_RUN_ROWS = 2**20
"""Rows that are sorted together; a text is looked up in each run."""

_BYTES_IN_MEMORY = 160 * 2**20
"""Bytes of a table that stay in memory; runs beyond lie on the disk."""

_ROW_BYTES_IN_MEMORY = 40
"""Larger rows, as those of models with many labels, lie on the disk from the first one on."""


@dataclass(frozen=True)
class _Run:
    """Rows in the order of ``high``.

    Attributes:
        high, low: uint64 ``(n,)``: the halves of the hash of the text.
        sizes: uint32 ``(n,)``: bytes of the text, modulo 2**32.
        statuses: int8 ``(n,)``.
        probabilities: float32 ``(n, n_labels)``.
    """

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint32]
    statuses: npt.NDArray[np.int8]
    probabilities: npt.NDArray[np.float32]

    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.high, self.low, self.sizes, self.statuses, self.probabilities

    def __len__(self) -> int:
        return len(self.high)


@dataclass
class KnownScores:
    """Predictions by text.

    A text is known by 128 bits of BLAKE2b, salted anew for each table, and by its length: nobody can prepare two texts
    that are taken for one. A row takes ``21 + 4 * n_labels`` bytes, in memory up to 160 MiB and behind that, or if it
    is more than 40 bytes, in a file without a name in ``folder``, so that nothing is left of it after a kill.

    Attributes:
        n_labels: labels of the model.
        folder: folder of the file.
        salt: 16 bytes.
    """

    n_labels: int
    folder: Path
    salt: bytes = field(default_factory=lambda: os.urandom(hashlib.blake2b.SALT_SIZE))
    _runs: list[_Run] = field(default_factory=list)
    _waiting: list[_Run] = field(default_factory=list)
    _file: Any = None

    @classmethod
    def of(cls, tables: Sequence[KnownScores]) -> KnownScores:
        """All rows of finished tables of one salt; the first table that knows a text counts."""
        return replace(tables[0], _runs=[run for table in tables for run in table._runs])

    def __len__(self) -> int:
        return sum(len(run) for run in (*self._runs, *self._waiting))

    def add(
        self,
        texts: pa.LargeStringArray,
        probabilities: npt.NDArray[np.float32],
        statuses: npt.NDArray[np.int8],
    ) -> None:
        """Add rows: ``n`` texts without nulls, float32 ``(n, n_labels)``, int8 ``(n,)``; then call :meth:`finish`.

        Raises:
            OSError: the disk is full.
        """
        high, low, sizes = self._keys(texts)
        self._waiting.append(_Run(high, low, sizes, statuses, probabilities))
        if sum(len(run) for run in self._waiting) >= _RUN_ROWS:
            self.finish()

    def finish(self) -> None:
        """Sort what was added since the last call.

        Raises:
            OSError: the disk is full.
        """
        if not any(len(run) for run in self._waiting):
            return
        columns = [np.concatenate(parts) for parts in zip(*(run.columns() for run in self._waiting), strict=True)]
        self._waiting.clear()
        order = np.argsort(columns[0])
        self._runs.append(_Run(*(self._placed(column[order]) for column in columns)))

    def find(self, texts: pa.LargeStringArray) -> KnownRows:
        """The rows of ``texts`` whose predictions are known."""
        high, low, sizes = self._keys(texts)
        left = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
        found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int8]]] = []
        for run in self._runs:
            places = np.minimum(np.searchsorted(run.high, high[left]), len(run) - 1)
            same = (
                (run.high[places] == high[left]) & (run.low[places] == low[left]) & (run.sizes[places] == sizes[left])
            )
            places = places[same]
            found.append((left[same], run.probabilities[places], run.statuses[places]))
            left = left[~same]
        if not found:
            return KnownRows(left[:0], np.empty((0, self.n_labels), np.float32), np.empty(0, np.int8))
        rows, probabilities, statuses = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(rows)
        return KnownRows(rows[order], probabilities[order], statuses[order])

    def close(self) -> None:
        """Give the memory and the file back."""
        self._runs.clear()
        self._waiting.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        """The table as it travels to other processes: what lies on the disk travels as its content."""
        return {**self.__dict__, "_file": None}

    def _keys(
        self, texts: pa.LargeStringArray
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        """Halves of the hashes of ``texts``, and their lengths; those of a null mean nothing."""
        _, offsets, data = texts.buffers()
        ends = (
            np.frombuffer(offsets, np.int64, len(texts) + 1, 8 * texts.offset) if len(texts) else np.zeros(1, np.int64)
        )
        view = memoryview(b"" if data is None else data)
        blake2b, salt = hashlib.blake2b, self.salt
        digests = b"".join(
            [blake2b(view[begin:end], digest_size=16, salt=salt).digest() for begin, end in pairwise(ends.tolist())]
        )
        halves = np.frombuffer(digests, np.uint64).reshape(-1, 2)
        return halves[:, 0].copy(), halves[:, 1].copy(), np.diff(ends).astype(np.uint32)

    def _placed(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``column`` itself, or the same in the file if the memory has no room for it."""
        in_memory = sum(part.nbytes for run in self._runs for part in run.columns() if part.base is None)
        if in_memory < _BYTES_IN_MEMORY and 21 + 4 * self.n_labels <= _ROW_BYTES_IN_MEMORY:
            return column
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - closed by close()
        begin = -(-self._file.seek(0, os.SEEK_END) // 64) * 64  # aligned for any type
        self._file.seek(begin)
        self._file.write(np.ascontiguousarray(column).data)
        self._file.flush()
        return np.asarray(np.memmap(self._file, column.dtype, "r", begin, column.shape))
