"""The command ``model-card``: the model card of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

from scorer.commands.console import run
from scorer.commands.grouped_help import GroupedCommand, complete_folders, option, with_options
from scorer.commands.outcomes import exit_codes
from scorer.commands.shared_options import COMMON_OPTIONS, LocalPath

EPILOG = """\b
Examples:
  model-card my-bundle -o model-card.md
  evaluate-labels labelled.csv --model my-bundle --json figures.json
  model-card my-bundle --metrics figures.json -o model-card.md

""" + exit_codes(0, 1, 2, 3, 4, 5)


@click.command("model-card", cls=GroupedCommand, epilog=EPILOG)
@click.argument("bundle", type=LocalPath(), shell_complete=complete_folders)
@option(
    "--metrics",
    group="Input",
    multiple=True,
    type=LocalPath(),
    metavar="FILE",
    help="What `evaluate-labels --json` wrote about the bundle; repeatable.",
)
@option(
    "--notes",
    group="Input",
    type=LocalPath(),
    metavar="FILE",
    help="Markdown of your own for the end, such as limits.",
)
@option("-o", "--output", group="Output", type=LocalPath(), help="File to write. [default: stdout]")
@option("--overwrite", group="Output", is_flag=True, help="Replace an existing file.")
@with_options(*COMMON_OPTIONS)
def model_card(
    bundle: Path,
    metrics: tuple[Path, ...],
    notes: Path | None,
    output: Path | None,
    overwrite: bool,
    quiet: bool,
    verbose: int,
    debug: bool,
) -> None:
    """Write the model card of a bundle from what was recorded about it."""
    from export.model_card import render_card
    from scorer.disk.paths import require_folder
    from scorer.errors import OutputExistsError
    from scorer.report.files import write_text

    if output is not None and output.is_file() and not overwrite:
        raise OutputExistsError("already exists", path=output, hint="pass --overwrite to replace it")
    if output is not None:
        require_folder(output.absolute().parent)
    text = render_card(bundle, metrics=metrics, notes=notes)
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(text, output)
    if not quiet:
        click.echo(f"wrote {output}", err=True)


def main() -> NoReturn:
    """Entry point of the console script ``model-card``."""
    run(model_card, env_prefix="MODEL_CARD")
