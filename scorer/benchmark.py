"""``python -m scorer.benchmark``: how fast scoring is, beside what people would use instead and what is possible.

Contestants take turns within a round, so that a machine that slows down slows all of them; medians of
ratios within a round are what counts.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

from scorer import benchmark_ceilings as ceilings
from scorer.benchmark_report import Goal, Series, ceiling_table, goal_lines, share_table, speed_table
from scorer.benchmark_stages import growth, operator_seconds, stage_seconds, start_up_seconds
from scorer.benchmark_texts import made_up_reviews, reviews_of
from scorer.console import package_version, run
from scorer.encoding import Encoded
from scorer.errors import UsageError
from scorer.jobs import run_job
from scorer.local import LocalEngine
from scorer.locations import InputFile
from scorer.machine import usable_cpus
from scorer.options import ScoreOptions
from scorer.progress import NoProgress
from scorer.scoring import Scorer

SCORE, LOOP = "score, file to file", "bare loop of session runs"
_ORT_INT8, _ONEDNN_INT8 = "int8 product, onnxruntime", "int8 product, oneDNN through torch"
_GOALS = {"384": (0.92, 2.0, 0.80), "base": (0.95, 1.5, 0.95)}
_PAUSE = 0.2  # seconds between turns: threads of the one before may still spin
_CONTESTANTS = "export.benchmark_contestants"

# One turn of a contestant: reviews per second, or operations per second.
Turn = Callable[[], float]


@dataclass
class Bench:
    """One model under measurement: its turns, and the folder for what they write."""

    size: str
    scorer: Scorer
    texts: list[str]
    encoded: Encoded
    folder: Path
    threads: int
    seconds: float
    clock: Callable[[], float]
    rates: dict[str, Turn] = field(default_factory=dict)
    ceilings: dict[str, Turn] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The reviews as a file."""
        return self.folder / "reviews.parquet"

    def score_turn(self) -> float:
        """Reviews per second from Parquet to Parquet, the model loaded already."""
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

    def loop_turn(self, session: ort.InferenceSession) -> float:
        """Reviews per second of session runs alone, on token ids that are ready: the limit of the design."""
        order = np.argsort(-self.encoded.lengths, kind="stable")
        inputs = [(item.name, np.int32 if "int32" in item.type else np.int64) for item in session.get_inputs()]
        feeds = [
            {
                name: (
                    self.encoded.run(place)[np.newaxis, :].astype(kind)
                    if name == "input_ids"
                    else np.full((1, self.encoded.lengths[place]), name == "attention_mask", kind)
                )
                for name, kind in inputs
            }
            for place in order.tolist()
        ]
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

    def pipeline_turn(self, classify: Callable[[list[str]], object], state: dict[str, int]) -> float:
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


def prepare(
    size: str,
    model: Path | None,
    texts: list[str],
    folder: Path,
    threads: int,
    seconds: float,
    clock: Callable[[], float],
    plugin: ModuleType | None,
) -> Bench:
    """Load or make the model, and list who takes turns."""
    made = folder / f"model-{size}"
    if model is None and plugin is not None:
        click.echo(f"making a random-weight model of size {size}", err=True)
        plugin.make_model(size, made)
    scorer = Scorer.load(model or (made / "bundle" if made.is_dir() else None), threads=threads)
    encoded = scorer.encode(texts)
    bench = Bench(size, scorer, texts, encoded, folder, threads, seconds, clock)
    pq.write_table(pa.table({"id": range(len(texts)), "text": texts}), bench.source)
    bench.rates[SCORE] = bench.score_turn
    if scorer.session.device == "cpu":
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        bare = ort.InferenceSession(
            scorer.bundle.variant(scorer.session.precision),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["SkipLayerNormFusion"],
        )
        bench.rates[LOOP] = lambda: bench.loop_turn(bare)
    else:
        bench.rates[LOOP] = lambda: len(encoded.rows) / _seconds(lambda: scorer.session.logits(encoded))
    if plugin is not None and made.is_dir():
        plugin.use_threads(threads)
        for name, classify in plugin.contestants(made):
            state: dict[str, int] = {}
            bench.rates[name] = lambda classify=classify, state=state: bench.pipeline_turn(classify, state)  # type: ignore[misc]
    _add_ceilings(bench, plugin)
    return bench


def _add_ceilings(bench: Bench, plugin: ModuleType | None) -> None:
    config = json.loads((bench.scorer.bundle.folder / "config.json").read_bytes())
    width = int(config.get("dim") or config["hidden_size"])
    inner = int(config.get("hidden_dim") or config["intermediate_size"])
    seconds = max(0.2, bench.seconds / 3)
    device = bench.scorer.session.device
    if device != "cpu":
        bench.ceilings["fp16 product, onnxruntime on CUDA"] = lambda: ceilings.cuda_product(device, seconds)
        return
    for kind, name in (("int8", _ORT_INT8), ("fp32", "fp32 product, onnxruntime")):
        products = ceilings.layer_products(kind, width, inner)
        bench.ceilings[name] = lambda products=products: ceilings.operations_per_second(  # type: ignore[misc]
            products, bench.threads, seconds, bench.clock
        )
    if plugin is not None:
        shapes = [(512, width, inner), (512, inner, width)]
        onednn = [ceilings.Product(*plugin.onednn_product(*shape)) for shape in shapes]
        bench.ceilings[_ONEDNN_INT8] = lambda: ceilings.operations_per_second(
            onednn, bench.threads, seconds, bench.clock
        )


