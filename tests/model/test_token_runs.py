"""Texts to token ids, against transformers' own tokenizer and against counting by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from scorer.errors import ModelError
from scorer.model.preprocessing import Preprocessing
from scorer.model.token_runs import Encoded, TextEncoder
from tests.conftest import tiny_tokenizer

TEXTS = ["A warm, funny film.", "", None, "   \n\t", "Das Essen war kalt 😀", "<br />", "x" * 500, "good " * 40]


@pytest.fixture(scope="module")
def reference(tiny_checkpoint: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_checkpoint)


def encoder(**settings: object) -> TextEncoder:
    return TextEncoder(tiny_tokenizer(), Preprocessing(**settings))  # type: ignore[arg-type]


def test_same_ids_as_transformers(reference: PreTrainedTokenizerBase) -> None:
    encoded = encoder(max_length=16, stride=4).encode(TEXTS)
    assert encoded.rows.tolist() == [0, 4, 5, 6, 7]
    for run, row in enumerate(encoded.rows):
        expected = reference(TEXTS[row], truncation=True, max_length=16)["input_ids"]
        assert encoded.run(run).tolist() == expected
    assert encoded.truncated.tolist() == [False] * 7 + [True]


@given(text=st.text(), length=st.integers(3, 40))
def test_truncation_keeps_the_first_tokens(text: str, length: int) -> None:
    tokenizer = tiny_tokenizer()
    whole = tokenizer.encode(text, add_special_tokens=False).ids
    encoded = encoder(max_length=length, stride=0).encode([text])
    if not whole or text.isspace():
        assert len(encoded.rows) == 0
    else:
        assert encoded.run(0).tolist()[1:-1] == whole[: length - 2]
        assert encoded.truncated.tolist() == [len(whole) > length - 2]


@given(n_words=st.integers(1, 60), length=st.integers(4, 40))
def test_head_and_tail_are_the_first_and_last_halves(n_words: int, length: int) -> None:
    text = "good film " * n_words
    whole = tiny_tokenizer().encode(text, add_special_tokens=False).ids
    body = encoder(max_length=length, stride=0, long_text="head-tail").encode([text]).run(0).tolist()[1:-1]
    room = length - 2
    if len(whole) <= room:
        assert body == whole
    else:
        head, tail = (room + 1) // 2, room // 2
        assert body == whole[:head] + whole[len(whole) - tail :]


@given(n_words=st.integers(1, 80), length=st.integers(4, 30), data=st.data())
def test_windows_overlap_by_the_stride_and_miss_no_token(n_words: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(0, length - 3))
    text = "good film war " * n_words
    whole = tiny_tokenizer().encode(text, add_special_tokens=False).ids
    encoded = encoder(max_length=length, stride=stride, long_text="window").encode([text])
    bodies = [encoded.run(run).tolist()[1:-1] for run in range(len(encoded.rows))]
    assert not encoded.truncated.any()
    joined = bodies[0]
    for body in bodies[1:]:
        assert len(body) > stride
        assert joined[len(joined) - stride :] == body[:stride]
        joined = joined + body[stride:]
    assert joined == whole


def test_breaks_are_cleaned_before_tokenizing() -> None:
    plain = encoder().encode(["good film"]).run(0)
    cleaned = encoder(clean=("html-breaks",)).encode(["good<br />film", "<BR>", "<br/> "])
    assert np.array_equal(cleaned.run(0), plain)
    assert cleaned.rows.tolist() == [0]


def test_a_template_without_special_tokens_works() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    bare = TextEncoder(tokenizer, Preprocessing(max_length=4, stride=0)).encode(["good film good film good"])
    assert len(bare.run(0)) == 4


def test_a_length_without_room_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    special = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] [CLS] $A [SEP]", pair="$A $B", special_tokens=special
    )
    with pytest.raises(ModelError, match="leaves no room"):
        TextEncoder(tokenizer, Preprocessing(max_length=3, stride=0))
    with pytest.raises(ModelError, match="leaves no room"):
        TextEncoder(tokenizer, Preprocessing(max_length=9, stride=6, long_text="window"))
    assert TextEncoder(tokenizer, Preprocessing(max_length=9, stride=6)).encode(["good film"]).n_rows == 1


def test_encoded_refuses_offsets_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="offsets"):
        Encoded(np.zeros(3, np.int32), np.array([0, 2]), np.array([0]), np.zeros(1, np.bool_))
