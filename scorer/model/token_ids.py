"""Token ids of many texts at once, plain English ones without the normalization that would leave them as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer, normalizers

_CONTROLS = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


class TokenIds:
    """``tokenizers`` for texts without special tokens, truncation or padding.

    BERT's normalizer removes control characters, spaces Chinese ones and strips accents: a text of ASCII without
    control characters it only makes lower case. Such texts, nine of ten English reviews, take a tokenizer that
    does that alone, with the same ids in about two thirds of the time.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._any = tokenizer
        self._plain = _for_plain_texts(tokenizer)

    @property
    def knows_plain_texts(self) -> bool:
        """Whether plain texts take a way of their own."""
        return self._plain is not None

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        if self._plain is None:
            return list(_ids(self._any, texts))
        plain = [is_plain(text) for text in texts]
        if all(plain):
            return list(_ids(self._plain, texts))
        found = {}
        for kind, tokenizer in ((True, self._plain), (False, self._any)):
            of_kind = [text for text, one in zip(texts, plain, strict=True) if one == kind]
            found[kind] = _ids(tokenizer, of_kind)
        return [next(found[kind]) for kind in plain]


def is_plain(text: str) -> bool:
    """Whether ``text`` is of ASCII letters, digits, punctuation and white space alone."""
    return text.isascii() and (text.isprintable() or _CONTROLS.search(text) is None)


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
    return (encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))


def _for_plain_texts(tokenizer: Tokenizer) -> Tokenizer | None:
    """``tokenizer`` for plain texts alone, or ``None`` where it is not certain that the ids are the same."""
    normalizer = tokenizer.normalizer
    if not isinstance(normalizer, normalizers.BertNormalizer):
        return None
    added = tokenizer.get_added_tokens_decoder()
    # They are found before words are, some in the normalized text: in theirs, normalization must do no more either.
    if not all(is_plain(token.content) and not re.search(r"\s", token.content) for token in added.values()):
        return None
    plain = Tokenizer(tokenizer.model)  # the vocabulary is shared
    plain.normalizer = normalizers.Lowercase() if normalizer.lowercase else None
    plain.pre_tokenizer = tokenizer.pre_tokenizer
    for _, token in sorted(added.items()):
        (plain.add_special_tokens if token.special else plain.add_tokens)([token])
    same = {number: repr(token) for number, token in plain.get_added_tokens_decoder().items()}
    return plain if same == {number: repr(token) for number, token in added.items()} else None
