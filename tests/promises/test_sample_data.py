"""The samples agree with `reviews.jsonl` and with each other, and hold what real files have."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "sample_data"
BUILT = ["reviews.parquet", "reviews.csv", "labelled.parquet", "labelled.csv"]


def csv_rows(path: Path) -> list[dict[str, str]]:
    # newline="": line ends inside a field are data.
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def source() -> list[dict[str, Any]]:
    lines = (FOLDER / "reviews.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


@pytest.fixture(scope="module")
def clear(source: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in source if row["label"] is not None]


@pytest.fixture(scope="module")
def texts(source: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in source if row["text"]]


def test_source_is_a_few_hundred_rows_in_order_of_id(source: list[dict[str, Any]]) -> None:
    assert [row["id"] for row in source] == list(range(1, 301))
    assert {tuple(row) for row in source} == {("id", "film", "text", "label", "posted", "tags")}


def test_reviews_parquet_is_the_source_without_labels(source: list[dict[str, Any]]) -> None:
    table = pq.read_table(FOLDER / "reviews.parquet", page_checksum_verification=True)
    assert table.schema.types == [pa.int64(), pa.string(), pa.string(), pa.date32(), pa.list_(pa.string())]
    wanted = [
        {
            "id": row["id"],
            "film": row["film"],
            "text": row["text"],
            "posted": row["posted"] and date.fromisoformat(row["posted"]),
            "tags": row["tags"],
        }
        for row in source
    ]
    assert table.to_pylist() == wanted


def test_reviews_parquet_has_metadata_row_groups_and_a_required_column() -> None:
    file = pq.ParquetFile(FOLDER / "reviews.parquet")
    assert file.schema_arrow.metadata[b"licence"] == b"Apache-2.0"
    assert file.num_row_groups == 3
    assert [field.nullable for field in file.schema_arrow] == [False, True, True, True, True]


def test_reviews_csv_is_the_source_with_padded_ids(source: list[dict[str, Any]]) -> None:
    wanted = [
        {
            "id": f"{row['id']:04d}",
            "film": row["film"],
            "text": row["text"] or "",
            "posted": row["posted"] or "",
        }
        for row in source
    ]
    assert csv_rows(FOLDER / "reviews.csv") == wanted


def test_reviews_csv_needs_a_real_parser() -> None:
    raw = (FOLDER / "reviews.csv").read_bytes()
    rows = csv_rows(FOLDER / "reviews.csv")
    assert rows[6]["id"] == "0007"
    assert raw.count(b"\n") > len(rows) + 1  # line breaks inside fields
    assert b'""' in raw  # quotes inside fields
    assert any("," in row["film"] for row in rows)


def test_labelled_files_hold_exactly_the_clear_rows(clear: list[dict[str, Any]]) -> None:
    table = pq.read_table(FOLDER / "labelled.parquet")
    assert table.schema.types == [pa.int64(), pa.string(), pa.string()]
    assert table.to_pylist() == [{"id": row["id"], "text": row["text"], "label": row["label"]} for row in clear]
    assert csv_rows(FOLDER / "labelled.csv") == [
        {"id": f"{row['id']:04d}", "text": row["text"], "label": row["label"]} for row in clear
    ]


def test_labels_are_balanced_and_never_on_a_blank_text(clear: list[dict[str, Any]]) -> None:
    assert Counter(row["label"] for row in clear) == {"positive": 108, "negative": 108}
    assert all(row["text"] and row["text"].strip() for row in clear)


def test_one_text_is_null_one_empty_one_blank(source: list[dict[str, Any]]) -> None:
    assert [row["text"] for row in source].count(None) == 1
    assert [row["text"] for row in source].count("") == 1
    blank = [row["text"] for row in source if row["text"] and not row["text"].strip()]
    assert blank == [" \n\t  "]


def test_one_review_is_very_long_and_does_not_repeat_itself(texts: list[str]) -> None:
    by_length = sorted(texts, key=len)
    assert len(by_length[-1].split()) >= 1500
    assert len(by_length[-2].split()) < 200
    sentences = [part.strip() for part in by_length[-1].split(".") if part.strip()]
    assert len(set(sentences)) == len(sentences) > 80


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param("<br /><br />", id="html-break"),
        pytest.param("\n", id="newline"),
        pytest.param("\r\n", id="windows-newline"),
        pytest.param('"', id="quote"),
        pytest.param(",", id="comma"),
        pytest.param("https://", id="url"),
        pytest.param("🥒❤️", id="emoji-with-variation-selector"),
        pytest.param("10/10", id="number"),
        pytest.param("“", id="curly-quote"),
        pytest.param("definately", id="typo"),
        pytest.param("großartig", id="german"),
        pytest.param("magnifique", id="french"),
        pytest.param("película", id="spanish"),
        pytest.param("映像", id="japanese"),
        pytest.param("فيلم", id="arabic"),
        pytest.param("创意", id="chinese"),
        pytest.param("영상", id="korean"),
        pytest.param("фильм", id="russian"),
        pytest.param("हैं", id="hindi"),
        pytest.param("הסרט", id="hebrew"),
    ],
)
def test_real_files_have(mark: str, texts: list[str]) -> None:
    assert any(mark in text for text in texts)


def test_capitals_a_formula_and_a_double_post(texts: list[str]) -> None:
    assert any(text.isupper() and len(text.split()) > 10 for text in texts)
    assert any(text.startswith("=") for text in texts)
    assert [text for text, times in Counter(texts).items() if times > 1] == ["It's fine."]


def test_dates_and_tags_have_gaps(source: list[dict[str, Any]]) -> None:
    assert any(row["posted"] is None for row in source)
    assert any(row["tags"] is None for row in source)
    assert any(row["tags"] == [] for row in source)


def test_reviews_are_not_a_template(texts: list[str]) -> None:
    openings = Counter(" ".join(text.lower().split()[:2]) for text in texts)
    assert openings.most_common(1)[0][1] <= 5
    words = {word.strip(".,!?;:\"'()").lower() for text in texts for word in text.split()}
    assert len(words) > 2500


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "new"
    subprocess.run([sys.executable, str(FOLDER / "build.py"), str(folder)], check=True)
    return folder


@pytest.mark.parametrize("name", BUILT)
def test_build_reproduces_the_committed_file(name: str, rebuilt: Path) -> None:
    # By content: the bytes of a Parquet file name the version of its writer.
    if name.endswith(".csv"):
        assert csv_rows(rebuilt / name) == csv_rows(FOLDER / name)
    else:
        committed, built = pq.read_table(FOLDER / name), pq.read_table(rebuilt / name)
        assert built.equals(committed, check_metadata=True)


def test_build_writes_these_files_and_no_other(rebuilt: Path) -> None:
    assert sorted(path.name for path in rebuilt.iterdir()) == sorted(BUILT)


def test_folder_is_small() -> None:
    kept = [path for path in FOLDER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 400_000
