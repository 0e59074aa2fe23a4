"""The command ``train-model``: parse, call one function, print."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NoReturn

import click

from scorer.commands.console import common_options, run, set_up_logging
from scorer.commands.shared_options import reading_options

EPILOG = """\b
Examples:
  train-model -o imdb-distilbert --train imdb
  train-model -o my-model --train train.csv --eval dev.csv --epochs 3
  train-model --baseline --train train.csv --eval dev.csv
  train-model -o my-model --model ./MiniLM --train reviews.parquet --validation-split 0.1 --group-column movie

The recipe of the project's origin is the default: DistilBERT, learning rate 2e-5, batches of 4,
2 epochs, fp16 where CUDA is. The table epoch / training loss / validation loss / accuracy / F1 is
printed and saved in CHECKPOINT/history.json.
"""


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the new checkpoint.")
@click.option(
    "--model", default="distilbert-base-uncased", show_default=True, help="A folder or a Hub id to start from."
)
@click.option("--keep-layout", is_flag=True, help="Keep BERT's layout. [default: rearrange it into DistilBERT's]")
@click.option("--train", multiple=True, default=["imdb"], help="Files, a folder, or `imdb` for the Hub's data set.")
@click.option("--eval", "eval_", multiple=True, help="The same, to validate on after each epoch.")
@click.option("--validation-split", default=0.0, help="Share of the training rows to hold out in place of --eval.")
@click.option("--group-column", metavar="NAME", help="Keep rows of the same value on one side of that split.")
@reading_options
@click.option("--text-column", metavar="NAME", help="Column with the text.")
@click.option("--label-column", metavar="NAME", help="Column with the label.")
@click.option("--label-names", metavar="A,B,…", help="Names of the label ids 0, 1, …, where the files hold numbers.")
@click.option("--learning-rate", default=2e-5, show_default=True)
@click.option("--batch-size", default=4, show_default=True, type=click.IntRange(min=1))
@click.option("--epochs", default=2.0, show_default=True)
@click.option("--fp16/--no-fp16", default=None, help="Mixed precision on CUDA. [default: on where CUDA is]")
@click.option("--bf16/--no-bf16", default=None, help="bfloat16 autocast. [default: on for a CPU with the instructions]")
@click.option(
    "--max-length",
    default=512,
    show_default=True,
    type=click.IntRange(min=3),
    help="Maximum number of tokens per review.",
)
@click.option("--train-max-length", type=click.IntRange(min=3), help="The same for training only: fewer, for speed.")
@click.option(
    "--long-text",
    default="truncate",
    show_default=True,
    type=click.Choice(["truncate", "head-tail"]),
    help="Part of a longer review to keep: its head, or its head and tail.",
)
@click.option(
    "--clean", multiple=True, type=click.Choice(["html-breaks"]), help="Clean texts before they are tokenized."
)
@click.option(
    "--warmup-ratio", default=0.0, show_default=True, help="Share of the steps in which the learning rate rises."
)
@click.option("--weight-decay", default=0.0, show_default=True)
@click.option(
    "--layer-decay", default=1.0, show_default=True, help="Factor of the learning rate from layer to layer, head first."
)
@click.option("--label-smoothing", default=0.0, show_default=True)
@click.option("--grad-accumulation", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--dropout", type=click.FloatRange(0, 1), help="[default: the checkpoint's]")
@click.option(
    "--attention-dropout",
    type=click.FloatRange(0, 1),
    help="0 trains more than twice as fast on a CPU. [default: the checkpoint's]",
)
@click.option(
    "--metric", default="f1", show_default=True, help="Figure that picks the best epoch: f1, accuracy or loss."
)
@click.option("--patience", type=click.IntRange(min=1), help="Stop after this many epochs without a better one.")
@click.option("--max-train-samples", type=click.IntRange(min=1), help="Train on this many rows, drawn at random.")
@click.option("--class-weights", metavar="balanced|A=1,B=2", help="Weights of the labels in the loss.")
@click.option(
    "--average", default=0.0, show_default=True, help="Decay of a moving average of the weights, such as 0.999."
)
@click.option(
    "--pretrain-on", multiple=True, metavar="FILE", help="First adapt the encoder to these texts, by masked words."
)
@click.option("--pretrain-epochs", default=1.0, show_default=True)
@click.option("--pretrain-learning-rate", default=1e-4, show_default=True)
@click.option("--pretrain-batch-size", default=32, show_default=True, type=click.IntRange(min=1))
@click.option("--max-pretrain-samples", type=click.IntRange(min=1), help="Adapt to this many texts, drawn at random.")
@click.option("--pretrain-max-length", default=128, show_default=True, type=click.IntRange(min=3))
@click.option(
    "--teacher",
    multiple=True,
    metavar="FILE|FOLDER",
    help="Teacher: predictions of `score`, or a checkpoint; the mean of several.",
)
@click.option(
    "--unlabelled", multiple=True, metavar="FILE", help="Texts to be labelled by teachers that are checkpoints."
)
@click.option("--teacher-weight", default=1.0, show_default=True, help="Weight of such a row; a labelled one has 1.")
@click.option(
    "--max-teacher-samples", type=click.IntRange(min=1), help="Learn from this many of them, drawn at random."
)
@click.option(
    "--baseline", is_flag=True, help="Fit TF-IDF and a linear SVM instead; with -o, add its row to that table."
)
@click.option("--predict", multiple=True, metavar="FILE", help="Texts for the baseline. [default: the validation rows]")
@click.option("--predictions", type=click.Path(path_type=Path), help="Write its predictions in the format of `score`.")
@click.option("--group-by-length/--no-group-by-length", default=True, help="Batches of like lengths. [default: on]")
@click.option(
    "--save-steps",
    default=0,
    type=click.IntRange(min=0),
    help="Also save a checkpoint between epochs, every this many steps.",
)
@click.option("--seed", default=42, show_default=True)
@click.option("--report-to", multiple=True, type=click.Choice(["tensorboard"]), help="Also log to OUTPUT/runs.")
@click.option("--resume", is_flag=True, help="Resume from the last checkpoint of the same run.")
@click.option(
    "--overwrite", is_flag=True, help="Replace an existing checkpoint; without --resume, discard an unfinished one."
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
    """Fine-tune a DistilBERT on labelled reviews and write it to a folder."""
    set_up_logging(quiet=quiet, verbose=verbose)
    from scorer.model.preprocessing import Preprocessing
    from train.options import TrainOptions

    chosen = TrainOptions(
        eval=eval_,
        label_names=tuple(name.strip() for name in label_names.split(",")) if label_names else (),
        preprocessing=Preprocessing(
            max_length=max_length, long_text=long_text, stride=min(128, (max_length - 2) // 2), clean=clean
        ),
        **options,
    )
    _require_extra(baseline=chosen.baseline)
    _hush_libraries(verbose)
    if chosen.baseline:
        from train.baseline import fit_baseline

        click.echo(fit_baseline(chosen).table())
        return
    from train.training import train_model as train

    history = train(chosen)
    click.echo(history.table())
    if not quiet:
        click.echo(f"{chosen.output}: epoch {history.best_epoch:g} kept, best in {history.metric}", err=True)


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

    needed = {"sklearn": "baseline"}
    if not baseline:
        needed |= dict.fromkeys(("torch", "transformers", "datasets", "evaluate", "accelerate"), "train")
    for module, extra in needed.items():
        if find_spec(module) is None:
            raise UsageError(f"training needs {module}", hint=f'pip install "review-scorer[{extra}]"')
