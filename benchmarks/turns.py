"""Who takes turns in the benchmark: scoring, the limit of its design, what people would use instead, ceilings."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import ceilings
from benchmarks.tables import Series
from scorer.files.inputs import InputFile
from scorer.job.job import run_job
from scorer.job.local_engine import LocalEngine
from scorer.job.options import ScoreOptions
from scorer.model.encoding import Encoded
from scorer.model.scoring import Scorer
from scorer.progress import NoProgress

SCORE, LOOP = "score, file to file", "bare loop of session runs"

DEFAULT_PIPELINE = "transformers pipeline, fp32, batch 1"

_ORT_INT8, _ONEDNN_INT8 = "int8 product, onnxruntime", "int8 product, oneDNN through torch"

_PAUSE = 0.2  # seconds between turns: threads of the one before may still spin

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

    def runs_turn(self) -> float:
        """As :meth:`loop_turn`, for a device where reviews run in batches."""
        begun = self.clock()
        self.scorer.session.logits(self.encoded)
        return len(self.encoded.rows) / (self.clock() - begun)

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
    models: Path,
    threads: int,
    seconds: float,
    clock: Callable[[], float],
    plugin: ModuleType | None,
) -> Bench:
    """Load the model, or make it in ``models`` where it does not lie there yet, and list who takes turns."""
    made = models / f"model-{size}"
    if model is None and plugin is not None and not (made / "optimum" / "model_quantized.onnx").exists():
        shutil.rmtree(made, ignore_errors=True)  # an attempt that did not come to its end
        click.echo(f"making a random-weight model of size {size}", err=True)
        plugin.make_model(size, made)
    own = None if plugin is None or model is not None else made / "bundle"
    scorer = Scorer.load(model or own, threads=threads)
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
        bench.rates[LOOP] = bench.runs_turn
    if plugin is not None and own is not None:
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
    mean = round(float(bench.encoded.lengths.mean()))
    # Not the goal: what the products of this model come to when nothing else is computed.
    block = ceilings.block_products(width, inner, mean)
    bench.ceilings[f"int8 products of a whole block, {mean} tokens"] = lambda: ceilings.operations_per_second(
        [block], bench.threads, seconds, bench.clock
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
