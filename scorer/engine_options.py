"""The options of where chunks are scored."""

from __future__ import annotations

import click

from scorer.console import F, with_options


def engine_options(command: F) -> F:
    """``--engine`` and what belongs to Ray, as keyword arguments."""
    return with_options(command, _OPTIONS)


_OPTIONS = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Score in this process, or with Ray Data on all of a machine or a cluster. The result is the same.",
    ),
    click.option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Cluster of --engine ray, or auto for the one that this machine belongs to. [default: RAY_ADDRESS, else "
        "a Ray of its own on this machine]",
    ),
    click.option(
        "--actors",
        type=click.IntRange(min=1),
        help="Processes of --engine ray that score. [default: as many as there is room for]",
    ),
    click.option(
        "--cores-per-actor",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="CPUs of each of them.",
    ),
    click.option(
        "--gpus-per-actor",
        type=click.FloatRange(min=0),
        help="GPUs of each of them, 0.5 for two on one. [default: 1 where there are GPUs for the model, else 0]",
    ),
)
