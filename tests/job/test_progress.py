"""Progress is told while a chunk is scored, text by text, and adds up to its rows."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from scorer import score_file
from scorer.evaluation.evaluate import evaluate_labels
from scorer.progress import BarProgress, Count, NoProgress, Total
from tests.helpers.processes import CODE
from tests.helpers.terminal import on_a_terminal


class Recorded(NoProgress):
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, float]] = []

    def advance(self, rows: int, tokens: int) -> None:
        self.told.append(("chunk", rows, tokens))

    def tick(self, rows: float, tokens: float) -> None:
        self.told.append(("part", rows, tokens))


def parts_before_chunks(told: list[tuple[str, float, float]]) -> list[list[tuple[str, float, float]]]:
    """The parts before each finished chunk, and the chunk."""
    groups: list[list[tuple[str, float, float]]] = [[]]
    for one in told:
        groups[-1].append(one)
        if one[0] == "chunk":
            groups.append([])
    assert groups.pop() == []
    return groups


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 3}, {"batching": "tokens", "batch_tokens": 64}])
def test_the_texts_of_a_chunk_are_told_one_by_one(
    tiny_bundle: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    texts = [f"a film number {number}" for number in range(40)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    seen = Recorded()
    score_file(
        tmp_path / "a.parquet", tmp_path / "b.parquet", model=tiny_bundle, progress=seen, chunk_rows=20, **options
    )
    chunks = [one for one in seen.told if one[0] == "chunk"]
    parts = [one for one in seen.told if one[0] == "part"]
    assert [rows for _, rows, _ in chunks] == [20, 20]
    assert len(parts) >= 8
    for column in (1, 2):
        assert sum(one[column] for one in parts) == pytest.approx(sum(one[column] for one in chunks))
    if "batching" not in options:  # on a device, a chunk runs while the one before it is written
        assert [len(group) for group in parts_before_chunks(seen.told)] == [21, 21]


def test_an_evaluation_tells_them_too(tiny_bundle: Path, labelled_texts: Path) -> None:
    seen = Recorded()
    evaluate_labels(labelled_texts, model=tiny_bundle, progress=seen)
    parts = [one for one in seen.told if one[0] == "part"]
    assert len(parts) > 20
    assert sum(rows for _, rows, _ in parts) == pytest.approx(
        sum(rows for kind, rows, _ in seen.told if kind == "chunk")
    )


def test_the_count_never_goes_back_and_ends_at_what_was_finished() -> None:
    count, seen = Count(10), []
    for rows in (1.5, 1.5, 1.0):
        count.tick(rows, 10)
        seen.append(count.rows)
    count.advance(5, 60)  # one of its rows was known before, and never ticked
    seen.append(count.rows)
    count.tick(2.0, 9)
    seen.append(count.rows)
    count.advance(5, 20)
    seen.append(count.rows)
    assert seen == [1, 3, 4, 5, 7, 10]
    assert count.seconds_left() == 0


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (120, r"1,234,567/5,000,000 rows, 1,23\d rows/s, 98,7\d\d tokens/s, 0:50:\d\d left"),
        (80, r"1,234,567/5,000,000 rows, 1,23\d rows/s, 98,7\d\d tokens/s, 0:50:\d\d left"),
        (79, r"1,234,567/5,000,000 rows, 1,23\d rows/s, 0:50:\d\d left"),
        (60, r"1,234,567/5,000,000 rows, 0:50:\d\d left"),
        (49, r"1,234,567/5,000,000 rows, 0:50:\d\d left"),
    ],
)
def test_the_bar_fits_its_terminal(width: int, said: str) -> None:
    shown = io.StringIO()
    with BarProgress(console=Console(file=shown, force_terminal=True, width=width)) as bar:
        bar.start(5_000_000)
        bar._count._begun -= 1000
        bar.advance(1_234_567, 98_765_432)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()).replace("\n", "\r").split("\r")
    assert max(map(len, lines)) == width
    assert any(re.fullmatch(rf"scoring [━╺╸]+ {said}", line) for line in lines), lines


@pytest.mark.parametrize(("width", "rows"), [(40, 1_012_764), (38, 1_012_764), (33, 1080)])
def test_where_the_count_and_the_time_left_fill_the_terminal_they_are_whole(width: int, rows: int) -> None:
    shown = io.StringIO()
    with BarProgress(console=Console(file=shown, force_terminal=True, width=width)) as bar:
        bar.start(lambda: rows)
        bar._count._begun -= 10
        bar.advance(rows // 2, 0)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()).replace("\n", "\r").split("\r")
    assert max(map(len, lines)) <= width
    whole = rf"{rows // 2:,}/~{rows:,} rows, 0:00:1\d left"
    assert any(re.search(rf"(^| ){whole} *$", line) for line in lines), lines


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl"])
def test_what_was_read_tells_about_how_many_rows_there_are(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    kind = name.split(".")[1]
    comma = "\t" if kind == "tsv" else ","
    texts = [f"good film {n} " * (n % 9 + 1) for n in range(1000)]
    lines = ["n" + comma + "text", *(f"{n}{comma}{text}" for n, text in enumerate(texts))]
    if kind == "jsonl":
        lines = [json.dumps({"text": text}) for text in texts]
    data = ("\n".join(lines) + "\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    seen: list[int | None] = []

    class Seen(NoProgress):
        def start(self, total_rows: Total) -> None:
            self.count = Count(total_rows)

        def advance(self, rows: int, tokens: int) -> None:
            self.count.advance(rows, tokens)
            seen.append(self.count.total)

    score_file(tmp_path / name, tmp_path / "b.csv", model=str(tiny_bundle), chunk_rows=100, progress=Seen())
    assert len(seen) == 10
    assert all(total is not None and 900 <= total <= 1100 for total in seen), seen
    assert seen[-1] == 1000
    assert Count(lambda: 1000).said("rows", 80).startswith("0/~1,000 rows")


def test_a_command_on_a_terminal_has_the_bar_and_then_its_line(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"good film {n}\n" for n in range(300)))
    code, sent = on_a_terminal(CODE, "a.csv", "-o", "b.csv", "--model", tiny_bundle, cwd=tmp_path)
    assert (code, "rows/s" in sent) == (0, True)
    assert re.search(r"b\.csv: 300 rows in [\d.]+ s, [\d,]+ rows/s, int8 on cpu", sent.splitlines()[-1])


def test_slow_work_tells_the_time_of_one() -> None:
    count = Count(100)
    count._begun -= 40
    count.advance(2, 0)
    assert count.said("steps", 80).startswith("2/100 steps, 20 s/step")
