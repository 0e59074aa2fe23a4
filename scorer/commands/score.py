"""The command ``score``: parse, call one function, print."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from scorer.commands.console import (
    LocalPath,
    asked_for,
    common_options,
    log_error,
    log_format_option,
    logs_json,
    run,
    say,
    set_up_logging,
)
from scorer.commands.grouped_help import GroupedCommand, complete_files, complete_folders, option
from scorer.commands.outcomes import exit_code_of, exit_codes
from scorer.commands.shared_options import engine_options, reading_options, session_options
from scorer.errors import OutputError, ScorerError, UsageError
from scorer.files.urls import is_url
from scorer.memory import require_address_space
from scorer.safe_text import printable

_LIBRARIES_BYTES = 340 * 2**20
"""Address space that numpy, pyarrow and onnxruntime take when they are loaded."""

_TO_VERIFY = "scorer.to_verify"

EPILOG = """\b
Examples:
  score --text "A quiet, tender film."
  score reviews.parquet -o preds.parquet
  score reviews.csv -o preds.csv --text-column review --columns id
  score reviews.parquet -o preds.parquet --model my-bundle --device cuda
  score incoming/ -o scored/ --on-bad-row reject --max-bad 1%
  score incoming/ -o scored/ --on-missing-input empty --metrics-file s.prom
  score spark.csv -o preds.parquet --escape '\\'
  score tweets.csv -o preds.csv --no-header --text-column 6 --encoding latin-1
  zcat reviews.csv.gz | score - --format csv -o - --output-format jsonl
  score --verify preds.parquet

""" + exit_codes(0, 1, 2, 3, 4, 5, 6, 7, 9)


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


class _Score(GroupedCommand):
    """The command, which writes the metrics of a command line that click refuses too."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse ``args``: either with inputs and an output, or with ``--text``."""
        rest = super().parse_args(context, args)
        if not context.resilient_parsing:
            _check_what_to_score(context, {parameter.name: parameter for parameter in self.params})
        return rest

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **options: Any) -> click.Context:
        """Parse ``args``; see :meth:`click.Command.make_context`."""
        try:
            return super().make_context(info_name, list(args), *more, **options)
        except (click.UsageError, UsageError) as error:
            metrics = asked_for("--metrics-file", args, "SCORER")
            if metrics and not is_url(metrics) and "--dry-run" not in args:
                _report_refusal(Path(metrics), error)
            raise


def _check_what_to_score(context: click.Context, parameters: dict[str, click.Parameter]) -> None:
    for name in ("inputs", "output"):
        parameter, given = parameters[name], context.params[name] not in (None, ())
        if given and context.params["texts"]:
            raise UsageError(f"--text cannot be combined with {_hint(parameter, context)}", hint="drop one")
        if not given and not context.params["texts"]:
            raise click.MissingParameter(ctx=context, param=parameter, param_hint=_hint(parameter, context))


def _hint(parameter: click.Parameter, context: click.Context) -> str:
    """The name of a parameter as errors have it, without the brackets of the usage."""
    return parameter.get_error_hint(context).replace("[", "").replace("]", "")


def _output_for(given: dict[str, Any]) -> str:
    """A name for the output of ``given["inputs"]``: beside a single file, of its format if it can be written."""
    first, *others = given["inputs"]
    if first == "-" and not others:
        return f"preds.{given['format'] or 'parquet'}"
    path = Path(first)
    ending = "".join(path.suffixes[-2:]) if path.suffix in (".gz", ".zst") else path.suffix
    if others or not ending or path.is_dir() or set(first) & set("*?["):
        return "scored/"
    known = ending.split(".")[1] in ("parquet", "csv", "tsv", "jsonl")
    return str(path.with_name(f"{path.name.removesuffix(ending)}.preds{ending if known else '.parquet'}"))


def _report_refusal(metrics: Path, error: click.UsageError | ScorerError) -> None:
    """Write the metrics of a run that ends before it begins."""
    from scorer.run.report import Failure, RunReport
    from scorer.run.report_files import ReportFiles

    code = exit_code_of(error)
    report = RunReport(code, failures=[Failure("", str(error), code)])
    with suppress(OutputError):  # the error itself is about to be said
        ReportFiles(metrics=metrics).write(report, checked=False)


