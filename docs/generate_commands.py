"""Writes docs/commands.md from the commands' own --help; a test checks that it is current."""

from __future__ import annotations

from pathlib import Path

from export.card_cli import model_card
from export.cli import export_model
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from train.cli import train_model

COMMANDS = {
    "score": score,
    "evaluate-labels": evaluate_labels,
    "train-model": train_model,
    "export-model": export_model,
    "model-card": model_card,
}

PAGE = Path(__file__).parent / "commands.md"


def reference() -> str:
    """The page: each command with what its --help prints, at 100 columns."""
    parts = ["# Commands\n\nWhat `--help` prints; made by `make docs`.\n"]
    for name, command in COMMANDS.items():
        # As the console does, so that the command's own settings apply.
        context = command.make_context(name, [], resilient_parsing=True, terminal_width=100)
        parts.append(f"## {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
