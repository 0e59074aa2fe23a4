"""The command ``train-model``: parse, call one function, print."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import click

from scorer.commands.console import LocalPath, common_options, run, set_up_logging
from scorer.commands.grouped_help import GroupedCommand, complete_files, complete_folders, option
from scorer.commands.outcomes import exit_codes
from scorer.commands.shared_options import reading_options

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


@click.command(
    cls=GroupedCommand,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@option("-o", "--output", group="Output", type=LocalPath(), help="Folder of the new checkpoint.")
@option(
    "--model",
    group="Model",
    shell_complete=complete_folders,
    default="distilbert-base-uncased",
    show_default=True,
    metavar="FOLDER|ID",
    help="Encoder to start from: a folder, or its name on the Hugging Face Hub.",
)
@option(
    "--keep-layout", group="Model", is_flag=True, help="Keep BERT's layout. [default: rearrange it into DistilBERT's]"
)
@option(
    "--train",
    group="Input",
    shell_complete=complete_files,
    multiple=True,
    default=["imdb"],
    metavar="PATH|imdb",
    help="Labelled rows to learn from: a file, a folder, or imdb for the Hub's data set; may be repeated. "
    "[default: imdb]",
)
@option(
    "--eval",
    "eval_",
    group="Validation",
    shell_complete=complete_files,
    multiple=True,
    metavar="PATH|imdb",
    help="Labelled rows to validate on after each epoch: a file, a folder or imdb; may be repeated.",
)
@option(
    "--validation-split",
    group="Validation",
    default=0.0,
    metavar="SHARE",
    help="Share of the training rows, such as 0.1, to hold out in place of --eval.",
)
@option(
    "--group-column", group="Validation", metavar="NAME", help="Keep rows of the same value on one side of that split."
)
@reading_options
@option("--text-column", group="Input", metavar="NAME", help="Column with the text.")
@option("--label-column", group="Input", metavar="NAME", help="Column with the label.")
@option(
    "--label-names",
    group="Input",
    metavar="A,B,…",
    help="Names of the label ids 0, 1, …, where the files hold numbers.",
)
@option("--learning-rate", group="Recipe", default=2e-5, show_default=True)
@option("--batch-size", group="Recipe", default=4, show_default=True, type=click.IntRange(min=1))
@option(
    "--batch-tokens",
    group="Speed",
    metavar="N",
    type=click.IntRange(min=1),
    help="Batches of so many tokens, padding included, in place of --batch-size rows.",
)
@option("--epochs", group="Recipe", default=2.0, show_default=True)
@option(
    "--threads",
    group="Speed",
    type=click.IntRange(min=1),
    help="Threads of PyTorch on the CPU; fewer are faster where others use the machine too. [default: OMP_NUM_THREADS, "
    "else the CPUs that this process may use]",
)
@option(
    "--fp16/--no-fp16", group="Speed", default=None, help="float16 on CUDA. [default: on for a GPU without bfloat16]"
)
@option(
    "--bf16/--no-bf16",
    group="Speed",
    default=None,
    help="bfloat16 autocast. [default: on for a GPU or CPU with the instructions]",
)
@option(
    "--max-length",
    group="Model",
    default=512,
    show_default=True,
    type=click.IntRange(min=3),
    help="Maximum number of tokens per review.",
)
@option(
    "--train-max-length",
    group="Model",
    type=click.IntRange(min=3),
    help="The same for training only: fewer, for speed.",
)
@option(
    "--long-text",
    group="Model",
    default="truncate",
    show_default=True,
    type=click.Choice(["truncate", "head-tail"]),
    help="Part of a longer review to keep: its head, or its head and tail.",
)
@option(
    "--clean",
    group="Model",
    multiple=True,
    type=click.Choice(["html-breaks"]),
    help="Clean texts before they are tokenized.",
)
@option(
    "--warmup-ratio",
    group="Recipe",
    default=0.0,
    show_default=True,
    help="Share of the steps in which the learning rate rises.",
)
@option("--weight-decay", group="Recipe", default=0.0, show_default=True)
@option(
    "--layer-decay",
    group="Recipe",
    default=1.0,
    show_default=True,
    help="Factor of the learning rate from layer to layer, head first.",
)
@option("--label-smoothing", group="Recipe", default=0.0, show_default=True)
@option("--grad-accumulation", group="Recipe", default=1, show_default=True, type=click.IntRange(min=1))
@option("--dropout", group="Model", type=click.FloatRange(0, 1), help="[default: the checkpoint's]")
@option(
    "--attention-dropout",
    group="Model",
    type=click.FloatRange(0, 1),
    help="0 trains more than twice as fast on a CPU. [default: the checkpoint's]",
)
@option(
    "--min-f1",
    group="Validation",
    type=click.FloatRange(0, 1),
    help="Exit with code 8 and write nothing if F1 is below it, or if one label alone is predicted.",
)
@option(
    "--metric",
    group="Validation",
    default="f1",
    show_default=True,
    type=click.Choice(["f1", "accuracy", "loss"]),
    help="Figure that picks the best epoch; of equal ones the lower validation loss does.",
)
@option(
    "--patience",
    group="Validation",
    type=click.IntRange(min=1),
    help="Stop after this many epochs without a better one.",
)
@option(
    "--max-train-samples", group="Input", type=click.IntRange(min=1), help="Train on this many rows, drawn at random."
)
@option("--class-weights", group="Recipe", metavar="balanced|A=1,B=2", help="Weights of the labels in the loss.")
@option(
    "--average",
    group="Recipe",
    default=0.0,
    show_default=True,
    help="Decay of a moving average of the weights, such as 0.999.",
)
@option(
    "--pretrain-on",
    group="Pretraining",
    shell_complete=complete_files,
    multiple=True,
    metavar="FILE",
    help="First adapt the encoder to these texts, by masked words.",
)
@option("--pretrain-epochs", group="Pretraining", default=1.0, show_default=True)
@option("--pretrain-learning-rate", group="Pretraining", default=1e-4, show_default=True)
@option("--pretrain-batch-size", group="Pretraining", default=32, show_default=True, type=click.IntRange(min=1))
@option(
    "--max-pretrain-samples",
    group="Pretraining",
    type=click.IntRange(min=1),
    help="Adapt to this many texts, drawn at random.",
)
@option("--pretrain-max-length", group="Pretraining", default=128, show_default=True, type=click.IntRange(min=3))
@option(
    "--teacher",
    group="Teachers",
    shell_complete=complete_files,
    multiple=True,
    metavar="FILE|FOLDER",
    help="Also learn from a teacher: a file of predictions by `score`, or the folder of a checkpoint. May be repeated: "
    "then from the mean of their probabilities.",
)
@option(
    "--unlabelled",
    group="Teachers",
    shell_complete=complete_files,
    multiple=True,
    metavar="FILE",
    help="Texts to be labelled by teachers that are checkpoints.",
)
@option(
    "--teacher-weight",
    group="Teachers",
    default=1.0,
    show_default=True,
    help="Weight of such a row; a labelled one has 1.",
)
@option(
    "--max-teacher-samples",
    group="Teachers",
    type=click.IntRange(min=1),
    help="Learn from this many of them, drawn at random.",
)
@option(
    "--baseline",
    group="Baseline",
    is_flag=True,
    help="Fit TF-IDF and a linear SVM instead; with -o, add its row to that table.",
)
@option(
    "--predict",
    group="Baseline",
    shell_complete=complete_files,
    multiple=True,
    metavar="FILE",
    help="Texts for the baseline. [default: the validation rows]",
)
@option(
    "--predictions",
    group="Baseline",
    type=LocalPath(),
    help="Write its predictions in the format of `score`.",
)
@option(
    "--group-by-length/--no-group-by-length",
    group="Recipe",
    default=True,
    help="Batches of like lengths. [default: on]",
)
@option(
    "--save-steps",
    group="Output",
    default=0,
    type=click.IntRange(min=0),
    help="Also save a checkpoint between epochs, every this many steps.",
)
@option("--seed", group="Recipe", default=42, show_default=True)
@option(
    "--report-to", group="Output", multiple=True, type=click.Choice(["tensorboard"]), help="Also log to OUTPUT/runs."
)
@option("--resume", group="Output", is_flag=True, help="Resume from the last checkpoint of the same run.")
@option(
    "--overwrite",
    group="Output",
    is_flag=True,
    help="Replace an existing checkpoint; without --resume, discard an unfinished one.",
)
@common_options
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
