"""The command of ``python -m benchmarks``: scoring beside the usual alternatives and the hardware's limit.

Contestants take turns within a round, so that a machine that slows down slows all of them; medians of
ratios within a round are what counts.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import onnxruntime as ort
import torch

from benchmarks import ceilings
from benchmarks.contestants import DEFAULT_PIPELINE, random_model
from benchmarks.host import host_costs, host_table
from benchmarks.stages import growth, operator_seconds, stage_seconds, start_up_seconds
from benchmarks.tables import Goal, Series, ceiling_table, goal_lines, growth_table, share_table, speed_table
from benchmarks.texts import LENGTHS, made_up_reviews, reviews_of
from benchmarks.turns import LOOP, SCORE, Bench
from scorer.errors import UsageError
from scorer.model.machine import usable_cpus
from scorer.model.scoring import Scorer
from scorer.version import package_version

_GOALS = {"384": (0.96, 2.0, 0.80), "base": (0.95, 1.5, 0.95)}


def report(
    bench: Bench, rates: Mapping[str, Series], limits: Mapping[str, Series]
) -> tuple[list[Goal], dict[str, Any]]:
    """Print the tables of one size; its goals and its part of the JSON line."""
    session = bench.scorer.session
    lengths = bench.encoded.lengths
    per_review = ceilings.published_operations(bench.config, lengths) / len(lengths)
    click.echo(
        f"\nsize {bench.size}: {session.precision} on {session.provider}, {session.threads} threads, "
        f"{len(lengths)} reviews of {lengths.mean():.0f} tokens, {per_review / 1e9:.2f} giga-operations each"
    )
    click.echo("\n".join(speed_table(rates, SCORE)))
    reached = Series(tuple(value * per_review for value in rates[LOOP].values))
    click.echo("\n".join(["", *ceiling_table(limits, reached)]))
    copied = None if session.device == "cpu" else ceilings.cuda_copy(session.device)
    if copied is not None:
        click.echo(f"  copies to {session.device} run at {copied / 1e9:.1f} GB/s")
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
        "copy_bytes_per_second": copied,
        "stages_ms": {name: round(value, 4) for name, value in stages.items()},
        "operators_ms": {name: round(value, 4) for name, value in operators.items()},
    }
    return _goals(bench, rates, limits, reached), part


def _goals(bench: Bench, rates: Mapping[str, Series], limits: Mapping[str, Series], reached: Series) -> list[Goal]:
    size, (width, _) = bench.size, ceilings.widths(bench.config)
    if width < 384:
        return []  # so small a model measures the pipeline, not the model
    of_loop, of_optimum, of_product = _GOALS["base" if width >= 768 else "384"]
    score = rates[SCORE]
    optimum = [series for name, series in rates.items() if name.startswith("Optimum") and "int8" in name]
    best = max(optimum, key=lambda series: series.median, default=None)
    default = rates.get(DEFAULT_PIPELINE)
    int8 = [series for name, series in limits.items() if name.startswith("int8 product,")]
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


def _host(reviews: list[str], bundle: Path, folder: Path, rounds: int) -> tuple[list[Goal], list[dict[str, Any]]]:
    fast, reference = costs = host_costs(bundle, reviews, folder, rounds)
    click.echo("\n" + "\n".join(host_table(costs)))
    goals = [
        Goal("host: wall time of a review", fast.seconds * 1e6, 28, at_most=True, unit="µs"),
        Goal("host: of it under Python's lock", fast.locked_seconds * 1e6, 15, at_most=True, unit="µs"),
        Goal("host: Scorer.encode, times the reference", reference.encode_seconds / fast.encode_seconds, 15),
    ]
    return goals, [cost.to_json() for cost in costs]


def _growth(sizes: list[int], model: Path, folder: Path, threads: int) -> tuple[list[Goal], list[dict[str, float]]]:
    found = growth(model, sizes, folder, threads)
    click.echo("\n" + "\n".join(growth_table(found)))
    first, last = found[0], found[-1]
    goals = [Goal("scale: rows/s of a tiny model at the largest size", last.rows_per_second, 50000, unit="rows/s")]
    if len(found) > 1:
        # So few rows that they cost no more than the start say nothing of a row.
        slower = last.per_row / first.per_row if first.per_row else None
        goals += [
            Goal("scale: time per row, largest by smallest size", slower, 1.25, at_most=True),
            Goal("scale: peak memory, largest by smallest size", last.peak_mib / first.peak_mib, 1.5, at_most=True),
        ]
    return goals, [step.to_json() for step in found]


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
    help="Size of a random-weight DistilBERT; may be repeated. [default: 384]",
)
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Measure this bundle instead."
)
@click.option(
    "--input", "--texts", "texts", type=click.Path(path_type=Path), help=f"A file of reviews. [default: {LENGTHS}]"
)
@click.option("--text-column", metavar="NAME", help="Its column with the text.")
@click.option("--quick", is_flag=True, help="Both sizes, fewer reviews and rounds, growth to 100,000 rows: 4 minutes.")
@click.option("--reviews", type=click.IntRange(min=1), help="Reviews per turn. [default: 400; 150 where quick]")
@click.option("--rounds", type=click.IntRange(min=1), help="Turns of each contestant. [default: 5; 3 where quick]")
@click.option(
    "--seconds", type=click.FloatRange(min=0), help="Of a pipeline's turn, about. [default: 3; 1 where quick]"
)
@click.option("--threads", type=click.IntRange(min=1), help="[default: the CPUs that this process may use]")
@click.option(
    "--host-reviews",
    type=click.IntRange(min=0),
    help="Reviews of the host line, 0 for none. [default: 20000; 5000 where quick]",
)
@click.option("--rows", metavar="N,N,…", help="Also measure growth with these numbers of short rows.")
@click.option(
    "--clock",
    default="wall",
    show_default=True,
    type=click.Choice(["wall", "cpu"]),
    help="cpu counts processor time by the number of threads, for a machine that others use meanwhile.",
)
@click.option("--pipelines/--no-pipelines", default=True, help="Run transformers and Optimum, on random weights.")
@click.option(
    "--work-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep the models here, for the next time."
)
def benchmark(
    sizes: tuple[str, ...],
    model: Path | None,
    texts: Path | None,
    text_column: str | None,
    quick: bool,
    reviews: int | None,
    rounds: int | None,
    seconds: float | None,
    threads: int | None,
    rows: str | None,
    host_reviews: int | None,
    clock: str,
    pipelines: bool,
    work_dir: Path | None,
) -> None:
    """Measure scoring beside the usual alternatives, and beside the limit of this machine.

    Prints tables, the goals as met or not, and last one line of JSON.
    """
    if model is not None and sizes:
        raise UsageError("--size and --model cannot be combined", hint="drop one of them")
    if len(set(sizes)) < len(sizes):
        raise UsageError("--size names a size twice", hint="drop one of them")
    reviews = reviews or (150 if quick else 400)
    rounds = rounds or (3 if quick else 5)
    host_reviews = (5000 if quick else 20000) if host_reviews is None else host_reviews
    seconds = (1.0 if quick else 3.0) if seconds is None else seconds
    if quick:
        sizes = sizes or (() if model else ("384", "base"))
        rows = "10000,100000" if rows is None else rows
    try:
        row_counts = [int(part) for part in (rows or "").split(",") if part]
    except ValueError as error:
        raise UsageError(f"--rows {rows!r} is not a list of numbers", hint="such as 10000,100000") from error
    count = threads or usable_cpus()
    if threads:
        torch.set_num_threads(threads)  # else its own default, as people have it
    timer = time.perf_counter if clock == "wall" else lambda: time.process_time() / count
    described = f"the first {reviews} of {texts}" if texts else LENGTHS
    machine = {**_machine(count), "clock": clock, "reviews": described}
    click.echo("\n".join(f"{name:<14} {value}" for name, value in machine.items()))
    found = reviews_of(texts, text_column, reviews) if texts else made_up_reviews(reviews)
    if not found:
        raise UsageError("there is no review to measure with", path=texts, hint="pass a file that holds some")
    goals: list[Goal] = []
    parts = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = folder if work_dir is None else work_dir
        for size in sizes or ("own" if model else "384",):
            (folder / size).mkdir()
            made = None if model else random_model(size, models / f"model-{size}")
            scorer = Scorer.load(made / "bundle" if made else model, threads=count)
            bench = Bench(size, scorer, found, folder / size, count, seconds, timer)
            bench.add_turns(made if pipelines else None)
            measured, part = report(bench, *bench.measure(rounds))
            goals += measured
            parts.append(part)
        small = random_model("tiny", models / "model-tiny") / "bundle" if host_reviews or row_counts else folder
        host: list[dict[str, Any]] = []
        if host_reviews:
            many = reviews_of(texts, text_column, host_reviews) if texts else made_up_reviews(host_reviews)
            measured, host = _host(many, small, folder, min(rounds, 3))
            goals += measured
        measured, start_up = _start_up(model, folder, min(rounds, 5), by_cpu=clock == "cpu")
        goals += measured
        scale: list[dict[str, float]] = []
        if row_counts:
            measured, scale = _growth(row_counts, model or small, folder, count)
            goals += measured
    click.echo("\n" + "\n".join(goal_lines(goals)))
    result = {
        "machine": machine,
        "rounds": rounds,
        "sizes": parts,
        "start_up_seconds": start_up,
        "host": host,
        "scale": scale,
        "goals": [goal.to_json() for goal in goals],
    }
    click.echo(json.dumps(result, ensure_ascii=False))
