"""Options that several commands share: how files are read, how a model is run, on which engine, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from scorer.commands.grouped_help import GENERAL, complete_devices, complete_files, complete_folders, option
from scorer.commands.log_setup import choose_log_format
from scorer.errors import UsageError
from scorer.files.urls import is_url, without_secrets
from scorer.log_lines import FORMATS
from scorer.version import PACKAGE, package_version


def _require_name(value: Any, parameter: click.Parameter | None) -> None:
    if value == "":
        name = "a path" if parameter is None else parameter.opts[-1]
        what = name if name.startswith("-") or parameter is None else str(parameter.metavar or name.upper()).strip(".")
        raise UsageError(f"{what} has an empty name", hint="is a variable unset?")


class NameOrPath(click.ParamType[str]):
    """A path, or the name of what lies elsewhere, such as a model of the Hub."""

    name = "text"

    def convert(self, value: Any, parameter: click.Parameter | None, _context: click.Context | None) -> str:
        """``value`` as it is.

        Raises:
            UsageError: it is empty.
        """
        _require_name(value, parameter)
        return str(value)


class LocalPath(click.ParamType[Path]):
    """A path of this machine; the message that refuses a URL leaves out its secrets."""

    name = "path"

    def convert(self, value: Any, parameter: click.Parameter | None, _context: click.Context | None) -> Path:
        """``value`` as a path.

        Raises:
            UsageError: it is empty or a URL.
        """
        _require_name(value, parameter)
        if isinstance(value, str) and is_url(value):
            raise UsageError("is a URL, but this must be a local file", path=without_secrets(value))
        return Path(value)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Have the shell complete it as a file."""
        return complete_files(context, parameter, incomplete)


def _show_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"{PACKAGE}, version {package_version()}")
        context.exit()


READING_OPTIONS = (
    option(
        "--format",
        group="Input",
        type=click.Choice(["parquet", "csv", "tsv", "jsonl"]),
        help="Format of the files that are read. [default: by extension]",
    ),
    option("--encoding", group="Input", metavar="NAME", help="Encoding of text files that are read. [default: UTF-8]"),
    option(
        "--delimiter", group="Input", metavar="CHAR", help="Between the fields of CSV files. [default: the format's]"
    ),
    option(
        "--quote",
        group="Input",
        metavar="CHAR|none",
        help='Around fields of CSV files; none: quotation marks are plain characters. [default: "]',
    ),
    option(
        "--escape",
        group="Input",
        metavar="CHAR",
        help="Makes a quote, delimiter or line break behind it plain in CSV files, as \\ in Spark's. "
        "[default: quotes are doubled]",
    ),
    option(
        "--no-header",
        group="Input",
        is_flag=True,
        help="The first row of CSV files is data; columns are column_1, column_2, …, and options take their numbers.",
    ),
)
"""Options of reading files: the fields of :class:`scorer.files.file_options.FileOptions`."""

MODEL_OPTIONS = (
    option(
        "--model",
        group="Model",
        type=NameOrPath(),
        shell_complete=complete_folders,
        metavar="BUNDLE",
        is_eager=True,
        help="Model that scores: a bundle, which is a folder that export-model wrote, or a Hub id. "
        "[default: the built-in model]",
    ),
    option(
        "--device",
        group="Model",
        default="auto",
        show_default=True,
        metavar="DEVICE",
        shell_complete=complete_devices,
        help="auto, cpu, cuda or cuda:N; an explicit cuda that cannot run is an error.",
    ),
    option(
        "--precision",
        group="Model",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "fp32", "fp16", "int8"]),
        help="auto is fp16 on CUDA and int8 on the CPU.",
    ),
    option(
        "--threads",
        group="Speed",
        type=click.IntRange(min=1),
        help="Reviews scored side by side on the CPU. [default: the CPUs that this process may use]",
    ),
    option(
        "--batch-tokens",
        group="Speed",
        type=click.IntRange(min=1),
        help="Tokens per batch, where there are batches. [default: 32768 on CUDA, 16384 on the CPU]",
    ),
    option(
        "--tokenizer",
        group="Model",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "nanotoken", "tokenizers"]),
        help="Package that tokenizes; auto is nanotoken where it gives the ids of tokenizers. The ids are the same.",
    ),
)
"""The model and how it runs."""

ENGINE_OPTIONS = (
    option(
        "--engine",
        group="Ray",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Score in this process, or with Ray on all of a machine or a cluster. The result is the same.",
    ),
    option(
        "--ray-address",
        group="Ray",
        metavar="HOST:PORT",
        help="Cluster of --engine ray, or auto for the one that this machine belongs to. [default: RAY_ADDRESS, else "
        "a Ray of its own on this machine]",
    ),
    option(
        "--actors",
        group="Ray",
        type=click.IntRange(min=1),
        help="Processes of --engine ray that score. [default: as many as there is room for]",
    ),
    option(
        "--cores-per-actor",
        group="Ray",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="CPUs of each of them.",
    ),
    option(
        "--gpus-per-actor",
        group="Ray",
        type=click.FloatRange(min=0),
        help="GPUs of each of them, 0.5 for two on one. [default: 1 where there are GPUs for the model, else 0]",
    ),
)
"""``--engine`` and what belongs to Ray."""

COMMON_OPTIONS = (
    click.option(
        "-V",
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and exit.",
    ),
    option("-q", "--quiet", group=GENERAL, is_flag=True, help="Print only errors on stderr."),
    option(
        "-v",
        "--verbose",
        group=GENERAL,
        count=True,
        help="Also log what was found, left out and decided, and the page that explains an error; twice: logs of "
        "libraries too.",
    ),
    option("--debug", group=GENERAL, is_flag=True, help="Show a traceback when something fails."),
)
"""Options of every command; all but ``--version`` arrive as keyword arguments."""

log_format_option = option(
    "--log-format",
    group=GENERAL,
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    expose_value=False,
    callback=lambda _context, _parameter, value: choose_log_format(value),
    is_eager=True,
    help="Lines on stderr for people, or one JSON object a line: time, level, event, message, fields.",
)
"""``--log-format``, which holds from the first line on, for errors of usage too."""
