"""The command ``evaluate-labels``: its whole output and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.commands.evaluate_labels import evaluate_labels
from scorer.evaluation.evaluate import evaluate_labels as evaluate
from scorer.report.files import to_json_text, write_json
from scorer.report.terminal import print_report
from tests.helpers.processes import EVALUATE, base_environment

PREDS = """\
id,label,pred_label,pred_prob_negative,pred_prob_positive
a,positive,positive,0.1,0.9
b,negative,negative,0.8,0.2
c,negative,positive,0.4,0.6
d,positive,positive,0.2,0.8
e,positive,negative,0.7,0.3
"""

TABLES = """\

~ approximate, not 95 %: fewer than 50 rows; a ranking with 2 rows of one kind (ROC AUC, average precision)
figure                 value                 95 %
accuracy              0.6000     0.2307 to 0.8824
balanced accuracy     0.5833   ~ 0.2364 to 0.8856
precision             0.6667     0.2077 to 0.9385  of positive
recall                0.6667     0.2077 to 0.9385  of positive
F1                    0.6667     0.1907 to 0.9444  of positive
macro precision       0.5833   ~ 0.2346 to 0.8963
macro recall          0.5833   ~ 0.2364 to 0.8856
macro F1              0.5833   ~ 0.2115 to 0.9104
weighted precision    0.6000   ~ 0.1946 to 0.9031
weighted recall       0.6000     0.2307 to 0.8824
weighted F1           0.6000   ~ 0.2100 to 0.8961
Matthews correlation  0.1667  ~ -0.5262 to 0.7770
ROC AUC               0.8333   ~ 0.1569 to 0.9926  of positive
average precision     0.9167   ~ 0.0727 to 0.9994  of positive
log loss              0.5344   ~ 0.1291 to 1.4103
Brier score           0.1880   ~ 0.0048 to 0.5495
calibration error     0.3600   ~ 0.0000 to 0.6459

label     gold  predicted  precision  recall      F1  ROC AUC
negative     2          2     0.5000  0.5000  0.5000   0.8333
positive     3          3     0.6667  0.6667  0.6667   0.8333

confusion matrix: a row for each gold label, a column for each predicted one
          negative  positive
negative         1         1
positive         1         2

by confidence, weakest first
confidence   rows  accuracy              95 %         F1
0.6 to 0.7      1    0.0000  0.0000 to 0.7935  undefined  few rows
0.7 to 0.8      1    0.0000  0.0000 to 0.7935     0.0000  few rows
0.8 to 0.9      2    1.0000  0.3424 to 1.0000     1.0000  few rows
0.9 to 0.95     1    1.0000  0.2065 to 1.0000     1.0000  few rows

thresholds of positive
threshold  predicted  precision  recall      F1  accuracy
0.1000             5     0.6000  1.0000  0.7500    0.6000
0.2000             5     0.6000  1.0000  0.7500    0.6000
0.3000             4     0.7500  1.0000  0.8571    0.8000
0.4000             3     0.6667  0.6667  0.6667    0.6000
0.5000             3     0.6667  0.6667  0.6667    0.6000
0.6000             3     0.6667  0.6667  0.6667    0.6000
0.7000             2     1.0000  0.6667  0.8000    0.8000
0.8000             2     1.0000  0.6667  0.8000    0.8000
0.9000             1     1.0000  0.3333  0.5000    0.6000
0.3000             4     0.7500  1.0000  0.8571    0.8000  best F1

if people take the least sure rows
for people  rows   below  accuracy of the rest              95 %  mistakes caught  expected
0 %            0  0.6000                0.6000  0.2307 to 0.8824           0.0000    0.7600
1 %            1  0.7000                0.7500  0.3006 to 0.9544           0.5000    0.8000
2 %            1  0.7000                0.7500  0.3006 to 0.9544           0.5000    0.8000
5 %            1  0.7000                0.7500  0.3006 to 0.9544           0.5000    0.8000
10 %           1  0.7000                0.7500  0.3006 to 0.9544           0.5000    0.8000
15 %           1  0.7000                0.7500  0.3006 to 0.9544           0.5000    0.8000
20 %           1  0.7000                0.7500  0.3006 to 0.9544           0.5000    0.8000
30 %           2  0.8000                1.0000  0.4385 to 1.0000           1.0000    0.8333
50 %           3  0.8000                1.0000  0.3424 to 1.0000           1.0000    0.8500

