"""Token ids of plain texts, which are normalized in another way, against the tokenizer itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers

from scorer.model.bundle import DEFAULT_MODEL
from scorer.model.token_ids import TokenIds, is_plain
from tests.conftest import tiny_tokenizer

EMBEDDED = (DEFAULT_MODEL / "tokenizer.json").read_text(encoding="utf-8")

WORDS = st.sampled_from(
    ["Good", "film,", "[SEP]", "[sep]", "[MASK]don't", "\n", "\t", "\r\n", "É", "é", "ß", "电影", "\0"]
)
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126))
TEXTS = st.lists(st.one_of(st.text(), PLAIN, st.lists(WORDS).map(" ".join), st.lists(WORDS).map("".join)))


def expected(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


@pytest.fixture(scope="module")
def embedded() -> Tokenizer:
    return Tokenizer.from_str(EMBEDDED)


@given(texts=TEXTS)
def test_ids_are_those_of_the_tokenizer(embedded: Tokenizer, texts: list[str]) -> None:
    assert TokenIds(embedded)(texts) == expected(embedded, texts)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("clean_text", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
def test_every_way_to_normalize_and_every_character(
    embedded: Tokenizer, *, lowercase: bool, clean_text: bool, strip_accents: bool | None
) -> None:
    tokenizer = Tokenizer(embedded.model)
    tokenizer.pre_tokenizer = embedded.pre_tokenizer
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text, True, strip_accents, lowercase)
    token_ids = TokenIds(tokenizer)
    assert token_ids.knows_plain_texts
    texts = [text for code in range(0x180) for text in (f"Go{chr(code)}Od", f"GOOD {chr(code)} film", chr(code))]
    assert token_ids(texts) == expected(tokenizer, texts)


def test_plain_texts_are_those_that_normalization_leaves() -> None:
    bert = normalizers.BertNormalizer(lowercase=False)
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        char = chr(code)
        if is_plain(char):
            assert code < 128
            assert bert.normalize_str(char) == (" " if char.isspace() else char)
    assert is_plain("A line,\r\n\tand another: 100 % ~good~")
    assert not is_plain("A\x0bline")


ADDED = [
    AddedToken("<film>", special=True, normalized=False),
    AddedToken("Director", special=False, normalized=True, single_word=True),
    AddedToken("<keep>", special=False, normalized=False, lstrip=True, rstrip=True),
    AddedToken("GOOD", special=True, normalized=True),
]


@given(
    words=st.lists(
        st.sampled_from(["<film>", "<FILM>", "director", "DIRECTORS", " <keep> ", "good", "Goodness", "\n", "é"])
    )
)
def test_added_tokens_are_found_as_before(words: list[str]) -> None:
    tokenizer = Tokenizer.from_str(EMBEDDED)
    tokenizer.add_tokens(ADDED)
    token_ids = TokenIds(tokenizer)
    assert token_ids.knows_plain_texts
    texts = [" ".join(words), "".join(words)]
    assert token_ids(texts) == expected(tokenizer, texts)


@pytest.mark.parametrize("content", ["é", "good film", "a\nb"])
def test_added_tokens_that_normalization_could_change_or_split_leave_the_one_way(content: str) -> None:
    tokenizer = Tokenizer.from_str(EMBEDDED)
    tokenizer.add_tokens([AddedToken(content, normalized=True)])
    token_ids = TokenIds(tokenizer)
    assert not token_ids.knows_plain_texts
    texts = ["A good film é", "a good\nfilm E", "a b"]
    assert token_ids(texts) == expected(tokenizer, texts)


def test_added_tokens_with_ids_of_their_own_leave_the_one_way() -> None:
    described = json.loads(EMBEDDED)
    described["added_tokens"].append(
        {"id": 40000, "content": "<far>", "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": False}
    )
    tokenizer = Tokenizer.from_str(json.dumps(described))
    token_ids = TokenIds(tokenizer)
    texts = ["a <far> film", "FAR"]
    assert token_ids(texts) == expected(tokenizer, texts)


def test_other_normalizers_leave_the_one_way() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    assert not TokenIds(tokenizer).knows_plain_texts
    assert TokenIds(tokenizer)(["A good film"]) == expected(tokenizer, ["A good film"])


def test_the_embedded_model_has_the_fast_way(embedded: Tokenizer) -> None:
    assert TokenIds(embedded).knows_plain_texts
    assert TokenIds(embedded)([]) == []
