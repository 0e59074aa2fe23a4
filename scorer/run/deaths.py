"""Inputs at which the system killed a run, most likely for want of memory: scored last, and in the end passed over."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from scorer.disk.paths import is_there, note_on
from scorer.errors import OutOfMemoryError
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets
from scorer.job.engine import Engine
from scorer.safe_text import in_utf8

log = logging.getLogger(__name__)

_FILE = ".score.running"

_MOST = 3
"""Runs that may die at one file; later ones pass it over until it changes."""


class Deaths:
    """The file in hand and the deaths of earlier runs, in a note on the folder of the outputs, under its lock.

    A run that is killed leaves the name of its file there, and the next one counts a death. Nothing is made durable: a
    process that dies takes away nothing that it has written.
    """

    def __init__(self, folder: Path | None, *, is_dry: bool = False) -> None:
        """Read what earlier runs have left on ``folder``; ``None`` keeps nothing, for outputs in a store.

        With ``is_dry`` nothing is written.
        """
        self._path = None if folder is None else note_on(folder, _FILE)
        self._deaths: dict[str, dict[str, Any]] = {}
        self._file = None
        self._size = 0
        died_at = None
        if self._path is not None and is_dry:
            with suppress(OSError):
                self._deaths, died_at = _parsed(self._path.read_bytes())
        elif self._path is not None:
            with suppress(OSError):  # of another user, say: no reason not to score
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
                self._size = os.fstat(self._file).st_size
                self._deaths, died_at = _parsed(os.pread(self._file, self._size, 0))
        if died_at is not None:
            before = self._deaths.get(died_at["name"], {})
            times = before["times"] + 1 if before.get("mark") == died_at["mark"] else 1
            self._deaths[died_at["name"]] = {"mark": died_at["mark"], "times": times}

    def __enter__(self) -> Deaths:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._file is None or self._path is None:
            return
        with suppress(OSError):
            if self._deaths:
                self._write(None)
            else:
                self._path.unlink(missing_ok=True)
        os.close(self._file)

    def keep(self, files: Iterable[InputFile]) -> None:
        """Forget the deaths at all others than ``files``."""
        names = {in_utf8(file.name) for file in files}
        self._deaths = {name: death for name, death in self._deaths.items() if name in names}

    def in_order(self, targets: Mapping[str, InputFile]) -> dict[str, InputFile]:
        """``targets`` with the files at which runs have died last; the log names these."""
        for file in targets.values():
            times = self._times(file)
            if 0 < times < _MOST:
                said = "a run was killed" if times == 1 else f"{times} runs were killed"
                log.warning(
                    "%s: %s at this file, and nothing is lost; it goes last now", without_secrets(file.path), said
                )
        return dict(sorted(targets.items(), key=lambda item: self._times(item[1])))

    def engine_for(self, file: InputFile, target: str, engine: Callable[[], Engine]) -> Callable[[], Engine]:
        """``engine``, or one that fails if too many runs have died at ``file``: only an output up to date needs none.

        Raises:
            OutOfMemoryError: too many runs have died there, and there is no output.
        """
        if self._times(file) < _MOST:
            return engine
        error = OutOfMemoryError(
            f"passed over: the system has killed {_MOST} runs at this file, most likely for want of memory",
            path=without_secrets(file.path),
            hint=f"score it alone with more memory or a lower --chunk-rows, or remove {self._path} to try again here",
        )
        if not is_there(target):
            raise error

        def refuse() -> Engine:
            raise error

        return refuse

    def begin(self, file: InputFile) -> None:
        """Note the file in hand."""
        if self._file is not None:
            self._write({"name": in_utf8(file.name), "mark": _mark_of(file)})

    def survived(self, file: InputFile) -> None:
        """Forget the deaths at ``file``, which is done."""
        self._deaths.pop(in_utf8(file.name), None)

    def _times(self, file: InputFile) -> int:
        found = self._deaths.get(in_utf8(file.name))
        return found["times"] if found is not None and found["mark"] == _mark_of(file) else 0

    def _write(self, in_hand: dict[str, Any] | None) -> None:
        import orjson

        assert self._file is not None
        data = orjson.dumps({"in_hand": in_hand, "deaths": self._deaths}).ljust(self._size)
        self._size = len(data)
        with suppress(OSError):  # a full disk stops the outputs themselves
            os.pwrite(self._file, data, 0)


def _parsed(data: bytes) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
    """Deaths by name, and the file in hand when the last run died; nothing if ``data`` is of another form."""
    import orjson

    try:
        value = orjson.loads(data)
        deaths = {name: {"mark": one["mark"], "times": int(one["times"])} for name, one in value["deaths"].items()}
        in_hand = value["in_hand"]
        return deaths, None if in_hand is None else {"name": str(in_hand["name"]), "mark": in_hand["mark"]}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}, None


def _mark_of(file: InputFile) -> list[int] | None:
    """Size and time of a local file, which change with it; ``None`` if nobody can tell."""
    if is_url(file.path):
        return None
    try:
        state = os.stat(file.path)  # noqa: PTH116 - also of no path at all
    except (OSError, ValueError):
        return None
    return [state.st_size, state.st_mtime_ns]
