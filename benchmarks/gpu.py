"""``python -m benchmarks.gpu``: all figures of a GPU in one command, beside the loops that people write themselves.

It needs a clone with ``pip install -e ".[gpu,export]"``; ``--device cpu`` tries everything out without a GPU.
"""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from benchmarks.contestants import random_model
from benchmarks.stages import stage_seconds
from benchmarks.texts import made_up_reviews, reviews_of
from export.variants import build_variant
from scorer.commands.console import run
from scorer.model.bundle_writer import write_description
from scorer.model.machine import compute_capability, cudnn_version, usable_cpus
from scorer.model.options import ModelOptions
from scorer.model.scoring import Scorer
from scorer.model.session import ModelSession
from scorer.model.token_runs import Encoded

_BUDGETS = (4_096, 8_192, 16_384, 32_768, 65_536)
_PACKAGES = ("review-scorer", "onnxruntime-gpu", "onnxruntime", "nanotoken", "tokenizers", "torch", "transformers")


def _tell(line: str) -> None:
    click.echo(line)


def _timed(work: Callable[[], object], rounds: int = 3) -> float:
    """Median seconds over ``rounds``, after one that does not count."""
    work()
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def machine(device: str) -> dict[str, Any]:
    """The machine and the packages, as JSON values."""
    found = {"system": platform.platform(), "python": platform.python_version(), "cpus": usable_cpus()}
    if device != "cpu":
        index = int(device.partition(":")[2] or 0)
        found |= {"gpu": torch.cuda.get_device_name(index), "capability": compute_capability(index)}
        found |= {"cudnn": cudnn_version(), "cuda": torch.version.cuda}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def fp16_bundle(size: str, folder: Path) -> tuple[Path, Path]:
    """Checkpoint and bundle of a random-weight DistilBERT of ``size``, the latter with an fp16 file."""
    made = random_model(size, folder)
    checkpoint, bundle = made / "checkpoint", made / "bundle"
    if not (bundle / "model_fp16.onnx").exists():
        config = AutoModelForSequenceClassification.from_pretrained(checkpoint).config
        with tempfile.TemporaryDirectory() as work:
            build_variant("fp16", bundle / "model.onnx", config, Path(work), bundle)
        write_description(bundle, {"export": {"checkpoint": "random weights"}})
    return checkpoint, bundle


def session_rates(scorer: Scorer, encoded: Encoded, options: ModelOptions) -> dict[int, float]:
    """Reviews per second of the session alone, on ready token ids, by token budget."""
    rates = {}
    for budget in _BUDGETS:
        session = ModelSession(scorer.bundle, replace(options, batch_tokens=budget))
        rates[budget] = len(encoded.rows) / _timed(partial(session.logits, encoded))
        _tell(f"session alone, batches of {budget:6,} tokens   {rates[budget]:12,.0f} reviews/s")
    return rates


