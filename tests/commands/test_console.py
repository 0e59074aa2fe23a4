"""The edge: every error becomes one line and its exit code; nothing else escapes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from scorer import errors
from scorer.commands.console import run
from scorer.interrupts import Terminated
from scorer.job.verification import verify_output
from scorer.safe_text import printable
from tests.conftest import Call
from tests.helpers.faults import fail_at
from tests.helpers.messages import KINDS
from tests.helpers.processes import CODE, base_environment


def outcome(error: BaseException | None, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    @click.command()
    @click.option("--debug", is_flag=True)
    def command(debug: bool) -> None:
        if error is not None:
            raise error

    with pytest.raises(SystemExit) as left:
        run(command, arguments, env_prefix="TEST")
    assert isinstance(left.value.code, int)
    return left.value.code, capsys.readouterr().err


CODES = {
    "ScorerError": 1,
    "UsageError": 2,
    "OutputExistsError": 2,
    "InputError": 3,
    "MissingInputError": 3,
    "EmptyInputError": 3,
    "MissingBucketError": 3,
    "ModelError": 4,
    "DeviceError": 4,
    "OutputError": 5,
    "BusyError": 6,
    "OutOfMemoryError": 7,
    "PassedOverError": 7,
    "QualityGateError": 8,
    "UnreachableError": 9,
}


def test_the_tree_has_no_error_without_a_code_here() -> None:
    assert KINDS == CODES


@pytest.mark.parametrize("name", CODES)
def test_each_error_is_one_line_and_its_code(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = getattr(errors, name)("is wrong", path="a\nb.csv", row=7, hint="do this")
    assert outcome(error, capsys) == (CODES[name], "error: a\\nb.csv: row 7: is wrong; do this\n")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (None, 0, ""),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (Terminated(), 143, "error: terminated\n"),
        (MemoryError(), 7, "error: memory ran out; free some memory\n"),
        (
            ValueError("odd\nvery"),
            1,
            "error: internal error (please report it): ValueError: odd; run again with --debug to see where\n",
        ),
    ],
)
def test_everything_else(error: BaseException | None, code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(error, capsys) == (code, says)


def test_a_traceback_only_with_debug(call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    fail_at("a.csv", ValueError("x"), monkeypatch)
    code, _, err = call_score("a.csv", "-o", "b.csv")
    assert (code, "Traceback" in err) == (1, False)
    assert err.endswith("; run again with --debug to see where\n")
    code, _, err = call_score("a.csv", "-o", "b.csv", "--debug")
    assert (code, "Traceback" in err, "in fails\n    raise error" in err) == (1, True, True), err


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, err = outcome(None, capsys, "--no-such-option")
    assert code == 2
    assert err == "error: No such option '--no-such-option'; see command --help\n"
    assert err.count("\n") == 1


def test_a_reader_that_has_gone_is_141() -> None:
    command = f"{sys.executable} -c '{CODE}' --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) in [("141\n", ""), ("0\n", "")]  # 0 where all of it fitted the pipe


def test_a_closed_stdout_is_no_failure() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{CODE}' --version >&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "<&- 2>&-"])
def test_closed_streams_cost_no_file(closed: str, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    command = f"{sys.executable} -c '{CODE}' a.csv -o b.csv --model {tiny_bundle} --summary s.json {closed}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=base_environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert verify_output(tmp_path / "b.csv")


def test_lines_for_people_never_go_into_the_data(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("text\ngood,bad\n")
    for closed, leaves in (("2>&- >out", 3), (">&- 2>err", 5)):
        command = f"{sys.executable} -c '{CODE}' bad.csv -o - --model {tiny_bundle} -q {closed}"
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=base_environment(), check=False)
        assert done.returncode == leaves
    assert b"error" not in (tmp_path / "out").read_bytes()
    assert (tmp_path / "err").read_text() == "error: stdout: is closed; name a file, or leave stdout open\n"


@pytest.mark.parametrize(
    "redirected",
    ["a.csv -o - >> a.csv", "- --format csv -o a.csv --overwrite < a.csv", "- --format csv -o - <a.csv >>a.csv"],
)
def test_a_stream_that_is_the_input_is_no_output(redirected: str, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    command = f"{sys.executable} -c '{CODE}' --model {tiny_bundle} {redirected}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=base_environment(), capture_output=True, check=False
    )
    assert (done.returncode, b"is the input itself" in done.stderr) == (2, True)
    assert (tmp_path / "a.csv").read_text() == "text\ngood\n"


def test_a_working_folder_that_is_gone(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = (
        f"cd gone && rmdir ../gone && {sys.executable} -c '{CODE}' {tmp_path}/a.csv -o b.csv --model {tiny_bundle}"
    )
    (tmp_path / "a.csv").write_text("text\ngood\n")
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=base_environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, b"error: the working folder is gone; change to another one\n")


def test_a_signal_that_a_library_turned_into_another_error(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated:
            raise ImportError("initialization failed") from None

    with pytest.raises(SystemExit) as left:
        run(command, [], env_prefix="TEST")
    assert (left.value.code, capsys.readouterr().err) == (143, "error: terminated\n")


def test_a_second_signal_lets_the_first_be_put_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    done = []

    @click.command()
    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            done.append("in order")

    with pytest.raises(SystemExit) as left:
        run(command, [], env_prefix="TEST")
    assert (left.value.code, done) == (143, ["in order"])


def test_completion_for_the_shell() -> None:
    variables = {"_SCORE_COMPLETE": "bash_complete", "COMP_WORDS": "score --over", "COMP_CWORD": "1", "PATH": "/bin"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=variables, check=False)
    assert done.stdout == "plain,--overwrite\n"


def test_escapes() -> None:
    assert printable("a\x1b[0m\u202e\x00 é😀") == "a\\x1b[0m\\u202e\\x00 é😀"


def test_sigterm_is_143() -> None:
    code = (
        "import time, click\nfrom scorer.commands.console import run\n"
        "@click.command()\ndef c():\n    print('ready', flush=True)\n    time.sleep(60)\nrun(c, [], env_prefix='T')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143
        assert time.monotonic() - begun < 10
        assert process.stderr.read() == b"error: terminated\n"
