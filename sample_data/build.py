"""Make the Parquet and CSV samples from `reviews.jsonl`, the one file that is written by hand.

    python sample_data/build.py [FOLDER]

FOLDER is made where it is missing; the default is the folder of this script. The same
`reviews.jsonl` always gives the same rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("film", pa.string()),
        pa.field("text", pa.string()),
        pa.field("posted", pa.date32()),
        pa.field("tags", pa.list_(pa.string())),
    ],
    metadata={"title": "Reviews of films that do not exist", "licence": "Apache-2.0", "source": "reviews.jsonl"},
)
LABEL = pa.field("label", pa.string())

# Several row groups even in a small file: readers meet them in every large one.
ROW_GROUP_ROWS = 100


def read_reviews(path: Path) -> pa.Table:
    """Read `reviews.jsonl` into a table with the columns of `SCHEMA` and `label` (string, null where unclear)."""
    # Not pyarrow's JSON reader: it takes the type of a column from the data, this takes it from the schema.
    # Not str.splitlines either: a review may hold a line separator of Unicode.
    rows = [orjson.loads(line) for line in path.read_bytes().split(b"\n") if line]
    with_text_dates = SCHEMA.set(SCHEMA.get_field_index("posted"), pa.field("posted", pa.string())).append(LABEL)
    return pa.Table.from_pylist(rows, schema=with_text_dates).cast(SCHEMA.append(LABEL))


def with_padded_ids(table: pa.Table) -> pa.Table:
    """Return the table with `id` as text of four digits, 7 as 0007, the way a CSV export often has it."""
    ids = pc.utf8_lpad(table["id"].cast(pa.string()), 4, "0")
    return table.set_column(table.schema.get_field_index("id"), "id", ids)


def build(source: Path, folder: Path) -> None:
    """Write `reviews` and `labelled`, each as Parquet and CSV, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = read_reviews(source)
    reviews = table.drop_columns(["label"])
    labelled = table.filter(pc.is_valid(table["label"])).select(["id", "text", "label"])
    for name, rows in (("reviews", reviews), ("labelled", labelled)):
        pq.write_table(
            rows,
            folder / f"{name}.parquet",
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            write_page_checksum=True,
        )
        flat = rows.drop_columns(["tags"]) if "tags" in rows.column_names else rows
        pa_csv.write_csv(with_padded_ids(flat), folder / f"{name}.csv")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the Parquet and CSV samples from reviews.jsonl.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="default: beside the script")
    build(HERE / "reviews.jsonl", parser.parse_args().folder)
