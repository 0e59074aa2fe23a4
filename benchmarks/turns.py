"""The turns of the benchmark: scoring, the limit of its design, the usual alternatives, and the hardware's limit."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import ceilings
from benchmarks.contestants import Classify, pipelines
from benchmarks.sessions import feeds_of, model_session, one_thread_options
from benchmarks.tables import Series
from scorer.files.inputs import InputFile
from scorer.job.job import run_job
from scorer.job.local_engine import LocalEngine
from scorer.job.options import ScoreOptions
from scorer.model.scoring import Scorer
from scorer.model.token_runs import Encoded
from scorer.progress import NoProgress

SCORE, LOOP = "score, file to file", "bare loop of session runs"

_PAUSE = 0.2  # seconds between turns: threads of the one before may still spin

Turn = Callable[[], float]
"""One turn of a contestant: reviews per second, or operations per second."""


@dataclass
class Bench:
    """One model under measurement: its turns, and the folder for what they write.

    Attributes:
        size: name of the model's size.
        scorer: the loaded model.
        texts: reviews of a turn.
        folder: an empty folder.
        threads: used by scoring and by ceilings.
        seconds: wall time of a pipeline's turn, about.
        clock: seconds so far.
        rates: turns that give reviews per second, by name.
        ceilings: turns that give operations per second, by name.
    """

    size: str
    scorer: Scorer
    texts: list[str]
    folder: Path
    threads: int
    seconds: float
    clock: Callable[[], float]
    rates: dict[str, Turn] = field(default_factory=dict)
    ceilings: dict[str, Turn] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.encoded: Encoded = self.scorer.encode(self.texts)
        self.source = self.folder / "reviews.parquet"
        self.config: dict[str, Any] = json.loads((self.scorer.bundle.folder / "config.json").read_bytes())
        pq.write_table(pa.table({"id": range(len(self.texts)), "text": self.texts}), self.source)

    def add_turns(self, alternatives: Path | None) -> None:
        """Enter scoring, its limit and the ceilings; and pipelines over the models in ``alternatives``."""
        self.rates[SCORE] = self._score
        if self.scorer.session.device == "cpu":
            options = one_thread_options()
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            model = self.scorer.bundle.variant(self.scorer.session.precision)
            self.rates[LOOP] = partial(self._loop, model_session(model, options))
        else:
            self.rates[LOOP] = self._batches
        if alternatives is not None:
            for name, classify in pipelines(alternatives):
                self.rates[name] = partial(self._pipeline, classify, {})
        self._add_ceilings()

    def _add_ceilings(self) -> None:
        width, inner = ceilings.widths(self.config)
        seconds = max(0.2, self.seconds / 3)
        device = self.scorer.session.device
        if device != "cpu":
            self.ceilings["fp16 product, onnxruntime on CUDA"] = lambda: ceilings.cuda_product(device, seconds)
            return
        mean = round(float(self.encoded.lengths.mean()))
        products = {
            "int8 product, onnxruntime": ceilings.layer_products(partial(ceilings.product, "int8"), width, inner),
            "fp32 product, onnxruntime": ceilings.layer_products(partial(ceilings.product, "fp32"), width, inner),
            # Not the goal: what the products of this model come to when nothing else is computed.
            f"int8 products of a whole block, {mean} tokens": [ceilings.block_products(width, inner, mean)],
            "int8 product, oneDNN through torch": ceilings.layer_products(ceilings.onednn_product, width, inner),
        }
        for name, parts in products.items():
            self.ceilings[name] = partial(ceilings.operations_per_second, parts, self.threads, seconds, self.clock)

    def _score(self) -> float:
        """Reviews per second from Parquet to Parquet, with the loaded model."""
        options = ScoreOptions(overwrite=True, threads=self.threads)
        begun = self.clock()
        run_job(
            InputFile(str(self.source), self.source.name),
            str(self.folder / "scored.parquet"),
            options,
            NoProgress(),
            engine=lambda: LocalEngine(options, self.scorer),
        )
        return len(self.texts) / (self.clock() - begun)

    def _loop(self, session: ort.InferenceSession) -> float:
        """Reviews per second of session runs alone, on token ids made before: the limit of the design."""
        order = np.argsort(-self.encoded.lengths, kind="stable")
        feeds = [feeds_of(session, self.encoded.run(place)) for place in order.tolist()]
        ready = iter(feeds)

        def work() -> None:
            while (feed := next(ready, None)) is not None:
                session.run(None, feed)

        threads = [threading.Thread(target=work) for _ in range(self.threads)]
        begun = self.clock()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(feeds) / (self.clock() - begun)

    def _batches(self) -> float:
        """As :meth:`_loop`, for a device where reviews run in batches."""
        begun = self.clock()
        self.scorer.session.logits(self.encoded)
        return len(self.encoded.rows) / (self.clock() - begun)

    def _pipeline(self, classify: Classify, state: dict[str, int]) -> float:
        """Reviews per second of a pipeline, on as many reviews of all lengths as fit the time of a turn."""
        count = min(len(self.texts), state.setdefault("count", 2))
        # Spread over all lengths; what the sample is longer or shorter than the whole is set right by tokens.
        by_length = np.argsort(self.encoded.lengths, kind="stable")
        sample = by_length[np.linspace(0, len(by_length) - 1, count + 2).round().astype(int)[1:-1]]
        texts = [self.texts[place] for place in np.random.default_rng(0).permutation(sample)]
        begun, begun_by_wall = self.clock(), time.perf_counter()
        classify(texts)
        seconds = self.clock() - begun
        state["count"] = int(min(len(self.texts), max(2, count * self.seconds / (time.perf_counter() - begun_by_wall))))
        tokens = float(self.encoded.lengths[sample].sum())
        return tokens / seconds / float(self.encoded.lengths.mean())

    def measure(self, rounds: int) -> tuple[dict[str, Series], dict[str, Series]]:
        """Warm up, then let all take turns, ``rounds`` times; reviews/s and operations/s by name."""
        turns = {**self.rates, **self.ceilings}
        values: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(rounds + 1):
            click.echo(f"size {self.size}: {f'round {number} of {rounds}' if number else 'warming up'}", err=True)
            for name, turn in turns.items():
                time.sleep(_PAUSE)
                value = turn()
                if number:
                    values[name].append(value)
        series = {name: Series(tuple(found)) for name, found in values.items()}
        return {name: series[name] for name in self.rates}, {name: series[name] for name in self.ceilings}
