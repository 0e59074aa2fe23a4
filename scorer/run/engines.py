"""The one place that knows both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions


@contextmanager
def engine_of(options: ScoreOptions) -> Iterator[Callable[[], Engine]]:
    """A function that starts the engine that ``options`` ask for, once; it ends with the block.

    Started late: a run that has nothing to score, or may not, loads no model and reaches for no cluster.
    """
    with ExitStack() as stack:

        @cache
        def engine() -> Engine:
            if options.engine == "ray":
                from scorer.cluster.connection import require_address, require_ray

                require_address(options.ray_address)
                require_ray()
                from scorer.cluster.ray_engine import RayEngine

                return stack.enter_context(RayEngine(options))
            from scorer.job.local_engine import LocalEngine

            return stack.enter_context(LocalEngine(options))

        yield engine
