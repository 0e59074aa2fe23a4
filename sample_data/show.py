"""Show the first predictions in a file that ``score`` wrote: ``python sample_data/show.py preds.parquet``."""

from __future__ import annotations

import sys

import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

ROWS = 8


def show(path: str) -> None:
    """Print the first rows of ``path``, their texts cut to the width of the terminal."""
    table = Table(box=box.SIMPLE_HEAD)
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    table.add_column("text", no_wrap=True, overflow="ellipsis", width=console.width - 44)
    for name in ("pred_label", "pred_score", "pred_status"):
        table.add_column(name, no_wrap=True, width=len(name))
    rows = pq.read_table(path, columns=["text", "pred_label", "pred_score", "pred_status"])
    for row in rows[:ROWS].to_pylist():
        table.add_row(row["text"], row["pred_label"], f"{row['pred_score']:.3f}", row["pred_status"])
    console.print(table)
    console.print(f"The first {min(ROWS, len(rows))} of {len(rows)} rows of {path}.", soft_wrap=True)


if __name__ == "__main__":
    show(sys.argv[1])
