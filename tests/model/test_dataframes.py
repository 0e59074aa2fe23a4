"""`Scorer` over lists and the tables of Arrow, Polars and pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from scorer import Scorer, ScorerError
from scorer.errors import InputError, UsageError

TEXTS = ["A warm, funny film.", None, "dull and loud, badly acted", "", "Great value!", "war"]
NAMES = ["pred_label", "pred_score", "pred_prob_negative", "pred_prob_positive", "pred_status"]


@pytest.fixture(scope="module")
def scorer(tiny_bundle: Path) -> Scorer:
    return Scorer.load(tiny_bundle, threads=1)


@pytest.fixture(scope="module")
def expected(scorer: Scorer) -> pa.Table:
    return scorer.score(TEXTS)


@pytest.mark.parametrize(
    "texts",
    [
        tuple(TEXTS),
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS).dictionary_encode(),
        pa.chunked_array([TEXTS[:2], TEXTS[2:]]),
        pl.Series(TEXTS),
        pl.Series(TEXTS).cast(pl.Categorical),
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype=object),
        pd.Series(TEXTS, index=[9, 8, 7, 6, 5, 4], dtype="string"),
        pd.Series(TEXTS).fillna(float("nan")),
    ],
    ids=lambda texts: f"{type(texts).__module__}.{getattr(texts, 'dtype', getattr(texts, 'type', ''))}",
)
def test_texts_of_any_library(scorer: Scorer, expected: pa.Table, texts: Any) -> None:
    assert scorer.score(texts).equals(expected)


def test_many_texts_are_scored_in_slices(scorer: Scorer, expected: pa.Table) -> None:
    table = scorer.score(TEXTS * 700)
    assert table.num_rows == 4200
    assert table.equals(pa.concat_tables([expected] * 700).combine_chunks())
    assert scorer.score([]).equals(expected.schema.empty_table())


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("one text", "takes a list of texts"),
        (["a", 1], "text 1 has type int"),
        (pa.array([1, 2]), "are of type int64"),
        (pl.Series([1.5]), "are of type double"),
        (pd.Series(["a", 3], name="review"), "the Series holds other values than strings and nulls"),
        (pd.DataFrame({"a": ["b"]}), "use score_table"),
        (pa.table({"a": ["b"]}), "use score_table"),
    ],
)
def test_what_is_no_text(scorer: Scorer, texts: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        scorer.score(texts)


def test_arrow(scorer: Scorer, expected: pa.Table) -> None:
    table = pa.table({"id": range(6), "review": TEXTS}).replace_schema_metadata({"source": "a test"})
    scored = scorer.score_table(table)
    assert scored.column_names == ["id", "review", *NAMES]
    assert scored.select(NAMES).cast(expected.schema).equals(expected)
    assert scored.schema.metadata == {b"source": b"a test"}
    batches = list(scorer.score_batches(table.to_batches(max_chunksize=4), "review"))
    assert [batch.num_rows for batch in batches] == [4, 2]
    assert pa.Table.from_batches(batches).equals(scored)


def test_polars(scorer: Scorer, expected: pa.Table) -> None:
    frame = pl.DataFrame({"id": range(6), "review": TEXTS})
    wanted = frame.hstack(pl.DataFrame(pl.from_arrow(expected)))
    assert scorer.score_table(frame).equals(wanted)
    assert frame.with_columns(scorer.expr("review")).equals(wanted)
    assert frame.select("id", scorer.expr("review")).equals(wanted.drop("review"))
    lazy = frame.lazy().with_columns(scorer.expr("review"))
    assert lazy.collect_schema() == wanted.schema
    assert lazy.collect().equals(wanted)
    assert lazy.collect(engine="streaming").equals(wanted)
    assert frame.head(0).with_columns(scorer.expr("review")).schema == wanted.schema
    with pytest.raises(UsageError, match="not strings"):
        frame.with_columns(scorer.expr("id"))


def test_polars_asks_once_for_all_columns(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"review": TEXTS})
    calls = []
    score = scorer.score
    monkeypatch.setattr(scorer, "score", lambda texts: (calls.append(len(texts)), score(texts))[1])
    for collect in (
        lambda expr: frame.with_columns(expr),
        lambda expr: frame.lazy().with_columns(expr).collect(),
        lambda expr: frame.lazy().with_columns(expr).collect(engine="streaming"),
    ):
        calls.clear()
        collect(scorer.expr("review"))
        assert sum(calls) == 6


def test_pandas(scorer: Scorer, expected: pa.Table) -> None:
    frame = pd.DataFrame({"id": range(6), "review": TEXTS}, index=list("uvwxyz"))
    scored = scorer.score_table(frame)
    assert list(scored.columns) == ["id", "review", *NAMES]
    assert list(scored.index) == list("uvwxyz")
    assert list(frame.columns) == ["id", "review"]
    assert scored["pred_status"].tolist() == expected["pred_status"].to_pylist()
    assert scored["pred_score"].dtype == "float32"
    assert scored["pred_label"].isna().tolist() == [False, True, False, True, False, False]
    first, third = expected["pred_score"].to_pylist()[0], expected["pred_score"].to_pylist()[2]
    assert scored.loc["u", "pred_score"] == first
    assert scored.loc["w", "pred_score"] == third


@pytest.mark.parametrize("make", [pa.table, pl.DataFrame, pd.DataFrame])
def test_tables_that_cannot_be_scored(scorer: Scorer, make: Any) -> None:
    def fails(table: Any, column: str | None = None) -> str:
        with pytest.raises(ScorerError) as failure:
            scorer.score_table(table, column)
        return str(failure.value)

    assert "no column 'reviw'; did you mean 'review'?" in fails(make({"review": ["a"]}), "reviw")
    assert "name one with text_column; its columns: a, b" in fails(make({"a": ["x"], "b": ["y"]}))
    assert "could hold the text: text, review" in fails(make({"text": ["x"], "review": ["y"]}))
    line = fails(make({"text": ["a"], "pred_score": [1]}))
    assert line == "column 'pred_score' already exists in the table; load the Scorer with another prefix"
    assert "not strings" in fails(make({"text": [1, 2]}))


def test_what_is_no_table(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="takes a table of Arrow, Polars or pandas, not an object of type list"):
        scorer.score_table(["a"])  # type: ignore[type-var]
    with pytest.raises(InputError):
        next(scorer.score_batches(pa.table({"a": ["b"]}).to_batches()))
