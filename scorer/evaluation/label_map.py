"""A map from gold labels as people write them to the labels of a model."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from scorer.errors import InputError, UsageError

_MOST_BYTES = 2**20

_NUMBERED = re.compile(r"label_?(\d+)")

_STARS = re.compile(r"(\d+)(?:\.0+)?(?:\s*stars?)?")

_NEGATIVE = ("negative", "neg", "bad", "false", "no")

_POSITIVE = ("positive", "pos", "good", "true", "yes")


def read_label_map(given: str) -> dict[str, str]:
    """``1=negative,5=positive,3=`` or a file of such lines, by value; an empty name leaves a row out.

    In a file labels may hold commas.

    Raises:
        UsageError: it is neither, or maps a value twice.
        InputError: the file cannot be read.
    """
    where = None if "=" in given else Path(given)
    items = given.split(",") if where is None else _lines(where)
    found: dict[str, str] = {}
    for item in items:
        if not item.strip():
            continue
        value, equals, name = (part.strip() for part in item.rpartition("="))
        if not equals or not value:
            raise UsageError(f"--label-map has {item.strip()!r}, which is not VALUE=LABEL", path=where)
        if value in found:
            raise UsageError(f"--label-map maps {value!r} twice", path=where, hint="drop one of them")
        found[value] = name
    return found


def _lines(path: Path) -> Iterable[str]:
    if not path.is_file():
        raise UsageError(f"--label-map {path} is no map and no file", hint="pass VALUE=LABEL,VALUE=LABEL")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError("is too large for a map of labels", path=path, hint="write one VALUE=LABEL a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot be read as UTF-8", path=path, hint="write one VALUE=LABEL a line") from error
    for line in lines:
        items = line.split(",")
        yield from items if all("=" in item for item in items) else [line]


def advice(values: Sequence[str], names: Sequence[str]) -> str | None:
    """The option with the map from ``values`` to ``names`` that their writing suggests, if it suggests one."""
    found = suggested_map(values, names)
    items = [f"{value.strip()}={name}" for value, name in sorted(found.items())]
    if not items:
        return None
    if any("," in item for item in items):
        return f"pass --label-map with a file of these lines: {' / '.join(items)}"
    return f"pass --label-map {shlex.quote(','.join(items))}"


def suggested_map(values: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The map from ``values`` to ``names`` that their writing suggests; empty if it suggests none."""
    ways = [
        {value: _same_letters(value, names) for value in values},
        {value: _numbered(value, names) for value in values},
        {value: _with_number(value, names) for value in values},
    ]
    if len(names) == 2:
        ways.append(_of_two(values, *_low_and_high(*names)))
    for way in ways:
        found = {value: name for value, name in way.items() if name is not None}
        if len(found) == len(values):
            return found
    return {}


def _same_letters(value: str, names: Sequence[str]) -> str | None:
    return next((name for name in names if name.strip().casefold() == value.strip().casefold()), None)


def _numbered(value: str, names: Sequence[str]) -> str | None:
    """By the id in a name such as LABEL_1."""
    match = _NUMBERED.fullmatch(value.strip().casefold())
    return names[int(match[1])] if match and int(match[1]) < len(names) else None


def _with_number(value: str, names: Sequence[str]) -> str | None:
    """By the number that only one name holds, as 3 of ``3 stars``."""
    match = _STARS.fullmatch(value.strip().casefold())
    held = [name for name in names if match and re.findall(r"\d+", name) == [match[1]]]
    return held[0] if len(held) == 1 else None


def _low_and_high(first: str, second: str) -> tuple[str, str]:
    """Two names, the positive one last: the second unless the names say otherwise."""
    turned = first.strip().casefold() in _POSITIVE or second.strip().casefold() in _NEGATIVE
    return (second, first) if turned else (first, second)


def _of_two(values: Sequence[str], low: str, high: str) -> dict[str, str | None]:
    """By what truth values, signs, stars and the 0 and 4 of Sentiment140 usually mean."""
    ways = dict.fromkeys(_NEGATIVE, low) | dict.fromkeys(_POSITIVE, high)
    match = {value: _STARS.fullmatch(value.strip().casefold()) for value in values}
    numbers = {value: found[1] if found else value.strip().casefold() for value, found in match.items()}
    scales = [
        {"0": low, "4": high},
        {"0": low, "1": high},
        {"-1": low, "0": "", "1": high, "+1": high},
        {"1": low, "2": low, "3": "", "4": high, "5": high},
    ]
    for scale in scales:
        if set(numbers.values()) <= {*ways, *scale}:
            return {value: (ways | scale)[number] for value, number in numbers.items()}
    return {}
