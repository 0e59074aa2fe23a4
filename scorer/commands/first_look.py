"""``score --text``: the predictions for a few texts of the command line, to see a model at work."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence

import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from scorer.errors import UsageError
from scorer.files.formats import OutputFormat
from scorer.files.opening import open_writer
from scorer.job.options import ScoreOptions
from scorer.model.scoring import Scorer
from scorer.safe_text import in_utf8, printable, quoted

_NUMBER = 10
"""Characters of a probability and of the spaces around it."""


def look_at(texts: Sequence[str], options: ScoreOptions) -> str:
    """Score ``texts``, and show their predictions in the format of ``options``, or else for a person.

    For a person, one text has a line with its label, with the threshold if that chose a less likely one, and a line for
    each label with its probability, the likeliest first; several texts have a line each: label, its probability, text.
    On a terminal labels and texts are cut so that a line fits it.

    Raises:
        ModelError: the model cannot be used.
        UsageError: a text or an option cannot be used.
    """
    output_format = options.output_format
    format = None if output_format is None else OutputFormat.of("stdout", output_format, csv_safe=options.csv_safe)
    if format is not None and (format.kind == "parquet" or format.compression):
        raise UsageError(f"--output-format {output_format} with --text", hint="pass jsonl, csv or tsv")
    for text in texts:
        if in_utf8(text) != text:
            hint = "type it in UTF-8, or score a file with --encoding"
            raise UsageError(f"--text {quoted(text)} is not UTF-8", hint=hint)
    scorer = Scorer.load(options.model, options=options)
    scored = scorer.score(list(texts))
    if format is not None:
        return _written(scored.add_column(0, "text", [texts]), format)
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
    lines = _all_labels(scored, scorer, width) if len(texts) == 1 else _line_each(texts, scored, scorer, width)
    return "".join(f"{line}\n" for line in lines)


def _written(table: pa.Table, format: OutputFormat) -> str:
    file = io.BytesIO()
    with open_writer(file, format, table.schema, long_texts="text") as writer:
        writer.write(table)
        writer.finish()
    return file.getvalue().decode()


def _cut(text: str, width: int | None) -> str:
    """``text`` on one line of at most ``width`` cells of a terminal, an ellipsis for what does not fit."""
    line = printable(text)
    if width is None or cell_len(line) <= width:
        return line
    return set_cell_size(line, max(width - 1, 0)).rstrip() + "…"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _all_labels(scored: pa.Table, scorer: Scorer, width: int | None) -> list[str]:
    (row,) = scored.to_pylist()
    label = row[f"{scorer.prefix}label"]
    if label is None:
        return ["the text is empty"]
    shares = {name: row[f"{scorer.prefix}prob_{name}"] for name in scorer.bundle.labels}
    room = None if width is None else width - _NUMBER
    names = {name: _cut(name, room) for name in shares}
    widest = max(map(cell_len, names.values()))
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    lines = (f"  {_padded(names[name], widest)}  {share:.4f}" for name, share in ranked)
    by_threshold = "" if label == ranked[0][0] else f" (by the threshold {scorer.bundle.threshold:g})"
    return [_cut(label + by_threshold, width), *lines]


def _line_each(texts: Sequence[str], scored: pa.Table, scorer: Scorer, width: int | None) -> list[str]:
    room = None if width is None else (width - _NUMBER) // 2
    labels = [_cut(label or "(empty)", room) for label in scored[f"{scorer.prefix}label"].to_pylist()]
    scores = ["" if score is None else f"{score:.4f}" for score in scored[f"{scorer.prefix}score"].to_pylist()]
    widest = max(map(cell_len, labels))
    left = None if width is None else width - _NUMBER - widest
    rows = zip(labels, scores, texts, strict=True)
    return [f"{_padded(label, widest)}  {score:>6}  {_cut(text, left)}".rstrip() for label, score, text in rows]
