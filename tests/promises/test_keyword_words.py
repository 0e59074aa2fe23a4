"""Errors name keyword arguments to a caller in Python, and options to whoever typed a command."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from scorer import EvaluateOptions, ScoreOptions, Scorer, evaluate_labels, score_file
from scorer.errors import ScorerError, UsageError
from scorer.keyword_words import in_python, words_of_a_shell
from tests.commands.test_hints import OPTION, hints

pytestmark = pytest.mark.in_python

OF_COMMANDS_ALONE = ("debug", "since", "actors")
"""Options of hints in shared rooms that no function of Python reaches; ``actors`` is one of Ray's processes."""

ROOMS = tuple(f"scorer/{room}" for room in ("errors", "model", "job", "files", "evaluation", "cluster"))

KEYWORDS = {item.name: str(item.type) for item in (*fields(ScoreOptions), *fields(EvaluateOptions))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pass --overwrite to replace it", "pass `overwrite=True` to replace it"),
        ("try --quote none, or pass --quote '\"' if", 'try `quote="none"`, or pass `quote=\'"\'` if'),
        ("pass --on-bad-row reject or keep", 'pass `on_bad_row="reject"` or `"keep"`'),
        ("pass --output-format csv, tsv or jsonl", 'pass `output_format="csv"`, `"tsv"` or `"jsonl"`'),
        ("--threads 0 must be at least 1", "`threads=0` must be at least 1"),
        ("pass --encoding, such as latin-1", "pass `encoding`, such as latin-1"),
        ("-o - needs to know the format", '`output="-"` needs to know the format'),
        (
            "export one with: export-model CHECKPOINT -o B --precision fp16,int8, or pass --device cpu",
            'export one with: export-model CHECKPOINT -o B --precision fp16,int8, or pass `device="cpu"`',
        ),
        ("a--b.csv -- and --…", "a--b.csv -- and --…"),
    ],
)
def test_options_become_keyword_arguments(text: str, said: str) -> None:
    assert in_python(text) == said
    assert in_python(said) == said


@pytest.mark.parametrize(("place", "hint"), [one for one in hints() if one[0].startswith(ROOMS)])
def test_hints_of_the_api_name_its_arguments(place: str, hint: str) -> None:
    said = in_python(hint)
    assert not OPTION.search(re.sub("export-model .*", "", said)), said
    for name, value in re.findall("`([a-z_0-9]+)(=True|=False)?", said):
        if name not in OF_COMMANDS_ALONE:
            assert name in KEYWORDS, said
            assert (KEYWORDS[name] == "bool") == bool(value), said


def test_each_way_in_speaks_python(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(UsageError, match=r"b\.csv: already exists; pass `overwrite=True` to replace it$") as caught:
        score_file(tmp_path / "a.csv", tmp_path / "b.csv", model=tiny_bundle)
    assert caught.value.hint == "pass `overwrite=True` to replace it"
    assert caught.value.parts()["hint"] == "pass --overwrite to replace it"
    with pytest.raises(UsageError, match="`labels` needs `on`; name the column"):
        evaluate_labels(tmp_path / "a.csv", labels="b.csv")
    with pytest.raises(UsageError, match="`threads=0` must be at least 1"):
        Scorer.load(tiny_bundle, threads=0)
    with pytest.raises(UsageError, match='pass `on_bad_row="reject"` or `"keep"`'):
        ScoreOptions(max_bad="1")


def test_a_command_speaks_shell_and_only_while_it_runs() -> None:
    error = ScorerError("--labels needs --on", hint="pass --overwrite", path="--a")
    assert str(error) == "--a: `labels` needs `on`; pass `overwrite=True`"
    with words_of_a_shell():
        assert str(error) == "--a: --labels needs --on; pass --overwrite"
    assert str(error.at("b")) == "b: `labels` needs `on`; pass `overwrite=True`"
