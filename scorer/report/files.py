"""The report as JSON, and writing reports to files."""

from __future__ import annotations

import json
from pathlib import Path

from scorer.disk.durable import write_durably, write_errors
from scorer.evaluation.findings import EvaluationReport


def to_json_text(report: EvaluationReport) -> str:
    """``report`` as indented JSON, ending in a line break and safe to print."""
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    # All unprintable characters except line breaks are inside strings.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text) + "\n"


def write_json(report: EvaluationReport, path: Path) -> None:
    """Write ``report`` to ``path`` as JSON, see :func:`write_text`."""
    write_text(to_json_text(report), path)


def write_text(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` in UTF-8, whole or not at all, replacing any file there.

    Raises:
        OutputError: it could not be written.
    """
    data = text.encode("utf-8")
    path = path.resolve()
    with write_errors(path):
        # A device or a pipe cannot be replaced, and /dev/null must not be.
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            write_durably(path, data, locked=False)
