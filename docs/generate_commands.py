"""Write docs/commands.md and the tables of docs/environment.md; a test checks that both are current."""

from __future__ import annotations

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
        option.variable(PREFIXES[name]): " / ".join(option.opts[-1:] + option.secondary_opts[-1:]) for option in options
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


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    VARIABLES_PAGE.write_text(with_variables(VARIABLES_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
