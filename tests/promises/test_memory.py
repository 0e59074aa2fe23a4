"""Memory does not grow with the number of rows."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import VOCABULARY_TEXTS
from tests.helpers.processes import CODE_WITH_PEAK, base_environment, needs_peak, tell

WORDS = " ".join(VOCABULARY_TEXTS).split()


def reviews(path: Path, n_rows: int) -> None:
    chosen = random.Random(n_rows)
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, 50_000):
            numbers = range(start, min(start + 50_000, n_rows))
            texts = [" ".join(chosen.choices(WORDS, k=12)) + f" {number}" for number in numbers]
            writer.write_table(pa.table({"id": numbers, "text": texts}, schema=schema))


def peak_kib(folder: Path, bundle: Path, n_rows: int, output: str) -> int:
    """Peak resident memory of a run over ``n_rows`` rows, in KiB."""
    reviews(folder / "in.parquet", n_rows)
    command = [
        sys.executable,
        "-c",
        CODE_WITH_PEAK,
        "in.parquet",
        "-o",
        output,
        "--model",
        str(bundle),
        "--max-length",
        "8",
        "-q",
        "--overwrite",
    ]
    done = subprocess.run(command, cwd=folder, env=base_environment(), capture_output=True, text=True, check=True)
    return int(done.stdout)


@needs_peak
def test_peak_memory(tiny_bundle: Path, tmp_path: Path) -> None:
    # From a full row group on; below that, memory still grows with it.
    small = peak_kib(tmp_path, tiny_bundle, 66_000, "out.parquet")
    large = peak_kib(tmp_path, tiny_bundle, 132_000, "out.parquet")
    tell(f"peak {small >> 10} MiB at 66,000 rows, {large >> 10} MiB at 132,000")
    assert large < 1.15 * small


@needs_peak
@pytest.mark.torture
@pytest.mark.parametrize("output", ["out.parquet", "out.csv"])
def test_peak_memory_at_two_million_rows(tiny_bundle: Path, tmp_path: Path, output: str) -> None:
    small = peak_kib(tmp_path, tiny_bundle, 100_000, output)
    large = peak_kib(tmp_path, tiny_bundle, 2_000_000, output)
    tell(f"{output}: peak {small >> 10} MiB at 100,000 rows, {large >> 10} MiB at 2,000,000: {large / small - 1:+.1%}")
    assert large < 1.15 * small
