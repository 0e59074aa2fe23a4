"""The argument and the options of ``evaluate-labels``."""

from __future__ import annotations

import click

from scorer.commands.grouped_help import option
from scorer.commands.shared_options import (
    COMMON_OPTIONS,
    MODEL_OPTIONS,
    READING_OPTIONS,
    LocalPath,
    NameOrPath,
    log_format_option,
)

EVALUATE_LABELS_OPTIONS = (
    click.argument("files", metavar="FILE...", nargs=-1, required=True, type=LocalPath()),
    option(
        "--label-column",
        group="Labels",
        metavar="NAME",
        help="Column with the gold labels: names or ids. [default: the first of label, sentiment, gold, target]",
    ),
    option(
        "--label-map",
        group="Labels",
        metavar="MAP|FILE",
        type=NameOrPath(),
        help="Gold labels as people write them: 1=negative,5=positive,3= or a file of such lines; an empty label leaves"
        " rows out.",
    ),
    option(
        "--labels",
        group="Labels",
        metavar="FILE",
        type=LocalPath(),
        help="File with the gold labels, if FILE... have none; needs --on.",
    ),
    option(
        "--on", group="Labels", metavar="NAME", help="Column of ids that FILE... and --labels or --baseline both have."
    ),
    option(
        "--allow-missing",
        group="Labels",
        is_flag=True,
        help="Leave out, and count, rows whose id is missing in the other file.",
    ),
    option(
        "--positive",
        group="Labels",
        metavar="LABEL",
        help="Label, by name or id, to compute precision, recall and F1 for. [default: the second of two]",
    ),
    *READING_OPTIONS,
    option(
        "--prefix", group="Input", default="pred_", show_default=True, help="Prefix of the columns with predictions."
    ),
    option(
        "--text-column",
        group="Input",
        metavar="NAME",
        help="Column with the text: to be scored, or to be shown beside mistakes."
        " [default: the one named text, review, content, sentence, comment or body]",
    ),
    *MODEL_OPTIONS,
    option(
        "--min-accuracy",
        group="Gates",
        type=float,
        metavar="SHARE",
        help="Gate: exit 8 if accuracy is below this, 0 to 1.",
    ),
    option(
        "--min-f1",
        group="Gates",
        type=float,
        metavar="SHARE",
        help="Gate: exit 8 if F1 is below this, 0 to 1: of the positive label, or macro F1 if there is none.",
    ),
    option(
        "--min-expected-accuracy",
        group="Gates",
        type=float,
        metavar="SHARE",
        help="Gate: exit 8 if the accuracy that the probabilities let expect is below this, 0 to 1; needs no gold "
        "labels.",
    ),
    option(
        "--baseline",
        group="Comparison",
        metavar="FILE",
        type=LocalPath(),
        help="Other predictions of the same rows, to compare with; paired by --on, else row by row.",
    ),
    option(
        "--max-drop",
        group="Comparison",
        type=float,
        metavar="SHARE",
        help="Gate: exit 8 if accuracy or F1 is more than this below the --baseline's, 0 to 1.",
    ),
    option(
        "--strict",
        group="Gates",
        is_flag=True,
        help="The lower end of the 95 % interval decides about --max-drop and the --min-… gates.",
    ),
    option(
        "--write-baseline",
        group="Comparison",
        metavar="FILE",
        type=LocalPath(),
        help="Keep these predictions for a later --baseline or --drift, a Parquet file, once every gate is met. It "
        "may be the file that is compared with; if it does not exist yet, nothing is compared.",
    ),
    option(
        "--slice-by",
        group="Analysis",
        metavar="NAME",
        multiple=True,
        help="Column to show figures by; may be repeated.",
    ),
    option(
        "--mistakes",
        group="Analysis",
        type=click.IntRange(min=0),
        default=20,
        show_default=True,
        help="Number of mistakes, suspect labels and changed reviews to keep in reports, of each.",
    ),
    option(
        "--at-precision",
        group="Threshold",
        type=float,
        metavar="SHARE",
        help="Find the threshold with the best recall at this precision.",
    ),
    option(
        "--at-recall",
        group="Threshold",
        type=float,
        metavar="SHARE",
        help="Find the threshold with the best precision at this recall.",
    ),
    option(
        "--review-queue",
        group="Analysis",
        metavar="FILE",
        type=LocalPath(),
        help="Write the rows that the model is least sure of, most doubtful first, for people to label.",
    ),
    option(
        "--review-share",
        group="Analysis",
        metavar="SHARE",
        default="10%",
        show_default=True,
        help="Share of all rows with a prediction for --review-queue, as 10% or 0.1.",
    ),
    option(
        "--mistakes-file",
        group="Analysis",
        metavar="FILE",
        type=LocalPath(),
        help="Write every mistake and every suspect label, as Parquet, CSV, TSV or JSONL.",
    ),
    option(
        "--overwrite",
        group="Analysis",
        is_flag=True,
        help="Replace an existing file of --review-queue or --mistakes-file, in which people may have worked; without "
        "it, exit 2. Reports are always replaced.",
    ),
    option(
        "--cost-fp",
        group="Threshold",
        type=float,
        metavar="COST",
        help="Find the threshold of the least cost, where a row that gets the label wrongly costs this. [default: 1]",
    ),
    option(
        "--cost-fn",
        group="Threshold",
        type=float,
        metavar="COST",
        help="The same, where a row that lacks the label wrongly costs this. [default: 1]",
    ),
    option(
        "--write-threshold",
        group="Threshold",
        metavar="BUNDLE",
        type=LocalPath(),
        help="Write the found threshold (precision, recall or cost; else the best F1) into this model folder, once "
        "every gate is met.",
    ),
    option(
        "--drift",
        group="Drift",
        metavar="FILE",
        type=LocalPath(),
        help="Earlier predictions to compare the distribution with; needs no labels.",
    ),
    option(
        "--max-psi",
        group="Drift",
        type=float,
        metavar="INDEX",
        help="Gate: exit 8 if the population stability index of predicted labels or of scores is above this, such as "
        "0.25.",
    ),
    option(
        "--max-share-shift",
        group="Drift",
        type=float,
        metavar="SHARE",
        help="Gate: exit 8 if the share of a label changed by more than this, 0 to 1.",
    ),
    option(
        "--max-length-psi",
        group="Drift",
        type=float,
        metavar="INDEX",
        help="Gate: exit 8 if the population stability index of text lengths is above this.",
    ),
    option(
        "--max-vocabulary-shift",
        group="Drift",
        type=float,
        metavar="DISTANCE",
        help="Gate: exit 8 if the Jensen-Shannon distance of the words is above this, 0 to 1.",
    ),
    option(
        "--json",
        "json_path",
        group="Reports",
        metavar="FILE|-",
        type=LocalPath(),
        help="Write the report as JSON, even if a gate is not met; - prints it on stdout in place of the tables.",
    ),
    option(
        "--markdown",
        "markdown_path",
        group="Reports",
        metavar="FILE|-",
        type=LocalPath(),
        help="Write the report as Markdown, for a pull request, even if a gate is not met; - prints it on stdout.",
    ),
    option(
        "--report",
        "report_path",
        group="Reports",
        metavar="FILE.html",
        type=LocalPath(),
        help="Write the report as one HTML page with plots, even if a gate is not met.",
    ),
    log_format_option,
    *COMMON_OPTIONS,
)
