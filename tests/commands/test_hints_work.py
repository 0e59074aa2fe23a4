"""Each hint that names an option is followed as it stands: the command that printed it then succeeds."""

from __future__ import annotations

import ast
import csv
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.cli import export_model
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from scorer.model.model_folder import DEFAULT_MODEL
from tests.commands.test_hints import hints, hints_of
from tests.conftest import Call, InProcess
from tests.helpers.messages import HOLE, modules
from tests.helpers.processes import CODE, ROOT, environment
from train.cli import train_model


@dataclass(frozen=True)
class Case:
    """A command line that fails with a hint, and those that the hint leads to.

    Attributes:
        hint: as the source has it, ``…`` for what it fills in; or as it is printed, of a command that lacks an option.
        fails: the words of the command line.
        follows: the command lines that do what the hint says.
        command: whose words they are.
        stdin: file that is standard input.
    """

    hint: str
    fails: str
    follows: tuple[str, ...]
    command: click.Command = score
    stdin: str = ""


OVERWRITE = "pass --overwrite to replace it"
ON = "name the predictions of the same rows, or pass --on with a column of ids"

CASES = [
    Case(OVERWRITE, "a.csv -o done.csv", ("a.csv -o done.csv --overwrite",)),
    Case(OVERWRITE, "a.csv -o memory://hints/done.csv", ("a.csv -o memory://hints/done.csv --overwrite",)),
    Case(
        "fix the row, or pass --on-bad-row reject",
        "ragged.csv -o o.csv",
        ("a.csv -o o.csv", "ragged.csv -o p.csv --on-bad-row reject"),
    ),
    Case(
        "pass --encoding if the file has another, or convert it to UTF-8, or pass --on-bad-row reject",
        "latin.csv -o o.csv",
        ("latin.csv -o o.csv --encoding latin-1", "latin.csv -o p.csv --on-bad-row reject"),
    ),
    Case(
        "pass --encoding, such as latin-1, or convert the file to UTF-8",
        "latin-header.csv -o o.csv",
        ("latin-header.csv -o o.csv --encoding latin-1",),
    ),
    Case(
        "pass --encoding …, or convert the file to UTF-8", "wide.csv -o o.csv", ("wide.csv -o o.csv --encoding utf-16",)
    ),
    Case(
        "pass --encoding …, or convert the file to UTF-8",
        "wide-le.csv -o o.csv --encoding utf-16",
        ("wide-le.csv -o o.csv --encoding utf-16-le",),
    ),
    Case(
        "fix the row, or raise --max-bad",
        "ragged.csv -o o.csv --on-bad-row reject --max-bad 0",
        ("ragged.csv -o o.csv --on-bad-row reject --max-bad 1",),
    ),
    Case(
        "fix them or raise --max-bad",
        "- -o o.csv --format csv --on-bad-row reject --max-bad 0",
        ("- -o o.csv --format csv --on-bad-row reject --max-bad 1",),
        stdin="ragged.csv",
    ),
    Case(
        "close its quote, or raise --max-row-bytes",
        "long.csv -o o.csv --max-row-bytes 64",
        ("long.csv -o o.csv --max-row-bytes 6400",),
    ),
    Case(
        "try --quote none, or pass --quote '\"' if they are one row",
        "quotes.tsv -o o.csv",
        ("quotes.tsv -o o.csv --quote none", 'quotes.tsv -o p.csv --quote "'),
    ),
    Case(
        "known: …, or pass --output-format", "a.csv -o b.xyz", ("a.csv -o b.csv", "a.csv -o b.xyz --output-format csv")
    ),
    Case("known: …, or pass --format", "a.xyz -o b.csv", ("a.csv -o b.csv", "a.xyz -o c.csv --format csv")),
    Case(
        "pass --output-format",
        "a.xyz a.csv -o out --format csv",
        ("a.xyz a.csv -o out --format csv --output-format csv",),
    ),
    Case("pass --format, or name a file", "- -o b.csv", ("- -o b.csv --format csv", "a.csv -o c.csv"), stdin="a.csv"),
    Case("drop --since", "- -o b.csv --format csv --since 1h", ("- -o b.csv --format csv",), stdin="a.csv"),
    Case(
        "read a pipe as -, with --format, or name a file", "pipe -o b.csv", ("- -o b.csv --format csv",), stdin="a.csv"
    ),
    Case(
        "name another with --text-column",
        "numbers.parquet -o o.csv",
        ("numbers.parquet -o o.csv --text-column said",),
    ),
    Case(
        "raise --max-file-bytes if that is right, or split the file",
        "a.csv -o o.csv --max-file-bytes 5",
        ("a.csv -o o.csv --max-file-bytes 5000",),
    ),
    Case(
        "leave it out with --columns, or write Parquet",
        "twice.parquet -o o.jsonl",
        ("twice.parquet -o o.jsonl --columns text", "twice.parquet -o o.parquet"),
    ),
    Case("choose another --prefix", "done.csv -o o.csv", ("done.csv -o o.csv --prefix new_",)),
    Case(
        "pass --on-bad-row reject or keep",
        "a.csv -o o.csv --max-bad 1",
        ("a.csv -o o.csv --max-bad 1 --on-bad-row reject", "a.csv -o p.csv --max-bad 1 --on-bad-row keep"),
    ),
    Case(
        "pass --output-format csv, tsv, jsonl or parquet",
        "numbers.parquet -o - --text-column said",
        tuple(f"numbers.parquet -o - --text-column said --output-format {kind}" for kind in ("csv", "tsv", "jsonl")),
    ),
    Case("name a file, or drop --engine ray", "a.csv -o - --engine ray", ("a.csv -o -",)),
    Case(
        "pass a --stride smaller than --max-length less 2",
        "a.csv -o o.csv --long-text window --max-length 10 --stride 8",
        ("a.csv -o o.csv --long-text window --max-length 10 --stride 7",),
    ),
    Case(
        "pass --precision …, or export one with: …",
        f"a.csv -o o.csv --model {DEFAULT_MODEL} --precision fp32",
        (f"a.csv -o o.csv --model {DEFAULT_MODEL} --precision int8",),
    ),
    Case(
        "pass --device cpu or auto",
        "a.csv -o o.csv --device cuda:7",
        ("a.csv -o o.csv --device cpu", "a.csv -o p.csv --device auto"),
    ),
    Case(
        f"{ON}, and --allow-missing",
        "preds.csv --baseline fewer.csv",
        ("preds.csv --baseline fewer.csv --on id --allow-missing",),
        evaluate_labels,
    ),
    Case(ON, "preds.csv --baseline turned.csv", ("preds.csv --baseline turned.csv --on id",), evaluate_labels),
    Case(
        "pass --positive, or score again",
        "three.csv --at-precision 0.1",
        ("three.csv --at-precision 0.1 --positive a",),
        evaluate_labels,
    ),
    Case(
        "drop --model, or evaluate a file without predictions",
        f"preds.csv --model {DEFAULT_MODEL}",
        ("preds.csv",),
        evaluate_labels,
    ),
    Case(
        "pass --label-column",
        "labelled.csv --text-column label",
        ("labelled.csv --text-column text --label-column label",),
        evaluate_labels,
    ),
    Case(
        "correct the ids, or pass --allow-missing to leave these out",
        "preds.csv --labels gold.csv --on id",
        ("preds.csv --labels gold.csv --on id --allow-missing",),
        evaluate_labels,
    ),
    Case(
        "write leading zeros alike in both, or pass --allow-missing to leave these out",
        "preds.csv --labels zeros.csv --on number",
        ("preds.csv --labels alike.csv --on number", "preds.csv --labels zeros.csv --on number --allow-missing"),
        evaluate_labels,
    ),
    Case(
        "check that --on names the same ids in both",
        "preds.csv --labels gold.csv --on other",
        ("preds.csv --labels gold.csv --on id --allow-missing",),
        evaluate_labels,
    ),
    Case(
        "pass another --label-column",
        "preds.csv --labels gold.csv --on id --label-column id",
        ("preds.csv --labels gold.csv --on id --label-column label --allow-missing",),
        evaluate_labels,
    ),
    Case("pass another --on", "lists.parquet --labels lists.parquet --on ids", ("lists.parquet",), evaluate_labels),
    Case(
        "pass --max-drop, --min-accuracy or --min-f1",
        "preds.csv --strict",
        (
            "preds.csv --strict --min-accuracy 0",
            "preds.csv --strict --min-f1 0",
            "preds.csv --strict --max-drop 1 --baseline preds.csv",
        ),
        evaluate_labels,
    ),
    Case(
        "name another with --slice-by",
        "lists.parquet --slice-by ids",
        ("lists.parquet --slice-by kind",),
        evaluate_labels,
    ),
    Case(
        "drop --positive",
        "preds.csv --write-threshold bundle --positive negative",
        ("preds.csv --write-threshold bundle",),
        evaluate_labels,
    ),
    Case(
        "pass --eval FILE or --validation-split 0.1",
        "--baseline --train many.csv",
        ("--baseline --train many.csv --eval labelled.csv", "--baseline --train many.csv --validation-split 0.1"),
        train_model,
    ),
    Case(
        OVERWRITE,
        "--baseline --train many.csv --eval labelled.csv --predictions done.csv",
        ("--baseline --train many.csv --eval labelled.csv --predictions done.csv --overwrite",),
        train_model,
    ),
    Case(
        "pass another --validation-split",
        "--baseline --train many.csv --validation-split 0.001",
        ("--baseline --train many.csv --validation-split 0.1",),
        train_model,
    ),
    Case(
        "name another with --text-column",
        "--baseline --train odd.parquet --eval labelled.csv --label-column label",
        ("--baseline --train odd.parquet --eval odd.parquet --label-column label --text-column said",),
        train_model,
    ),
    Case(
        "name another with --label-column",
        "--baseline --train odd.parquet --eval odd.parquet --text-column said --label-column lists",
        ("--baseline --train odd.parquet --eval odd.parquet --text-column said --label-column label",),
        train_model,
    ),
    Case(
        "remove it, or pass --linked-output follow",
        "a.csv -o link.csv --linked-output refuse",
        ("a.csv -o link.csv --linked-output follow",),
    ),
    Case(
        "name a file that ends in .html, or pass --markdown or --json",
        "preds.csv --report page.md",
        ("preds.csv --report page.html", "preds.csv --markdown page.md", "preds.csv --json page.json"),
        evaluate_labels,
    ),
    Case("pass --yes", "folder -o out --prune", ("folder -o out --prune --yes",)),
    Case(
        "name another with --slice-by, or a column of coarser values",
        "fine.csv --slice-by id",
        ("fine.csv --slice-by kind",),
        evaluate_labels,
    ),
    Case(
        "fill in labels, or name another column with --label-column",
        "unlabelled.csv --min-accuracy 0",
        ("labelled.csv --min-accuracy 0", "unlabelled.csv --min-accuracy 0 --label-column sentiment"),
        evaluate_labels,
    ),
    Case(
        "type: score a.csv --columns text -o a.preds.csv",
        "a.csv --columns text",
        ("a.csv --columns text -o a.preds.csv",),
    ),
    Case("type: score folder -o scored/", "folder", ("folder -o scored/",)),
    Case("type: score - --format tsv -o preds.tsv", "- --format tsv", ("- --format tsv -o preds.tsv",), stdin="a.csv"),
    Case("for example: score reviews.parquet -o preds.parquet", "-o o.csv", ("a.csv -o o.csv",)),
    Case("for example: evaluate-labels labelled.parquet", "--strict", ("labelled.csv",), evaluate_labels),
    # Hints that name no option.
    Case("is a variable unset?", "a.csv -o ", ("a.csv -o o.csv",)),
    Case("name a folder", "a.csv labelled.csv -o o.csv", ("a.csv labelled.csv -o out",)),
    Case("write to another file", "a.csv -o a.csv --overwrite", ("a.csv -o o.csv",)),
    Case("check the path", "none.csv -o o.csv", ("a.csv -o o.csv",)),
    Case("make it first", "a.csv -o none/o.csv", ("a.csv -o folder/o.csv",)),
    Case("write it again, or take it away", "empty.csv -o o.csv", ("a.csv -o o.csv",)),
    Case("known: .parquet, .pq", "a.xyz --baseline a.csv", ("preds.csv --baseline preds.csv",), evaluate_labels),
]

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
def folder(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
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
    Path("latin-header.csv").write_bytes("text,café\ngood,1\n".encode("latin-1"))
    Path("wide.csv").write_bytes("text\ngood\n".encode("utf-16"))
    Path("wide-le.csv").write_bytes("text\ngood\n".encode("utf-16-le"))
    Path("long.csv").write_text(f'text\n"{"good " * 100}"\n')
    Path("quotes.tsv").write_text('id\ttext\n1\t"good\n2\tbad"\n')
    os.mkfifo("pipe")
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
    shutil.copytree(tiny_bundle, "bundle")
    return tmp_path


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
            done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, env=environment(), check=False)
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
