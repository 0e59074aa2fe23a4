"""Each hint that names an option, and many others, is followed as it stands: the command then succeeds."""

from __future__ import annotations

import ast
import csv
import os
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.cli import export_model
from scorer.model.model_folder import DEFAULT_MODEL
from tests.commands.hint_cases import CASES, Case
from tests.commands.test_hints import hints, hints_of
from tests.conftest import Call, InProcess
from tests.helpers.messages import HOLE, modules
from tests.helpers.processes import CODE, ROOT, base_environment
from train.cli import train_model

ELSEWHERE = {
    # Memory that runs out, and files and rows of gigabytes.
    "raise it, or lower …": (
        "tests/commands/test_hints_of_memory.py::test_threads_that_do_not_fit_into_the_address_space"
    ),
    "lower --chunk-rows, or lower --threads, or free some memory": (
        "tests/commands/test_hints_of_memory.py::test_memory_that_runs_out_in_a_library"
    ),
    "lower --max-length, or lower --threads": (
        "tests/commands/test_hints_of_memory.py::test_memory_that_runs_out_in_the_model"
    ),
    "lower --chunk-rows, or split the file": "tests/commands/test_hints_of_memory.py::test_a_chunk_that_is_too_large",
    "pass --max-file-bytes if it is right, or decompress the file": (
        "tests/commands/test_hints_of_memory.py::test_a_file_that_unpacks_to_far_more"
    ),
    "score it alone with more memory or a lower --chunk-rows, or remove … to try again here": (
        "tests/run/test_deaths.py::test_three_deaths"
    ),
    # A device, or a graph that fails.
    'pip install "review-scorer[gpu]", or pass --device cpu': (
        "tests/commands/test_hints_of_devices.py::test_an_onnxruntime_without_cuda"
    ),
    'pip install "review-scorer[gpu]" for its CUDA libraries, or pass --device cpu': (
        "tests/commands/test_hints_of_devices.py::test_an_onnxruntime_that_does_not_find_the_libraries_of_cuda"
    ),
    "export one with: export-model CHECKPOINT -o BUNDLE --precision fp16,int8": (
        "tests/commands/test_hints_of_devices.py::test_a_model_without_a_variant_for_cuda"
    ),
    "export the model again, or try --precision fp32": (
        "tests/commands/test_hints_of_devices.py::test_a_model_that_gives_no_numbers"
    ),
    # A cluster.
    "try --engine local": "tests/cluster/test_ray_engine.py::test_a_ray_that_does_not_start",
    "lower --chunk-rows or --actors": "tests/cluster/test_ray_engine.py::test_memory_that_runs_out_on_a_cluster",
    "lower --cores-per-actor or --gpus-per-actor, or add nodes": (
        "tests/cluster/test_ray_engine.py::test_an_actor_that_no_node_has_room_for"
    ),
    # Types of Parquet that Arrow cannot write, and a fault of the program.
    "leave it out with --columns": (
        "tests/files/test_type_matrix.py::test_types_that_arrow_cannot_write_are_refused_before_the_run"
    ),
    "leave those of one kind out with --columns": (
        "tests/files/test_type_matrix.py::test_times_of_day_in_utc_and_in_no_zone"
    ),
    "run again with --debug to see where": "tests/commands/test_console.py::test_a_traceback_only_with_debug",
    # Trainings that are interrupted or refused, and exports.
    "change the recipe and pass --overwrite; to keep this training, leave --min-f1 out and pass --resume": (
        "tests/train/test_verdict.py::test_a_collapsed_training_says_so_and_its_gate_writes_nothing"
    ),
    "make room, then run the same command again": "tests/train/test_unfinished.py::test_a_disk_that_is_full",
    "make room, then run the same command with --resume": "tests/train/test_unfinished.py::test_a_disk_that_is_full",
    "pass --resume to continue it, or --overwrite to start over": (
        "tests/train/test_unfinished.py::test_an_unfinished_training_is_dropped_on_demand_alone"
    ),
    "restore it and resume, or start over with --overwrite": (
        "tests/train/test_unfinished.py::test_data_that_have_changed_are_not_resumed_with"
    ),
    "start over with --overwrite": "tests/train/test_unfinished.py::test_a_checkpoint_with_a_damaged_file",
    "leave fp16 out with --precision": (
        "tests/export/test_gates.py::test_bad_weights_are_exit_8_and_the_old_bundle_stays"
    ),
    "leave this precision out with --precision, or allow more with --max-drop": (
        "tests/export/test_gates.py::test_the_quality_gate"
    ),
    "leave this precision out with --precision, or look at the checkpoint's weights": (
        "tests/export/test_gates.py::test_bad_weights_are_exit_8_and_the_old_bundle_stays"
    ),
}
"""Hints whose state takes more than a small file, and the test that makes it and does what the hint says."""

