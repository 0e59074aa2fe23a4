"""A map from gold labels as people write them to the labels of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import InputError, UsageError

_MOST_BYTES = 2**20

_NUMBERED = re.compile(r"label_?(\d+)")


def read_label_map(given: str) -> dict[str, str]:
    """``1=negative,5=positive,3=`` or a file of such lines, by value; an empty name leaves a row out.

    Raises:
        UsageError: it is neither, or maps a value twice.
        InputError: the file cannot be read.
    """
    text, where = given, None
    if "=" not in given:
        where = Path(given)
        if not where.is_file():
            raise UsageError(f"--label-map {given} is no map and no file", hint="pass VALUE=LABEL,VALUE=LABEL")
        if where.stat().st_size > _MOST_BYTES:
            raise InputError("is too large for a map of labels", path=where, hint="write one VALUE=LABEL a line")
        try:
            text = where.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("cannot be read as UTF-8", path=where, hint="write one VALUE=LABEL a line") from error
    found: dict[str, str] = {}
    for item in re.split(r"[,\n]", text):
        if not item.strip():
            continue
        value, equals, name = (part.strip() for part in item.rpartition("="))
        if not equals or not value:
            raise UsageError(f"--label-map has {item.strip()!r}, which is not VALUE=LABEL", path=where)
        if value in found:
            raise UsageError(f"--label-map maps {value!r} twice", path=where, hint="drop one of them")
        found[value] = name
    return found


def suggested_map(values: Sequence[str], names: Sequence[str]) -> str | None:
    """The map from ``values`` to ``names`` that their writing suggests, as ``--label-map`` takes it."""
    found = _same_letters(values, names) or _numbered(values, names)
    if not found and len(names) == 2:
        found = _of_two(values, names)
    return ",".join(f"{value.strip()}={name}" for value, name in sorted(found.items())) if found else None


def _same_letters(values: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    folded = {name.strip().casefold(): name for name in names}
    return _all(values, {value: folded.get(value.strip().casefold()) for value in values})


def _numbered(values: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str | None] = {}
    for value in values:
        match = _NUMBERED.fullmatch(value.strip().casefold())
        found[value] = names[int(match[1])] if match and int(match[1]) < len(names) else None
    return _all(values, found)


def _of_two(values: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    low, high = names
    ways = {"false": low, "true": high, "no": low, "yes": high, "neg": low, "pos": high}
    stars = {"1": low, "2": low, "3": "", "4": high, "5": high}
    numbers = {value: re.sub(r"\.0+$|\s*stars?$", "", value.strip().casefold()) for value in values}
    if set(numbers.values()) <= {"0", "4"}:
        stars = {"0": low, "4": high}
    elif set(numbers.values()) <= {"-1", "0", "1"} and "-1" in numbers.values():
        stars = {"-1": low, "0": "", "1": high}
    return _all(values, {value: (stars | ways).get(number) for value, number in numbers.items()})


def _all(values: Sequence[str], found: dict[str, str | None]) -> dict[str, str]:
    known = {value: name for value, name in found.items() if name is not None}
    return known if len(known) == len(values) else {}
