"""``score --text``: the predictions for a few texts of the command line, to see a model at work."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa

from scorer.errors import UsageError
from scorer.files.formats import OutputFormat
from scorer.files.opening import open_writer
from scorer.model.options import ModelOptions
from scorer.model.scoring import Scorer
from scorer.safe_text import printable


def look_at(texts: Sequence[str], model: str | None, options: ModelOptions, output_format: str | None) -> str:
    """Score ``texts`` with ``model``, and show their predictions in ``output_format``, or else for a person.

    For a person, one text has a line with its label and one for each label with its probability, the likeliest
    first; several texts have a line each: label, its probability, text.

    Raises:
        ModelError: the model cannot be used.
        UsageError: a text or an option cannot be used.
    """
    format = None if output_format is None else OutputFormat.of("stdout", output_format)
    if format is not None and (format.kind == "parquet" or format.compression):
        raise UsageError(f"--output-format {output_format} with --text", hint="pass jsonl, csv or tsv")
    scorer = Scorer.load(model, options=options)
    scored = scorer.score(list(texts))
    if format is not None:
        return _written(scored.add_column(0, "text", [texts]), format)
    lines = _all_labels(scored, scorer) if len(texts) == 1 else _line_each(texts, scored, scorer)
    return "".join(f"{line}\n" for line in lines)


def _written(table: pa.Table, format: OutputFormat) -> str:
    file = io.BytesIO()
    with open_writer(file, format, table.schema, long_texts="text") as writer:
        writer.write(table)
        writer.finish()
    return file.getvalue().decode()


def _all_labels(scored: pa.Table, scorer: Scorer) -> list[str]:
    (row,) = scored.to_pylist()
    label = row[f"{scorer.prefix}label"]
    if label is None:
        return ["the text is empty"]
    shares = {name: row[f"{scorer.prefix}prob_{name}"] for name in scorer.bundle.labels}
    width = max(map(len, shares))
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return [printable(label), *(f"  {printable(name):<{width}}  {share:.4f}" for name, share in ranked)]


def _line_each(texts: Sequence[str], scored: pa.Table, scorer: Scorer) -> list[str]:
    labels = [printable(label or "(empty)") for label in scored[f"{scorer.prefix}label"].to_pylist()]
    scores = ["" if score is None else f"{score:.4f}" for score in scored[f"{scorer.prefix}score"].to_pylist()]
    width = max(map(len, labels))
    rows = zip(labels, scores, texts, strict=True)
    return [f"{label:<{width}}  {score:>6}  {printable(text)}".rstrip() for label, score, text in rows]
