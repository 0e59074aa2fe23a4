"""Every broken file ends in one line and its exit code, with nothing at the destination.

The files of ``tests/files/broken`` carry what they should give in their names: ``WHAT.CODE[.POLICY].EXTENSION``,
where a policy of ``reject`` runs with ``--on-bad-row reject``. Drop in a file, gain a test. Those that
are too large or too long to keep are made here.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.commands.console import run
from scorer.commands.score import score

BROKEN = sorted(path for path in (Path(__file__).parent / "broken").iterdir() if path.suffix != ".md")
Call = Callable[..., str]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs `score`, which has to leave with ``code``; gives what it said on both streams."""

    def call_score(*arguments: object, code: int) -> str:
        with pytest.raises(SystemExit) as left:
            run(score, [str(argument) for argument in arguments], env_prefix="SCORER")
        said = "".join(capsys.readouterr())
        assert left.value.code == code, said[-3000:]
        assert sum(line.startswith("error: ") for line in said.splitlines()) == (code != 0)
        assert ("Traceback" in said) == ("--debug" in arguments and code != 0)
        return said

    return call_score


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.name)
def test_files_of_the_corpus(path: Path, call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    _what, code, *policy = path.name.split(".")[:-1]
    reject = ["--on-bad-row", "reject"] if "reject" in policy else []
    output = tmp_path / f"out{path.suffix}"
    said = call(path, "-o", output, "--model", tiny_bundle, *reject, code=int(code))
    assert output.exists() == (code == "0")
    if code != "0":
        assert str(path) in said


def parquet(table: pa.Table, **settings: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **settings)
    return file.getvalue()


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


GOOD = pa.table({"text": [f"good film {n}" for n in range(100)]})
CHECKED = parquet(GOOD, write_page_checksum=True)

MADE: dict[str, tuple[int, Callable[[], bytes]]] = {
    "zero.parquet": (3, lambda: b""),
    "zero.csv": (3, lambda: b""),
    "zero.jsonl": (3, lambda: b""),
    "zero.csv.gz": (3, lambda: b""),
    "half.parquet": (3, lambda: CHECKED[: len(CHECKED) // 2]),
    "no-end.parquet": (3, lambda: CHECKED[:-1]),
    "flipped.parquet": (3, lambda: flipped(CHECKED, 60)),
    "csv-inside.parquet": (3, lambda: b"id,text\n1,a\n"),
    "encrypted.parquet": (3, lambda: b"PARE" + bytes(64) + b"PARE"),
    "no-rows.parquet": (0, lambda: parquet(GOOD.slice(0, 0))),
    "no-text.parquet": (3, lambda: parquet(pa.table({"text": [1, 2]}))),
    "half.csv.gz": (3, lambda: gzip.compress(b"text\n" + b"good film\n" * 1000)[:-20]),
    "not-packed.csv.gz": (3, lambda: b"text\na\n"),
    "utf-16.csv": (3, lambda: "text\ngood\n".encode("utf-16")),
    "no-mark.utf-16.csv": (3, lambda: "text\ngood film\n".encode("utf-16-le")),
    "no-mark.utf-32.csv": (3, lambda: "text\ngood film\n".encode("utf-32-be")),
    "nesting.jsonl": (3, lambda: b'{"text": "a"}\n' + b"[" * 1_000_000 + b"\n"),
    "bomb.csv.gz": (3, lambda: gzip.compress(b"text\n" + bytes(300 * 2**20), 1)),
    "ten-megabytes.csv": (0, lambda: b"text\n" + b"good film " * 1_000_000 + b"\nfine\n"),
    "one-word.jsonl": (0, lambda: b'{"text": "' + b"x" * 10_000_000 + b'"}\n'),
    "random.csv": (3, lambda: bytes(range(256)) * 40),
    "random.jsonl": (3, lambda: bytes(range(255, -1, -1)) * 40),
    "quote.csv": (3, lambda: b'text\n"' + b"never closed " * 10_000),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("policy", ["fail", "reject"])
def test_files_that_are_made(name: str, policy: str, call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    code, content = MADE[name]
    if policy == "reject" and name in ("nesting.jsonl", "random.jsonl"):
        code = 0 if name == "nesting.jsonl" else 3
    path = tmp_path / name
    path.write_bytes(content())
    output = tmp_path / "out.jsonl"
    output.write_text("what stood here\n")
    arguments = ["--on-bad-row", policy, "--model", tiny_bundle, "--overwrite"]
    said = call(path, "-o", output, *arguments, code=code)
    if code:
        assert str(path) in said
        assert output.read_text() == "what stood here\n"
    elif name.startswith("no-rows"):
        assert output.read_text() == ""


STRANGE = [
    "a\x00b",
    "\u202eright to left\u202c",
    "😀👩‍👩‍👧",
    "\u200b",
    "x" * 100_000,
    'a "b"\r\nc',
    " \t ",
    "\ufeffmark",
    "\x1b[31m",
]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_strange_texts_are_carried_unchanged(kind: str, call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    table = pa.table({"text": STRANGE})
    path, output = tmp_path / f"a.{kind}", tmp_path / "out.jsonl"
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in STRANGE))
    else:
        rows = ['"' + text.replace('"', '""') + '"\n' for text in STRANGE]
        path.write_bytes("".join(["text\n", *rows]).encode())
    call(path, "-o", output, "--model", tiny_bundle, code=0)
    assert [json.loads(line)["text"] for line in output.read_bytes().splitlines()] == STRANGE


def test_no_review_is_ever_said(call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    """Whatever goes wrong and however much is asked for."""
    secret = "Zanzibar-Quux"
    bad = {
        "a.csv": f"id,text\n1,{secret}\n2,{secret},{secret}\n",
        "b.csv": f'text\n"{secret}" {secret}\n',
        "c.csv": f'text\n{secret}\n"{secret}',
        "d.jsonl": f'{{"text": "{secret}"}}\n{{"text": {secret}}}\n',
        "e.jsonl": f'{{"text": "{secret}", "text": "{secret}"}}\n',
        "f.jsonl": f'{{"text": "{secret}\\ud800"}}\n',
        "g.jsonl": f'["{secret}"]\n',
    }
    contents = {name: content.encode() for name, content in bad.items()}
    contents["h.csv"] = f"text\n{secret}".encode() + b"\xff\n"
    contents["ok.csv"] = f"text\n{secret}\n".encode()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        for policy in ("fail", "reject"):
            arguments = [tmp_path / name, "-o", tmp_path / "o.parquet", "--model", tiny_bundle, "--on-bad-row", policy]
            # An open quote stops any run, and so does a file that has no good row to name its columns.
            stops = name != "ok.csv" if policy == "fail" else name in ("c.csv", "e.jsonl", "f.jsonl", "g.jsonl")
            said = call(*arguments, "-vv", "--debug", "--overwrite", code=3 if stops else 0)
            assert secret not in said, (name, policy)
    rejects = tmp_path / "o.parquet.rejects.jsonl"
    assert not rejects.exists() or secret not in rejects.read_text()


def test_control_characters_never_reach_the_terminal(call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\x07.csv"
    path.write_text("te\x1b[31mxt\nfine\n")
    for more, code in ((["--text-column", "te\x1b[31mxt"], 0), ([], 3), (["--debug", "--columns", "\x1b"], 3)):
        said = call(
            path, "-o", tmp_path / "\x1bout.csv", "--model", tiny_bundle, "-vv", "--overwrite", *more, code=code
        )
        assert not set(said) & {chr(number) for number in (*range(9), 7, 11, 27, 127, 155)}
