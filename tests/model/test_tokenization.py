"""nanotoken gives the ids of tokenizers, or does not run; long texts cost little with either."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from scorer.model import tokenization
from scorer.model.model_folder import DEFAULT_MODEL
from scorer.model.preprocessing import LongText, Preprocessing
from scorer.model.token_runs import Encoded, TextEncoder
from scorer.model.tokenization import (
    BATTERY,
    FlatIds,
    FlatTokenizer,
    by_nanotoken,
    by_tokenizers,
    equal_ids,
    flat_tokenizer,
)
from tests.conftest import VOCABULARY_TEXTS, tiny_tokenizer
from tests.helpers.processes import PEAK, base_environment, needs_peak

ROOT = Path(__file__).parents[2]


@cache
def embedded() -> Tokenizer:
    return Tokenizer.from_file(str(DEFAULT_MODEL / "tokenizer.json"))


def arrow(texts: list[str | None]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def same_ids(one: FlatIds, other: FlatIds) -> bool:
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.offsets, other.offsets)


@cache
def both(described: str) -> tuple[FlatTokenizer, FlatTokenizer]:
    reference = by_tokenizers(Tokenizer.from_str(described))
    return by_nanotoken(reference, described), reference


def assert_equal(tokenizer: Tokenizer, texts: list[str | None]) -> None:
    fast, reference = both(tokenizer.to_str())
    column = arrow(texts)
    if not same_ids(fast(column), reference(column)):
        columns = {text: arrow([text]) for text in texts}
        wrong = [text for text, one in columns.items() if not same_ids(fast(one), reference(one))]
        pytest.fail(f"other ids: {wrong[:3]!r}")


def test_the_embedded_tokenizer_runs_by_nanotoken() -> None:
    assert flat_tokenizer(embedded()).name == "nanotoken"
    assert flat_tokenizer(embedded(), "tokenizers").name == "tokenizers"


def test_every_sample_text() -> None:
    lines = (ROOT / "sample_data" / "reviews.jsonl").read_text(encoding="utf-8").splitlines()
    assert_equal(embedded(), [json.loads(line)["text"] for line in lines])


ALPHABETS = (
    (32, 126), (160, 591), (768, 879), (880, 1327), (1424, 1791), (2304, 2431), (3584, 3711), (4352, 4607),
    (7424, 7935), (8192, 8303), (12288, 12543), (19968, 40959), (44032, 55203), (0, 31), (127, 159),
    (65279, 65535), (65536, 131071), (131072, 201551), (917504, 917999), (983040, 1114111),
)  # fmt: skip


def random_texts(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    words = ["film", "Good", "[SEP]", "##ing", "<br />", " ", "  ", "\n", "don't", "e\u0301"]

    def piece() -> str:
        low, high = draw.choice(ALPHABETS)
        return draw.choice([chr(draw.randint(low, high)), *draw.choices(words, k=2)])

    texts = ("".join(piece() for _ in range(draw.randint(0, 40))) for _ in range(count))
    return [text.encode("utf-8", "replace").decode() for text in texts]


def test_twenty_thousand_random_strings_of_unicode() -> None:
    assert_equal(embedded(), [*random_texts(20_000, 5)])


def test_every_character() -> None:
    codes = (code for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    texts: list[str | None] = [f"a{chr(code)}b {chr(code)}" for code in codes]
    assert_equal(embedded(), texts[:0x30000] + texts[0x30000::37])  # planes of nothing but ideographs and private use


@settings(max_examples=150)
@given(texts=st.lists(st.none() | st.text(), max_size=8))
def test_any_text(texts: list[str | None]) -> None:
    assert_equal(embedded(), texts)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("handle_chinese", [True, False])
def test_every_way_to_normalize(lowercase: bool, strip_accents: bool | None, handle_chinese: bool) -> None:
    tokenizer = Tokenizer(embedded().model)
    tokenizer.pre_tokenizer = embedded().pre_tokenizer
    tokenizer.normalizer = normalizers.BertNormalizer(True, handle_chinese, strip_accents, lowercase)
    assert flat_tokenizer(tokenizer).name == "nanotoken"
    assert_equal(tokenizer, [*BATTERY, *random_texts(2_000, 6)])


def test_added_tokens_are_part_of_the_battery() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken("zz-film", single_word=True), AddedToken("New York", lstrip=True, rstrip=True)])
    assert flat_tokenizer(tokenizer).name == "nanotoken"
    assert_equal(tokenizer, ["a zz-film b", "azz-filmb", "in New York  now", "NewYork new york"])


def wrong(reference: FlatTokenizer, described: str) -> FlatTokenizer:
    """nanotoken with one other id at the end."""
    fast = by_nanotoken(reference, described)

    def encoded(texts: list[str]) -> FlatIds:
        found = fast.encoded(texts)
        return FlatIds(np.concatenate([found.ids[:-1], found.ids[-1:] + 1]), found.offsets)

    return replace(fast, encoded=encoded)


def test_other_ids_bring_the_reference_back(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    reference = by_tokenizers(embedded())
    assert not equal_ids(wrong(reference, embedded().to_str()), reference, embedded())
    monkeypatch.setattr(tokenization, "by_nanotoken", wrong)
    with caplog.at_level(logging.INFO, "scorer"):
        assert flat_tokenizer(embedded()).name == "tokenizers"
    assert caplog.messages == ["tokenizing without nanotoken: its ids are not those of tokenizers"]


def test_a_package_that_fails_brings_the_reference_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(reference: FlatTokenizer, described: str) -> FlatTokenizer:
        del described

        def encoded(texts: list[str]) -> FlatIds:
            raise RuntimeError(f"{len(texts)} texts are too many")

        return replace(reference, encoded=encoded)

    monkeypatch.setattr(tokenization, "by_nanotoken", fails)
    with caplog.at_level(logging.INFO, "scorer"):
        assert flat_tokenizer(embedded()).name == "tokenizers"
    monkeypatch.setattr(tokenization, "by_nanotoken", by_nanotoken)
    monkeypatch.setitem(sys.modules, "nanotoken", ModuleType("nanotoken"))
    with caplog.at_level(logging.INFO, "scorer"):
        assert flat_tokenizer(embedded()).name == "tokenizers"
    start = "tokenizing without nanotoken: it does not support this tokenizer: "
    assert [message[: len(start)] for message in caplog.messages] == [start, start]


def test_without_the_package_the_reference_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "nanotoken", None)
    with caplog.at_level(logging.INFO, "scorer"):
        assert flat_tokenizer(embedded(), "nanotoken").name == "tokenizers"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "tokenizing without nanotoken: it is not installed")
    ]


@cache
def byte_level_json() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(VOCABULARY_TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer.to_str()


def short_words() -> Tokenizer:
    described = json.loads(tiny_tokenizer().to_str())
    described["model"]["max_input_chars_per_word"] = 10
    return Tokenizer.from_str(json.dumps(described))


def byte_level() -> Tokenizer:
    return Tokenizer.from_str(byte_level_json())


def test_a_tokenizer_of_another_kind_runs_by_the_reference(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "scorer"):
        assert flat_tokenizer(byte_level()).name == "tokenizers"
    assert caplog.messages[0].startswith("tokenizing without nanotoken: it does not support this tokenizer: ")


def same(one: Encoded, other: Encoded) -> bool:
    pairs = ((one.tokens, other.tokens), (one.offsets, other.offsets), (one.truncated, other.truncated))
    return all(np.array_equal(a, b) for a, b in pairs) and np.array_equal(one.rows, other.rows)


@pytest.mark.parametrize("kind", ["nanotoken", "wordpiece", "byte-level"])
@settings(max_examples=100)
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["good ", "film", "é ", "中", "!", "\n", "<br />", "a" * 30, "e\u0301", "[SEP]"]),
            st.integers(1, 60),
        ),
        max_size=10,
    ),
    length=st.integers(4, 9),
    mode=st.sampled_from(["truncate", "head-tail", "window"]),
)
def test_middles_that_nobody_sees_are_left_out(
    kind: str, parts: list[tuple[str, int]], length: int, mode: LongText
) -> None:
    text = "".join(piece * count for piece, count in parts)
    tokenizer = byte_level if kind == "byte-level" else short_words
    package = "nanotoken" if kind == "nanotoken" else "tokenizers"
    preprocessing = Preprocessing(max_length=length, long_text=mode, stride=1, clean=("html-breaks",))
    whole = TextEncoder(tokenizer(), preprocessing, "tokenizers").encode([text, None, "good film"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenization, "_LONG", 200)
        patch.setattr(tokenization, "_END", 90)
        patch.setattr(tokenization, "_MARGIN", 12)
        cutting = TextEncoder(tokenizer(), preprocessing, package)
        assert cutting.tokenizer == package
        assert same(cutting.encode([text, None, "good film"]), whole)


PROGRAM = (
    PEAK
    + """
