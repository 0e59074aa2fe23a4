"""Where chunks are scored: in this process, or by Ray. Everything around that is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from scorer.options import ScoreOptions

if TYPE_CHECKING:
    from scorer.chunk_work import ChunkWork, RunningModel
    from scorer.parts import ChunkResult, PackedPart


@dataclass(frozen=True)
class ChunkFailure:
    """A chunk that could not be scored, or could not be read: it and those behind it.

    Attributes:
        number: of the chunk.
        error: what the run ends with, unless a chunk before this one fails too.
    """

    number: int
    error: Exception


@dataclass(frozen=True)
class Missing:
    """The chunks of a job that are not done yet.

    Attributes:
        chunk_rows: input rows of each.
        first: the first that is not done.
        done: numbers of those that are; there may be some behind the first that is not.
    """

    chunk_rows: int
    first: int
    done: frozenset[int]


class Engine(Protocol):
    """What scores chunks. A context manager; one serves all jobs of a call, one after another."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_exception: object) -> None: ...

    def model(self) -> RunningModel:
        """The model that scores, loaded when it is first asked for.

        Raises:
            ModelError: the model, the device or the cluster cannot be used.
        """

    def results(
        self, work: ChunkWork, missing: Missing
    ) -> AbstractContextManager[Iterator[ChunkResult | PackedPart | ChunkFailure]]:
        """The missing chunks of ``work``, scored, in any order.

        Raises:
            ScorerError: what fails here and now; what failed elsewhere comes as a :class:`ChunkFailure`.
        """


@contextmanager
def engine_of(options: ScoreOptions) -> Iterator[Callable[[], Engine]]:
    """A function that starts the engine that ``options`` ask for, once; it ends with the block.

    Started late: a run that has nothing to score, or may not, loads no model and reaches for no cluster.
    """
    with ExitStack() as stack:

        @cache
        def engine() -> Engine:
            if options.engine == "ray":
                from scorer.ray_cluster import require_address, require_ray

                require_address(options.ray_address)
                require_ray()
                from scorer.ray_engine import RayEngine

                return stack.enter_context(RayEngine(options))
            from scorer.local import LocalEngine

            return stack.enter_context(LocalEngine(options))

        yield engine
