"""Lines on stderr: plain ones for people, or one JSON object a line for programs that collect logs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scorer.errors import ScorerError
from scorer.safe_text import printable

FORMATS = ("text", "json")


class TextLines(logging.Formatter):
    """The message alone, on one line; an error begins with ``error:``."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of ``record``."""
        return ("error: " if record.levelno >= logging.ERROR else "") + printable(record.getMessage())


class JsonLines(logging.Formatter):
    """One object per record: time, level, event, message, and its fields.

    Event and fields are given to the logger as ``extra={"event": name, "fields": {...}}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of ``record``."""
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        event = getattr(record, "event", "message")
        moment = datetime.fromtimestamp(record.created, UTC)
        return json_line(record.levelname.lower(), event, record.getMessage(), fields, moment=moment)


def json_line(
    level: str, event: str, message: str, fields: Mapping[str, Any] | None = None, *, moment: datetime | None = None
) -> str:
    """One JSON object in ASCII, without a line end; fields that are ``None`` are left out.

    >>> json_line("info", "done", "all is done", {"rows": 3}, moment=datetime(2026, 1, 31, tzinfo=UTC))
    '{"time": "2026-01-31T00:00:00.000Z", "level": "info", "event": "done", "message": "all is done", "rows": 3}'
    """
    moment = moment or datetime.now(UTC)
    value = {
        "time": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z",
        "level": level,
        "event": event,
        "message": printable(message),
    }
    for name, field in (fields or {}).items():
        if field is not None:
            value.setdefault(name, printable(field) if isinstance(field, str) and name != "traceback" else field)
    import json

    return json.dumps(value, default=str)


def error_fields(error: BaseException, exit_code: int) -> dict[str, Any]:
    """Fields of a line about ``error``, beside its message."""
    fields: dict[str, Any] = {"exit_code": exit_code, "error": type(error).__name__}
    if isinstance(error, ScorerError):
        fields |= {"file": error.path, "row": error.row, "line": error.line, "hint": error.hint}
    return fields
