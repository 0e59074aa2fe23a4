"""Token ids of many texts as one flat array: by nanotoken where its ids are those of tokenizers, else by tokenizers.

nanotoken (WordPiece alone) is thirty to sixty times faster and works outside Python's lock. It is young, so it runs
only after it has given the ids of ``tokenizers`` for every text of :data:`BATTERY`; the latter stays the reference.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from scorer.errors import ModelError
from scorer.memory import require_address_space
from scorer.model.options import TokenizerChoice

log = logging.getLogger(__name__)

BATTERY = (
    "",
    " \t\r\n",
    "It's a warm, funny film; I'd watch it again!!! (9/10)",
    "UPPER lower MiXeD don't can't rock'n'roll e-mail under_score",
    "3.14159 1,000,000 $5.99 50% #1 @home a+b=c x^2 ~ ` | \\ / < > { } [ ]",
    "Café naïve façade Ångström œuvre Straße İstanbul ıI ΑΣΣΟΣ ﬁn ﬃ ½ ²",
    "e\u0301 a\u0308\u0323 n\u0303o \u0301\u0301 \u0327c \u1100\u1161\u11a8 가각 \u0958 \u093c",
    "Очень хороший фильм ќ й Ёлка Ѓ",
    "中文字符 電影 日本語のテスト カタカナ ｶﾞ 한국어 영화 ไทย ภาษา عربي أَ עברית हिन्दी",
    "\u4e00\u9fff\u3400\U00020000\U0002a6df\U0002b740\U0002f800 \uf900 \u3007 \u30fb",
    "😀😃 👩‍👧 🏳️‍🌈 👍🏽 ☃ ♥ ™ ©",
    "zero\u200bwidth \u200d\u200c \u2060 \ufeff soft\u00adhyphen \u202eright-to-left\u202c \u2066x\u2069",
    "a\x00b \x01\x02 c\x0bd\x0ce \x1c\x1d\x1e\x1f \x7f \x80\x85\x9f \ufffd \ufffe \uffff \U0010ffff",
    "no\u00a0break \u1680 \u2000\u2003\u2009 \u2028 \u2029 \u202f \u205f \u3000wide",
    "…“quotes” ‘single’ – dash — em · • ¿qué? ¡sí! „unten“ «guillemets» ´ ˜ ′",
    "[CLS] [SEP][PAD] [MASK]film [UNK] [cls] [ SEP ] [SEP",
    "<s> </s> <mask> <pad> <unk> <br /><BR/> <br\t/> &amp; http://a.b/c?d=e#f",
    "##ing ## # unaffable embedding embeddings antidisestablishmentarianism",
    "x" * 99 + " " + "y" * 100 + " " + "z" * 101 + " " + "é" * 100 + " " + "ß" * 51 + " " + "\u0301" * 120,
    "word" * 60 + " " + "中" * 150 + " " + "!" * 150 + " " + "😀" * 101,
    " leading and trailing \n\n double  spaces\t\ttabs ",
    "\u0130\u0130 \u0049\u0307 \u01c5 \u1e9e \u03a3 \u03c2 \u0345 \u1fb3 \u2126 \u212a \u212b",
    "\U00010400\U00010428 \U0001d400 \U0001f1e9\U0001f1ea \ue000 \U000f0000",
)
"""Texts at the edges of what tokenizers do: accents, scripts, emoji, controls, white space, specials, endless words."""

_CACHE_ENTRIES = 2**17
"""Words that each of nanotoken's threads remembers: a few MiB, and nearly all words of English reviews."""

_LONG, _END = 2**20, 2**18
"""With a text of more characters than the first, ends of so many as the second are tokenized, if that is enough."""

_WORKING_BYTES = 64 * 2**20
"""Memory for the tokens of a chunk beside that for its texts."""

_MARGIN = 1000
"""Tokens between those that count and a cut: a cut changes those of one word, of which WordPiece makes 100 at most."""


