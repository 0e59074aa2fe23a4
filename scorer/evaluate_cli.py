"""The command ``evaluate-labels``: parse, call one function, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from scorer.console import common_options, printable, run, set_up_logging

EPILOG = """\b
Examples:
  evaluate-labels labelled.parquet
  evaluate-labels labelled.csv --text-column review --model my-bundle
  evaluate-labels preds.parquet --min-accuracy 0.92 --min-f1 0.92
  evaluate-labels preds.parquet --labels gold.csv --on id
  evaluate-labels preds.parquet --json - | jq .figures.f1.value

Exit codes: 0 done, 1 a fault of ours, 2 usage, 3 bad input data, 4 bad model or device,
5 output could not be written, 7 out of memory, 8 a gate was not met.
"""


@click.command(
    "evaluate-labels",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--label-column",
    metavar="NAME",
    help="Column with the gold labels: names or ids. [default: the first of label, sentiment, gold, target]",
)
@click.option(
    "--labels",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File with the gold labels, where FILE... do not have them; needs --on.",
)
@click.option("--on", metavar="NAME", help="Column of ids that FILE... and --labels both have.")
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Leave out, and count, rows and labels whose id the other file does not have.",
)
@click.option(
    "--positive",
    metavar="LABEL",
    help="Label, by name or id, that precision, recall and F1 are of. [default: the second of two]",
)
@click.option("--prefix", default="pred_", show_default=True, help="Prefix of the columns with predictions.")
@click.option(
    "--text-column",
    metavar="NAME",
    help="Column with the text, where there are no predictions yet."
    " [default: the one named text, review, content, sentence, comment or body]",
)
@click.option(
    "--model", metavar="BUNDLE", help="A bundle folder or a Hub id that scores. [default: the model inside the package]"
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="auto, cpu, cuda or cuda:N; an explicit cuda that cannot run is an error.",
)
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "fp32", "fp16", "int8"]),
    help="auto is fp16 on CUDA and int8 on the CPU.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Reviews scored side by side on the CPU. [default: the CPUs that this process may use]",
)
@click.option(
    "--batch-tokens",
    default=16384,
    show_default=True,
    type=click.IntRange(min=1),
    help="Tokens per batch, where there are batches.",
)
@click.option("--min-accuracy", type=float, metavar="SHARE", help="Gate: exit 8 if accuracy is below, 0 to 1.")
@click.option(
    "--min-f1",
    type=float,
    metavar="SHARE",
    help="Gate: exit 8 if F1 is below, 0 to 1; of the positive label, or macro F1 where there is none.",
)
@click.option(
    "--json",
    "json_path",
    metavar="FILE|-",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the report as JSON, also when a gate is not met; - is stdout, in place of the tables.",
)
@common_options
def evaluate_labels(
    files: tuple[Path, ...], json_path: Path | None, quiet: bool, verbose: int, debug: bool, **options: Any
) -> None:
    """Compare predictions with gold labels: accuracy, precision, recall, F1, confusion matrix.

    FILE has predictions (the column pred_label), or text that is scored first. A row with a gold
    label but no prediction, as for an empty text, is counted as unscored and left out.
    """
    set_up_logging(quiet=quiet, verbose=verbose)
    from scorer import evaluation, report
    from scorer.progress import progress_for_stderr

    chosen = evaluation.EvaluateOptions(**options)
    to_stdout = json_path == Path("-")
    if json_path is not None and not to_stdout:
        report.check_json_destination(json_path, [*files, *([Path(chosen.labels)] if chosen.labels else [])])
    found = evaluation.evaluate_labels(files, options=chosen, progress=progress_for_stderr(quiet=quiet))
    report.print_report(found, sys.stdout, as_json=to_stdout)
    if json_path is not None and not to_stdout:
        report.write_json(found, json_path)
    errors = found.gate_errors()
    for error in errors[:-1]:
        click.echo(f"error: {printable(str(error))}", err=True)
    if errors:
        raise errors[-1]


def evaluate_main() -> NoReturn:
    """Entry point of the console script ``evaluate-labels``."""
    run(evaluate_labels, env_prefix="SCORER")
