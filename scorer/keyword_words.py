"""Options of a command line as the keyword arguments of Python, in the text of an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

_FLAGS = {
    "allow-missing": "allow_missing=True",
    "csv-safe": "csv_safe=True",
    "keep-raw": "keep_raw=True",
    "no-header": "no_header=True",
    "no-resume": "resume=False",
    "no-fp16": "fp16=False",
    "overwrite": "overwrite=True",
    "resume": "resume=True",
    "strict": "strict=True",
}
"""Options that take no value, by their long names."""

_WORD = r"auto|cpu|cuda(?::\d+)?|fp32|fp16|int8|reject|keep|fail|follow|refuse|none|local|ray|latin-1|utf-[\w-]+"
_WORD += r"|csv|tsv|jsonl|parquet|pinned|ignore|window|truncate|head-tail"
_VALUE = rf"(?:(?:{_WORD})(?![\w-])|-?\d[\d.]*%?(?![\w-])|'[^']*'|\"[^\"]*\")"
_OPTION = re.compile(
    rf"(?<![\w-])--([a-z][a-z0-9-]*)(?![…\w-])(?: ({_VALUE}(?:(?:, (?:or )?| or ){_VALUE})*))?|(?<![\w-])-o -(?= |$)"
)
_ONE_VALUE = re.compile(_VALUE)

# Lines for a shell stay what they are, to the end of the hint or to its next alternative.
_SHELL_LINE = re.compile(r"((?:export-model|optimum-cli|evaluate-labels|pip|jq|cp) .*?(?=, or |; |$))")

_shell = False


def in_python(text: str) -> str:
    """``text`` with each option of a command line as a keyword argument, in backticks.

    >>> in_python("already exists; pass --overwrite to replace it")
    'already exists; pass `overwrite=True` to replace it'
    >>> in_python("pass --on-bad-row reject or keep, or raise --max-bad")
    'pass `on_bad_row="reject"` or `"keep"`, or raise `max_bad`'
    """
    parts = _SHELL_LINE.split(text)
    return "".join(part if n % 2 else _OPTION.sub(_keyword, part) for n, part in enumerate(parts))


def _keyword(match: re.Match[str]) -> str:
    option, values = match[1], match[2]
    if option is None:
        return '`output="-"`'
    if values is None:
        return f"`{_FLAGS.get(option, option.replace('-', '_'))}`"
    texts = _ONE_VALUE.sub(lambda value: f"`{_literal(value[0])}`", values)
    return f"`{option.replace('-', '_')}={texts[1:]}"


def _literal(value: str) -> str:
    return value if value[0] in "'\"" or re.fullmatch(r"-?[\d.]+", value) else f'"{value}"'


def in_words_of_the_caller(text: str) -> str:
    """``text`` of a command line as it is while a command runs, else :func:`in_python`."""
    return text if _shell else in_python(text)


@contextmanager
def words_of_a_shell() -> Iterator[None]:
    """Have errors name options of the command line, until the block ends."""
    global _shell  # of the process: it is a command, or a program of Python
    before, _shell = _shell, True
    try:
        yield
    finally:
        _shell = before
