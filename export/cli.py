"""The command ``export-model``: parse, call one function, print."""

from __future__ import annotations

import shlex
from typing import Any, NoReturn

import click

from scorer.commands.console import run
from scorer.commands.grouped_help import GroupedCommand, complete_folders, option, with_options
from scorer.commands.log_setup import set_up_logging
from scorer.commands.outcomes import exit_codes
from scorer.commands.shared_options import COMMON_OPTIONS, LocalPath, NameOrPath

EPILOG = """\b
Examples:
  export-model imdb-distilbert -o bundle
  export-model imdb-distilbert -o bundle --precision int8 --eval dev.parquet
  score reviews.parquet -o preds.parquet --model bundle

Every variant is compared with PyTorch before the bundle is moved into place: a logit that is no
number or too far off, another label, a fusion that was missed, or too large a drop of accuracy is
exit code 8, and an existing BUNDLE is left untouched.

""" + exit_codes(0, 1, 2, 3, 4, 5, 7, 8)


def _listed(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in value.split(",") if part.strip())


def _output_for(given: dict[str, Any]) -> str:
    """A name for the bundle beside the checkpoint."""
    return f"{str(given['checkpoint']).rstrip('/').rpartition('/')[2]}-bundle"


@click.command(cls=GroupedCommand, epilog=EPILOG, output_for=_output_for)
@click.argument("checkpoint", type=NameOrPath(), shell_complete=complete_folders)
@option("-o", "--output", group="Output", required=True, type=LocalPath(), help="Folder of the new bundle.")
@option(
    "--precision",
    "precisions",
    group="Variants",
    default="fp16,int8",
    show_default=True,
    metavar="A,B,…",
    callback=_listed,
    help="Variants to keep: fp32, fp16 (for CUDA), int8 (for the CPU). fp32 is always made, as the reference.",
)
@option(
    "--eval",
    group="Quality gate",
    type=LocalPath(),
    metavar="FILE",
    help="Labelled reviews for the quality gate.",
)
@option("--text-column", group="Quality gate", metavar="NAME", help="Column of that file with the text.")
@option("--label-column", group="Quality gate", metavar="NAME", help="Column of that file with the label.")
@option(
    "--max-drop",
    group="Quality gate",
    default=0.005,
    show_default=True,
    help="Accuracy that a variant may lose against fp32 on --eval.",
)
@option(
    "--opset",
    group="Variants",
    type=click.IntRange(min=1),
    help="ONNX opset. [default: Optimum's for the architecture]",
)
@option(
    "--base-model",
    group="Provenance",
    metavar="NAME",
    help="Pretrained model that the checkpoint began from, for bundle.json.",
)
@option("--license", group="Provenance", metavar="NAME", help="Licence of that model, such as Apache-2.0.")
@option("--threads", group="Speed", type=click.IntRange(min=1), help="[default: the CPUs that this process may use]")
@option("--overwrite", group="Output", is_flag=True, help="Replace an existing bundle once the new one is proved.")
@with_options(*COMMON_OPTIONS)
def export_model(quiet: bool, verbose: int, debug: bool, **options: Any) -> None:
    """Export CHECKPOINT, a fine-tuned classifier, to a BUNDLE of ONNX files that `score` runs.

    CHECKPOINT is a folder that train-model or save_pretrained wrote, or a Hub id.
    """
    from export.options import ExportOptions
    from export.preflight import check_before_loading
    from scorer.progress import progress_for_stderr

    set_up_logging(quiet=quiet, verbose=verbose)
    chosen = ExportOptions(**options)
    _require_extra()
    check_before_loading(chosen)
    from export.exporting import export_model as export

    report = export(chosen, progress_for_stderr(quiet=quiet, what="comparing", unit="runs"))
    click.echo(report.table())
    if not quiet:
        click.echo(f"wrote {report.output} ({report.size / 1e6:.1f} MB)", err=True)
        score = shlex.join(["score", "REVIEWS.csv", "-o", "preds.csv", "--model", str(report.output)])
        click.echo(f"next: {score}", err=True)


def _require_extra() -> None:
    from importlib.util import find_spec

    from scorer.errors import UsageError

    for module in ("torch", "transformers", "optimum", "optimum.onnxruntime", "onnx"):
        if find_spec(module) is None:
            raise UsageError(f"exporting needs {module}", hint='pip install "review-scorer[export]"')


def main() -> NoReturn:
    """Console script ``export-model``."""
    run(export_model, env_prefix="EXPORT_MODEL")