most confident of 2 mistakes
row  gold      predicted  confidence  text
5    positive  negative       0.7000
3    negative  positive       0.6000

labels to check, the most suspect of 1: they are wrong, or the model is
row  gold      predicted  confidence  text
5    positive  negative       0.7000
"""


SHORT = """\
preds.csv
5 rows evaluated, gold labels from column 'label'

Accuracy is 0.60 (95 %: 0.23 to 0.88).
If people take the 10 % that the model is least sure of (1 row), 75.0 % of the
  rest are right, and people see 50.0 % of the mistakes.

~ approximate, not 95 %: fewer than 50 rows (Matthews correlation, calibration
  error); a ranking with 2 rows of one kind (ROC AUC)
figure                 value                 95 %
accuracy              0.6000     0.2307 to 0.8824
precision             0.6667     0.2077 to 0.9385  of positive
recall                0.6667     0.2077 to 0.9385  of positive
F1                    0.6667     0.1907 to 0.9444  of positive
Matthews correlation  0.1667  ~ -0.5262 to 0.7770
ROC AUC               0.8333   ~ 0.1569 to 0.9926  of positive
calibration error     0.3600   ~ 0.0000 to 0.6459

confusion matrix: a row for each gold label, a column for each predicted one
          negative  positive
negative         1         1
positive         1         2

threshold of positive      at  predicted  precision  recall      F1
recall of 1            0.3000          4     0.7500  1.0000  0.8571

most confident of 2 mistakes; 1 label to check
row  gold      predicted  confidence  text
5    positive  negative       0.7000
3    negative  positive       0.6000

more: -v prints all tables; --report FILE.html and --json FILE hold everything

gate met: accuracy 0.6000 reaches --min-accuracy 0.6
"""


TABLES_WITH_IDS = (
    TABLES.replace("\nrow  gold", "\nrow    gold")
    .replace("\n5    positive", "\n5 (e)  positive")
    .replace("\n3    negative", "\n3 (c)  negative")
)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder to work in, with ``preds.csv`` and ``gold.csv``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "preds.csv").write_text(PREDS)
    (tmp_path / "gold.csv").write_text("id,target\ne,1\nd,1\nc,0\nb,0\na,1\n")
    return tmp_path


@pytest.fixture
def command(files, in_process):
    """Runs the command as its console script does; gives exit code, stdout and stderr."""
    return in_process(evaluate_labels)


def test_predictions(command):
    head = "preds.csv\n5 rows evaluated, gold labels from column 'label'\n"
    code, out, err = command("preds.csv", "-v")
    assert (code, out, err) == (0, head + TABLES, "preds.csv: the labels are in column 'label'\n")


def test_the_short_report(command):
    code, out, err = command("preds.csv", "--min-accuracy", "0.6", "--at-recall", "1")
    assert (code, out, err) == (0, SHORT, "")


def test_no_reviews_are_shown_where_none_are_kept(command):
    head = "preds.csv\n5 rows evaluated, gold labels from column 'label'\n"
    shown = TABLES[: TABLES.index("\nmost confident")]
    assert command("preds.csv", "--mistakes", "0", "-v")[:2] == (0, head + shown)


def test_joined_labels(command):
    head = "preds.csv, labels from gold.csv\n5 rows evaluated, gold labels from column 'target'\n"
    assert command("preds.csv", "--labels", "gold.csv", "--on", "id", "-v")[:2] == (0, head + TABLES_WITH_IDS)


def test_rows_that_are_left_out_are_counted(command, files):
    (files / "preds.csv").write_text(PREDS + "f,negative,,,\ng,positive,positive,0.1,0.9\n")
    (files / "gold.csv").write_text("id,target\nf,0\ne,1\nd,1\nc,0\nb,0\na,1\ny,0\nz,0\n")
    code, out, err = command("preds.csv", "--labels", "gold.csv", "--on", "id")
    assert (code, out) == (3, "")
    assert err == (
        "error: preds.csv: 1 of 7 ids has no label in gold.csv ('g'), and 2 of 8 ids of gold.csv are not here"
        " ('y', 'z'); correct the ids, or pass --allow-missing to leave these out\n"
    )
    code, out, err = command("preds.csv", "--labels", "gold.csv", "--on", "id", "--allow-missing", "-v")
    assert code == 0
    assert out == (
        "preds.csv, labels from gold.csv\n"
        "5 rows evaluated, gold labels from column 'target'\n"
        "1 row unscored: with a gold label but no prediction, left out of every figure\n"
        "1 row unmatched: the id has no gold label, left out\n"
        "2 gold labels unmatched: no row has the id, left out\n" + TABLES_WITH_IDS
    )


def test_text_is_scored_first(command, tiny_bundle, files):
    texts = ["A warm, funny film.", "Two hours of my life.", ""]
    pq.write_table(pa.table({"text": texts, "label": [1, 0, 1]}), "labelled.parquet")
    code, out, err = command("labelled.parquet", "--model", tiny_bundle, "--json", "report.json")
    assert (code, err) == (0, "wrote report.json\n")
    assert " ".join(out.split()).startswith(
        f"labelled.parquet, scored with {tiny_bundle} (int8 on cpu) 2 rows evaluated, gold labels from column 'label'"
        " 1 row unscored: with a gold label but no prediction, left out of every figure "
    )
    report = json.loads((files / "report.json").read_text())
    fingerprint = report["model"].pop("fingerprint")
    assert len(fingerprint) == 64
    assert report["model"] == {"name": str(tiny_bundle), "precision": "int8", "device": "cpu"}
    assert report["rows"]["unscored"] == 1


def test_undefined_figures_say_why(command, files):
    header, *_ = PREDS.splitlines(keepends=True)
    (files / "preds.csv").write_text(header + "a,negative,negative,0.9,0.1\nb,positive,,,\n")
    code, out, _ = command("preds.csv", "--min-f1", "0.5", "-v")
    assert code == 8
    assert (
        out
        == """\
