"""The command ``score``: parse, call one function, print."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn

import click
from click.core import ParameterSource

from scorer.commands.console import asked_for, log_error, run
from scorer.commands.grouped_help import GroupedCommand, with_options
from scorer.commands.log_setup import logs_json, say, set_up_logging
from scorer.commands.outcomes import exit_code_of, exit_codes
from scorer.commands.score_options import BESIDE_TEXT, SCORE_OPTIONS, TEXT_FORMATS
from scorer.errors import OutputError, ScorerError, UsageError
from scorer.files.urls import is_url
from scorer.memory import require_address_space
from scorer.safe_text import printable

_LIBRARIES_BYTES = 340 * 2**20
"""Address space that numpy, pyarrow and onnxruntime take when they are loaded."""

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


class _Score(GroupedCommand):
    """The command, which writes the metrics of a command line that click refuses too."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse ``args``: either with inputs and an output, or with ``--text``."""
        if context.resilient_parsing:
            return super().parse_args(context, args)
        typed = self.make_parser(context).parse_args(list(args))[0]
        if typed.get("texts"):
            _refuse_beside_text(context, typed)
        rest = super().parse_args(context, args)
        if not context.params["texts"]:
            _check_what_to_score(context, {parameter.name: parameter for parameter in self.params})
        elif context.auto_envvar_prefix:
            _forget_variables(context)
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


def _refuse_beside_text(context: click.Context, typed: Mapping[str, Any]) -> None:
    """Refuse what is ``typed`` beside ``--text`` and means nothing there."""
    words = {name for name, value in typed.items() if name != "inputs" or (isinstance(value, tuple) and value)}
    for parameter in context.command.params:
        if parameter.name in words - BESIDE_TEXT:
            names = " / ".join([_hint(parameter, context), *map(repr, parameter.secondary_opts)])
            raise UsageError(f"--text cannot be combined with {names}", hint="drop one")


def _forget_variables(context: click.Context) -> None:
    """Set what variables, as of a nightly job, ask for and means nothing beside ``--text`` to its default."""
    known = BESIDE_TEXT
    format_by_variable = context.get_parameter_source("output_format") is ParameterSource.ENVIRONMENT
    if format_by_variable and context.params["output_format"] not in TEXT_FORMATS:
        known = known - {"output_format"}
    without_variables = context.command.make_context(None, ["--text", ""]).params
    context.params.update({name: value for name, value in without_variables.items() if name not in known})


def _check_what_to_score(context: click.Context, parameters: dict[str, click.Parameter]) -> None:
    for name in ("inputs", "output"):
        if context.params[name] in (None, ()):
            parameter = parameters[name]
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


@click.command(cls=_Score, epilog=EPILOG, output_for=_output_for)
@with_options(*SCORE_OPTIONS)
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
        question = _question(prune=prune, yes=yes)
        of_run = RunOptions(on_missing_input, since, exit_code_nothing_new, checksum, dry_run, question)
    except ScorerError as error:
        if metrics_file is not None and not dry_run:
            _report_refusal(metrics_file, error)
        raise
    if output is None:
        from scorer.commands.first_look import look_at

        click.echo(look_at(texts, chosen), nl=False)
        return
    report = score_inputs(
        inputs,
        output,
        chosen,
        progress_for_stderr(quiet=quiet, lines=logs_json()),
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
