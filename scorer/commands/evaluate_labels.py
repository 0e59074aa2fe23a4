"""The command ``evaluate-labels``: parse, call one function, print."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from scorer.commands.console import log_error, run
from scorer.commands.evaluate_labels_options import EVALUATE_LABELS_OPTIONS
from scorer.commands.grouped_help import GroupedCommand, with_options
from scorer.commands.log_setup import logs_json, set_up_logging
from scorer.commands.outcomes import exit_codes
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


@click.command("evaluate-labels", cls=GroupedCommand, epilog=EPILOG)
@with_options(*EVALUATE_LABELS_OPTIONS)
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
    stdout = Path("-")
    if json_path == markdown_path == stdout:
        raise UsageError("--json and --markdown cannot both be -", hint="name a file for one")
    read = [*files, *(Path(path) for path in (chosen.labels, chosen.baseline, chosen.drift) if path is not None)]
    outputs = {"--json": json_path, "--markdown": markdown_path, "--report": report_path}
    reports = {option: path for option, path in outputs.items() if path not in (None, stdout)}
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
    if markdown_path == stdout:
        sys.stdout.write(to_markdown(found))
    else:
        print_report(found, sys.stdout, as_json=json_path == stdout, in_full=verbose > 0)
    if json_path is not None and json_path != stdout:
        write_json(found, json_path)
    if markdown_path is not None and markdown_path != stdout:
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