@dataclass(frozen=True)
class FlatIds:
    """Token ids of texts.

    Attributes:
        ids: int32 ``(n_tokens,)``, the texts one after another, each between the special tokens.
        offsets: int64 ``(n_texts + 1,)``, where each text starts in ``ids``.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]


@dataclass(frozen=True)
class FlatTokenizer:
    """A tokenizer of many texts at once.

    Attributes:
        name: the package that does it.
        encoded: all ids of a list of texts.
        prefix, suffix: the special tokens around a text.
        cuts_anywhere: true where no token depends on a place :data:`_MARGIN` tokens away; else only a space ends that.
    """

    name: str
    encoded: Callable[[list[str]], FlatIds]
    prefix: list[int]
    suffix: list[int]
    cuts_anywhere: bool = False

    def __call__(self, texts: pa.LargeStringArray, *, ends: int | None = None) -> FlatIds:
        """Ids of ``texts``, null as empty; with ``ends`` given, some in the middle of a very long text may be left out.

        Its first and last ``ends`` ids are there all the same, and more than ``ends`` between them.
        """
        require_address_space(_WORKING_BYTES + 8 * texts.nbytes, lower="--chunk-rows")
        values = texts.fill_null("").to_pylist()
        if ends is None or max(map(len, values), default=0) <= _LONG:
            return self.encoded(values)
        pieces = [self._ids_of_ends(text, ends) for text in values]
        return FlatIds(np.concatenate(pieces), np.cumsum([0, *map(len, pieces)]))

    def _ids_of_ends(self, text: str, ends: int) -> npt.NDArray[np.int32]:
        head, tail = _END, len(text) - _END
        if not self.cuts_anywhere:
            head, tail = text.rfind(" ", 0, head), text.find(" ", tail)
        if 0 < head < tail:
            found = self.encoded([text[:head], text[tail:]])
            if np.diff(found.offsets).min() > ends + _MARGIN:
                first, last = np.split(found.ids, found.offsets[1:-1])
                return np.concatenate([first[: len(first) - len(self.suffix)], last[len(self.prefix) :]])
        return self.encoded([text]).ids


def by_tokenizers(tokenizer: Tokenizer) -> FlatTokenizer:
    """The reference; truncation and padding of ``tokenizer`` are switched off.

    Raises:
        ModelError: its template does not keep a text in one piece.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def encoded(texts: list[str]) -> FlatIds:
        rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=True)]
        offsets = np.cumsum([0, *map(len, rows)])
        return FlatIds(np.fromiter(chain.from_iterable(rows), np.int32, count=int(offsets[-1])), offsets)

    body = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    for start in range(len(whole) - len(body) + 1):
        if whole[start : start + len(body)] == body:
            return FlatTokenizer("tokenizers", encoded, whole[:start], whole[start + len(body) :])
    raise ModelError("the tokenizer's template does not keep the text in one piece")


def by_nanotoken(reference: FlatTokenizer, described: str) -> FlatTokenizer:
    """nanotoken with the tokenizer of ``reference`` as ``Tokenizer.to_str()`` describes it.

    Raises:
        ImportError: nanotoken is not installed.
        ValueError: it does not support this tokenizer.
    """
    import nanotoken

    nanotoken.set_cache_entries(_CACHE_ENTRIES)
    tokenizer = nanotoken.Tokenizer.from_json(described)

    def encoded(texts: list[str]) -> FlatIds:
        found = tokenizer.encode_batch(texts)
        return FlatIds(found.ids.view(np.int32), found.offsets)

    longest = re.search(r'"max_input_chars_per_word":\s*(\d+)', described)
    short_words = longest is not None and int(longest[1]) < _MARGIN
    return FlatTokenizer("nanotoken", encoded, reference.prefix, reference.suffix, cuts_anywhere=short_words)


def flat_tokenizer(tokenizer: Tokenizer, choice: TokenizerChoice = "auto") -> FlatTokenizer:
    """The tokenizer that ``choice`` asks for; the log says why nanotoken is passed over."""
    reference = by_tokenizers(tokenizer)
    if choice == "tokenizers":
        return reference
    try:
        fast = by_nanotoken(reference, tokenizer.to_str())
        if equal_ids(fast, reference, tokenizer):
            return fast
        reason = "its ids are not those of tokenizers"
    except ImportError:
        reason = "it is not installed"
    except Exception as error:  # whatever a version that is not known yet does, the reference can run
        reason = f"it does not support this tokenizer: {error}"
    log.log(logging.WARNING if choice == "nanotoken" else logging.INFO, "tokenizing without nanotoken: %s", reason)
    return reference


def equal_ids(fast: FlatTokenizer, reference: FlatTokenizer, tokenizer: Tokenizer) -> bool:
    """True if both give the same ids for :data:`BATTERY` and for added tokens, alone and within words."""
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()][:64]
    texts = [*BATTERY, " ".join(added), "x".join(added), *(f"a {one}b{one} " for one in added)]
    found, expected = fast.encoded(texts), reference.encoded(texts)
    return np.array_equal(found.ids, expected.ids) and np.array_equal(found.offsets, expected.offsets)
