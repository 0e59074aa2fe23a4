"""The host line: from file to file, everything except the session's own runs, in microseconds a review."""

from __future__ import annotations

import math
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
from scorer.model.scoring import Scorer
from scorer.model.session import ModelSession
from scorer.model.token_runs import TextEncoder
from scorer.progress import NoProgress

_SWITCH_SECONDS = 1e-4
"""Time after which a thread has to give Python's lock away, while the share of the lock is measured."""

Package = Literal["nanotoken", "tokenizers"]


@dataclass(frozen=True)
class HostCost:
    """The cost of a review outside the session.

    Attributes:
        tokenizer: the package that tokenized.
        seconds: wall time a review: read, decode, tokenize, cut, fill, softmax, write, publish.
        locked_seconds: the part of it that holds Python's lock, for which the device's thread would wait.
        encode_seconds: wall time a review of ``Scorer.encode`` alone.
    """

    tokenizer: str
    seconds: float
    locked_seconds: float
    encode_seconds: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object with microseconds and reviews per second."""
        return {
            "tokenizer": self.tokenizer,
            "us_per_review": round(self.seconds * 1e6, 2),
            "us_per_review_under_the_lock": round(self.locked_seconds * 1e6, 2),
            "us_per_review_of_encode": round(self.encode_seconds * 1e6, 2),
            "reviews_per_second": round(1 / self.seconds),
        }


class _SessionWithoutRuns(ModelSession):
    """A session whose batches are cut, filled and handed over, and whose logits are zeros."""

    def _run_bound(self, values: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        return np.zeros((len(values["input_ids"]), self.graph.n_labels), dtype=np.float32)


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
    walls = [_seconds_of(whole) for _ in range(rounds)]
    locked = statistics.median(_seconds_under_the_lock(whole) for _ in range(rounds))
    texts = pq.read_table(source)["text"]
    encodes = [_seconds_of(lambda: scorer.encode(texts)) for _ in range(rounds)]
    seconds = (statistics.median(walls), locked, statistics.median(encodes))
    return HostCost(scorer.tokenizer, *(value / n_reviews for value in seconds))


def _seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _seconds_under_the_lock(work: Callable[[], None]) -> float:
    """Seconds for which ``work`` holds Python's lock: for which a counting thread beside it sleeps.

    The kernel tells how long that thread ran, and how long it waited for a processor; for the rest it waited for
    the lock. NaN where there is no ``/proc``.
    """
    stop = threading.Event()
    awake: list[float] = []

    def count() -> None:
        before = _seconds_awake()
        while not stop.is_set():
            pass
        awake.append(_seconds_awake() - before)

    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        thread = threading.Thread(target=count)
        begun = time.perf_counter()
        thread.start()
        work()
        stop.set()
        thread.join()
        return time.perf_counter() - begun - awake[0]
    finally:
        sys.setswitchinterval(before)


def _seconds_awake() -> float:
    """Seconds for which this thread ran or waited for a processor."""
    try:
        ran, waited, _ = Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()
    except OSError:
        return math.nan
    return (int(ran) + int(waited)) / 1e9


def host_table(costs: list[HostCost]) -> list[str]:
    """The costs as lines."""
    lines = ["host, all but the session's runs     µs a review   under the lock   encode alone   reviews/s"]
    for cost in costs:
        parts = (cost.seconds, cost.locked_seconds, cost.encode_seconds)
        figures = " ".join(f"{part * 1e6:{width}.1f}" for part, width in zip(parts, (12, 16, 14), strict=True))
        lines.append(f"{f'with {cost.tokenizer}':36} {figures} {1 / cost.seconds:11,.0f}")
    return lines
