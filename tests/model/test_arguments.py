"""Whatever a caller passes to the Python API is scored, or refused by an error of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer import EvaluateOptions, ScoreOptions, Scorer, ScorerError, evaluate_labels, score_file
from scorer.errors import UsageError

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

HALF = "half \ud83d of a pair"

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=4), st.just(HALF), st.just(pd.NA),
    st.text(st.characters(), max_size=6), st.dates(), st.complex_numbers(), st.builds(object), st.just(str),
)  # fmt: skip
NESTED = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner), max_leaves=4)


def in_numpy(values: list[Any]) -> Any:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


CONTAINERS = st.sampled_from(
    [
        list, tuple, iter, in_numpy, lambda values: in_numpy(values).reshape(1, -1), lambda values: (v for v in values),
        lambda values: dict(enumerate(values)), lambda values: pd.Series(values, dtype=object),
        lambda values: pd.Series(values, dtype=object, name=7), lambda values: pd.Index(list(map(repr, values))),
        lambda values: pl.Series("a", values, dtype=pl.Object), lambda values: map(str, values),
    ]
)  # fmt: skip
ARGUMENTS = st.one_of(
    NESTED, st.builds(lambda make, values: make(values), CONTAINERS, st.lists(NESTED, max_size=4)),
    st.sampled_from([
        np.array("a"), np.array(["a", "b"]), np.arange(3), np.array([[1.5]]), {"a"}, range(3), Path("x"),
        pa.array([["a"]]), pa.array([1]), pa.array([b"a"]), pa.scalar("a"), pa.array(["a"]).dictionary_encode(),
        pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")),
        pa.chunked_array([], pa.string()), pa.nulls(2), pl.Series([1, 2]), pl.Series([["a"]]), pl.Series([None]),
        pl.LazyFrame({"text": ["a"]}), pl.col("text"), pd.Series([1, "a"]), pd.array(["a"]),
        pd.Series([HALF], dtype=object), pd.Series(["a"], dtype="category"), pd.Series(pd.to_datetime(["2026-01-31"])),
    ]),
)  # fmt: skip


@pytest.fixture(scope="module")
def scorer(tiny_bundle: Path) -> Scorer:
    return Scorer.load(tiny_bundle, threads=1)


def scored_or_refused(call: Any, *arguments: Any, **more: Any) -> Any:
    """The result; any error but one of this package fails the test."""
    try:
        return call(*arguments, **more)
    except ScorerError as error:
        refusal = error
    assert refusal.exit_code in (2, 3, 4)
    assert "\n" not in str(refusal)
    str(refusal).encode()
    return None


@FEW
@given(ARGUMENTS)
def test_score(scorer: Scorer, texts: Any) -> None:
    found = scored_or_refused(scorer.score, texts)
    assert found is None or found.schema == scorer.added_schema


TABLES = st.one_of(
    ARGUMENTS,
    st.sampled_from(
        [
            pa.table({"text": ["a"]}), pa.table({"text": pa.array([1])}), pa.table([["a"], ["b"]], ["text", "text"]),
            pa.table({}), pa.record_batch({"review": ["a", None]}), pl.DataFrame({"text": ["a"]}), pl.DataFrame(),
            pl.DataFrame({"text": pl.Series([object()], dtype=pl.Object)}), pd.DataFrame({5: ["a"]}), pd.DataFrame(),
            pd.DataFrame([["a", "b"]], columns=["text", "text"]), pd.DataFrame({"text": [HALF]}, dtype=object),
            pd.DataFrame([["a"]], columns=pd.MultiIndex.from_tuples([("text", "x")])), pd.DataFrame({"text": [1, "a"]}),
        ]
    ),
)  # fmt: skip


@FEW
@given(TABLES, st.one_of(st.none(), st.sampled_from(["text", "5", "review", HALF]), NESTED))
def test_score_table(scorer: Scorer, table: Any, column: Any) -> None:
    found = scored_or_refused(scorer.score_table, table, column)
    assert found is None or type(found) is type(table)


@FEW
@given(st.one_of(TABLES, st.lists(TABLES, max_size=2)), st.one_of(st.none(), NESTED))
def test_score_batches(scorer: Scorer, batches: Any, column: Any) -> None:
    scored_or_refused(lambda: list(scorer.score_batches(batches, column)))


@FEW
@given(ARGUMENTS)
def test_expr(scorer: Scorer, column: Any) -> None:
    found = scored_or_refused(scorer.expr, column)
    assert found is None or (isinstance(found, pl.Expr) and isinstance(column, str))


PATHS = st.one_of(ARGUMENTS.filter(lambda value: not isinstance(value, str)), st.sampled_from(["", HALF, "a\0b", "no"]))


@FEW
@given(PATHS, PATHS)
def test_score_file(tiny_bundle: Path, tmp_path: Path, source: Any, target: Any) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    scored_or_refused(score_file, source, tmp_path / "b.csv", model=str(tiny_bundle))
    scored_or_refused(score_file, tmp_path / "a.csv", target, model=str(tiny_bundle))


OPTION_NAMES = st.sampled_from([*ScoreOptions.__dataclass_fields__, *EvaluateOptions.__dataclass_fields__, "modell"])


@FEW
@given(
    OPTION_NAMES.filter(lambda name: "write" not in name), ARGUMENTS.filter(lambda value: not isinstance(value, str))
)
def test_options(tiny_bundle: Path, tmp_path: Path, name: str, value: Any) -> None:
    (tmp_path / "a.csv").write_text("text,label\ngood,positive\nbad,negative\n")
    options = {"model": str(tiny_bundle), "overwrite": True, "threads": 1, name: value}
    scored_or_refused(score_file, tmp_path / "a.csv", tmp_path / "b.csv", **options)
    options.pop("overwrite")
    scored_or_refused(evaluate_labels, tmp_path / "a.csv", **options)
    if name != "model":
        scored_or_refused(Scorer.load, tiny_bundle, **{name: value})


@FEW
@given(PATHS.filter(lambda value: value is not None))
def test_load(model: Any) -> None:
    scored_or_refused(Scorer.load, model)


@FEW
@given(PATHS)
def test_evaluate_labels(files: Any) -> None:
    scored_or_refused(evaluate_labels, files)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (None, "score() takes texts, not an object of type NoneType"),
        (7, "score() takes texts, not an object of type int"),
        (pl.LazyFrame({"text": ["a"]}), "score() takes texts, not an object of type LazyFrame"),
        ({"a": "b"}, "score() takes texts, not an object of type dict"),
        ([["a"]], "text 0 has type list, not str or None"),
        (["a", HALF], "text 1 holds half of a surrogate pair"),
        (pd.Series(["a", HALF], dtype=object), "the Series holds other values than strings and nulls"),
        (pd.Series([1, "a"]), "the Series holds other values than strings and nulls"),
        (np.arange(2), "text 0 has type int64, not str or None"),
    ],
)
def test_what_is_said(scorer: Scorer, texts: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        scorer.score(texts)
    assert str(caught.value).startswith(says)


def test_what_is_said_of_other_arguments(scorer: Scorer, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a"]})
    with pytest.raises(UsageError, match="text_column has type int, not str"):
        scorer.score_table(frame, 5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="takes batches, not an object of type int"):
        list(scorer.score_batches(5))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a path has type int, not str or Path"):
        score_file(5, tmp_path / "a.csv")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a path has type NoneType, not str or Path"):
        evaluate_labels(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"score_file\(\) has no argument 'modell'; did you mean 'model'\?"):
        score_file("a", "b", modell="x")
    with pytest.raises(UsageError, match=r"chunk_rows has type str, not int \| None"):
        score_file("a", "b", chunk_rows="many")
    with pytest.raises(UsageError, match=r"options of score_file\(\) have type EvaluateOptions, not ScoreOptions"):
        score_file("a", "b", options=EvaluateOptions())  # type: ignore[arg-type]


def test_a_generator_and_a_frame_with_numbered_columns(scorer: Scorer) -> None:
    expected = scorer.score(["good", None])
    assert scorer.score(text for text in ("good", None)).equals(expected)
    frame = pd.DataFrame({0: [1, 2], 1: ["good", None]})
    scored = scorer.score_table(frame, "1")
    assert scored["pred_label"].isna().tolist() == [False, True]