preds.csv
1 row evaluated, gold labels from column 'label'
1 row unscored: with a gold label but no prediction, left out of every figure

~ approximate, not 95 %: fewer than 50 rows (log loss, Brier score, calibration error)
figure                    value                 95 %
accuracy                 1.0000     0.2065 to 1.0000
balanced accuracy        1.0000     0.2065 to 1.0000
precision             undefined                       positive was never predicted
recall                undefined                       no row has the gold label positive
F1                    undefined                       positive is neither a gold label nor predicted
macro precision          1.0000     0.2065 to 1.0000
macro recall             1.0000     0.2065 to 1.0000
macro F1                 1.0000     0.2324 to 1.0000
weighted precision       1.0000     0.2065 to 1.0000
weighted recall          1.0000     0.2065 to 1.0000
weighted F1              1.0000     0.2324 to 1.0000
Matthews correlation  undefined                       only one label is a gold label
ROC AUC               undefined                       no row has the gold label positive
average precision     undefined                       no row has the gold label positive
log loss                 0.1054  ~ 0.0000 to 13.6184
Brier score              0.0100   ~ 0.0000 to 1.0000
calibration error        0.1000   ~ 0.0000 to 0.8635

label     gold  predicted  precision     recall         F1    ROC AUC
negative     1          1     1.0000     1.0000     1.0000  undefined
positive     0          0  undefined  undefined  undefined  undefined

confusion matrix: a row for each gold label, a column for each predicted one
          negative  positive
negative         1         0
positive         0         0

by confidence, weakest first
confidence   rows  accuracy              95 %         F1
0.9 to 0.95     1    1.0000  0.2065 to 1.0000  undefined  few rows

thresholds of positive
threshold  predicted  precision     recall         F1  accuracy
0.1000             1     0.0000  undefined     0.0000    0.0000
0.2000             0  undefined  undefined  undefined    1.0000
0.3000             0  undefined  undefined  undefined    1.0000
0.4000             0  undefined  undefined  undefined    1.0000
0.5000             0  undefined  undefined  undefined    1.0000
0.6000             0  undefined  undefined  undefined    1.0000
0.7000             0  undefined  undefined  undefined    1.0000
0.8000             0  undefined  undefined  undefined    1.0000
0.9000             0  undefined  undefined  undefined    1.0000

