"""The options of how a model is run, which every command that runs one has."""

from __future__ import annotations

import click

from scorer.console import F, with_options


def session_options(command: F) -> F:
    """``--device``, ``--precision``, ``--threads`` and ``--batch-tokens``, as keyword arguments."""
    return with_options(command, _OPTIONS)


_OPTIONS = (
    click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="DEVICE",
        help="auto, cpu, cuda or cuda:N; an explicit cuda that cannot run is an error.",
    ),
    click.option(
        "--precision",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "fp32", "fp16", "int8"]),
        help="auto is fp16 on CUDA and int8 on the CPU.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="Reviews scored side by side on the CPU. [default: the CPUs that this process may use]",
    ),
    click.option(
        "--batch-tokens",
        default=16384,
        show_default=True,
        type=click.IntRange(min=1),
        help="Tokens per batch, where there are batches.",
    ),
)
