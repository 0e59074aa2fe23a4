"""The benchmark end to end on a tiny model, and the figures it draws from what it measures."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import ceilings
from benchmarks.__main__ import main
from benchmarks.comparison import benchmark
from benchmarks.tables import Goal, Growth, Series, growth_table, speed_table
from benchmarks.texts import made_up_reviews, reviews_of
from scorer.errors import InputError
from tests.conftest import Call, InProcess
from tests.helpers.processes import ROOT, base_environment


@pytest.fixture
def call_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: InProcess) -> Iterator[Call]:
    """`python -m benchmarks` in this process, in ``tmp_path``: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", base_environment()["PYTHONPATH"])  # of the processes that it measures
    threads = torch.get_num_threads()
    yield in_process(benchmark, "SCORER_BENCHMARK")
    torch.set_num_threads(threads)


def test_it_is_a_module_to_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(ROOT / "benchmarks"), run_name="__main__")
    assert (left.value.code, "one line of JSON" in capsys.readouterr().out) == (0, True)


def test_the_whole_on_a_bundle(call_benchmark: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    options = [
        "--model",
        tiny_bundle,
        "--no-pipelines",
        "--reviews",
        12,
        "--rounds",
        2,
        "--threads",
        1,
        "--host-reviews",
        0,
    ]
    code, out, err = call_benchmark(*options, "--seconds", 0.1, "--rows", "50,100")
    assert code == 0, err
    *table, last = out.splitlines()
    result = json.loads(last)
    assert result["machine"]["threads"] == 1
    (part,) = result["sizes"]
    assert part["precision"] == "int8"
    assert set(part["reviews_per_second"]) == {"score, file to file", "bare loop of session runs"}
    assert all(len(series["values"]) == 2 for series in part["reviews_per_second"].values())
    assert set(part["operations_per_second"]) == {
        "session",
        "int8 product, onnxruntime",
        "fp32 product, onnxruntime",
        "int8 product, oneDNN through torch",
        next(name for name in part["operations_per_second"] if name.startswith("int8 products of a whole block, ")),
    }
    assert all(series["median"] > 0 for series in part["operations_per_second"].values())
    assert "MultiHeadAttention" in part["operators_ms"]
    assert set(part["stages_ms"]) == {"read", "tokenize", "run the model", "write, check, publish"}
    assert [step["rows"] for step in result["scale"]] == [50, 100]
    assert all(step["peak_mib"] > 20 and step["rows_per_second"] > 0 for step in result["scale"])
    assert result["machine"]["reviews"].startswith("made-up reviews, log-normal")
    names = [goal["name"] for goal in result["goals"]]
    assert [name.partition(":")[0] for name in names] == ["start-up"] * 3 + ["scale"] * 3
    text = "\n".join(table)
    assert f"of {len(names)} met" in text
    for goal in result["goals"]:
        verdict = {True: "met", False: "NOT MET", None: "not measured"}[goal["met"]]
        assert any(line.startswith(f"  {verdict} ") and line.endswith(goal["name"]) for line in table)
    assert not any(tmp_path.iterdir())


def test_the_contestants_take_part_on_models_that_are_kept(call_benchmark: Call, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("review\n" + "a film of some length\n" * 5)
    options = ["--size", "tiny", "--quick", "--rows", "", "--rounds", 1, "--threads", 1, "--seconds", 0.05]
    code, out, err = call_benchmark(*options, "--work-dir", tmp_path / "kept", "--input", own, "--reviews", 4)
    assert code == 0, err
    assert (tmp_path / "kept" / "model-tiny" / "bundle" / "model_int8.onnx").exists()
    assert not any((tmp_path / "kept" / "model-tiny").glob("work"))
    (part,) = json.loads(out.splitlines()[-1])["sizes"]
    pipelines = {name for name in part["reviews_per_second"] if "pipeline" in name}
    assert pipelines == {
        f"{library} pipeline, {precision}, batch {size}"
        for library, precision in (("transformers", "fp32"), ("Optimum ORT", "fp32"), ("Optimum ORT", "int8"))
        for size in (1, 32)
    }


def test_models_are_made_without_pipelines_too(call_benchmark: Call, tmp_path: Path) -> None:
    options = [
        "--size",
        "tiny",
        "--no-pipelines",
        "--reviews",
        3,
        "--rounds",
        1,
        "--threads",
        1,
        "--seconds",
        0.05,
        "--host-reviews",
        40,
    ]
    code, out, err = call_benchmark(*options, "--rows", "20")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    (part,) = result["sizes"]
    assert (part["size"], result["scale"][0]["rows"]) == ("tiny", 20)
    assert set(part["reviews_per_second"]) == {"score, file to file", "bare loop of session runs"}
    assert err.count("making a random-weight model of size tiny") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", ROOT, "--size", "384"], "--size and --model cannot be combined"),
        (["--size", "384", "--size", "384"], "--size names a size twice"),
        (["--rows", "many"], "--rows 'many' is not a list of numbers"),
        (["--no-pipelines", "--input", "nowhere.csv"], "nowhere.csv: no such file"),
    ],
)
def test_usage(arguments: list[object], message: str, in_process: InProcess) -> None:
    code, _, err = in_process(benchmark, "SCORER_BENCHMARK")(*arguments)
    assert code in (2, 3)
    assert message in err
    assert err.count("\n") == 1


