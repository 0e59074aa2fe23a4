"""Messages about columns: the nearest name, quotes where they help, and never a review in place of a name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scorer.errors import InputError
from scorer.files.columns import label_column, named_column, text_column
from scorer.safe_text import quoted
from tests.conftest import Call

REVIEW = "I waited a year for this film, and it was worth every day of it; my daughter, who is nine, wants to go again."


@pytest.mark.parametrize(
    ("columns", "wanted", "meant"),
    [
        (["id", "review"], "reviw", "'review'"),
        (["id", "Review"], "review", "'Review'"),
        (["id", " review"], "review", "' review'"),
        (["id", "review_text"], "review text", "'review_text'"),
        (["id", "movie_review"], "review", "'movie_review'"),
        (["id", "stars"], "review", None),
    ],
)
def test_a_named_column_that_is_not_there(columns: list[str], wanted: str, meant: str | None) -> None:
    for find in (named_column, text_column, label_column):
        with pytest.raises(InputError) as caught:
            find(columns, wanted, "a.csv")
        hint = caught.value.hint or ""
        assert hint.startswith(f"did you mean {meant}? its columns: id, " if meant else "its columns: id, ")


@pytest.mark.parametrize(
    ("columns", "meant"),
    [
        (["id", "texts"], "'texts'"),
        (["id", "Review Text"], "'Review Text'"),
        (["id", "reviewText", "stars"], "'reviewText'"),
        (["comment_id", "stars"], None),
    ],
)
def test_no_column_with_a_usual_name(columns: list[str], meant: str | None) -> None:
    with pytest.raises(InputError) as caught:
        text_column(columns, None, "a.csv")
    hint = caught.value.hint or ""
    assert hint.startswith(f"did you mean {meant}? name one with --text-column; " if meant else "name one with --text")
    with pytest.raises(InputError, match=r"did you mean 'lable'\? name one with --label-column; its columns: lable, n"):
        label_column(["lable", "n"], None, "a.csv")


def test_names_in_a_list() -> None:
    names = ["plain", "über", "with space", " in front", "a,b", "it's", "", "x" * 60, "y" * 61, *map(str, range(60))]
    with pytest.raises(InputError) as caught:
        named_column(names, "qqqq", "a.csv")
    listed = (caught.value.hint or "").removeprefix("its columns: ")
    assert listed.startswith(
        f"""plain, über, 'with space', ' in front', 'a,b', "it's", '', {"x" * 60}, '{"y" * 60}…', 0"""
    )
    assert listed.endswith(" and 19 more")


def test_a_review_is_no_name() -> None:
    assert quoted(REVIEW) == repr(REVIEW[:60] + "…")
    assert quoted("a" * 60) == repr("a" * 60)
    assert quoted(7) == "'7'"


@pytest.mark.parametrize("more", [(), ("--text-column", REVIEW), ("--columns", REVIEW.replace(",", ""))])
def test_no_review_in_the_log(call_score: Call, tmp_path: Path, more: tuple[str, ...]) -> None:
    (tmp_path / "a.csv").write_text(f'"{REVIEW}",5\n"A quiet film.",4\n')
    (tmp_path / "b.jsonl").write_text(json.dumps({REVIEW: 5, "review": 1}) + "\n")
    (tmp_path / "c.tsv").write_text(f"pred_label\ttext\n{REVIEW}\ta\n{REVIEW}\ta\tb\n")
    for name in ("a.csv", "b.jsonl", "c.tsv"):
        code, _, err = call_score(name, "-o", "out.parquet", "--log-format", "json", *more)
        assert code in (2, 3) or more[:1] == ("--text-column",), err  # a header that is a review is a name too
        assert REVIEW[61:75] not in err
