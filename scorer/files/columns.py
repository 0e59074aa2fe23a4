"""Which column holds the text, and which the label, when nobody says so."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from scorer.errors import InputError

TEXT_COLUMNS = ("text", "review", "content", "sentence", "comment", "body")
"""Names that a text column goes by."""

LABEL_COLUMNS = ("label", "sentiment", "gold", "target")
"""Names that a column of gold labels goes by."""


def named_column(columns: Sequence[str], wanted: str, path: str) -> str:
    """``wanted``, once it is sure that exactly one column has that name.

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
    """The column ``wanted``, or else the one column that goes by a name of :data:`TEXT_COLUMNS`.

    ``option`` is where a user can name another.

    Raises:
        InputError: the column is not there, or none or several could be meant.
    """
    if wanted is not None:
        return named_column(columns, wanted, path)
    found = _known(columns, TEXT_COLUMNS)
    if len(found) == 1:
        return found[0]
    if not found:
        raise _none_found(option, columns, TEXT_COLUMNS, path)
    raise InputError(
        f"several columns could hold the text: {', '.join(found)}",
        path=path,
        hint=f"name one with {option}; its columns: {_listed(columns)}",
    )


def label_column(columns: Sequence[str], wanted: str | None, path: str) -> str:
    """The column ``wanted``, or else the first that goes by a name of :data:`LABEL_COLUMNS`.

    Raises:
        InputError: the column is not there, or none goes by such a name.
    """
    if wanted is not None:
        return named_column(columns, wanted, path)
    found = _known(columns, LABEL_COLUMNS)
    if not found:
        raise _none_found("--label-column", columns, LABEL_COLUMNS, path)
    return found[0]


def _known(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    # In any case: Text and REVIEW are what people write in spreadsheets.
    return [column for name in names for column in columns if column.casefold() == name]


def _none_found(option: str, columns: Sequence[str], names: Sequence[str], path: str) -> InputError:
    return InputError(
        f"no column is named {', '.join(names[:-1])} or {names[-1]}",
        path=path,
        hint=f"name one with {option}; its columns: {_listed(columns)}",
    )


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns) or "none"