@click.command(
    cls=_Score,
    epilog=EPILOG,
    output_for=_output_for,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument(
    "inputs", metavar="[INPUT...]", nargs=-1, is_eager=True, callback=_verify, shell_complete=complete_files
)
@option(
    "-o",
    "--output",
    group="Output",
    shell_complete=complete_files,
    metavar="OUTPUT",
    help="Where to write (required): a file, a folder for a folder or several inputs, - for stdout, or a URL; format "
    "by extension (.parquet, .csv, .tsv, .jsonl, those of text also with .gz or .zst).",
)
@option(
    "--output-format",
    group="Output",
    metavar="FORMAT",
    help="parquet, csv, tsv or jsonl, of text also as csv.gz or csv.zst; in UTF-8, CSV with a header, commas and "
    "doubled quotes, however the input is. [default: by extension]",
)
@option(
    "--text",
    "texts",
    group="Input",
    multiple=True,
    allow_from_autoenv=False,
    metavar="TEXT",
    help="Score this text in place of INPUT and print its label and probabilities, as a first look; may be repeated. "
    "With --output-format jsonl, csv or tsv for programs.",
)
@option("--csv-safe", group="Output", is_flag=True, help="Escape cells that a spreadsheet would run as formulas.")
@reading_options
@option(
    "--on-bad-row",
    group="Bad rows",
    type=click.Choice(["fail", "reject", "keep"]),
    default="fail",
    show_default=True,
    help="On a bad row: fail stops, reject moves it to OUTPUT.rejects.jsonl, keep leaves it in OUTPUT with pred_status "
    "error if its columns can be carried.",
)
@option(
    "--max-bad",
    group="Bad rows",
    metavar="N|P%",
    help="Maximum number of bad rows before the run fails. [default: any number]",
)
@option("--keep-raw", group="Bad rows", is_flag=True, help="Put the text of bad rows into the rejects file.")
@option(
    "--max-row-bytes",
    group="Input",
    type=click.IntRange(min=1),
    default=256 * 2**20,
    show_default=True,
    help="Maximum bytes of a row of text: a longer one is bad (JSONL) or stops the run (CSV, TSV).",
)
@option(
    "--max-file-bytes",
    group="Input",
    type=click.IntRange(min=1),
    help="Maximum decompressed bytes of an input. [default: 1 GiB, and beyond that 200 times its compressed size]",
)
@option(
    "--text-column",
    group="Input",
    metavar="NAME",
    help="Column with the text. [default: the one named text, review, content, sentence, comment or body]",
)
@option(
    "--model",
    group="Model",
    shell_complete=complete_folders,
    metavar="BUNDLE",
    is_eager=True,
    help="Model that scores: a bundle, which is a folder that export-model wrote, or a Hub id. "
    "[default: the built-in model]",
)
@option("--columns", group="Input", metavar="A,B,…", help="Input columns to carry through. [default: all]")
@option("--prefix", group="Output", default="pred_", show_default=True, help="Prefix of the added columns.")
@session_options
@option(
    "--max-length",
    group="Model",
    type=click.IntRange(min=3),
    help="Maximum number of tokens per review. [default: the bundle's]",
)
@option(
    "--long-text",
    group="Model",
    type=click.Choice(["truncate", "head-tail", "window"]),
    help="How a longer review is read: its head, its head and tail, or all of it in windows. [default: the bundle's]",
)
@option(
    "--stride",
    group="Model",
    type=click.IntRange(min=0),
    help="Tokens by which two windows overlap. [default: the bundle's]",
)
@option(
    "--threshold",
    group="Model",
    type=click.FloatRange(0, 1),
    help="Probability at which the second of two labels is predicted. [default: the bundle's, else the likelier label]",
)
@option(
    "--batching",
    group="Speed",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "alone", "tokens"]),
    help="Each review alone and unpadded, or batches by token budget; auto is alone on the CPU, tokens on CUDA.",
)
@option(
    "--chunk-rows",
    group="Speed",
    type=click.IntRange(min=1),
    help="Rows that are read, scored and written at a time. [default: 2048 on the CPU, 16384 on CUDA]",
)
@engine_options
@option("--overwrite", group="Output", is_flag=True, help="Replace an existing output.")
@option(
    "--linked-output",
    group="Output",
    type=click.Choice(["follow", "refuse"]),
    default="follow",
    show_default=True,
    help="If OUTPUT is a symbolic link: write the file that it points to, or exit with code 2.",
)
@option(
    "--resume/--no-resume",
    group="Output",
    default=True,
    help="Resume the unfinished run in OUTPUT.partial, or discard it. [default: resume]",
)
@option(
    "--reuse",
    group="Output",
    shell_complete=complete_files,
    multiple=True,
    metavar="PREDS",
    help="Take predictions of equal texts from this earlier output, or from those in this folder; can be repeated. "
    "On the CPU the output has the bytes of a full run. [default: in a folder run, each output that is replaced]",
)
@option(
    "--no-reuse",
    "reuse_replaced",
    group="Output",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Score every row of a file that has changed.",
)
@option(
    "--versions",
    group="Nightly",
    type=click.Choice(["pinned", "ignore"]),
    default="pinned",
    show_default=True,
    help="pinned: what other versions of onnxruntime, the tokenizer, numpy or this program made is scored again; "
    "ignore: it is up to date.",
)
@option(
    "--on-missing-input",
    group="Nightly",
    type=click.Choice(["ok", "empty", "fail"]),
    default="fail",
    show_default=True,
    help="If an INPUT is missing, a folder empty or a glob without a match: fail exits with code 3, ok skips it; "
    "empty skips a folder that exists, and exits with code 3 if it is missing, as after a mount that failed.",
)
@option(
    "--since",
    group="Nightly",
    metavar="TIME|AGE",
    help="Only inputs modified since: an ISO date or time (local, unless it has an offset), or an age such as 24h, 7d.",
)
@option(
    "--exit-code-nothing-new",
    group="Nightly",
    metavar="CODE",
    type=int,
    default=0,
    show_default=True,
    help="Exit code if nothing failed and there was no file to score: 0, or 10 to 119, such as 99.",
)
@option(
    "--dry-run",
    group="Nightly",
    is_flag=True,
    help="Show which files would be scored and why, their rows, and an estimate of tokens and time; write nothing.",
)
@option(
    "--prune",
    group="Nightly",
    is_flag=True,
    help="Afterwards remove, in the folder of outputs, what no input accounts for: outputs, unfinished work, locks.",
)
@option("--yes", group="Nightly", is_flag=True, help="Let --prune remove without a question.")
@option(
    "--checksum",
    group="Nightly",
    is_flag=True,
    help="Hash every input of a folder run, also those whose size, times and inode are as they were.",
)
@option("--summary", group="Nightly", metavar="FILE", type=LocalPath(), help="Write a summary of the run as JSON.")
@option(
    "--metrics-file",
    group="Nightly",
    metavar="FILE",
    type=LocalPath(),
    help="Write metrics for Prometheus' textfile collector, even if the run fails.",
)
@option(
    "--verify",
    group="Checks",
    metavar="OUTPUT...",
    type=LocalPath(),
    is_eager=True,
    expose_value=False,
    callback=_keep_for_verify,
    help="Check outputs, or folders of them, against their provenance, then exit: 0 if all are intact, else 3.",
)
@option(
    "--doctor",
    group="Checks",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_doctor,
    help="Show what this machine can run, then exit: 0 if the model scores here, else 4. The model is the default one, "
    "or a --model given before.",
)
@log_format_option
@common_options
def score(
    inputs: tuple[str, ...],
    output: str | None,
    texts: tuple[str, ...],
    columns: str | None,
    summary: Path | None,
    metrics_file: Path | None,
    on_missing_input: Literal["ok", "empty", "fail"],
    since: str | None,
    exit_code_nothing_new: int,
    checksum: bool,
    dry_run: bool,
    prune: bool,
    yes: bool,
    quiet: bool,
    verbose: int,
    debug: bool,
    **options: Any,
) -> None:
    """Score the reviews in INPUT and write them, with predictions beside them, to OUTPUT.

    INPUT is a file, a folder, a glob, a URL or - for stdin. The output has the same rows in the same
    order, the input's columns untouched, and the columns pred_label, pred_score,
    pred_prob_<label> and pred_status. It appears whole or not at all.

    A folder or several inputs go into a folder, where what is up to date is left as it is. A run that
    was interrupted is resumed by the same command.
    """
    set_up_logging(quiet=quiet, verbose=verbose)
    from scorer.job.options import ScoreOptions
    from scorer.progress import progress_for_stderr
    from scorer.run.options import RunOptions
    from scorer.run.report_files import ReportFiles
    from scorer.run.score_inputs import score_inputs

    try:
        require_address_space(_LIBRARIES_BYTES)
        chosen = ScoreOptions(columns=_names(columns), **options)
        of_run = RunOptions(
            on_missing_input, since, exit_code_nothing_new, checksum, dry_run, _question(prune=prune, yes=yes)
        )
    except ScorerError as error:
        if metrics_file is not None and not dry_run:
            _report_refusal(metrics_file, error)
        raise
    if output is None:
        from scorer.commands.first_look import look_at

        width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
        click.echo(look_at(texts, chosen.model, chosen, chosen.output_format, width), nl=False)
        return
    progress = progress_for_stderr(quiet=quiet, lines=logs_json())
    report = score_inputs(
        inputs,
        output,
        chosen,
        progress,
        run=of_run,
        files=ReportFiles(summary, metrics_file),
        exit_code_of=exit_code_of,
        tell=lambda error, name: log_error(error, "file_failed", file=name),
        show=lambda line: click.echo(printable(line)),
    )
    if not quiet and not dry_run:
        with suppress(OSError):  # the output is published, even if stderr cannot be written to
            for line in report.lines():
                say(line, "run_ended", exit_code=report.exit_code, **report.log_fields())
    click.get_current_context().exit(report.exit_code)


def score_main() -> NoReturn:
    """Entry point of the console script ``score``."""
    # Set before pyarrow is loaded: its own allocators keep the memory of one large review, or of a row
    # group, until the end.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Its threads have nothing to do here, and where they cannot be started it ends the process.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    run(score, env_prefix="SCORER")


def _question(*, prune: bool, yes: bool) -> Callable[[str], bool] | None:
    """The question of ``--prune``; ``None`` without it."""
    if not prune:
        return None
    if yes:
        return lambda _: True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--prune asks before it removes, and nobody is there", hint="pass --yes")
    return lambda question: click.confirm(printable(question), err=True)


def _names(columns: str | None) -> tuple[str, ...] | None:
    return None if columns is None else tuple(name.strip() for name in columns.split(","))