if people take the least sure rows
for people  rows   below  accuracy of the rest              95 %  mistakes caught  expected
0 %            0  0.9000                1.0000  0.2065 to 1.0000        undefined    0.9000

gate NOT MET: f1 is undefined (positive is neither a gold label nor predicted), --min-f1 demands 0.5
"""
    )


def test_each_gate_that_fails_has_its_line_and_the_report_is_written(command, files):
    gates = ("--min-accuracy", "0.9", "--min-f1", "0.8")
    code, out, err = command("preds.csv", *gates, "--json", "report.json")
    assert code == 8
    assert out.endswith(
        "\ngate NOT MET: accuracy 0.6000 is below --min-accuracy 0.9\ngate NOT MET: f1 0.6667 is below --min-f1 0.8\n"
    )
    assert err == (
        "wrote report.json\n"
        "error: preds.csv: accuracy 0.6000 is below --min-accuracy 0.9\n"
        "error: preds.csv: f1 0.6667 is below --min-f1 0.8\n"
    )
    report = json.loads((files / "report.json").read_text())
    assert [gate["passed"] for gate in report["gates"]] == [False, False]


def test_gates_that_are_met_exit_0_and_a_variable_can_set_them(command, monkeypatch):
    code, out, err = command("preds.csv", "--min-accuracy", "0.6", "--min-f1", "0.5")
    assert (code, err) == (0, "")
    assert out.endswith(
        "\ngate met: accuracy 0.6000 reaches --min-accuracy 0.6\ngate met: f1 0.6667 reaches --min-f1 0.5\n"
    )
    monkeypatch.setenv("SCORER_MIN_ACCURACY", "0.7")
    assert command("preds.csv")[0] == 8


def test_json_on_stdout_is_all_there_is(command):
    code, out, err = command("preds.csv", "--json", "-", "--min-f1", "0.9")
    assert code == 8
    assert err == "error: preds.csv: f1 0.6667 is below --min-f1 0.9\n"
    assert out == to_json_text(evaluate("preds.csv", min_f1=0.9))
    assert json.loads(out)["confusion_matrix"] == [[1, 1], [1, 2]]


def test_markdown_on_stdout_is_all_there_is(command):
    assert command("preds.csv", "--markdown", "kept.md")[0] == 0
    code, out, err = command("preds.csv", "--markdown", "-", "--json", "kept.json")
    assert (code, out, err) == (0, Path("kept.md").read_text(), "wrote kept.json\n")
    assert not Path("-").exists()
    code, out, err = command("preds.csv", "--markdown", "-", "--json", "-")
    assert (code, out, err) == (2, "", "error: --json and --markdown cannot both be -; name a file for one\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["preds.csv", "--on", "id"], 2, "--on needs --labels or --baseline; name the file with the gold labels"),
        (["preds.csv", "--min-f1", "-1"], 2, "--min-f1 -1 must be between 0 and 1"),
        (["preds.csv", "--json", "preds.csv"], 2, "preds.csv: --json names a file that is read; write to another file"),
        (["preds.csv", "--json", "."], 2, ".: is a folder; name a file in it"),
        (["nope.csv"], 3, "nope.csv: no such file; check the path"),
        (["zero.csv"], 3, "zero.csv: is empty (0 bytes); write it again, or take it away"),
        (["header.csv"], 3, "header.csv: holds no rows; there is nothing to evaluate"),
        (["no-label.csv"], 3, "no-label.csv: no column is named label, sentiment, gold or target;"
         " name one with --label-column; its columns: text"),
        (["unknown.csv"], 3, "unknown.csv: row 2: 'so-so' in column 'label' is not a label of the predictions;"
         " labels of the predictions: 'negative', 'positive' or their ids 0 to 1;"
         " labels in the file: 'positive', 'so-so'"),
        (["preds.csv", "--label-column", "gold"], 3, "preds.csv: no column 'gold'; its columns: id, label"),
        (["labelled.csv", "--model", "nope"], 4, "nope: no such model folder;"
         " pass a bundle folder or a Hub id such as org/name"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)  # fmt: skip
def test_each_failure_is_one_line_and_its_exit_code(command, files, arguments, code, message):
    (files / "zero.csv").write_text("")
    (files / "header.csv").write_text("label,pred_label\n")
    (files / "no-label.csv").write_text("text\nx\n")
    (files / "labelled.csv").write_text("text,label\nx,1\n")
    (files / "unknown.csv").write_text(
        "label,pred_label,pred_prob_negative,pred_prob_positive\npositive,positive,0,1\nso-so,negative,1,0\n"
    )
    assert command(*arguments, "--quiet") == (code, "", f"error: {message}\n")


def test_without_a_file_it_points_to_its_help(command):
    code, out, err = command()
    assert (code, out) == (2, "")
    # The name in front of --help is that of the process, here pytest's.
    assert err.startswith("error: Missing argument 'FILE...'; for example: evaluate-labels labelled.parquet")


def test_what_stood_at_the_json_stands_when_the_evaluation_fails(command, files):
    (files / "report.json").write_text("old")
    assert command("preds.csv", "--label-column", "pred_label", "--json", "report.json")[0] == 2
    assert command("nope.csv", "--json", "report.json")[0] == 3
    assert (files / "report.json").read_text() == "old"
    assert sorted(path.name for path in files.iterdir()) == ["gold.csv", "preds.csv", "report.json"]


def test_json_that_cannot_be_written_is_exit_5_before_any_work(command, files):
    code, out, err = command("preds.csv", "--json", "nowhere/report.json")
    assert (code, out) == (5, "")
    assert err.endswith("nowhere: no such folder; make it first\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [[], ["--json", "-"]])
def test_a_full_disk_behind_stdout_is_exit_5(files, arguments):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", EVALUATE, "preds.csv", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=base_environment(),
        )
    assert ran.stderr == "error: the report could not be written to stdout: No space left on device\n"
    assert ran.returncode == 5


def test_json_replaces_a_file_but_never_a_device(files):
    report = evaluate("preds.csv")
    (files / "report.json").write_text("old")
    (files / "link.json").symlink_to("report.json")
    write_json(report, files / "link.json")
    assert (files / "link.json").is_symlink()
    assert (files / "report.json").read_text() == to_json_text(report)
    os.mkfifo(files / "pipe")
    reader = os.open(files / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_json(report, files / "pipe")
    assert os.read(reader, 1 << 20).decode() == to_json_text(report)
    os.close(reader)
    assert not (files / "pipe").is_file()


def test_names_from_files_reach_no_terminal_raw(command, files):
    (files / "preds.csv").write_text('label,pred_label\n"[red]\x1b[31m\x9b","[red]\x1b[31m\x9b"\nb,b\n')
    code, out, _ = command("preds.csv", "-v")
    assert code == 0
    assert "[red]\\x1b[31m\\x9b     1          1     1.0000  1.0000  1.0000  undefined\n" in out
    code, out, _ = command("preds.csv", "--json", "-")
    assert not any(not char.isprintable() and char != "\n" for char in out)
    assert json.loads(out)["labels"] == ["[red]\x1b[31m\x9b", "b"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_the_same_figures_with_rules_and_colour(files, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    print_report(evaluate("preds.csv", min_f1=0.9), terminal, in_full=True)
    shown = terminal.getvalue()
    assert "\x1b[31mgate NOT MET: f1 0.6667 is below --min-f1 0.9\x1b[0m" in shown
    assert "─" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    print_report(evaluate("preds.csv", min_f1=0.9), terminal, in_full=True)
    assert "\x1b[3" not in terminal.getvalue()
    for line in TABLES.splitlines():
        assert all(word in terminal.getvalue() for word in line.split())


def test_a_matrix_of_many_labels_is_left_to_json(command, files):
    labels = [f"l{number:02}" for number in range(13)]
    (files / "preds.csv").write_text("label,pred_label\n" + "".join(f"{label},{label}\n" for label in labels))
    _, out, _ = command("preds.csv", "-v")
    assert out.endswith("\nthe confusion matrix of 13 labels is in --json\n")


def test_help_shows_examples(command):
    code, out, err = command("--help")
    assert (code, err) == (0, "")
    assert "evaluate-labels preds.parquet --labels gold.csv --on id" in out
