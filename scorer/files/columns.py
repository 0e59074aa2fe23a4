"""Names of columns: the text and the labels when no option names them, and the prefix of added columns."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from scorer.errors import InputError
from scorer.safe_text import quoted

log = logging.getLogger(__name__)

PREFIX = "pred_"
"""Default prefix of the columns that scoring adds."""

TEXT_COLUMNS = ("text", "review", "content", "sentence", "comment", "body")
"""Usual names of a text column."""

_LISTED = 50

LABEL_COLUMNS = ("label", "sentiment", "gold", "target")
"""Usual names of a column of gold labels."""


def named_column(columns: Sequence[str], wanted: str, path: str) -> str:
    """``wanted``, after checking that exactly one column has that name.

    Raises:
        InputError: no column has it, or several do; the line lists the columns.
    """
    count = sum(column == wanted for column in columns)
    if count == 1:
        return wanted
    if count > 1:
        raise InputError(f"{count} columns are named {quoted(wanted)}", path=path, hint="rename all but one")
    raise InputError(f"no column {quoted(wanted)}", path=path, hint=f"{_meant(columns, [wanted])}{_listed(columns)}")


def text_column(columns: Sequence[str], wanted: str | None, path: str, *, option: str = "--text-column") -> str:
    """The column ``wanted``, or else the only column with a name of :data:`TEXT_COLUMNS`.

    ``option`` is the one by which a user can name another.

    Raises:
        InputError: the column does not exist, or none or several have such a name.
    """
    if wanted is not None:
        return named_column(columns, wanted, path)
    found = _with_usual_names(columns, TEXT_COLUMNS, path, option)
    if len(found) > 1:
        hint = f"name one with {option}; {_listed(columns)}"
        raise InputError(f"several columns could hold the text: {_names(found)}", path=path, hint=hint)
    log.debug("%s: the texts are in column %s", path, quoted(found[0]))
    return found[0]


def label_column(columns: Sequence[str], wanted: str | None, path: str) -> str:
    """The column ``wanted``, or else the first with a name of :data:`LABEL_COLUMNS`.

    Raises:
        InputError: the column does not exist, or none has such a name.
    """
    if wanted is not None:
        return named_column(columns, wanted, path)
    found = _with_usual_names(columns, LABEL_COLUMNS, path, "--label-column")[0]
    log.debug("%s: the labels are in column %s", path, quoted(found))
    return found


def _with_usual_names(columns: Sequence[str], names: Sequence[str], path: str, option: str) -> list[str]:
    # In any case: Text and REVIEW are what people write in spreadsheets.
    found = [column for name in names for column in columns if column.casefold() == name]
    if not found:
        raise InputError(
            f"no column is named {', '.join(names[:-1])} or {names[-1]}",
            path=path,
            hint=f"{_meant(columns, names, cutoff=0.75)}name one with {option}; {_listed(columns)}",
        )
    return found


def _meant(columns: Sequence[str], wanted: Sequence[str], cutoff: float = 0.6) -> str:
    """A question about the column whose name is nearest to one of ``wanted``, or ends in it as a word."""
    import difflib

    names = {re.sub(r"[\W_]+", " ", column).strip().casefold(): column for column in reversed(columns)}
    names = {name: column for name, column in names.items() if not name.endswith(" id")}
    for name in (re.sub(r"[\W_]+", " ", name).strip().casefold() for name in wanted):
        words = [known for known in names if known.split()[-1:] == [name]]
        for known in difflib.get_close_matches(name, names, n=1, cutoff=cutoff) or words[:1]:
            return f"did you mean {quoted(names[known])}? "
    return ""


def _listed(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - _LISTED:,} more" if len(columns) > _LISTED else ""
    return f"its columns: {_names(columns[:_LISTED]) or 'none'}{more}"


def _names(columns: Sequence[str]) -> str:
    """Names with commas between; quotes show where one with spaces begins and ends, and that one is long."""
    return ", ".join(name if re.fullmatch(r"[^\s,;'\"]{1,60}", name) else quoted(name) for name in columns)
