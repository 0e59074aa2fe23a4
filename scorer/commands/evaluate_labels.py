"""The command ``evaluate-labels``: parse, call one function, print."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from scorer.commands.console import (
    LocalPath,
    common_options,
    log_error,
    log_format_option,
    logs_json,
    run,
    set_up_logging,
)
from scorer.commands.grouped_help import GroupedCommand, complete_folders, option
from scorer.commands.outcomes import exit_codes
from scorer.commands.shared_options import reading_options, session_options
from scorer.errors import UsageError

log = logging.getLogger(__name__)

EPILOG = """\b
Examples:
  evaluate-labels labelled.parquet
  evaluate-labels labelled.csv --text-column review --model my-bundle
  evaluate-labels preds.parquet --min-accuracy 0.92 --min-f1 0.92
  evaluate-labels preds.parquet --labels gold.csv --on id
  evaluate-labels preds.parquet --slice-by genre --markdown report.md
  evaluate-labels preds.csv --baseline old.csv --on id --max-drop 0.005
  evaluate-labels preds.parquet --at-precision 0.95 --write-threshold bundle
  evaluate-labels new.csv --drift kept.parquet --write-baseline kept.parquet
  evaluate-labels new.parquet --min-expected-accuracy 0.9 --review-queue q.csv
  evaluate-labels preds.parquet --report report.html --mistakes-file wrong.csv
  evaluate-labels preds.parquet --json - | jq .figures.f1.value

