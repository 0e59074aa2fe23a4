"""``python -m benchmarks``, or the line to type if its packages are not installed."""

from __future__ import annotations

from typing import NoReturn

import click

from scorer.commands.console import run
from scorer.errors import UsageError


def main() -> NoReturn:
    """Run the command."""
    try:
        from benchmarks.comparison import benchmark
    except ModuleNotFoundError as error:
        benchmark = _refusal(error.name)
    run(benchmark, env_prefix="SCORER_BENCHMARK")


def _refusal(package: str | None) -> click.Command:
    """A command that takes whatever is typed, and says which package it lacks."""

    def refuse() -> None:
        raise UsageError(f"the benchmarks need {package}", hint='pip install "review-scorer[export]"')

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command("benchmarks", callback=refuse, context_settings=anything, add_help_option=False)


if __name__ == "__main__":
    main()
