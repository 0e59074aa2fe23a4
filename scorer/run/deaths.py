"""Inputs at which the system killed a run, most likely for want of memory: scored last, and in the end passed over."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from scorer.errors import PassedOverError
from scorer.files.file_marks import Mark
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets
from scorer.run.output_folder import OutputFolder
from scorer.safe_text import in_utf8

log = logging.getLogger(__name__)

_NOTE = ".score.running"

_MOST = 3
"""Runs that may die at one file; later ones pass it over until it changes."""


class Deaths:
    """The file in hand and the deaths of earlier runs, in a note on the folder of the outputs.

    A run that is killed leaves the name of its file there, and the next one counts a death. Nothing is made durable: a
    process that dies takes away nothing that it has written.
    """

    def __init__(self, outputs: OutputFolder) -> None:
        """Read what earlier runs have left in ``outputs``."""
        self._outputs = outputs
        self._noted = outputs.read(_NOTE) or b""
        self._deaths, died_at = _parsed(self._noted)
        if died_at is not None:
            before = self._deaths.get(died_at["name"], {})
            times = before["times"] + 1 if before.get("mark") == died_at["mark"] else 1
            self._deaths[died_at["name"]] = {"mark": died_at["mark"], "times": times}

    def __enter__(self) -> Deaths:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._note(None)

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

    def are_too_many(self, file: InputFile) -> bool:
        """True if ``file`` is passed over."""
        return self._times(file) >= _MOST

    def check(self, file: InputFile) -> None:
        """Check that ``file`` may be scored.

        Raises:
            PassedOverError: too many runs have died there.
        """
        if self.are_too_many(file):
            note = self._outputs.place(_NOTE)
            raise PassedOverError(
                f"passed over: the system has killed {_MOST} runs at this file, most likely for want of memory",
                path=without_secrets(file.path),
                hint=f"score it alone with more memory or a lower --chunk-rows, or remove {note} to try again here",
            )

    def begin(self, file: InputFile) -> None:
        """Note the file in hand."""
        self._note({"name": in_utf8(file.name), "mark": _mark_of(file)})

    def survived(self, file: InputFile) -> None:
        """Forget the deaths at ``file``, which is done."""
        self._deaths.pop(in_utf8(file.name), None)

    def _times(self, file: InputFile) -> int:
        found = self._deaths.get(in_utf8(file.name))
        return found["times"] if found is not None and found["mark"] == _mark_of(file) else 0

    def _note(self, in_hand: dict[str, Any] | None) -> None:
        import orjson

        note = orjson.dumps({"in_hand": in_hand, "deaths": self._deaths}) if in_hand or self._deaths else b""
        if note == self._noted:
            return
        self._noted = note
        if note:
            self._outputs.write(_NOTE, note)
        else:
            self._outputs.clear(_NOTE)


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


def _mark_of(file: InputFile) -> Mark | None:
    """Size and time of a local file, or the mark of an object; ``None`` if neither is known."""
    if is_url(file.path):
        mark: Mark | None = file.mark
        return mark
    try:
        state = os.stat(file.path)  # noqa: PTH116 - also of no path at all
    except (OSError, ValueError):
        return None
    return [state.st_size, state.st_mtime_ns]
