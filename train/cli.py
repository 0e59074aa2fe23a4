"""The command ``train-model``: parse, call one function, print."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import click

from scorer.commands.console import run
from scorer.commands.grouped_help import GroupedCommand, with_options
from scorer.commands.log_setup import set_up_logging
from scorer.commands.outcomes import exit_codes
from train.cli_options import TRAIN_OPTIONS

EPILOG = """\b
Examples:
  train-model -o imdb-distilbert --train imdb
  train-model -o my-model --train train.csv --eval dev.csv --epochs 3
  train-model --baseline --train train.csv --eval dev.csv
  train-model -o my-model --train reviews.parquet --validation-split 0.1
  train-model -o my-model --train few.csv --validation-split 0.25 \\
    --model sentence-transformers/all-MiniLM-L6-v2 --epochs 6 \\
    --batch-size 8 --learning-rate 1e-4 --metric loss

The defaults are for thousands of rows: DistilBERT, learning rate 2e-5, batches of 4, 2 epochs. The last example
is for a few hundred.

""" + exit_codes(0, 1, 2, 3, 4, 5, 6, 7, 8)


@click.command(cls=GroupedCommand, epilog=EPILOG, output_for=lambda _given: "my-model")
@with_options(*TRAIN_OPTIONS)
def train_model(
    eval_: tuple[str, ...],
    label_names: str | None,
    max_length: int,
    long_text: Any,
    clean: tuple[str, ...],
    quiet: bool,
    verbose: int,
    debug: bool,
    **options: Any,
) -> None:
    """Fine-tune a pretrained encoder, by default DistilBERT, on labelled reviews and write it to a folder."""
    set_up_logging(quiet=quiet, verbose=verbose)
    if options["output"] is None and not options["baseline"] and options["predictions"] is None:
        context = click.get_current_context()
        output = next(parameter for parameter in context.command.params if parameter.name == "output")
        raise click.MissingParameter(ctx=context, param=output)
    from scorer.model.preprocessing import Preprocessing
    from train.options import TrainOptions
    from train.preflight import check_before_loading

    chosen = TrainOptions(
        eval=eval_,
        label_names=tuple(name.strip() for name in label_names.split(",")) if label_names else (),
        preprocessing=Preprocessing(
            max_length=max_length, long_text=long_text, stride=min(128, (max_length - 2) // 2), clean=clean
        ),
        **options,
    )
    _require_extra(baseline=chosen.baseline)
    check_before_loading(chosen)
    if chosen.baseline:
        from train.baseline import fit_baseline as run_it
    else:
        _hush_libraries(verbose)
        from train.training import train_model as run_it
    from train.verdict import next_command

    history = run_it(chosen)
    click.echo(history.table())
    if not quiet:
        if not chosen.baseline:
            metric = history.metric.replace("f1", "F1")
            click.echo(f"wrote {chosen.output}: epoch {history.best_epoch:g}, the best in {metric}", err=True)
        following = next_command(chosen, history)
        if following is not None:
            click.echo(f"next: {following}", err=True)


def main() -> NoReturn:
    """Entry point of the console script ``train-model``."""
    run(train_model, env_prefix="TRAIN_MODEL")


def _hush_libraries(verbose: int) -> None:
    """Keep the progress bars, hints and warnings of libraries off stderr, up to ``-v``."""
    if verbose >= 2:
        return
    import warnings

    import datasets
    import transformers

    warnings.filterwarnings("ignore", module="transformers|torch|datasets|evaluate")
    datasets.disable_progress_bars()
    # A file that it cannot read also gives an error, which becomes our line.
    datasets.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.set_verbosity_error()


def _require_extra(*, baseline: bool) -> None:
    from importlib.util import find_spec

    from scorer.errors import UsageError

    modules = ("sklearn",) if baseline else ("torch", "transformers", "datasets", "evaluate", "accelerate", "sklearn")
    extra = "baseline" if baseline else "train"
    for module in modules:
        if find_spec(module) is None:
            raise UsageError(f"training needs {module}", hint=f'pip install "review-scorer[{extra}]"')
