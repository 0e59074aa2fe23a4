"""The argument and the options of ``score``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from scorer.commands.grouped_help import complete_files, option
from scorer.commands.log_setup import set_up_logging
from scorer.commands.shared_options import (
    COMMON_OPTIONS,
    ENGINE_OPTIONS,
    MODEL_OPTIONS,
    READING_OPTIONS,
    LocalPath,
    NameOrPath,
    log_format_option,
)
from scorer.safe_text import printable

BESIDE_TEXT = {
    *("texts", "output_format", "csv_safe", "prefix"),
    *("model", "device", "precision", "threads", "batch_tokens", "batching", "tokenizer"),
    *("max_length", "long_text", "stride", "threshold"),
    *("quiet", "verbose", "debug", "log_format", "version"),
}
"""Names of the options that mean something beside ``--text``."""

TEXT_FORMATS = ("jsonl", "csv", "tsv")
"""Values of ``--output-format`` beside ``--text``."""

_TO_VERIFY = "scorer.to_verify"


def _doctor(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from scorer.commands.doctor import diagnose

    set_up_logging(quiet=False, verbose=0)
    diagnosis = diagnose(context.params.get("model") or os.environ.get("SCORER_MODEL"))
    click.echo("\n".join(diagnosis.lines))
    context.exit(0 if diagnosis.healthy else 4)


def _verify(context: click.Context, parameter: click.Parameter, inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Inputs, or with ``--verify`` more outputs to check: then check all of them and exit."""
    output = context.meta.get(_TO_VERIFY)
    if output is not None and not context.resilient_parsing:
        from scorer.job.verification import verify

        set_up_logging(quiet=False, verbose=0)
        for line in verify([output, *(LocalPath().convert(name, parameter, context) for name in inputs)]):
            click.echo(printable(line))
        context.exit(0)
    return inputs


def _keep_for_verify(context: click.Context, _parameter: click.Parameter, output: Path | None) -> None:
    context.meta[_TO_VERIFY] = output


