"""Write docs/commands.md, the tables of docs/environment.md and the anchors of docs/errors.md; a test checks all."""

from __future__ import annotations

import re
from pathlib import Path

from export.card_cli import model_card
from export.cli import export_model
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.grouped_help import GroupedOption
from scorer.commands.score import score
from train.cli import train_model

COMMANDS = {
    "score": score,
    "evaluate-labels": evaluate_labels,
    "train-model": train_model,
    "export-model": export_model,
    "model-card": model_card,
}

PREFIXES = {
    "score": "SCORER",
    "evaluate-labels": "SCORER",
    "train-model": "TRAIN_MODEL",
    "export-model": "EXPORT_MODEL",
    "model-card": "MODEL_CARD",
}
"""What the variables of each command begin with; a test compares them with what the commands read."""

PAGE = Path(__file__).parent / "commands.md"

VARIABLES_PAGE = Path(__file__).parent / "environment.md"

ERRORS_PAGE = Path(__file__).parent / "errors.md"

ERRORS_TABLE = Path(__file__).parents[1] / "scorer" / "commands" / "error_pages.tsv"

_ROW = re.compile(r'\| (?:<a id="([^"]+)"></a>)?(`.+?` \| .+ \|)')

_ANCHOR_CHARACTERS = 60

_MARKS = ("<!-- made by `make docs` -->\n", "<!-- end -->\n")


def reference() -> str:
    """The page: each command with what its --help prints, at 100 columns."""
    parts = ["# Commands\n\nWhat `--help` prints; made by `make docs`.\n"]
    for name, command in COMMANDS.items():
        # As the console does, so that the command's own settings apply.
        context = command.make_context(name, [], resilient_parsing=True, terminal_width=100)
        parts.append(f"## {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def variables(name: str) -> dict[str, str]:
    """The variable and the option of everything that can be set for a command."""
    options = [parameter for parameter in COMMANDS[name].params if isinstance(parameter, GroupedOption)]
    return {
        option.variable(PREFIXES[name]): " / ".join(option.opts[-1:] + option.secondary_opts[-1:])
        for option in options
        if option.allow_from_autoenv
    }


def with_variables(page: str) -> str:
    """``page`` with the tables of variables between its two marks."""
    before, begin, rest = page.partition(_MARKS[0])
    _, end, after = rest.partition(_MARKS[1])
    parts = []
    for name in COMMANDS:
        rows = [f"| `{variable}` | `{option}` |" for variable, option in variables(name).items()]
        parts.append("\n".join([f"\n### {name}\n", "| variable | option |", "|---|---|", *rows, ""]))
    return before + begin + "".join(parts) + "\n" + end + after


def with_anchors(page: str) -> str:
    """``page`` of errors with an anchor in each row that has none; one that is there never changes."""
    lines, code, seen = [], "", set(re.findall(r'<a id="([^"]+)"', page))
    told: set[tuple[str, str]] = set()
    for line in page.splitlines():
        if line.startswith("## "):
            code = line[3:].partition(":")[0]
        row = _ROW.fullmatch(line)
        if row is None or not code.isdecimal() or (code, _message(row[2])) in told:
            lines.append(line)
            continue
        told.add((code, _message(row[2])))
        anchor = row[1] or _new_anchor(code, _message(row[2]), seen)
        seen.add(anchor)
        lines.append(f'| <a id="{anchor}"></a>{row[2]}')
    return "\n".join(lines) + "\n"


def _message(cells: str) -> str:
    return cells[1:].partition("` |")[0].replace("\\|", "|")


def _new_anchor(code: str, message: str, taken: set[str]) -> str:
    words = "-".join([code, *re.findall("[a-z0-9]+", message.lower())])
    base = words if len(words) <= _ANCHOR_CHARACTERS else words[:_ANCHOR_CHARACTERS].rpartition("-")[0]
    return next(name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}-{n}") not in taken)


def errors_table(page: str) -> str:
    """Exit code, anchor and message of every row of ``page`` that has an anchor, a line each."""
    rows = [row for line in page.splitlines() if (row := _ROW.fullmatch(line)) and row[1]]
    return "".join(f"{row[1].partition('-')[0]}\t{row[1]}\t{_message(row[2])}\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    VARIABLES_PAGE.write_text(with_variables(VARIABLES_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    ERRORS_PAGE.write_text(with_anchors(ERRORS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    ERRORS_TABLE.write_text(errors_table(ERRORS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