def kernels(scorer: Scorer, encoded: Encoded) -> dict[str, float]:
    """Milliseconds on the device by kernel, the twelve that take longest; torch's profiler sees onnxruntime's."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        scorer.session.logits(encoded)
    totals: Counter[str] = Counter()
    for event in profile.key_averages():
        totals[event.key[:100]] += event.device_time_total / 1e3
    return {name: round(value, 2) for name, value in totals.most_common(12)}


def file_to_file(source: Path, n_rows: int, bundle: Path, arguments: list[str]) -> dict[str, Any]:
    """Two runs of ``score`` in processes of their own: rows per second, and whether the outputs are equal."""
    output, summary, digests, rates = source.with_name("scored.parquet"), source.with_name("summary.json"), [], []
    for _ in range(2):
        code = "from scorer.commands.score import score_main; score_main()"
        command = [sys.executable, "-c", code, str(source), "-o", str(output), "--model", str(bundle), "--overwrite"]
        subprocess.run([*command, "--summary", str(summary), "-q", *arguments], check=True)
        seconds = json.loads(summary.read_bytes())["outputs"][0]["seconds"]
        rates.append(n_rows / seconds)
        digests.append(hashlib.sha256(output.read_bytes()).hexdigest())
        _tell(f"score, file to file, {n_rows:,} rows, model loading included   {rates[-1]:12,.0f} rows/s")
    return {"rows_per_second": rates, "equal_bytes": digests[0] == digests[1]}


def pipeline_rates(checkpoint: Path, texts: list[str], device: str) -> dict[str, float]:
    """Reviews per second of the loops that people write: transformers' pipeline, and a sorted one with SDPA."""
    kind = torch.float16 if device != "cpu" else torch.float32
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype=kind, attn_implementation="sdpa")
    model = model.eval().to(device)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device=torch.device(device))
    rates = {}
    for size in (32, 128):
        begun = time.perf_counter()
        classify(texts, batch_size=size, truncation=True, max_length=512)
        rates[f"transformers pipeline, batch {size}"] = len(texts) / (time.perf_counter() - begun)

    def by_budget() -> None:
        ids = tokenizer(texts, truncation=True, max_length=512)["input_ids"]
        order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
        start = 0
        with torch.inference_mode():
            while start < len(order):
                batch = order[start : start + max(1, 32_768 // len(ids[order[start]]))]
                padded = tokenizer.pad({"input_ids": [ids[place] for place in batch]}, return_tensors="pt")
                inputs = {name: padded[name].to(device) for name in ("input_ids", "attention_mask")}
                model(**inputs).logits.float().cpu()
                start += len(batch)

    rates["PyTorch, sorted, 32,768 tokens a batch, SDPA"] = len(texts) / _timed(by_budget, rounds=1)
    for name, rate in rates.items():
        _tell(f"{name:60} {rate:12,.0f} reviews/s")
    return rates


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--device", default="cuda:0", show_default=True, help="Device to measure; cpu tries everything out.")
@click.option("--size", type=click.Choice(["tiny", "384", "base"]), default="base", show_default=True)
@click.option("--rows", type=click.IntRange(min=2), default=100_000, show_default=True, help="Rows of the scored file.")
@click.option("--reviews", type=click.IntRange(min=2), default=12_000, show_default=True, help="Different reviews.")
@click.option("--input", "source", type=click.Path(path_type=Path), help="File of reviews. [default: made-up ones]")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Folder in which models are kept.")
def gpu(device: str, size: str, rows: int, reviews: int, source: Path | None, work_dir: Path | None) -> None:
    """Measure scoring on a GPU: session, tokenizing, file to file, kernels, alternatives; one JSON line at the end."""
    with nullcontext(work_dir) if work_dir else tempfile.TemporaryDirectory() as folder:
        where = Path(str(folder))
        checkpoint, bundle = fp16_bundle(size, where / size)
        texts = made_up_reviews(reviews) if source is None else reviews_of(source, None, reviews)
        options = ModelOptions(device=device, precision="fp16", batching="tokens")
        scorer = Scorer.load(bundle, options=options)
        found: dict[str, Any] = {"machine": machine(device), "note": scorer.session.note}
        encoded = scorer.encode(texts)
        found["tokens_per_review"] = float(encoded.lengths.mean())
        _tell(f"{json.dumps(found)}\n")
        found["session"] = session_rates(scorer, encoded, options)
        for package in ("nanotoken", "tokenizers"):
            encoder = Scorer.load(bundle, options=replace(options, tokenizer=package))
            found[f"encode_{package}"] = len(texts) / _timed(partial(encoder.encode, texts))
            _tell(f"tokenizing by {package:12} {found[f'encode_{package}']:12,.0f} reviews/s")
        path = where / "reviews.parquet"
        picks = np.arange(rows) % len(texts)
        column = pa.array(texts, pa.large_string()).take(pa.array(picks))
        numbered = [f"{text} {row}" if row >= len(texts) else text for row, text in enumerate(column.to_pylist())]
        pq.write_table(pa.table({"id": np.arange(rows), "text": numbered}), path)
        arguments = ["--device", device, "--precision", "fp16", "--batching", "tokens"]
        found["file_to_file"] = file_to_file(path, rows, bundle, arguments)
        whole = rows / statistics.median(found["file_to_file"]["rows_per_second"])
        found["stages_s"] = stage_seconds(scorer, path, whole, time.perf_counter)
        _tell("\n".join(f"stage {name:28} {seconds:8.2f} s" for name, seconds in found["stages_s"].items()))
        if device != "cpu":
            found["kernels_ms"] = kernels(scorer, encoded)
            _tell("\n".join(f"{took:10.1f} ms  {name}" for name, took in found["kernels_ms"].items()))
        on_cpu = Scorer.load(bundle, options=replace(options, device="cpu"))
        some = scorer.encode(texts[:200])
        here, there = scorer.session.logits(some), on_cpu.session.logits(some)
        found["cpu_difference"] = float(np.abs(here - there).max())
        found["labels_equal"] = bool((here.argmax(axis=1) == there.argmax(axis=1)).all())
        _tell(f"logits of the same file on the CPU differ by at most {found['cpu_difference']:.2g}")
        found["alternatives"] = pipeline_rates(checkpoint, texts[: min(len(texts), 4_000)], device)
        click.echo(json.dumps(found))


if __name__ == "__main__":
    run(gpu, env_prefix="SCORER_BENCHMARK")
