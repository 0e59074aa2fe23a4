"""Hints of memory that runs out, and of files that need too much of it, are followed as they stand.

The memory runs out for real, under limits of the system; the program's own limits, of gigabytes, are lowered.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from functools import partialmethod
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import numpy_helper

from scorer.files import source
from scorer.files.source import ReadOptions
from tests.conftest import Call
from tests.helpers.processes import with_limits

needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux")


def hint_of(folder: Path, *arguments: str, **limits: int) -> str:
    """The hint of a run under limits that ends for want of memory."""
    done = with_limits(folder, *arguments, "--overwrite", **limits)
    assert done.returncode == 7, done.stderr
    return done.stderr.splitlines()[-1].partition("; ")[2]


def succeeds(folder: Path, *arguments: str, **limits: int) -> None:
    done = with_limits(folder, *arguments, "--overwrite", **limits)
    assert done.returncode == 0, done.stderr


@needs_limits
def test_threads_that_do_not_fit_into_the_address_space(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    command = ("a.csv", "-o", "o.csv", "--model", str(tiny_bundle), "--threads")
    assert hint_of(tmp_path, *command, "20", mib=1500) == "raise it, or lower --threads"
    succeeds(tmp_path, *command, "20", mib=6000)
    succeeds(tmp_path, *command, "1", mib=1500)


@needs_limits
def test_a_chunk_whose_texts_do_not_fit_into_the_address_space(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n" + "".join(f"{row},{'good ' * 600_000}\n" for row in range(20)))
    command = ("a.csv", "-o", "o.csv", "--columns", "id", "--threads", "1", "--model", str(tiny_bundle))
    assert hint_of(tmp_path, *command, mib=900) == "raise it, or lower --chunk-rows"
    succeeds(tmp_path, *command, "--chunk-rows", "1", mib=900)


@needs_limits
def test_memory_that_runs_out_in_a_library(tiny_bundle: Path, tmp_path: Path) -> None:
    hint = "lower --chunk-rows, or lower --threads, or free some memory"
    (tmp_path / "wide.csv").write_text("text,x\n" + "".join(f"good {row},{'x' * 1_000_000}\n" for row in range(60)))
    command = ("wide.csv", "-o", "o.csv", "--threads", "1", "--model", str(tiny_bundle))
    assert hint_of(tmp_path, *command, mib=770) == hint
    succeeds(tmp_path, *command, "--chunk-rows", "5", mib=770)
    # Each thread asks for a stack of a gigabyte: no room is left for one of them.
    (tmp_path / "many.csv").write_text("text\n" + "".join(f"good film {row}\n" for row in range(600)))
    command = ("many.csv", "-o", "p.csv", "--model", str(tiny_bundle), "--threads")
    assert hint_of(tmp_path, *command, "16", mib=8000, stack_mib=1024) == hint
    succeeds(tmp_path, *command, "1", mib=8000, stack_mib=1024)
    succeeds(tmp_path, *command, "16", mib=80_000, stack_mib=1024)


def with_positions(bundle: Path, folder: Path, n: int) -> Path:
    """A copy of the float32 model of ``bundle`` with ``n`` positions, those of ``bundle`` again and again."""
    folder.mkdir()
    shutil.copy(bundle / "tokenizer.json", folder)
    config = json.loads((bundle / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": n}))
    model = onnx.load(bundle / "model.onnx")
    constants = [item.t for node in model.graph.node for item in node.attribute if item.name == "value"]
    for tensor in (*model.graph.initializer, *constants):
        value = numpy_helper.to_array(tensor)
        if "position_embeddings" in tensor.name:
            tensor.CopyFrom(numpy_helper.from_array(np.tile(value, (n // len(value), 1)), tensor.name))
        elif value.shape == (1, 512):
            tensor.CopyFrom(numpy_helper.from_array(np.arange(n, dtype=value.dtype)[np.newaxis], tensor.name))
    onnx.save(model, folder / "model.onnx")
    return folder


@needs_limits
def test_memory_that_runs_out_in_the_model(tiny_bundle: Path, tmp_path: Path) -> None:
    with_positions(tiny_bundle, tmp_path / "long", 3072)
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"{row} {'good film ' * 1800}\n" for row in range(5)))
    command = ("a.csv", "-o", "o.csv", "--model", "long", "--threads")
    hint = "lower --max-length, or lower --threads"
    assert hint_of(tmp_path, *command, "1", "--max-length", "3072", mib=1000) == hint
    succeeds(tmp_path, *command, "1", "--max-length", "128", mib=1000)
    # Here one alone fits. Which of the five finds no memory, and where, is a matter of luck.
    assert "lower --threads" in hint_of(tmp_path, *command, "5", "--max-length", "2048", mib=1200)
    succeeds(tmp_path, *command, "1", "--max-length", "2048", mib=1200)


ROWS = 40


def wide_file(path: Path, rows: range) -> Path:
    """A file of short texts and of wide values beside them."""
    table = pa.table({"text": [f"good film {row}" for row in rows], "x": ["x" * 10_000] * len(rows)})
    if path.suffix == ".parquet":
        pq.write_table(table, path, store_schema=False)
    elif path.suffix == ".csv":
        path.write_text("text,x\n" + "".join(f"{row['text']},{row['x']}\n" for row in table.to_pylist()))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_a_chunk_that_is_too_large(
    name: str, call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadOptions, "__init__", partialmethod(ReadOptions.__init__, max_chunk_bytes=300_000))
    wide_file(Path(name), range(ROWS))
    code, _, err = call_score(name, "-o", "o.csv")
    assert (code, err.splitlines()[-1].partition("; ")[2]) == (3, "lower --chunk-rows, or split the file")
    assert call_score(name, "-o", "o.csv", "--chunk-rows", "10")[0] == 0
    Path("split").mkdir()
    for part in (0, 20):
        wide_file(Path("split") / f"{part}-{name}", range(part, part + 20))
    assert call_score("split", "-o", "scored")[0] == 0


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet"])
def test_a_file_that_unpacks_to_far_more(
    name: str, call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_BOMB_BYTES", 100_000)
    table = pa.table({"text": ["good"] * ROWS, "x": ["x" * 50_000] * ROWS})
    if name == "a.parquet":
        pq.write_table(table, name)
        pq.write_table(table, "plain.parquet", compression="none", use_dictionary=False)
    else:
        Path("plain.csv").write_text("text,x\n" + f"good,{'x' * 50_000}\n" * ROWS)
        Path(name).write_bytes(gzip.compress(Path("plain.csv").read_bytes()))
    code, _, err = call_score(name, "-o", "o.csv")
    assert code == 3
    assert err.splitlines()[-1].endswith("; pass --max-file-bytes if it is right, or decompress the file")
    assert call_score(name, "-o", "o.csv", "--max-file-bytes", "3000000")[0] == 0
    assert call_score(f"plain.{name.split('.')[1]}", "-o", "p.csv")[0] == 0
