"""docs/errors.md has every message that the program can raise, and none that it cannot."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from scorer import errors
from scorer.commands.console import run
from tests.helpers.messages import HOLE, Message, Module, modules
from tests.helpers.processes import CODE, environment

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "errors.md"

FORWARDED = {
    "bad_row_limit.py": "the reason for the first bad row, before a message of its own",
    "bad_rows.py": "the reason for a Reject, found where that is made",
    "findings.py": "a gate, see test_the_gates_have_their_messages",
    "joining.py": "one or two parts of its own, which are on the page",
    "verification.py": "what count_rows said",
    "csv_source.py": "nothing: the reason is set before, by name",
    "jsonl_source.py": "a row that is good",
    "parquet_source.py": "one reason per row, which is on the page",
    "data.py": "the reason for a Reject, found where that is made",
    "parts.py": "a Reject that was read back",
    "wire.py": "a Reject that was read back",
}
"""Files that pass on a whole message, and the origin of its words."""

BY_HAND = {
    "internal error (please report it): …",
    "stdout could not be written: …",
    "the working folder is gone",
    "interrupted",
    "terminated",
    "… of … files could not be scored: …",
    "column … holds bytes that are not UTF-8",
    "is not JSON: …",
    "is a list, not a JSON object",
    "is nested more than … deep",
    "is …, not a JSON object",
    "… is …, not a string",
    "… of … ids … no … in … (…)",
    "… of … ids of … … not here (…)",
}
"""Messages of the page that no call of an error's class states: those of the edge, and the forwarded ones."""


def rows_of(page: str) -> list[tuple[str, str, str]]:
    """Heading of the second level, message and advice of every row of the page's tables."""
    found, heading = [], ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        match = re.fullmatch(r'\| (?:<a id="[^"]+"></a>)?`(.+?)` \| (.+) \|', line)
        if match is not None:
            found.append((heading, match[1].replace("\\|", "|"), match[2]))
    return found


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, str]]:
    return rows_of(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return [message for module in modules(ROOT) for message in module.messages()]


def says_something(message: Message) -> bool:
    return re.search("[A-Za-z]{2}", message.template) is not None


def test_every_message_is_on_the_page(messages: list[Message], rows: list[tuple[str, str, str]]) -> None:
    known = {(heading.split(":")[0], message) for heading, message, _ in rows}
    missing = {
        f"| `{message.template}` | what to do |  (section {message.exit_code}, {message.place})"
        for message in messages
        if says_something(message) and (str(message.exit_code), message.template) not in known
    }
    assert not missing, "docs/errors.md lacks:\n" + "\n".join(sorted(missing))


def test_no_message_of_the_page_is_out_of_use(messages: list[Message], rows: list[tuple[str, str, str]]) -> None:
    raised = {(str(message.exit_code), message.template) for message in messages}
    of_click = {message for heading, message, _ in rows if message in click_messages()}
    stale = {
        f"{heading}: {message}"
        for heading, message, _ in rows
        if (heading.split(":")[0], message) not in raised and message not in BY_HAND | of_click | gates()
    }
    assert not stale, "docs/errors.md has what is never said:\n" + "\n".join(sorted(stale))


def test_a_message_without_words_is_known_to_be_forwarded(messages: list[Message]) -> None:
    places = {message.place.split(":")[0] for message in messages if not says_something(message)}
    assert places <= FORWARDED.keys()


def test_each_message_has_its_advice_once(rows: list[tuple[str, str, str]]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for heading, message, advice in rows:
        assert len(advice) > 8, message
        assert "TODO" not in advice
        assert advice.endswith((".", "`")), message
        # The same words in two commands may need the same advice twice, never two different ones.
        assert seen.setdefault((heading, message), advice) == advice, message
    assert len(rows) > 300


def test_the_page_has_a_section_for_every_code(rows: list[tuple[str, str, str]]) -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert {heading.split(":")[0] for heading, _, _ in rows} >= {str(code) for code in codes}


def gates() -> set[str]:
    """The messages of gates that are not met, as the code of a gate's text states them."""
    module = next(module for module in modules(ROOT) if module.path.name == "gates.py")
    function = next(function for function in module.functions.values() if function.name == "__str__")
    found = set(of_returns(module, function))
    return {re.sub(f"{HOLE}+", HOLE, text) for text in found}


def of_returns(module: Module, function: object) -> list[str]:
    import ast

    assert isinstance(function, ast.FunctionDef)
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    return [text for value in values for text in module.texts(value, function, frozenset())]


def test_the_gates_have_their_messages(rows: list[tuple[str, str, str]]) -> None:
    not_met = {text for text in gates() if "within" not in text and "reaches" not in text}
    assert len(not_met) == 5
    assert not_met <= {message for heading, message, _ in rows if heading.startswith("8")}


def click_messages() -> set[str]:
    """The messages of the command line's parser that the page has."""
    return {
        "No such option '…'.…",
        "Missing option '…'",
        "Missing argument '…'",
        "Got unexpected extra argument (…)",
        "Option '…' requires an argument",
        "Invalid value for '…': …",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bogus",), "No such option '…'"),
        (("a.csv",), "Missing option '…'"),
        (("-o", "b.csv"), "Missing argument '…'"),
        (("a.csv", "-o"), "Option '…' requires an argument"),
        (("a.csv", "-o", "b.csv", "--threads", "x"), "Invalid value for '…': …"),
    ],
)
def test_what_the_parser_says(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str, rows: list[tuple[str, str, str]]
) -> None:
    from scorer.commands.score import score

    with pytest.raises(SystemExit) as left:
        run(score, arguments, env_prefix="SCORER")
    assert left.value.code == 2
    pattern = ".+".join(re.escape(part) for part in message.split(HOLE))
    assert re.match(f"error: {pattern}", capsys.readouterr().err)
    assert any(row.startswith(message) for _, row, _ in rows)


def test_the_edge(capsys: pytest.CaptureFixture[str], rows: list[tuple[str, str, str]]) -> None:
    @click.command()
    def command() -> None:
        raise MemoryError

    with pytest.raises(SystemExit) as left:
        run(command, [], env_prefix="TEST")
    assert left.value.code == 7
    line = capsys.readouterr().err.removeprefix("error: ").strip()
    assert line == "memory ran out; free some memory"
    assert "memory ran out" in {message for _, message, _ in rows}
    assert {message for _, message, _ in rows} >= BY_HAND


def test_stdout_that_is_full(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", CODE, "--help"], stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert (done.returncode, done.stderr) == (5, b"error: could not be written: No space left on device\n")


def test_the_finder_finds(tmp_path: Path) -> None:
    (tmp_path / "scorer").mkdir()
    (tmp_path / "scorer" / "x.py").write_text(
        'AT = "at once"\n'
        "def a(n, why):\n"
        '    what = "is bad" if n else f"is {n} times bad"\n'
        "    raise InputError(what, path=why)\n"
        "def b(why):\n"
        '    raise UsageError(f"no {why}{AT}" + (" now" if why else ""), hint="x")\n'
        "def c():\n"
        "    raise ModelError(said(1))\n"
        "def said(n):\n"
        '    return f"{n}{n} times"\n'
    )
    found = {(message.exit_code, message.template) for module in modules(tmp_path) for message in module.messages()}
    assert found == {(3, "is bad"), (3, "is … times bad"), (2, "no …at once"), (2, "no …at once now"), (4, "… times")}
