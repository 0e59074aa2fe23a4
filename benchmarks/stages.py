"""The parts of the time: stages of a file's way, operators inside the model, start-up, and growth with rows."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.sessions import feeds_of, model_session, one_thread_options
from benchmarks.tables import Growth
from benchmarks.texts import made_up_reviews
from scorer.files.opening import open_source
from scorer.files.source import text_values
from scorer.model.scoring import Scorer
from scorer.model.token_runs import Encoded

_HELP = "from scorer.commands.score import score_main; import sys; sys.argv[1:] = ['--help']; score_main()"

_SCORE = """
import os, resource, sys, time
begun = time.perf_counter()
from scorer import score_file
score_file(sys.argv[1], sys.argv[2], model=sys.argv[3] or None, overwrite=True, threads=int(sys.argv[4]) or None)
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if os.path.exists("/proc/self/status"):  # there, the peak above counts the process that started this one as well
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, peak)
"""


def stage_seconds(scorer: Scorer, source: Path, whole: float, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each stage by itself over ``source``; the rest of ``whole`` is writing and publishing."""
    begun = clock()
    opened = open_source(str(source)).with_text("text")
    chunks = list(opened.chunks(2048))
    read = clock()
    encoded = [scorer.encode(text_values(chunk.rows.column("text"))) for chunk in chunks]
    tokenized = clock()
    for item in encoded:
        scorer.session.logits(item)
    ran = clock()
    parts = {"read": read - begun, "tokenize": tokenized - read, "run the model": ran - tokenized}
    return {**parts, "write, check, publish": max(0.0, whole - sum(parts.values()))}


def operator_seconds(model: Path, encoded: Encoded, runs: int = 8) -> dict[str, float]:
    """Seconds by operator, from onnxruntime's own profiler, for a review of middle length on one thread."""
    middle = int(np.argsort(encoded.lengths)[len(encoded.rows) // 2])
    with tempfile.TemporaryDirectory() as folder:
        options = one_thread_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = model_session(model, options)
        feeds = feeds_of(session, encoded.run(middle))
        for _ in range(runs):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    by_node: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            by_node[event["args"]["op_name"], event["name"]].append(event["dur"] / 1e6)
    totals: dict[str, float] = defaultdict(float)
    for (operator, _), seconds in by_node.items():
        totals[operator] += statistics.median(seconds)
    return dict(sorted(totals.items(), key=lambda item: -item[1])[:8])


def start_up_seconds(model: str | None, folder: Path, runs: int, *, by_cpu: bool = False) -> dict[str, float]:
    """Medians over ``runs``: help, ten rows in all, and what ``import scorer`` adds to a bare interpreter.

    ``by_cpu`` counts the processes' own processor time instead of the wall's.
    """
    clock = _processor_time_of_children if by_cpu else time.perf_counter
    source = folder / "ten.parquet"
    pq.write_table(pa.table({"text": made_up_reviews(10)}), source)
    score = [_SCORE, str(source), str(folder / "ten-scored.parquet"), model or "", "0"]
    bare = _median(lambda: _python("pass"), runs, clock)
    return {
        "score --help": _median(lambda: _python(_HELP), runs, clock),
        "ten rows": _median(lambda: _python(*score), runs, clock),
        "import scorer": max(0.0, _median(lambda: _python("import scorer"), runs, clock) - bare),
    }


def growth(model: Path, sizes: list[int], folder: Path, threads: int) -> list[Growth]:
    """The cost of each number of rows: short ones, so that the pipeline counts and not the model.

    The files go into ``folder``; a process of its own scores each with ``model``.
    """
    words = " ".join(made_up_reviews(50)).split()
    random = np.random.default_rng(1)
    start_up = 0.0
    found = []
    for rows in [10, *sizes]:
        source = folder / f"{rows}.parquet"
        picks = random.integers(0, len(words) - 24, rows)
        ends = random.integers(5, 24, rows)
        with pq.ParquetWriter(source, pa.schema([("id", pa.int64()), ("text", pa.string())])) as writer:
            for start in range(0, rows, 65536):
                part = range(start, min(start + 65536, rows))
                texts = [" ".join(words[picks[row] : picks[row] + ends[row]]) + f" {row}" for row in part]
                writer.write_table(pa.table({"id": pa.array(part, pa.int64()), "text": texts}))
        output = _python(_SCORE, str(source), str(folder / "scored.parquet"), str(model), str(threads))
        seconds, peak = output.split()
        if rows == 10 and not start_up:
            start_up = float(seconds)
            continue
        mib = int(peak) / (1024 if sys.platform != "darwin" else 1024**2)
        found.append(Growth(rows, float(seconds), start_up, mib))
    return found


def _python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def _processor_time_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _median(call: Callable[[], object], runs: int, clock: Callable[[], float]) -> float:
    call()
    times = []
    for _ in range(runs):
        begun = clock()
        call()
        times.append(clock() - begun)
    return statistics.median(times)
