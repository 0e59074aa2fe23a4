"""The engine of one machine: it scores chunks one after another, and tokenizes the next chunk meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from scorer.job.chunk_work import ChunkWork, EncodedChunk, ModelIdentity
from scorer.job.engine import RemainingChunks
from scorer.job.options import ScoreOptions
from scorer.job.parts import ChunkResult
from scorer.model.graph import Logits
from scorer.model.scoring import Scorer
from scorer.overlap import one_ahead
from scorer.progress import Progress, ticking
from scorer.safe_text import counted

log = logging.getLogger(__name__)


class LocalEngine:
    """Scores in this process; see :class:`scorer.job.engine.Engine`."""

    def __init__(self, options: ScoreOptions, scorer: Scorer | None = None) -> None:
        """``scorer`` is an already loaded model; without it, the one of ``options`` is loaded."""
        self._options = options
        self._scorer = scorer
        self._model: ModelIdentity | None = None

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._scorer = None

    def model(self) -> ModelIdentity:
        """Identity of the model, which is loaded once.

        Raises:
            ModelError: the model or the device cannot be used.
        """
        if self._model is None:
            self._model = ModelIdentity.of(self._loaded())
        return self._model

    @contextmanager
    def results(
        self, work: ChunkWork, remaining: RemainingChunks, progress: Progress
    ) -> Iterator[Iterator[ChunkResult]]:
        """Score the remaining chunks of ``work`` in their order; ``progress`` sees every run of the model."""
        scorer = self._loaded()

        def encoded() -> Iterator[EncodedChunk]:
            for chunk in work.chunks(start=remaining.first):
                if chunk.number not in remaining.done:
                    yield work.columns.encode(scorer, chunk, work.known)

        def with_logits(chunks: Iterator[EncodedChunk]) -> Iterator[tuple[EncodedChunk, Logits]]:
            for chunk in chunks:
                tokens = chunk.tokens
                yield chunk, scorer.session.logits(tokens, ticking(progress, tokens.n_rows, len(tokens.tokens)))

        with ExitStack() as threads:
            runs = with_logits(threads.enter_context(one_ahead(encoded())))
            if scorer.session.batching == "tokens":
                # Batches on a device leave the processor free for the rows of the chunk before.
                runs = threads.enter_context(one_ahead(runs))
            yield (work.columns.score(scorer, chunk, logits) for chunk, logits in runs)

    def _loaded(self) -> Scorer:
        if self._scorer is None:
            self._scorer = new_scorer(self._options)
        return self._scorer


def new_scorer(options: ScoreOptions, *, tell: bool = True) -> Scorer:
    """The model that ``options`` ask for, loaded; ``tell`` says so in the log.

    Raises:
        ModelError: the model or the device cannot be used.
        UsageError: an option is out of range.
    """
    scorer = Scorer.load(options.model, options=options)
    session = scorer.session
    if session.note:
        log.warning("%s", session.note)
    if not tell:
        return scorer
    fields = {"precision": session.precision, "device": session.device, "provider": session.provider}
    about = {"event": "model_loaded", "fields": {**fields, "threads": session.threads}}
    threads = counted(session.threads, "thread")
    log.info("scoring with %s on %s, %s", session.precision, session.device, threads, extra=about)
    return scorer
