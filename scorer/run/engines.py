"""The one place that knows both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache

from scorer.disk.paths import STDIN, STDOUT
from scorer.errors import UsageError
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions


def check_streams(inputs: Sequence[str], output: str, options: ScoreOptions) -> None:
    """Check that the engine can read and write what is asked: Ray's processes do not share standard streams.

    Raises:
        UsageError: it cannot, or the output has no name.
    """
    if not output:
        raise UsageError("the output has an empty name", hint="is a variable unset?")
    if options.engine == "ray" and (STDIN in inputs or output == STDOUT):
        stream = "standard input" if STDIN in inputs else "standard output"
        raise UsageError(f"--engine ray works on files, not on {stream}", hint="name a file, or drop --engine ray")


def check_engine(options: ScoreOptions) -> None:
    """Check what can be known of the engine before it starts: that Ray is installed, and answers at its address.

    Raises:
        ModelError: Ray is missing, or nothing answers there.
        UsageError: that is no address.
    """
    if options.engine == "ray":
        from scorer.cluster.connection import require_address, require_ray

        require_address(options.ray_address)
        require_ray()


@contextmanager
def engine_of(options: ScoreOptions) -> Iterator[Callable[[], Engine]]:
    """A function that starts the engine of ``options`` at its first call; the engine ends with the block.

    Started late: a run that has nothing to score, or is refused, loads no model and connects to no cluster.
    """
    with ExitStack() as stack:

        @cache
        def engine() -> Engine:
            check_engine(options)
            if options.engine == "ray":
                from scorer.cluster.ray_engine import RayEngine

                return stack.enter_context(RayEngine(options))
            from scorer.job.local_engine import LocalEngine

            return stack.enter_context(LocalEngine(options))

        yield engine
