"""Ids from the table of words, against the tokenizer that they stand in for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from scorer import word_ids
from scorer.bundle import DEFAULT_MODEL
from scorer.word_ids import WordIds

ASCII = st.text(st.characters(max_codepoint=127), max_size=60)
SOME = [
    "good",
    "Film",
    "10/10",
    "didn't",
    "[SEP]",
    "[sep]",
    "[",
    "]",
    "é",
    " ",
    "\n",
    "\t",
    "\x00",
    "x" * 70,
    "x" * 120,
]
PIECES = st.lists(st.sampled_from(SOME), max_size=12).map("".join)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(DEFAULT_MODEL / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


@pytest.fixture(scope="module")
def cased(tokenizer: Tokenizer) -> Tokenizer:
    found = Tokenizer.from_str(tokenizer.to_str())
    found.normalizer = normalizers.BertNormalizer(lowercase=False)
    return found


def same(tokenizer: Tokenizer, table: WordIds, texts: list[str]) -> list[bool]:
    """Whether each text was taken from the table; what was taken is what the tokenizer says."""
    found = table.bodies(texts)
    assert len(found) == len(texts)
    for text, ids in zip(texts, found, strict=True):
        assert ids is None or ids == tokenizer.encode(text, add_special_tokens=False).ids, text
    return [ids is not None for ids in found]


def table_of(tokenizer: Tokenizer) -> WordIds:
    table = WordIds.of(tokenizer)
    assert table is not None
    return table


@given(text=ASCII | PIECES)
def test_the_ids_are_the_tokenizers(tokenizer: Tokenizer, cased: Tokenizer, text: str) -> None:
    for one in (tokenizer, cased):
        same(one, table_of(one), [text, text])


def test_what_is_taken_from_the_table(tokenizer: Tokenizer) -> None:
    texts = ["A warm, funny film!", "", " \n", "\t~`@[x]\\^_{|}\r\n", "don't 10/10 1950s", "a" * 64]
    assert same(tokenizer, table_of(tokenizer), texts) == [True] * len(texts)


@pytest.mark.parametrize("text", ["café", "a\x00b", "a\x7fb", "a\x1cb", "so [SEP] it goes", "x[MASK]", "a" * 65])
def test_what_is_left_to_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    assert same(tokenizer, table_of(tokenizer), ["fine", text, "fine"]) == [True, False, True]


def test_capitals_count_where_the_tokenizer_says_so(cased: Tokenizer, tokenizer: Tokenizer) -> None:
    assert table_of(cased).bodies(["Film"]) != table_of(cased).bodies(["film"])
    assert table_of(tokenizer).bodies(["Film"]) == table_of(tokenizer).bodies(["film"])


def test_a_table_that_is_full_begins_anew(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_ids, "_MAX_WORDS", 50)
    monkeypatch.setattr(word_ids, "_GROUP_CHARACTERS", 100)
    table = table_of(tokenizer)
    for start in range(0, 400, 40):
        assert all(same(tokenizer, table, [f"film {number} of {number % 7}" for number in range(start, start + 40)]))
        assert len(table._ids) < 120


def test_threads_may_share_it(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_ids, "_MAX_WORDS", 20)
    monkeypatch.setattr(word_ids, "_GROUP_CHARACTERS", 50)
    table = table_of(tokenizer)
    texts = [f"film {number} and {number * 3}" for number in range(200)]
    with ThreadPoolExecutor(4) as pool:
        taken = [part.result() for part in [pool.submit(same, tokenizer, table, texts) for _ in range(4)]]
    assert all(all(part) for part in taken)


def test_other_tokenizers_have_no_table(tokenizer: Tokenizer) -> None:
    def changed() -> Tokenizer:
        return Tokenizer.from_str(tokenizer.to_str())

    split, kept, found_later = changed(), changed(), changed()
    split.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kept.normalizer = normalizers.BertNormalizer(clean_text=False)
    found_later.add_tokens([AddedToken("Blu-ray", normalized=True)])
    assert [WordIds.of(one) for one in (split, kept, found_later)] == [None] * 3


def test_added_tokens_are_left_to_the_tokenizer(tokenizer: Tokenizer) -> None:
    more = Tokenizer.from_str(tokenizer.to_str())
    more.add_tokens([AddedToken("Blu-ray", normalized=False)])
    assert same(more, table_of(more), ["a blu-ray", "a Blu-ray", "film"]) == [True, False, True]