def measure(bench: Bench, rounds: int) -> tuple[dict[str, Series], dict[str, Series]]:
    """Warm up, then let all take turns, ``rounds`` times; reviews/s and operations/s by name."""
    turns = {**bench.rates, **bench.ceilings}
    values: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        click.echo(f"size {bench.size}: {'warming up' if number == 0 else f'round {number} of {rounds}'}", err=True)
        for name, turn in turns.items():
            time.sleep(_PAUSE)
            value = turn()
            if number:
                values[name].append(value)
    series = {name: Series(tuple(found)) for name, found in values.items()}
    return {name: series[name] for name in bench.rates}, {name: series[name] for name in bench.ceilings}


def report(
    bench: Bench, rates: Mapping[str, Series], limits: Mapping[str, Series]
) -> tuple[list[Goal], dict[str, Any]]:
    """Print the tables of one size; its goals and its part of the JSON line."""
    session = bench.scorer.session
    lengths = bench.encoded.lengths
    config = json.loads((bench.scorer.bundle.folder / "config.json").read_bytes())
    per_review = ceilings.published_operations(config, lengths) / len(lengths)
    click.echo(
        f"\nsize {bench.size}: {session.precision} on {session.provider}, {session.threads} threads, "
        f"{len(lengths)} reviews of {lengths.mean():.0f} tokens, {per_review / 1e9:.2f} giga-operations each"
    )
    click.echo("\n".join(speed_table(rates, SCORE)))
    reached = Series(tuple(value * per_review for value in rates[LOOP].values))
    click.echo("\n".join(["", *ceiling_table(limits, reached)]))
    stages = stage_seconds(bench.scorer, bench.source, len(bench.texts) / rates[SCORE].median, bench.clock)
    stages = {name: seconds * 1e3 / len(bench.texts) for name, seconds in stages.items()}
    click.echo("\n".join(["", *share_table("stages, each by itself", stages)]))
    operators: dict[str, float] = {}
    if session.device == "cpu":
        model = bench.scorer.bundle.variants[session.precision]
        operators = {name: value * 1e3 for name, value in operator_seconds(model, bench.encoded).items()}
        click.echo("\n".join(["", *share_table("operators, one thread", operators)]))
    part = {
        "size": bench.size,
        "precision": session.precision,
        "provider": session.provider,
        "threads": session.threads,
        "reviews": len(bench.texts),
        "mean_tokens": round(float(lengths.mean()), 1),
        "reviews_per_second": {name: series.to_json() for name, series in rates.items()},
        "operations_per_second": {"session": reached.to_json(), **{k: v.to_json() for k, v in limits.items()}},
        "stages_ms": {name: round(value, 4) for name, value in stages.items()},
        "operators_ms": {name: round(value, 4) for name, value in operators.items()},
    }
    return _goals(bench.size, int(config.get("dim") or config["hidden_size"]), rates, limits, reached), part


def _goals(
    size: str, width: int, rates: Mapping[str, Series], limits: Mapping[str, Series], reached: Series
) -> list[Goal]:
    if width < 384:
        return []  # so small a model measures the pipeline, not the model
    of_loop, of_optimum, of_product = _GOALS["base" if width >= 768 else "384"]
    score = rates[SCORE]
    optimum = [series for name, series in rates.items() if name.startswith("Optimum") and "int8" in name]
    best = max(optimum, key=lambda series: series.median, default=None)
    default = rates.get("transformers pipeline, fp32, batch 1")
    int8 = [series for name, series in limits.items() if name.startswith("int8")]
    fastest = max(int8, key=lambda series: series.median, default=None)
    return [
        Goal(f"{size}: file to file, of the bare loop", score.over(rates[LOOP]), of_loop),
        Goal(f"{size}: over the best Optimum int8 pipeline", score.over(best) if best else None, of_optimum),
        Goal(f"{size}: over the transformers pipeline's defaults", score.over(default) if default else None, 15.0),
        Goal(f"{size}: session, of the fastest int8 product", reached.over(fastest) if fastest else None, of_product),
    ]


def _start_up(model: Path | None, folder: Path, runs: int, *, by_cpu: bool) -> tuple[list[Goal], dict[str, float]]:
    found = start_up_seconds(None if model is None else str(model), folder, runs, by_cpu=by_cpu)
    targets = {"score --help": 0.3, "ten rows": 1.5, "import scorer": 0.1}
    goals = [Goal(f"start-up: {name}", found[name], target, at_most=True, unit="s") for name, target in targets.items()]
    return goals, {name: round(value, 4) for name, value in found.items()}


