"""Options that several commands share: how files are read, how a model is run, and which engine runs it."""

from __future__ import annotations

import click

from scorer.commands.grouped_help import F, complete_devices, option, with_options


def reading_options(command: F) -> F:
    """Options of reading files, as keyword arguments: the fields of :class:`scorer.files.file_options.FileOptions`."""
    return with_options(command, _READING)


_READING = (
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


def session_options(command: F) -> F:
    """``--device``, ``--precision``, ``--threads`` and ``--batch-tokens``, as keyword arguments."""
    return with_options(command, _SESSION)


_SESSION = (
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


def engine_options(command: F) -> F:
    """``--engine`` and what belongs to Ray, as keyword arguments."""
    return with_options(command, _ENGINE)


_ENGINE = (
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
