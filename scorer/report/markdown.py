"""The report as Markdown with GitHub's tables."""

from __future__ import annotations

import html
import re

from scorer.evaluation.findings import EvaluationReport
from scorer.report.blocks import excerpt
from scorer.report.full import full_report
from scorer.safe_text import printable

_SHOWN_CHARACTERS = 200

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~@])")


def to_markdown(report: EvaluationReport) -> str:
    """``report`` as Markdown with GitHub's tables; text from files is escaped."""
    parts = ["# Evaluation"]
    for block in full_report(report):
        if block.title:
            parts.append(f"## {_markdown(block.title)}")
        if block.lines:
            parts.append("  \n".join(_markdown(line) for line, _ in block.lines))
        if block.rows:
            rule = [" ---: " if column.right else " --- " for column in block.columns]
            lines = [
                "|" + "|".join(f" {_markdown(column.name)} " for column in block.columns) + "|",
                "|" + "|".join(rule) + "|",
            ]
            lines += ["|" + "|".join(f" {_markdown(cell)} " for cell in row) + "|" for row in block.rows]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _markdown(text: str) -> str:
    one_line = printable(excerpt(text, _SHOWN_CHARACTERS))
    # In a number, minus and point are not markup, and read better unescaped.
    if re.fullmatch(r"[-+]?[\d.,]+%?( to [-+]?[\d.,]+)?", one_line):
        return one_line
    escaped = _MARKUP.sub(r"\\\1", html.escape(one_line, quote=False))
    return re.sub(r"(?<=\w)\\([.\-])(?=\w)", r"\1", escaped)