import json, sys, time
from tokenizers import Tokenizer
from scorer.model.token_runs import TextEncoder
from scorer.model.preprocessing import Preprocessing
texts = {
    "words": lambda: "a warm and funny film, " * 2_200_000,
    "letters": lambda: "abcdefghij" * 5_000_000,
    "spaces": lambda: "good" + " " * 50_000_000 + "film",
    "breaks": lambda: "<br />" * 8_000_000 + "good",
    "marks": lambda: "e\\u0301" * 16_000_000,
    "ideographs": lambda: "\\u4e2d" * 16_000_000,
}
text = texts[sys.argv[1]]()
preprocessing = Preprocessing(512, sys.argv[2], clean=("html-breaks",))
encoder = TextEncoder(Tokenizer.from_str(sys.stdin.read()), preprocessing, sys.argv[3])
encoder.encode(["warm up"])
before, begun = peak(), time.process_time()
encoded = encoder.encode([text])
seconds, after = time.process_time() - begun, peak()
print(json.dumps([encoder.tokenizer, len(encoded.tokens), seconds, (after - before) / 1024]))
"""
)


@needs_peak
@pytest.mark.parametrize(
    ("text", "package"),
    [
        *((text, "nanotoken") for text in ("words", "letters", "spaces", "breaks", "marks", "ideographs")),
        ("words", "tokenizers"),
    ],
)
@pytest.mark.parametrize("mode", ["truncate", "head-tail"])
def test_fifty_megabytes_are_cheap(text: str, mode: str, package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, text, mode, package],
        input=embedded().to_str(), env=base_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ran, tokens, seconds, mebibytes = json.loads(done.stdout)
    assert (ran, tokens > 2) == (package, True)
    assert seconds < (30 if text in ("marks", "ideographs") else 8)  # a busy machine takes a few times as long
    assert mebibytes < 700
