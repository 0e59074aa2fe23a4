"""Long texts are cut before they are tokenized, and nobody can tell."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import scorer.files.huge_texts
import scorer.model.encoding
import scorer.model.long_texts
from scorer.files.huge_texts import HugeText
from scorer.model.encoding import Encoded, TextEncoder
from scorer.model.long_texts import Cutter
from scorer.model.preprocessing import LongText, Preprocessing
from tests.conftest import VOCABULARY_TEXTS, tiny_tokenizer
from tests.helpers.faults import PEAK, needs_peak


@cache
def byte_level_json(prefix_space: bool) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(VOCABULARY_TEXTS, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), add_prefix_space=prefix_space)
    return str(tokenizer.to_str())


def wordpiece(**settings: object) -> Tokenizer:
    tokenizer = tiny_tokenizer()
    tokenizer.normalizer = normalizers.BertNormalizer(**settings)
    return tokenizer


TOKENIZERS = {
    "wordpiece": tiny_tokenizer,
    "wordpiece, cased": lambda: wordpiece(lowercase=False),
    "wordpiece, accents kept": lambda: wordpiece(strip_accents=False, clean_text=False),
    "byte-level": lambda: Tokenizer.from_str(byte_level_json(False)),
    "byte-level, prefix space": lambda: Tokenizer.from_str(byte_level_json(True)),
}

PIECES = (
    st.sampled_from(
        [
            *["film", "good ", "Not bad, ", "a", "Z", "é", "e\u0301", "\u0301", "\u0301" * 9, "\u0327\u0301"],
            *["İ", "ß", "ﬃ"],
            *[" ", "  ", "\n", "\t", "\r\n", "\x00", "\x1c", "\x85", "\u2003", "\u3000", "\u00a0", "\u200b", "\u200d"],
            *["\ufeff", "\ufffd", "\u202e", "中", "文字", "가", "각", "ก็", "ค้", "أَ", "\U0001f469\u200d\U0001f467"],
            *["!", "'s", "_", "$", "¿", "…", "\u093c", "\u0958", "<br>", "<br />", "<BR/>", "<br", "<", "br", "/>"],
            *[">", "<br \n\t/>", "<br\u3000>", "[SEP]", "[sep]", "[UN", "K]", "[", "<mask>", " <mask>", "<ma", "sk>"],
            *["😀", "</s>", "12", "3.5", "\U00010400", "\ud7a3", "\u1100\u1161"],
        ]
    )
    | st.text(max_size=3)
)  # fmt: skip
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from([1, 1, 1, 2, 7, 60, 110, 300])), max_size=14).map(
    lambda parts: "".join(piece * count for piece, count in parts)
)


def same(one: Encoded, other: Encoded) -> bool:
    pairs = ((one.tokens, other.tokens), (one.offsets, other.offsets), (one.truncated, other.truncated))
    return all(a.tolist() == b.tolist() for a, b in pairs) and one.rows.tolist() == other.rows.tolist()


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=400)
@given(
    text=TEXTS,
    length=st.integers(4, 12),
    mode=st.sampled_from(["truncate", "head-tail", "window"]),
    clean=st.sampled_from([(), ("html-breaks",)]),
)
@example(text="<br" + " " * 300 + ">" + "film " * 300, length=5, mode="truncate", clean=("html-breaks",))
@example(text="a" * 4000 + "[SEP]" + "b" * 4000, length=5, mode="head-tail", clean=())
@example(text="film" * 10 + "\n" + "good", length=4, mode="window", clean=())
@example(text="<br>" * 900, length=5, mode="head-tail", clean=("html-breaks",))
def test_cut_and_uncut_give_the_same_ids(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, length: int, mode: LongText, clean: tuple[str, ...]
) -> None:
    preprocessing = Preprocessing(max_length=length, long_text=mode, stride=1, clean=clean)
    with monkeypatch.context() as patch:
        patch.setattr(scorer.model.encoding, "_CHARACTERS_PER_TOKEN", 2)
        patch.setattr(scorer.model.encoding, "_PIECE", 40)
        patch.setattr(scorer.model.long_texts, "_LONG_STRETCH", 20)
        patch.setattr(scorer.model.long_texts, "_REACH", 30)
        cutting = TextEncoder(TOKENIZERS[name](), preprocessing)
        assert cutting._cutter is not None
        whole = TextEncoder(TOKENIZERS[name](), preprocessing)
        whole._cutter = None
        expected = whole.encode([text, "good film"])
        assert same(cutting.encode([text, "good film"]), expected)
        patch.setattr(scorer.files.huge_texts, "PIECE_BYTES", 50)
        for most in (10**6, 200):
            patch.setattr(scorer.model.encoding, "_MOST_KEPT", most)
            assert same(cutting.encode([HugeText(text.encode()), "good film"]), expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: setattr(t, "normalizer", normalizers.NFKC()),
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Metaspace()),
        lambda t: t.add_tokens(["New York"]),
        lambda t: setattr(t, "model", models.Unigram([("a", 0.0)])),
    ],
)
def test_tokenizers_of_other_kinds_are_not_cut_for(change: object) -> None:
    tokenizer = tiny_tokenizer()
    assert Cutter.of(tokenizer) is not None
    assert callable(change)
    change(tokenizer)
    assert Cutter.of(tokenizer) is None


def test_an_added_word_is_not_squeezed_away() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["zzfilmzz"])
    text = "a" * 5000 + "zzfilmzz" + "b" * 5000
    encoder = TextEncoder(tokenizer, Preprocessing(max_length=8, stride=2))
    assert len(encoder.encode([text]).run(0)) == 5


PROGRAM = (
    PEAK
    + """
import json, sys, time
from tokenizers import Tokenizer
from scorer.encoding import TextEncoder
from scorer.preprocessing import Preprocessing
texts = {
    "words": lambda: "a warm and funny film, " * 2_200_000,
    "letters": lambda: "abcdefghij" * 5_000_000,
    "spaces": lambda: "good" + " " * 50_000_000 + "film",
    "breaks": lambda: "<br />" * 8_000_000 + "good",
    "marks": lambda: "e\u0301" * 16_000_000,
    "ideographs": lambda: "\u4e2d" * 16_000_000,
}
text = texts[sys.argv[2]]()
encoder = TextEncoder(Tokenizer.from_str(sys.stdin.read()), Preprocessing(512, sys.argv[3], clean=("html-breaks",)))
encoder.encode(["warm up"])
before, begun = peak(), time.process_time()
encoded = encoder.encode([text])
seconds, after = time.process_time() - begun, peak()
print(json.dumps([len(encoded.tokens), seconds, (after - before) / 1024]))
"""
)


@needs_peak
@pytest.mark.parametrize("mode", ["truncate", "head-tail"])
@pytest.mark.parametrize("text", ["words", "letters", "spaces", "breaks", "marks", "ideographs"])
def test_fifty_megabytes_are_cheap(text: str, mode: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "", text, mode], input=tiny_tokenizer().to_str(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    tokens, seconds, mebibytes = json.loads(done.stdout)
    assert tokens > 2
    assert seconds < 8  # about 1 on an idle machine
    assert mebibytes < 350