def _growth(
    sizes: list[int], model: Path | None, folder: Path, threads: int, plugin: ModuleType | None
) -> tuple[list[Goal], list[dict[str, float]]]:
    if model is None:
        if plugin is None:
            raise UsageError(
                "--rows needs a tiny model", hint="pass one with --model, or install review-scorer[export]"
            )
        model = plugin.make_model("tiny", folder / "model-tiny")
    found = growth(model, sizes, folder, threads)
    click.echo("\n  rows         rows/s   peak memory")
    for rows, speed, peak in found:
        click.echo(f"  {rows:<10,} {speed:8,.0f}  {peak:8,.0f} MiB")
    goals = [Goal("scale: rows/s of a tiny model at the largest size", found[-1][1], 20000, unit="rows/s")]
    if len(found) > 1:
        goals.append(
            Goal("scale: peak memory, largest by smallest size", found[-1][2] / found[0][2], 1.5, at_most=True)
        )
    return goals, [
        {"rows": rows, "rows_per_second": round(speed), "peak_mib": round(peak)} for rows, speed, peak in found
    ]


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _plugin() -> ModuleType | None:
    """The contestants that need torch and transformers, where they are installed."""
    needed = ("export", "torch", "transformers", "onnx", "optimum")
    if any(importlib.util.find_spec(name) is None for name in needed):
        return None
    return importlib.import_module(_CONTESTANTS)


def _machine(threads: int) -> dict[str, Any]:
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return {
        "processor": name,
        "cpus": usable_cpus(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "review-scorer": package_version(),
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.Choice(["tiny", "384", "base"]),
    help="Size of a random-weight DistilBERT, made where [export] is installed; may be repeated. [default: 384]",
)
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Measure this bundle instead."
)
@click.option("--texts", type=click.Path(path_type=Path), help="A file of reviews. [default: made up ones]")
@click.option("--text-column", metavar="NAME", help="Its column with the text.")
@click.option("--reviews", default=400, show_default=True, type=click.IntRange(min=1), help="Reviews per turn.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="Turns of each contestant.")
@click.option("--seconds", default=3.0, show_default=True, type=click.FloatRange(min=0), help="Of a pipeline's turn.")
@click.option("--threads", type=click.IntRange(min=1), help="[default: the CPUs that this process may use]")
@click.option("--rows", metavar="N,N,…", default="", help="Also measure growth with these numbers of short rows.")
@click.option(
    "--clock",
    default="wall",
    show_default=True,
    type=click.Choice(["wall", "cpu"]),
    help="cpu counts processor time by the number of threads, for a machine that others use meanwhile.",
)
@click.option(
    "--pipelines/--no-pipelines", default=True, help="Run transformers and Optimum, where they are installed."
)
@click.option("--work-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep what is made here.")
def benchmark(
    sizes: tuple[str, ...],
    model: Path | None,
    texts: Path | None,
    text_column: str | None,
    reviews: int,
    rounds: int,
    seconds: float,
    threads: int | None,
    rows: str,
    clock: str,
    pipelines: bool,
    work_dir: Path | None,
) -> None:
    """Measure scoring beside what people would use instead, and beside what this machine can do at most.

    Prints tables, the goals as met or not, and last one line of JSON.
    """
    if model is not None and sizes:
        raise UsageError("--size and --model exclude each other", hint="drop one of them")
    try:
        row_counts = [int(part) for part in rows.split(",") if part]
    except ValueError as error:
        raise UsageError(f"--rows {rows!r} is no list of numbers", hint="such as 10000,100000") from error
    count = threads or usable_cpus()
    plugin = _plugin() if pipelines else None
    timer = time.perf_counter if clock == "wall" else lambda: time.process_time() / count
    machine = {**_machine(count), "clock": clock}
    click.echo("\n".join(f"{name:<14} {value}" for name, value in machine.items()))
    if plugin is None:
        click.echo("transformers and Optimum do not take part: install review-scorer[export] for them")
    found = reviews_of(texts, text_column, reviews) if texts else made_up_reviews(reviews)
    if not found:
        raise UsageError("there is no review to measure with", path=texts, hint="pass a file that holds some")
    goals: list[Goal] = []
    parts = []
    with tempfile.TemporaryDirectory(dir=work_dir) as folder:
        for size in sizes or (("own" if model or plugin is None else "384"),):
            (Path(folder) / size).mkdir()
            bench = prepare(size, model, found, Path(folder) / size, count, seconds, timer, plugin)
            measured, part = report(bench, *measure(bench, rounds))
            goals += measured
            parts.append(part)
        measured, start_up = _start_up(model, Path(folder), min(rounds, 5), by_cpu=clock == "cpu")
        goals += measured
        scale: list[dict[str, float]] = []
        if row_counts:
            measured, scale = _growth(row_counts, model, Path(folder), count, plugin)
            goals += measured
    click.echo("\n" + "\n".join(goal_lines(goals)))
    result = {
        "machine": machine,
        "rounds": rounds,
        "sizes": parts,
        "start_up_seconds": start_up,
        "scale": scale,
        "goals": [goal.to_json() for goal in goals],
    }
    click.echo(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    run(benchmark, env_prefix="SCORER_BENCHMARK")
