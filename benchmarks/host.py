"""The host line: from file to file, everything except the session's own runs, in microseconds a review."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from scorer.files.inputs import InputFile
from scorer.job.job import run_job
from scorer.job.local_engine import LocalEngine
from scorer.job.options import ScoreOptions
from scorer.model.bundle import ModelBundle
from scorer.model.encoding import TextEncoder
from scorer.model.scoring import Scorer
from scorer.model.session import ModelSession
from scorer.progress import NoProgress

_SWITCH_SECONDS = 1e-4
"""How soon a thread has to give Python's lock away, while the share of the lock is measured."""

Package = Literal["nanotoken", "tokenizers"]


@dataclass(frozen=True)
class HostCost:
    """The cost of a review outside the session.

    Attributes:
        tokenizer: the package that tokenized.
        seconds: wall time a review: read, decode, tokenize, cut, fill, softmax, write, publish.
        locked_seconds: the part of it that holds Python's lock, for which the device's thread would wait.
    """

    tokenizer: str
    seconds: float
    locked_seconds: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object with microseconds and reviews per second."""
        return {
            "tokenizer": self.tokenizer,
            "us_per_review": round(self.seconds * 1e6, 2),
            "us_per_review_under_the_lock": round(self.locked_seconds * 1e6, 2),
            "reviews_per_second": round(1 / self.seconds),
        }


class _SessionWithoutRuns(ModelSession):
    """A session whose batches are cut, filled and handed over, and whose logits are zeros."""

    def _run_bound(self, _values: dict[str, npt.NDArray[Any]], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
        return np.zeros((shape[0], self._n_labels), dtype=np.float32)


def host_costs(bundle: Path, reviews: list[str], folder: Path, rounds: int = 3) -> list[HostCost]:
    """Costs with each tokenizer; ``bundle`` needs a file whose graph has an attention mask, so that it pads."""
    source = folder / "host.parquet"
    pq.write_table(pa.table({"id": range(len(reviews)), "text": reviews}), source)
    return [_host_cost(bundle, source, len(reviews), package, rounds) for package in get_args(Package)]


def _host_cost(bundle: Path, source: Path, n_reviews: int, package: Package, rounds: int) -> HostCost:
    options = ScoreOptions(
        device="cpu",
        precision="fp32",
        batching="tokens",
        batch_tokens=32_768,
        chunk_rows=32_768,
        tokenizer=package,
        overwrite=True,
    )
    opened = ModelBundle.load(bundle)
    tokenizer = Tokenizer.from_file(str(opened.tokenizer_file))
    encoder = TextEncoder(tokenizer, opened.preprocessing, package)
    scorer = Scorer(opened, _SessionWithoutRuns(opened, options), encoder)

    def whole() -> None:
        output = str(source.with_name("host-scored.parquet"))
        engine = LocalEngine(options, scorer)
        run_job(InputFile(str(source), source.name), output, options, NoProgress(), engine=lambda: engine)

    whole()  # warm up
    walls = []
    for _ in range(rounds):
        begun = time.perf_counter()
        whole()
        walls.append(time.perf_counter() - begun)
    locked = statistics.median(_seconds_under_the_lock(whole) for _ in range(rounds))
    return HostCost(scorer.tokenizer, statistics.median(walls) / n_reviews, locked / n_reviews)


def _seconds_under_the_lock(work: Callable[[], None]) -> float:
    """Seconds for which ``work`` holds Python's lock: what a counting thread beside it loses of its rate."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        alone, _ = _rate_beside(lambda: time.sleep(0.5))
        beside, seconds = _rate_beside(work)
    finally:
        sys.setswitchinterval(before)
    return seconds * max(0.0, 1 - beside / alone)


def _rate_beside(work: Callable[[], None]) -> tuple[float, float]:
    """Counts per second of a thread of Python beside ``work``, and the seconds that ``work`` took."""
    stop = threading.Event()
    counts = [0]

    def count() -> None:
        while not stop.is_set():
            counts[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    counted = counts[0]
    stop.set()
    thread.join()
    return counted / seconds, seconds


def host_table(costs: list[HostCost]) -> list[str]:
    """The costs as lines."""
    lines = ["host, all but the session's runs     µs a review   under the lock   reviews/s"]
    for cost in costs:
        name = f"with {cost.tokenizer}"
        lines.append(
            f"{name:36} {cost.seconds * 1e6:12.1f} {cost.locked_seconds * 1e6:16.1f} {1 / cost.seconds:11,.0f}"
        )
    return lines
