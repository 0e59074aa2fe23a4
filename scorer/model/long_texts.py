"""The ends of very long texts, found without tokenizing what lies between; exactly where nothing changes.

Only the first and the last tokens of a long text are seen by the model, and a tokenizer costs about a
microsecond and a hundred bytes per character. So a text is cut before it is tokenized, at places where the
tokens on one side do not depend on the other side:

- WordPiece behind BERT's normalizer and pre-tokenizer: at white space, and beside a character that is
  a word of its own (punctuation, Chinese). Normalization works on single characters, except that marks are
  reordered before they are removed, which such a place ends.
- Byte-level BPE behind GPT-2's pattern: before a space that follows something else. The pattern's
  alternatives end there, whatever comes before or after.

Words of more characters than WordPiece's limit are one unknown token, so their middle can be left out too
(:meth:`Cutter.squeezed`). Tokenizers of any other kind are not cut for.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Tokenizer

_WHITE = " \t\n\r"

# A place is looked for in this many characters before one is given up.
_REACH = 4096

# Shorter stretches without white space are not worth a look.
_LONG_STRETCH = 4096

# A break, <br />, is looked for in so many characters before a place.
_BREAK = 64

# Breaks and spaces without end, which cleaning leaves nothing of but spaces.
_BREAKS = re.compile(rf"<br\s*+/?+>[{_WHITE}]*+(?:<br\s*+/?+>[{_WHITE}]*+){{20,}}+", re.IGNORECASE)

_WORD, _SPLIT, _GONE = "word", "split", "gone"


@dataclass
class Cutter:
    """Where texts can be cut for one tokenizer.

    Attributes:
        kind: ``wordpiece`` or ``byte-level``.
        longest_special: characters of the longest added token.
        cleans_breaks: whether texts will be cleaned of HTML's breaks before they are tokenized.
    """

    kind: str
    longest_special: int
    cleans_breaks: bool
    _tokenizer: Tokenizer
    _max_word: int = 0
    _special_starts: frozenset[str] = frozenset()
    _specials: tuple[str, ...] = ()
    _classes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, cleans_breaks: bool = False) -> Cutter | None:
        """The cutter for ``tokenizer``, or ``None`` where it is of a kind whose texts must not be cut."""
        described = json.loads(tokenizer.to_str())
        added = described.get("added_tokens") or []
        specials = tuple(str(token["content"]) for token in added)
        # Added tokens are found before anything else, across white space if they hold some or take it in.
        if any(not content or any(char.isspace() for char in content) for content in specials):
            return None
        kind = _kind(described)
        if kind is None or (kind == "byte-level" and any(token.get("rstrip") for token in added)):
            return None
        starts = frozenset(content[0] for content in specials)
        longest = max(map(len, specials), default=0)
        max_word = int(described["model"].get("max_input_chars_per_word") or 100)
        return cls(kind, longest, cleans_breaks, tokenizer, max_word, starts, specials)

    @property
    def sight(self) -> int:
        """Characters before a place that say whether a text can be cut there."""
        return max(_BREAK, self.longest_special) + 1

    def place_before(self, text: str, near: int) -> int | None:
        """The last place up to ``near`` where ``text`` can be cut, or ``None`` where none is close."""
        for place in range(min(near, len(text) - 1), max(0, near - _REACH), -1):
            if self._can_cut(text, place):
                return place
        return None

    def place_after(self, text: str, near: int) -> int | None:
        """The first place from ``near`` on where ``text`` can be cut, or ``None`` where none is close."""
        for place in range(max(near, 1), min(len(text), near + _REACH)):
            if self._can_cut(text, place):
                return place
        return None

    def _can_cut(self, text: str, place: int) -> bool:
        after, before = text[place], text[place - 1]
        if after != " " and self.kind == "byte-level":  # before anything else a space may be put at the start
            return False
        if self.kind == "byte-level" and (before.isspace() or before == ">"):  # a break is cleaned to a space
            return False
        if before == "<" or before == "/" or after in "/>" or after in self._special_starts:
            return False
        # White space may stand inside a break, <br />, which cleaning must see whole.
        stripped = text[max(0, place - _BREAK) : place].rstrip()
        if stripped.lower().endswith("<br") or (not stripped and place >= _BREAK):
            return False
        if after in _WHITE:
            return True
        if self._class_of(after) != _SPLIT and self._class_of(before) != _SPLIT:
            return False
        window = text[max(0, place - self.longest_special) : place]
        return self._special_starts.isdisjoint(window) and self._special_starts.isdisjoint(self._normalized(window))

    def squeezed(self, text: str) -> str:
        """``text`` without the middles of its endless words, spaces and breaks: fewer characters, the same tokens.

        Only for WordPiece, where a word of more characters than the limit is one unknown token however it
        goes on, and where white space and what normalization removes leave nothing.
        """
        if self.kind != "wordpiece":
            return text
        if self.cleans_breaks and "<" in text:
            text = _BREAKS.sub("<br>", text)
        # Patterns that begin with one character of a class are searched for at four times the speed of others.
        text = re.sub(rf"([{_WHITE}][{_WHITE}]{{79}})[{_WHITE}]+", r"\1", text)
        if not re.search(rf"[^{_WHITE}]{{{_LONG_STRETCH}}}", text):
            return text
        # ASCII is classified as a whole: to ask a long text which of its characters there are costs more.
        chars = {chr(code) for code in range(128)} if text.isascii() else set(text)
        self._classify(chars)
        words = {char for char in chars if self._classes[char] == _WORD}
        gone = {char for char in chars if self._classes[char] == _GONE}
        for content in self._specials:
            # Such a token could stand in what is left out.
            if (words | gone).issuperset(content) or (words | gone).issuperset(self._normalized(content)):
                return text
        margin = self.longest_special + 1
        if gone:
            run = f"[{_class(gone)}]"
            text = re.sub(rf"({run}{run}{{{margin - 1}}}){run}+({run}{{{margin}}})", r"\1\2", text)
        if not words:
            return text
        within = f"[{_class(words | gone)}]"
        head = f"(?:[{_class(gone)}]*[{_class(words)}])" if gone else f"[{_class(words)}]"
        pattern = rf"((?<!{within}){head}{{{self._max_word + 1}}}{within}{{{margin}}}){within}+({within}{{{margin}}})"
        return re.sub(pattern, r"\1\2", text)

    def _class_of(self, char: str) -> str:
        if char not in self._classes:
            self._classify({char})
        return self._classes[char]

    def _classify(self, chars: set[str]) -> None:
        """Find by trial what becomes of characters between two letters: joined, split from them, or gone."""
        new = sorted(chars - self._classes.keys())
        for start in range(0, len(new), 4096):
            some = new[start : start + 4096]
            words = self._words(" ".join(f"a{char}b" for char in some))
            place = 0
            for char in some:
                if len(words[place]) > 1:
                    self._classes[char] = _GONE if words[place] == "ab" else _WORD
                else:
                    self._classes[char] = _SPLIT
                    place = words.index("b", place + 1)
                place += 1

    def _words(self, text: str) -> list[str]:
        pieces = self._tokenizer.pre_tokenizer.pre_tokenize_str(self._normalized(text))
        return [word for word, _ in pieces]

    def _normalized(self, text: str) -> str:
        normalizer = self._tokenizer.normalizer
        return str(normalizer.normalize_str(text)) if normalizer is not None else text


def _kind(described: dict[str, Any]) -> str | None:
    model, normalizer, before = (described.get(part) or {} for part in ("model", "normalizer", "pre_tokenizer"))
    if model.get("type") == "WordPiece":
        fits = normalizer.get("type") == "BertNormalizer" and before.get("type") == "BertPreTokenizer"
        return "wordpiece" if fits else None
    if model.get("type") == "BPE":
        fits = not normalizer and before.get("type") == "ByteLevel" and before.get("use_regex", True)
        return "byte-level" if fits and not model.get("dropout") else None
    return None


def _class(chars: set[str]) -> str:
    return "".join(map(re.escape, sorted(chars)))