""" + exit_codes(0, 1, 2, 3, 4, 5, 7, 8, 9)


@click.command(
    "evaluate-labels",
    cls=GroupedCommand,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=LocalPath())
@option(
    "--label-column",
    group="Labels",
    metavar="NAME",
    help="Column with the gold labels: names or ids. [default: the first of label, sentiment, gold, target]",
)
@option(
    "--label-map",
    group="Labels",
    metavar="MAP|FILE",
    help="Gold labels as people write them: 1=negative,5=positive,3= or a file of such lines; an empty label leaves"
    " rows out.",
)
@option(
    "--labels",
    group="Labels",
    metavar="FILE",
    type=LocalPath(),
    help="File with the gold labels, if FILE... have none; needs --on.",
)
@option("--on", group="Labels", metavar="NAME", help="Column of ids that FILE... and --labels or --baseline both have.")
@option(
    "--allow-missing",
    group="Labels",
    is_flag=True,
    help="Leave out, and count, rows whose id is missing in the other file.",
)
@option(
    "--positive",
    group="Labels",
    metavar="LABEL",
    help="Label, by name or id, to compute precision, recall and F1 for. [default: the second of two]",
)
@reading_options
@option("--prefix", group="Input", default="pred_", show_default=True, help="Prefix of the columns with predictions.")
@option(
    "--text-column",
    group="Input",
    metavar="NAME",
    help="Column with the text: to be scored, or to be shown beside mistakes."
    " [default: the one named text, review, content, sentence, comment or body]",
)
@option(
    "--model",
    group="Model",
    shell_complete=complete_folders,
    metavar="BUNDLE",
    help="Model that scores: a bundle, which is a folder that export-model wrote, or a Hub id. "
    "[default: the built-in model]",
)
@session_options
@option(
    "--min-accuracy", group="Gates", type=float, metavar="SHARE", help="Gate: exit 8 if accuracy is below this, 0 to 1."
)
@option(
    "--min-f1",
    group="Gates",
    type=float,
    metavar="SHARE",
    help="Gate: exit 8 if F1 is below this, 0 to 1: of the positive label, or macro F1 if there is none.",
)
@option(
    "--min-expected-accuracy",
    group="Gates",
    type=float,
    metavar="SHARE",
    help="Gate: exit 8 if the accuracy that the probabilities let expect is below this, 0 to 1; needs no gold labels.",
)
@option(
    "--baseline",
    group="Comparison",
    metavar="FILE",
    type=LocalPath(),
    help="Other predictions of the same rows, to compare with; paired by --on, else row by row.",
)
@option(
    "--max-drop",
    group="Comparison",
    type=float,
    metavar="SHARE",
    help="Gate: exit 8 if accuracy or F1 is more than this below the --baseline's, 0 to 1.",
)
@option(
    "--strict",
    group="Gates",
    is_flag=True,
    help="The lower end of the 95 % interval decides about --max-drop and the --min-… gates.",
)
@option(
    "--write-baseline",
    group="Comparison",
    metavar="FILE",
    type=LocalPath(),
    help="Keep these predictions for a later --baseline or --drift, a Parquet file, once every gate is met. It may be"
    " the file that is compared with; if it does not exist yet, nothing is compared.",
)
@option(
    "--slice-by", group="Analysis", metavar="NAME", multiple=True, help="Column to show figures by; may be repeated."
)
@option(
    "--mistakes",
    group="Analysis",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Number of mistakes, suspect labels and changed reviews to keep in reports, of each.",
)
@option(
    "--at-precision",
    group="Threshold",
    type=float,
    metavar="SHARE",
    help="Find the threshold with the best recall at this precision.",
)
@option(
    "--at-recall",
    group="Threshold",
    type=float,
    metavar="SHARE",
    help="Find the threshold with the best precision at this recall.",
)
@option(
    "--review-queue",
    group="Analysis",
    metavar="FILE",
    type=LocalPath(),
    help="Write the rows that the model is least sure of, most doubtful first, for people to label.",
)
@option(
    "--review-share",
    group="Analysis",
    metavar="SHARE",
    default="10%",
    show_default=True,
    help="Share of all rows with a prediction for --review-queue, as 10% or 0.1.",
)
@option(
    "--mistakes-file",
    group="Analysis",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write every mistake and every suspect label, as Parquet, CSV, TSV or JSONL.",
)
@option(
    "--overwrite",
    group="Analysis",
    is_flag=True,
    help="Replace an existing file of --review-queue or --mistakes-file, in which people may have worked; without it, "
    "exit 2. Reports are always replaced.",
)
@option(
    "--cost-fp",
    group="Threshold",
    type=float,
    metavar="COST",
    help="Find the threshold of the least cost, where a row that gets the label wrongly costs this. [default: 1]",
)
@option(
    "--cost-fn",
    group="Threshold",
    type=float,
    metavar="COST",
    help="The same, where a row that lacks the label wrongly costs this. [default: 1]",
)
@option(
    "--write-threshold",
    group="Threshold",
    metavar="BUNDLE",
    type=LocalPath(),
    help="Write the found threshold (precision, recall or cost; else the best F1) into this model folder, once every"
    " gate is met.",
)
@option(
    "--drift",
    group="Drift",
    metavar="FILE",
    type=LocalPath(),
    help="Earlier predictions to compare the distribution with; needs no labels.",
)
@option(
    "--max-psi",
    group="Drift",
    type=float,
    metavar="INDEX",
    help="Gate: exit 8 if the population stability index of predicted labels or of scores is above this, such as 0.25.",
)
@option(
    "--max-share-shift",
    group="Drift",
    type=float,
    metavar="SHARE",
    help="Gate: exit 8 if the share of a label changed by more than this, 0 to 1.",
)
@option(
    "--max-length-psi",
    group="Drift",
    type=float,
    metavar="INDEX",
    help="Gate: exit 8 if the population stability index of text lengths is above this.",
)
@option(
    "--max-vocabulary-shift",
    group="Drift",
    type=float,
    metavar="DISTANCE",
    help="Gate: exit 8 if the Jensen-Shannon distance of the words is above this, 0 to 1.",
)
@option(
    "--json",
    "json_path",
    group="Reports",
    metavar="FILE|-",
    type=LocalPath(),
    help="Write the report as JSON, even if a gate is not met; - prints it on stdout in place of the tables.",
)
@option(
    "--markdown",
    "markdown_path",
    group="Reports",
    metavar="FILE",
    type=LocalPath(),
    help="Write the report as Markdown, for a pull request, even if a gate is not met.",
)
@option(
    "--report",
    "report_path",
    group="Reports",
    metavar="FILE.html",
    type=LocalPath(),
    help="Write the report as one HTML page with plots, even if a gate is not met.",
)
@log_format_option
@common_options
def evaluate_labels(
    files: tuple[Path, ...],
    json_path: Path | None,
    markdown_path: Path | None,
    report_path: Path | None,
    quiet: bool,
    verbose: int,
    debug: bool,
    **options: Any,
) -> None:
    """Measure how good predictions are, whether they are better than earlier ones, and where they are wrong.

    FILE has predictions (the column pred_label), or text that is scored first. A row with a gold
    label but no prediction, as for an empty text, is counted as unscored and left out. With
    --drift no gold labels are needed. The figures to decide with are printed, with -v all tables.
    """
    set_up_logging(quiet=quiet, verbose=verbose)
    from scorer.evaluation import evaluate
    from scorer.evaluation.options import EvaluateOptions
    from scorer.evaluation.outputs import check_destinations, files_of_rows
    from scorer.progress import progress_for_stderr
    from scorer.report.files import write_json, write_text
    from scorer.report.markdown import to_markdown
    from scorer.report.terminal import print_report

    source = click.get_current_context().get_parameter_source("model")
    chosen = EvaluateOptions(**options, model_of_the_machine=source is ParameterSource.ENVIRONMENT)
    to_stdout = json_path == Path("-")
    read = [*files, *(Path(path) for path in (chosen.labels, chosen.baseline, chosen.drift) if path is not None)]
    outputs = {"--json": None if to_stdout else json_path, "--markdown": markdown_path, "--report": report_path}
    reports = {option: path for option, path in outputs.items() if path is not None}
    check_destinations(reports | files_of_rows(chosen), read)
    if report_path is not None and report_path.suffix.lower() not in (".html", ".htm", ""):
        hint = "name a file that ends in .html, or pass --markdown or --json"
        raise UsageError("--report writes HTML", path=report_path, hint=hint)
    progress = progress_for_stderr(quiet=quiet, lines=logs_json())
    found = evaluate.evaluate_labels(files, options=chosen, progress=progress)
    page = None
    if report_path is not None:
        # Imported late for jinja2. Made before any file is written, so that a failure changes none.
        from scorer.report.html import to_html

        page = to_html(found)
    print_report(found, sys.stdout, as_json=to_stdout, in_full=verbose > 0)
    if json_path is not None and not to_stdout:
        write_json(found, json_path)
    if markdown_path is not None:
        write_text(to_markdown(found), markdown_path)
    if report_path is not None and page is not None:
        write_text(page, report_path)
    for path in reports.values():
        log.info("wrote %s", path)
    errors = found.gate_errors()
    for error in errors[:-1]:
        log_error(error)
    if errors:
        raise errors[-1]


def evaluate_main() -> NoReturn:
    """Entry point of the console script ``evaluate-labels``."""
    run(evaluate_labels, env_prefix="SCORER")
