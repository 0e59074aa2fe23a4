"""Names of columns: the text and the labels when no option names them, and the prefix of added columns."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from scorer.errors import InputError

PREFIX = "pred_"
"""Default prefix of the columns that scoring adds."""

TEXT_COLUMNS = ("text", "review", "content", "sentence", "comment", "body")
"""Usual names of a text column."""

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
        raise InputError(f"{count} columns are named {wanted!r}", path=path, hint="rename all but one")
    close = difflib.get_close_matches(wanted, columns, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    raise InputError(f"no column {wanted!r}", path=path, hint=f"{meant}its columns: {_listed(columns)}")


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
        hint = f"name one with {option}; its columns: {_listed(columns)}"
        raise InputError(f"several columns could hold the text: {', '.join(found)}", path=path, hint=hint)
    return found[0]


def label_column(columns: Sequence[str], wanted: str | None, path: str) -> str:
    """The column ``wanted``, or else the first with a name of :data:`LABEL_COLUMNS`.

    Raises:
        InputError: the column does not exist, or none has such a name.
    """
    if wanted is not None:
        return named_column(columns, wanted, path)
    return _with_usual_names(columns, LABEL_COLUMNS, path, "--label-column")[0]


def _with_usual_names(columns: Sequence[str], names: Sequence[str], path: str, option: str) -> list[str]:
    # In any case: Text and REVIEW are what people write in spreadsheets.
    found = [column for name in names for column in columns if column.casefold() == name]
    if not found:
        raise InputError(
            f"no column is named {', '.join(names[:-1])} or {names[-1]}",
            path=path,
            hint=f"name one with {option}; its columns: {_listed(columns)}",
        )
    return found


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns) or "none"