SCORE_OPTIONS = (
    click.argument(
        "inputs", metavar="[INPUT...]", nargs=-1, is_eager=True, callback=_verify, shell_complete=complete_files
    ),
    option(
        "-o",
        "--output",
        group="Output",
        shell_complete=complete_files,
        metavar="OUTPUT",
        help="Where to write (required): a file, a folder for a folder or several inputs, - for stdout, or a URL; "
        "format by extension (.parquet, .csv, .tsv, .jsonl, those of text also with .gz or .zst).",
    ),
    option(
        "--output-format",
        group="Output",
        metavar="FORMAT",
        help="parquet, csv, tsv or jsonl, of text also as csv.gz or csv.zst; in UTF-8, CSV with a header, commas and "
        "doubled quotes, however the input is. [default: by extension]",
    ),
    option(
        "--text",
        "texts",
        group="Input",
        multiple=True,
        allow_from_autoenv=False,
        metavar="TEXT",
        help="Score this text in place of INPUT and print its label and probabilities, as a first look; may be "
        "repeated. With --output-format jsonl, csv or tsv for programs. Only options of the model, of what is "
        "shown and of the log go with it; variables of others are ignored.",
    ),
    option("--csv-safe", group="Output", is_flag=True, help="Escape cells that a spreadsheet would run as formulas."),
    *READING_OPTIONS,
    option(
        "--on-bad-row",
        group="Bad rows",
        type=click.Choice(["fail", "reject", "keep"]),
        default="fail",
        show_default=True,
        help="On a bad row: fail stops, reject moves it to OUTPUT.rejects.jsonl, keep leaves it in OUTPUT with "
        "pred_status error if its columns can be carried.",
    ),
    option(
        "--max-bad",
        group="Bad rows",
        metavar="N|P%",
        help="Maximum number of bad rows before the run fails. [default: any number]",
    ),
    option("--keep-raw", group="Bad rows", is_flag=True, help="Put the text of bad rows into the rejects file."),
    option(
        "--max-row-bytes",
        group="Input",
        type=click.IntRange(min=1),
        default=256 * 2**20,
        show_default=True,
        help="Maximum bytes of a row of text: a longer one is bad (JSONL) or stops the run (CSV, TSV).",
    ),
    option(
        "--max-file-bytes",
        group="Input",
        type=click.IntRange(min=1),
        help="Maximum decompressed bytes of an input. [default: 1 GiB, and beyond that 200 times its compressed size]",
    ),
    option(
        "--text-column",
        group="Input",
        metavar="NAME",
        help="Column with the text. [default: the one named text, review, content, sentence, comment or body]",
    ),
    *MODEL_OPTIONS,
    option("--columns", group="Input", metavar="A,B,…", help="Input columns to carry through. [default: all]"),
    option("--prefix", group="Output", default="pred_", show_default=True, help="Prefix of the added columns."),
    option(
        "--max-length",
        group="Model",
        type=click.IntRange(min=3),
        help="Maximum number of tokens per review. [default: the bundle's]",
    ),
    option(
        "--long-text",
        group="Model",
        type=click.Choice(["truncate", "head-tail", "window"]),
        help="How a longer review is read: its head, its head and tail, or all of it in windows. [default: the "
        "bundle's]",
    ),
    option(
        "--stride",
        group="Model",
        type=click.IntRange(min=0),
        help="Tokens by which two windows overlap. [default: the bundle's]",
    ),
    option(
        "--threshold",
        group="Model",
        type=click.FloatRange(0, 1),
        help="Probability at which the second of two labels is predicted. [default: the bundle's, else the likelier "
        "label]",
    ),
    option(
        "--batching",
        group="Speed",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "alone", "tokens"]),
        help="Each review alone and unpadded, or batches by token budget; auto is alone on the CPU, tokens on CUDA.",
    ),
    option(
        "--chunk-rows",
        group="Speed",
        type=click.IntRange(min=1),
        help="Rows that are read, scored and written at a time. [default: 2048 on the CPU, 16384 on CUDA]",
    ),
    *ENGINE_OPTIONS,
    option("--overwrite", group="Output", is_flag=True, help="Replace an existing output."),
    option(
        "--linked-output",
        group="Output",
        type=click.Choice(["follow", "refuse"]),
        default="follow",
        show_default=True,
        help="If OUTPUT is a symbolic link: write the file that it points to, or exit with code 2.",
    ),
    option(
        "--resume/--no-resume",
        group="Output",
        default=True,
        help="Resume the unfinished run in OUTPUT.partial, or discard it. [default: resume]",
    ),
    option(
        "--reuse",
        group="Output",
        type=NameOrPath(),
        shell_complete=complete_files,
        multiple=True,
        metavar="PREDS",
        help="Take predictions of equal texts from this earlier output, or from those in this folder; can be repeated. "
        "On the CPU the output has the bytes of a full run. [default: in a folder run, each output that is replaced]",
    ),
    option(
        "--no-reuse",
        "reuse_replaced",
        group="Output",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Score every row of a file that has changed.",
    ),
    option(
        "--versions",
        group="Nightly",
        type=click.Choice(["pinned", "ignore"]),
        default="pinned",
        show_default=True,
        help="pinned: what other versions of onnxruntime, the tokenizer, numpy or this program made is scored again; "
        "ignore: it is up to date.",
    ),
    option(
        "--on-missing-input",
        group="Nightly",
        type=click.Choice(["ok", "empty", "fail"]),
        default="fail",
        show_default=True,
        help="If an INPUT is missing, a folder empty or a glob without a match: fail exits with code 3, ok skips it; "
        "empty skips a folder that exists, and exits with code 3 if it is missing, as after a mount that failed.",
    ),
    option(
        "--since",
        group="Nightly",
        metavar="TIME|AGE",
        help="Only inputs modified since: an ISO date or time (local, unless it has an offset), or an age such as "
        "24h, 7d.",
    ),
    option(
        "--exit-code-nothing-new",
        group="Nightly",
        metavar="CODE",
        type=int,
        default=0,
        show_default=True,
        help="Exit code if nothing failed and there was no file to score: 0, or 10 to 119, such as 99.",
    ),
    option(
        "--dry-run",
        group="Nightly",
        is_flag=True,
        help="Show which files would be scored and why, their rows, and an estimate of tokens and time; write nothing.",
    ),
    option(
        "--prune",
        group="Nightly",
        is_flag=True,
        help="Afterwards remove, in the folder of outputs, what no input accounts for: outputs, unfinished work, "
        "locks.",
    ),
    option("--yes", group="Nightly", is_flag=True, help="Let --prune remove without a question."),
    option(
        "--checksum",
        group="Nightly",
        is_flag=True,
        help="Hash every input of a folder run, also those whose size, times and inode are as they were.",
    ),
    option("--summary", group="Nightly", metavar="FILE", type=LocalPath(), help="Write a summary of the run as JSON."),
    option(
        "--metrics-file",
        group="Nightly",
        metavar="FILE",
        type=LocalPath(),
        help="Write metrics for Prometheus' textfile collector, even if the run fails.",
    ),
    option(
        "--verify",
        group="Checks",
        metavar="OUTPUT...",
        type=LocalPath(),
        allow_from_autoenv=False,
        is_eager=True,
        expose_value=False,
        callback=_keep_for_verify,
        help="Check outputs, or folders of them, against their provenance, then exit: 0 if all are intact, else 3.",
    ),
    option(
        "--doctor",
        group="Checks",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_doctor,
        help="Show what this machine can run, then exit: 0 if the model scores here, else 4. The model is the default "
        "one, or a --model given before.",
    ),
    log_format_option,
    *COMMON_OPTIONS,
)
