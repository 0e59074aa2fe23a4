"""Token ids of plain ASCII texts, word by word from a table of words that were tokenized before.

A tokenizer spends a microsecond on each token, most of it on keeping track of where a character came from,
which nobody asks for here. Behind BERT's normalizer and pre-tokenizer a WordPiece model sees one word at a
time, so a word has the same ids wherever it stands. In ASCII its rules come to a few: control characters are
removed, white space separates, punctuation stands alone, capitals become small where the tokenizer says so.
Texts with anything else are left to the tokenizer itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from tokenizers import Tokenizer

_WORD = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MAX_WORDS = 2**15  # some 8 MB; the commonest words of a language come back at once when the table was emptied
_LONGEST_WORD = 64
_GROUP_CHARACTERS = 2**18  # texts whose words are held at a time


class WordIds:
    """A table of words and their ids; it grows with the texts, up to a limit.

    Several threads may use one table.
    """

    def __init__(self, tokenizer: Tokenizer, *, lowercase: bool, added: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._lowercase = lowercase
        self._added = tuple(added)
        self._ids: dict[str, tuple[int, ...]] = {}

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> WordIds | None:
        """A table for ``tokenizer``, or ``None`` where its words are not those of this module."""
        described = json.loads(tokenizer.to_str())
        model, normalizer, before = (described.get(part) or {} for part in ("model", "normalizer", "pre_tokenizer"))
        kinds = (model.get("type"), normalizer.get("type"), before.get("type"))
        if kinds != ("WordPiece", "BertNormalizer", "BertPreTokenizer") or not normalizer.get("clean_text"):
            return None
        added = described.get("added_tokens") or []
        # Those that are looked for in the normalized text could hide in one that does not hold them as written.
        if any(not token["content"] or token.get("normalized", True) for token in added):
            return None
        return cls(tokenizer, lowercase=bool(normalizer.get("lowercase")), added=[item["content"] for item in added])

    def bodies(self, texts: Sequence[str]) -> list[list[int] | None]:
        """Ids of each text without special tokens, exactly the tokenizer's; ``None`` for one that it has to do."""
        return [ids for group in _groups(texts) for ids in self._group(group)]

    def _group(self, texts: Sequence[str]) -> list[list[int] | None]:
        found: list[list[int] | None] = [None] * len(texts)
        waiting: dict[int, list[str]] = {}
        new: set[str] = set()
        # A table of its own for each thread that comes here while another one empties it.
        table = self._ids
        for place, text in enumerate(texts):
            words = self._words(text)
            if words is None:
                continue
            try:
                found[place] = list(chain.from_iterable(map(table.__getitem__, words)))
            except KeyError:
                waiting[place] = words
                new.update(set(words).difference(table))
        if not waiting:
            return found
        short = [word for word in new if len(word) <= _LONGEST_WORD]
        encodings = self._tokenizer.encode_batch_fast(short, add_special_tokens=False)
        table.update((word, tuple(encoding.ids)) for word, encoding in zip(short, encodings, strict=True))
        for place, words in waiting.items():
            try:
                found[place] = list(chain.from_iterable(map(table.__getitem__, words)))
            except KeyError:  # a word too long for the table
                continue
        if len(table) > _MAX_WORDS:
            self._ids = {}
        return found

    def _words(self, text: str) -> list[str] | None:
        if not text.isascii() or _CONTROL.search(text) or any(content in text for content in self._added):
            return None
        return _WORD.findall(text.lower() if self._lowercase else text)


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for place, text in enumerate(texts):
        size += len(text)
        if size >= _GROUP_CHARACTERS:
            yield texts[start : place + 1]
            start, size = place + 1, 0
    yield texts[start:]