def test_reviews_are_as_long_as_film_reviews_and_the_same_each_time() -> None:
    reviews = made_up_reviews(500)
    assert reviews == made_up_reviews(500)
    assert len(set(reviews)) == 500
    for some in (reviews, made_up_reviews(60)):
        lengths = [len(text.split()) for text in some]
        # Breaks of lines count as words here, and stand beside those that were drawn.
        assert 225 < np.mean(lengths) < 245
        assert 185 < np.median(lengths) < 205


def test_reviews_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("id,review\n1,good\n2,\n3,bad\n4,fine\n")
    assert reviews_of(path, None, 2) == ["good", "bad"]
    with pytest.raises(InputError):
        reviews_of(path, "text", 2)


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_a_graph_of_one_node_is_a_product(kind: str) -> None:
    item = ceilings.product(kind, 4, 8, 3)
    (found,) = item.run()  # type: ignore[misc]
    random = np.random.default_rng(0)
    if kind == "int8":
        data, weights = random.integers(0, 255, (4, 8)) - 128, random.integers(-64, 64, (8, 3))
    else:
        data, weights = random.standard_normal((4, 8)), random.standard_normal((8, 3))
    assert found == pytest.approx(data @ weights, rel=1e-4)
    assert item.operations == 2 * 4 * 8 * 3


def test_a_product_of_onednn_has_the_operations_of_any_other() -> None:
    item = ceilings.onednn_product(32, 64, 32)
    assert item.run().shape == (32, 32)  # type: ignore[attr-defined]
    assert item.operations == 2 * 32 * 64 * 32


def test_operations_are_those_of_the_published_model() -> None:
    """A DistilBERT-base reads 300 tokens with about 27 giga-operations."""
    base = {"dim": 768, "hidden_dim": 3072, "n_layers": 6}
    one = ceilings.published_operations(base, np.asarray([300]))
    assert one == pytest.approx(6 * (24 * 768**2 * 300 + 4 * 300**2 * 768) + 2 * 768**2)
    assert 26e9 < one < 28e9
    bert = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 6}
    assert ceilings.published_operations(bert, np.asarray([300, 300])) == 2 * one


def test_a_block_is_its_six_products() -> None:
    block = ceilings.block_products(8, 32, 4)
    block.run()
    assert block.operations == 2 * 4 * (4 * 8 * 8 + 2 * 8 * 32)


def test_what_a_row_costs_leaves_out_the_start() -> None:
    step = Growth(1000, 2.5, 0.5, 200.4)
    assert step.rows_per_second == 400
    assert step.to_json() == {
        "rows": 1000,
        "rows_per_second": 400,
        "microseconds_per_row": 2000.0,
        "peak_mib": 200,
    }
    assert growth_table([step])[1].split() == ["1,000", "400", "2000.0", "200", "MiB"]


def test_goals_and_ratios() -> None:
    assert Goal("a", 0.95, 0.92).met
    assert not Goal("a", 0.9, 0.92).met
    assert Goal("a", 0.2, 0.3, at_most=True).met
    assert Goal("a", None, 1).met is None
    assert "not measured" in Goal("a", None, 1).line()
    fast, slow = Series((4.0, 9.0, 8.0)), Series((2.0, 3.0, 8.0))
    assert fast.over(slow) == 2.0
    assert (fast.median, fast.spread) == (8.0, 0.625)
    assert "2.00 × as fast" in speed_table({"a": fast, "b": slow}, "a")[2]


def test_a_missing_package_is_an_error_with_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "benchmarks.comparison")
    monkeypatch.setattr("sys.argv", ["benchmarks", "--quick"])
    with pytest.raises(SystemExit) as left:
        main()
    line = 'error: the benchmarks need torch; pip install "review-scorer[export]"\n'
    assert (left.value.code, capsys.readouterr().err) == (2, line)