NOT_HERE = {
    # A GPU.
    "pass --precision fp16 or fp32": "int8 was asked for on CUDA",
    "lower --max-length, or pass --device cpu": "not even one review fits into its memory",
    "lower --learning-rate, or pass --no-fp16": "a loss that is no number in float16",
    "Ray gives out GPUs: pass --device cuda": "a GPU by its number was asked for on a cluster",
    # No --opset from 14 to 20 brings it about with these versions.
    "try another --opset, or the versions of onnxruntime and transformers in constraints.txt": "a fusion was missed",
}
"""Hints that no test follows, with the states that no test can make."""


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    return tmp_path


@pytest.fixture(scope="module")
def made(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hints")
    with chdir(folder):
        make_files(tiny_bundle)
    return folder


def make_files(bundle: Path) -> None:
    """Write the files of the cases into the working folder."""
    texts = ["good film", "bad film", "so dull", "great fun"]

    def table(name: str, rows: list[dict[str, object]]) -> None:
        with Path(name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    rows = [{"id": f"r{n}", "text": text, "label": ("negative", "positive")[n % 2]} for n, text in enumerate(texts * 3)]
    table("a.csv", [{"text": text} for text in texts])
    shutil.copy("a.csv", "a.xyz")
    table("labelled.csv", rows)
    table("many.csv", rows * 4)
    said = [str(row["text"]) for row in rows]
    odd = {"text": [1] * 12, "said": said, "lists": [[1]] * 12, "label": [str(row["label"]) for row in rows]}
    pq.write_table(pa.table(odd), "odd.parquet")
    predicted = [
        {
            **row,
            "other": f"o{n}",
            "number": n,
            "pred_label": ("negative", "positive")[n % 3 == 0],
            "pred_prob_negative": 0.2 if n % 3 == 0 else 0.7,
            "pred_prob_positive": 0.8 if n % 3 == 0 else 0.3,
        }
        for n, row in enumerate(rows)
    ]
    table("preds.csv", predicted)
    table("fewer.csv", predicted[:-2])
    table("turned.csv", predicted[::-1])
    table("done.csv", predicted[:4])
    table("ids.csv", [{"id": row["id"], "label": row["label"]} for row in rows])
    table("gold.csv", [{"id": f"r{n}", "other": f"x{n}", "label": ("negative", "positive")[n % 2]} for n in range(10)])
    numbered = [{"number": f"{n:02}", "label": ("negative", "positive")[n % 2]} for n in range(12)]
    table("zeros.csv", numbered)
    table("alike.csv", [{**row, "number": n} for n, row in enumerate(numbered)])
    chances = {"a": (0.8, 0.1, 0.1), "b": (0.1, 0.8, 0.1), "c": (0.1, 0.1, 0.8)}
    three: list[dict[str, object]] = [{"label": "abc"[n % 3], "pred_label": "abbc"[n % 4]} for n in range(12)]
    for row in three:
        row |= zip(("pred_prob_a", "pred_prob_b", "pred_prob_c"), chances[str(row["pred_label"])], strict=True)
    table("three.csv", three)
    Path("ragged.csv").write_text("id,text\n1,good\n2\n3,bad\n")
    Path("latin.csv").write_bytes("text\ncafé\nbad\n".encode("latin-1"))
    Path("utf-8.csv").write_text("text,café\nbad,1\n", encoding="utf-8")
    Path("halves").mkdir()
    for name, half in (("a", texts[:2]), ("b", texts[2:])):
        Path(f"halves/{name}.csv").write_text("text\n" + "\n".join(half) + "\n")
    Path("latin-header.csv").write_bytes("text,café\ngood,1\n".encode("latin-1"))
    Path("wide.csv").write_bytes("text\ngood\n".encode("utf-16"))
    Path("wide-le.csv").write_bytes("text\ngood\n".encode("utf-16-le"))
    Path("long.csv").write_text(f'text\n"{"good " * 100}"\n')
    Path("quotes.tsv").write_text('id\ttext\n1\t"good\n2\tbad"\n')
    table(
        "unlabelled.csv",
        [{"text": text, "label": "", "sentiment": ("negative", "positive")[n % 2]} for n, text in enumerate(texts)],
    )
    Path("folder").mkdir()
    shutil.copy("a.csv", "folder")
    Path("empty.csv").touch()
    table("fine.csv", [{**predicted[n % 12], "id": f"r{n}", "kind": "xy"[n % 2]} for n in range(10_001)])
    Path("link.csv").symlink_to("behind.csv")
    pq.write_table(pa.table({"text": [1, 2], "said": ["good", "bad"]}), "numbers.parquet")
    twice = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(pa.table({"text": ["good"], "both": twice}), "twice.parquet")
    lists = {"ids": [[1]] * 4, "kind": ["x", "y"] * 2, "label": ["n", "p"] * 2, "pred_label": ["n", "n", "p", "p"]}
    pq.write_table(pa.table(lists), "lists.parquet")
    shutil.copytree(bundle, "bundle")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fails)
def test_a_hint_works_as_it_stands(
    case: Case, folder: Path, tiny_bundle: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORER_THREADS", "1")
    if "--model" not in case.fails:
        monkeypatch.setenv("SCORER_MODEL", str(tiny_bundle))
    call = in_process(case.command, "TRAIN_MODEL" if case.command is train_model else "SCORER")

    def run(line: str) -> tuple[int, str, str]:
        words = line.split(" ")
        if "-" not in words:
            return call(*words)
        with Path(case.stdin or os.devnull).open("rb") as stdin:  # a process whose streams are files
            command = [sys.executable, "-c", CODE, *words]
            done = subprocess.run(
                command, stdin=stdin, capture_output=True, text=True, env=base_environment(), check=False
            )
        return done.returncode, done.stdout, done.stderr

    if "memory://" in case.fails:
        import fsspec

        fsspec.filesystem("memory").pipe("/hints/done.csv", b"x")
    code, _, err = run(case.fails)
    assert code in (2, 3, 4, 5), err
    said = [line.partition("; ")[2] for line in err.splitlines() if line.startswith("error: ")]
    assert any(all(part in hint for part in case.hint.split(HOLE)) for hint in said), err
    for line in case.follows:
        code, _, err = run(line)
        assert code == 0, (line, err)


def test_what_the_hint_of_a_missing_precision_exports_has_it(
    tiny_checkpoint: Path, folder: Path, in_process: InProcess, call_score: Call
) -> None:
    err = call_score("a.csv", "-o", "o.csv", "--model", DEFAULT_MODEL, "--precision", "fp32")[2]
    words = err.strip().split("export one with: export-model ")[1].split()
    assert words == ["CHECKPOINT", "-o", "BUNDLE", "--precision", "fp32"]
    words[0] = str(tiny_checkpoint)
    assert in_process(export_model)(*words)[0] == 0
    assert call_score("a.csv", "-o", "o.csv", "--model", "BUNDLE", "--precision", "fp32")[0] == 0


def test_every_hint_of_the_source_has_its_case() -> None:
    from tests.train.test_hints_of_training import CASES as OF_TRAINING

    known = {case.hint for case in (*CASES, *OF_TRAINING)} | ELSEWHERE.keys() | NOT_HERE.keys()
    of_options = {text for place, text in hints() if not place.startswith("benchmarks/")}
    assert of_options <= known, "give these hints a case"
    found = {text for module in modules(ROOT) for _, text in hints_of(module)}
    assert ELSEWHERE.keys() | NOT_HERE.keys() <= found, "these hints are not in the source any more"


@pytest.mark.parametrize(("hint", "test"), ELSEWHERE.items())
def test_the_test_of_a_hint_holds_its_words(hint: str, test: str) -> None:
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    texts = [str(node.value) for node in ast.walk(function) if isinstance(node, ast.Constant)]  # decorators as well
    for words in hint.split(HOLE):
        assert any(words in text for text in texts), f"{test} does not look for {words!r}"
