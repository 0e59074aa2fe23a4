"""Command lines that fail with a hint, and those that do what the hint says."""

from __future__ import annotations

from dataclasses import dataclass

import click

from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from scorer.model.model_folder import DEFAULT_MODEL
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
        ("latin.csv -o o.csv --encoding latin-1", "utf-8.csv -o p.csv", "latin.csv -o q.csv --on-bad-row reject"),
    ),
    Case(
        "pass --encoding, such as latin-1, or convert the file to UTF-8",
        "latin-header.csv -o o.csv",
        ("latin-header.csv -o o.csv --encoding latin-1", "utf-8.csv -o p.csv"),
    ),
    Case(
        "pass --encoding …, or convert the file to UTF-8",
        "wide.csv -o o.csv",
        ("wide.csv -o o.csv --encoding utf-16", "utf-8.csv -o p.csv"),
    ),
    Case(
        "pass --encoding …, or convert the file to UTF-8",
        "wide-le.csv -o o.csv --encoding utf-16",
        ("wide-le.csv -o o.csv --encoding utf-16-le",),
    ),
    Case(
        "fix the row, or raise --max-bad",
        "ragged.csv -o o.csv --on-bad-row reject --max-bad 0",
        ("a.csv -o p.csv --on-bad-row reject --max-bad 0", "ragged.csv -o o.csv --on-bad-row reject --max-bad 1"),
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
    Case(
        "type it in UTF-8, or score a file with --encoding",
        "--text caf\udce9",
        ("--text café", "latin.csv -o o.csv --encoding latin-1"),
    ),
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
        "a.csv -o o.csv --max-file-bytes 35",
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
    Case(
        ON,
        "preds.csv --baseline turned.csv",
        ("preds.csv --baseline preds.csv", "preds.csv --baseline turned.csv --on id"),
        evaluate_labels,
    ),
    Case(
        "pass --positive, or score again",
        "three.csv --at-precision 0.1",
        ("three.csv --at-precision 0.1 --positive a", "labelled.csv --at-precision 0.1"),
        evaluate_labels,
    ),
    Case(
        "drop --model, or evaluate a file without predictions",
        f"preds.csv --model {DEFAULT_MODEL}",
        ("preds.csv", f"labelled.csv --model {DEFAULT_MODEL}"),
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
        ("a.csv -o no-link.csv --linked-output refuse", "a.csv -o link.csv --linked-output follow"),
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
    Case("name a folder for them, as -o scored", "folder -o o.csv", ("folder -o scored",)),
    Case("check the pattern", "*.nope -o out", ("halve?/*.csv -o out",)),
    Case("pass - alone", "a.csv - -o out --format csv", ("- -o o.csv --format csv",), stdin="a.csv"),
    Case("drop one", "a.csv --text good", ("a.csv -o o.csv", "--text good")),
    Case(
        "pass jsonl, csv or tsv",
        "--text good --output-format parquet",
        tuple(f"--text good --output-format {kind}" for kind in ("jsonl", "csv", "tsv")),
    ),
    Case(
        "pass a number or a percentage, such as 100 or 1%",
        "a.csv -o o.csv --on-bad-row reject --max-bad few",
        ("a.csv -o o.csv --on-bad-row reject --max-bad 100", "a.csv -o p.csv --on-bad-row reject --max-bad 1%"),
    ),
    Case(
        "pass a name such as utf-8, utf-16 or cp1252",
        "latin.csv -o o.csv --encoding western",
        (
            "a.csv -o o.csv --encoding utf-8",
            "wide.csv -o p.csv --encoding utf-16",
            "latin.csv -o q.csv --encoding cp1252",
        ),
    ),
    Case(
        "pass different characters",
        "a.csv -o o.csv --delimiter , --quote ,",
        ('a.csv -o o.csv --delimiter , --quote "',),
    ),
    Case(
        "pass 2026-01-31, 2026-01-31T18:00 or an age such as 24h, 7d",
        "folder -o out --since yesterday",
        tuple(f"folder -o out --since {since}" for since in ("2026-01-31", "2026-01-31T18:00", "24h", "7d")),
    ),
    Case(
        "pass a time before now, or an age such as 24h",
        "folder -o out --since 2999-01-31",
        ("folder -o out --since 24h",),
    ),
    Case(
        "pass 0 or a code from … to …, such as 99",
        "folder -o out --exit-code-nothing-new 5",
        tuple(f"folder -o out{code} --exit-code-nothing-new {code}" for code in (0, 10, 119, 99)),
    ),
    Case(
        "choose auto, cpu, cuda or cuda:N",
        "a.csv -o o.csv --device tpu",
        ("a.csv -o o.csv --device auto", "a.csv -o p.csv --device cpu"),
    ),
    Case(
        "pass the folder that holds it", "a.csv -o o.csv --model bundle/config.json", ("a.csv -o o.csv --model bundle",)
    ),
    Case("pass a folder that export-model made", "a.csv -o o.csv --model folder", ("a.csv -o o.csv --model bundle",)),
    Case("name an output of score", "a.csv -o o.csv --reuse a.csv", ("a.csv -o o.csv", "a.csv -o p.csv --reuse o.csv")),
    Case("did you mean 'text'?", "a.csv -o o.csv --text-column txt", ("a.csv -o o.csv --text-column text",)),
    Case(
        "pass VALUE=LABEL,VALUE=LABEL",
        "preds.csv --label-map same",
        ("preds.csv --label-map negative=negative,positive=positive",),
        evaluate_labels,
    ),
    Case(
        "drop one of them",
        "preds.csv --label-map negative=negative,negative=positive",
        ("preds.csv --label-map negative=negative",),
        evaluate_labels,
    ),
    Case(
        "name the column of ids that both files have",
        "preds.csv --labels ids.csv",
        ("preds.csv --labels ids.csv --on id",),
        evaluate_labels,
    ),
    Case(
        "name the file with the gold labels",
        "preds.csv --on id",
        ("preds.csv --on id --labels ids.csv",),
        evaluate_labels,
    ),
    Case(
        "pass both, or drop it",
        "preds.csv --allow-missing",
        ("preds.csv --allow-missing --labels ids.csv --on id", "preds.csv"),
        evaluate_labels,
    ),
    Case(
        "name the predictions to compare with",
        "preds.csv --max-drop 0.1",
        ("preds.csv --max-drop 0.1 --baseline preds.csv",),
        evaluate_labels,
    ),
    Case(
        "name the predictions to compare with",
        "preds.csv --max-psi 0.1",
        ("preds.csv --max-psi 0.1 --drift preds.csv",),
        evaluate_labels,
    ),
    Case(
        "pass 10% or 0.1",
        "preds.csv --review-share 2",
        ("preds.csv --review-share 10%", "preds.csv --review-share 0.1"),
        evaluate_labels,
    ),
    Case(
        "pass one",
        "preds.csv --write-threshold bundle --at-precision 0.1 --at-recall 0.1",
        ("preds.csv --write-threshold bundle --at-precision 0.1", "preds.csv --write-threshold bundle --at-recall 0.1"),
        evaluate_labels,
    ),
    Case(
        "name a file that ends in .parquet",
        "preds.csv --write-baseline b.csv",
        ("preds.csv --write-baseline b.parquet",),
        evaluate_labels,
    ),
    Case("name each file once", "preds.csv preds.csv", ("preds.csv",), evaluate_labels),
    Case(
        "name another for one of them",
        "preds.csv --json x.html --report x.html",
        ("preds.csv --json x.json --report x.html",),
        evaluate_labels,
    ),
    Case(
        "compare predictions of the same labels",
        "preds.csv --baseline three.csv",
        ("preds.csv --baseline preds.csv",),
        evaluate_labels,
    ),
    Case(
        "evaluate files with predictions and files to be scored in separate runs",
        "labelled.csv preds.csv",
        ("labelled.csv", "preds.csv"),
        evaluate_labels,
    ),
    Case(
        "pass a number from 0 to 4294967295",
        "--baseline --train many.csv --validation-split 0.1 --seed -1",
        ("--baseline --train many.csv --validation-split 0.1 --seed 0",),
        train_model,
    ),
    Case(
        "pass the share to hold out",
        "--baseline --train many.csv --group-column id",
        ("--baseline --train many.csv --group-column id --validation-split 0.1",),
        train_model,
    ),
    Case(
        "name the file to write",
        "--baseline --train many.csv --validation-split 0.1 --predict a.csv",
        ("--baseline --train many.csv --validation-split 0.1 --predict a.csv --predictions p.csv",),
        train_model,
    ),
    Case(
        "choose .parquet, .csv, .jsonl",
        "--baseline --train many.csv --validation-split 0.1 --predictions p.xls",
        tuple(
            f"--baseline --train many.csv --validation-split 0.1 --predictions p.{kind}"
            for kind in ("parquet", "csv", "jsonl")
        ),
        train_model,
    ),
    Case("known: .parquet, .pq", "a.xyz --baseline a.csv", ("preds.csv --baseline preds.csv",), evaluate_labels),
]
