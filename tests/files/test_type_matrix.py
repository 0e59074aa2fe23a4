"""Every type and writer that is installed, at the ends of its values: what goes in comes out for other readers."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import json
from collections.abc import Callable
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import InputError
from scorer.files.opening import open_source
from scorer.run.score_file import score_file
from tests.conftest import Call

YEAR_1, YEAR_9999 = -62_135_596_800, 253_402_300_799
LEAP_DAY, NO_LEAP_DAY = 951_782_400, 4_107_542_400  # 2000-02-29 and 2100-03-01
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = (None, "UTC", "Europe/Berlin")
DAYS = [0, -1, -719_162, 2_932_896, 11_016, None]
NUL = "a\0b"


def of_ticks(kind: pa.DataType, *values: int) -> pa.Array:
    return pa.array([*values, None], pa.int64()).view(kind)


def times(unit: str, zone: str | None = None) -> pa.Array:
    ticks = TICKS[unit]
    ends = (-(2**63) + 1, 2**63 - 1) if unit == "ns" else (YEAR_1 * ticks, (YEAR_9999 + 1) * ticks - 1)
    return of_ticks(pa.timestamp(unit, zone), 0, -1, 1, LEAP_DAY * ticks, NO_LEAP_DAY * ticks, *ends)


def decimals(kind: pa.DataType) -> pa.Array:
    largest = Decimal(10**kind.precision - 1).scaleb(-kind.scale, Context(prec=100))
    return pa.array([largest, largest.copy_negate(), Decimal(0), None], kind)


def floats(kind: pa.DataType) -> pa.Array:
    info = np.finfo(kind.to_pandas_dtype())
    values = [info.min, info.max, info.tiny, info.smallest_subnormal, 0.0, -0.0, 0.1, np.nan, np.inf, -np.inf]
    return pa.array([*np.array(values, kind.to_pandas_dtype()), None], kind)


def numbers() -> dict[str, pa.Array]:
    columns = {"bool": pa.array([True, False, None]), "bool8": pa.array([1, 0, None], pa.int8()).cast(pa.bool8())}
    for bits in (8, 16, 32, 64):
        columns[f"int{bits}"] = pa.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, None], f"int{bits}")
        columns[f"uint{bits}"] = pa.array([0, 2**bits - 1, None], f"uint{bits}")
    columns |= {str(kind): floats(kind) for kind in (pa.float16(), pa.float32(), pa.float64())}
    kinds = [
        pa.decimal32(9, 2),
        pa.decimal64(18, 2),
        *(pa.decimal128(*one) for one in ((1, 0), (18, 18), (38, 0), (38, 38))),
    ]
    return columns | {str(kind): decimals(kind) for kind in kinds}


def moments(units: tuple[str, ...] = tuple(TICKS)) -> dict[str, pa.Array]:
    columns = {f"timestamp {unit} {zone}": times(unit, zone) for unit in units for zone in ZONES}
    for unit in units:
        columns[f"duration {unit}"] = of_ticks(pa.duration(unit), 0, -1, 2**62, -(2**62))
    columns["time32 s"] = pa.array([0, 86_399, None], pa.int32()).view(pa.time32("s"))
    columns["time32 ms"] = pa.array([0, 86_399_999, None], pa.int32()).view(pa.time32("ms"))
    columns["time64 us"] = of_ticks(pa.time64("us"), 0, 86_399_999_999)
    columns["date32"] = pa.array(DAYS, pa.int32()).view(pa.date32())
    if "ns" in units:
        columns["time64 ns"] = of_ticks(pa.time64("ns"), 0, 86_399_999_999_999)
    return columns


def strings() -> dict[str, pa.Array]:
    texts, blobs = ["", "é", "\U0001f600", NUL, "x" * 300, None], [b"", b"\xff\x00", b"x" * 300, None]
    columns = {str(kind): pa.array(texts, kind) for kind in (pa.string(), pa.large_string(), pa.string_view())}
    columns |= {str(kind): pa.array(blobs, kind) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())}
    columns["fixed"] = pa.array([b"abc", b"\0\0\0", b"\xff\xff\xff", None], pa.binary(3))
    columns["uuid"] = pa.array([bytes(16), b"\xff" * 16, None], pa.uuid())
    columns["json"] = pa.array(['{"a": 1}', "null", None], pa.json_(pa.string()))
    for kind in (pa.int8(), pa.uint16(), pa.int64()):
        columns[f"dictionary {kind}"] = pa.array(["a", None, "b", "a", ""]).cast(pa.dictionary(kind, pa.string()))
    columns["dictionary ordered"] = pa.DictionaryArray.from_arrays(
        pa.array([1, 0, None], "int8"), ["b", "a"], ordered=True
    )
    columns["dictionary int"] = pa.array([2**62, None, 5]).dictionary_encode()
    columns["dictionary time"] = times("us").dictionary_encode()
    columns["dictionary bytes"] = pa.array([b"\xff", None, b""]).dictionary_encode()
    return columns | {"null": pa.nulls(3)}


def nested() -> dict[str, pa.Array]:
    texts = [["a", None], [], None, [""]]
    return {
        "list": pa.array([[2**31 - 1, None], [], None], pa.list_(pa.int32())),
        "large list": pa.array(texts, pa.large_list(pa.string())),
        "list view": pa.array(texts, pa.list_view(pa.string())),
        "fixed list": pa.array([[1, 2], None, [3, None]], pa.list_(pa.int32(), 2)),
        "list of lists": pa.array([[[0.5], []], [None], None], pa.list_(pa.list_(pa.float32()))),
        "struct": pa.array([{"a": 1, "b": None}, {"a": None, "b": "x"}, None]),
        "list of structs": pa.array([[{"a": 1}], [None], [], None]),
        "list of times": pa.ListArray.from_arrays([0, 7, 7, 8], times("us")),
        "map": pa.array([[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int64())),
        "map of lists": pa.array([[(1, ["x"])], [], None], pa.map_(pa.int32(), pa.list_(pa.string()))),
    }  # fmt: skip


def table_of(columns: dict[str, pa.Array]) -> pa.Table:
    """The columns, filled up with nulls to one length, beside a text."""
    n_rows = max(map(len, columns.values()))

    def filled(column: pa.Array) -> pa.Array:
        if not isinstance(column, pa.DictionaryArray):
            return pa.concat_arrays([column, pa.nulls(n_rows - len(column), column.type)])
        return pa.DictionaryArray.from_arrays(filled(column.indices), column.dictionary, ordered=column.type.ordered)

    return pa.table({"text": ["good film"] * n_rows, **{name: filled(column) for name, column in columns.items()}})


def by_pyarrow(columns: dict[str, pa.Array], **options: Any) -> Callable[[Path], None]:
    return lambda path: pq.write_table(table_of(columns), path, **options)


def delta_encoded(path: Path) -> None:
    """Every encoding that fits: deltas of numbers and of bytes, and the bytes of floats apart."""
    columns = {
        name: column for name, column in {**numbers(), **moments(), **strings()}.items() if "dictionary" not in name
    }
    encodings = {"BYTE_ARRAY": "DELTA_BYTE_ARRAY", "INT32": "DELTA_BINARY_PACKED", "INT64": "DELTA_BINARY_PACKED"}
    encodings |= {"FLOAT": "BYTE_STREAM_SPLIT", "DOUBLE": "BYTE_STREAM_SPLIT"}
    by_pyarrow(columns)(path)
    stored = pq.ParquetFile(path).schema
    chosen = {leaf.path: encodings.get(leaf.physical_type, "PLAIN") for leaf in map(stored.column, range(len(stored)))}
    chosen |= {leaf: "PLAIN" for leaf in chosen if leaf == "null"}
    by_pyarrow(columns, use_dictionary=False, column_encoding=chosen, data_page_version="2.0")(path)


DUCKDB = {
    "text": "'good film'",
    **{f"{kind.lower()}{end}": f"({value})::{kind}" for kind, ends in {
        "TINYINT": (-128, 127), "SMALLINT": (-32768, 32767), "INTEGER": (-(2**31), 2**31 - 1),
        "BIGINT": (-(2**63), 2**63 - 1),
        "UTINYINT": (0, 255), "USMALLINT": (0, 65535), "UINTEGER": (0, 2**32 - 1), "UBIGINT": (0, 2**64 - 1),
    }.items() for end, value in zip(("_min", "_max"), ends, strict=True)},
    "decimal4": "99.99::DECIMAL(4, 2)", "decimal9": "-9999999.99::DECIMAL(9, 2)",
    "decimal18": "9999999999999999.99::DECIMAL(18, 2)",
    "decimal38": "-9999999999999999999999999999999999.9999::DECIMAL(38, 4)",
    "float": "unnest(['nan', 'inf', '-inf', '-0.0', '1e-45', '3.4028235e38', NULL]::FLOAT[])",
    "double": "unnest(['nan', 'inf', '-inf', '-0.0', '5e-324', '1.7976931348623157e308', NULL]::DOUBLE[])",
    "date": "unnest(['0001-01-01', '9999-12-31', '2000-02-29', '1969-12-31', NULL]::DATE[])",
    "time": "unnest(['00:00:00', '23:59:59.999999', NULL]::TIME[])",
    **{f"{kind.lower()}_": f"unnest(['0001-01-01', '9999-12-31 23:59:59', '1969-12-31 23:59:59', NULL]::{kind}[])"
       for kind in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS")},
    "moment_ns": "unnest(['1678-01-01', '2262-01-01', '1969-12-31 23:59:59.999999999', NULL]::TIMESTAMP_NS[])",
    "moment_zone": "unnest(['0001-01-01 00:00:00+00', '9999-12-31 23:59:59.999999+00', NULL]::TIMESTAMPTZ[])",
    "uuid": "unnest(['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL]::UUID[])",
    "blob": r"unnest(['\xFF\x00', '', NULL]::BLOB[])", "string": "unnest(['', 'é', 'a' || chr(0) || 'b', NULL])",
    "enum": "unnest(['a', 'b', NULL])::ENUM('a', 'b')", "json": """unnest(['{"a": 1}', 'null', NULL]::JSON[])""",
    "list": "unnest([[1, NULL], [], NULL])", "struct": "unnest([{'a': 1, 'b': 'x'}, NULL])",
    "map": "unnest([MAP {'a': 1, 'b': NULL}, MAP {}, NULL])", "structs": "unnest([[{'a': 1, 'b': [1.5]}], [], NULL])",
}  # fmt: skip


def by_duckdb(columns: dict[str, str], version: str) -> Callable[[Path], None]:
    query = ", ".join(f"{value} AS {name}" for name, value in columns.items())
    query = f"SELECT * REPLACE ('good film' AS text) FROM (SELECT {query})"
    return lambda path: duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet, PARQUET_VERSION {version})")


def by_polars(path: Path) -> None:
    columns = {
        "categorical": pl.Series(["a", None, "b"], dtype=pl.Categorical),
        "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"])),
        "duration": pl.Series([dt.timedelta(days=1), None, dt.timedelta(microseconds=-1)]),
        "time": pl.Series([dt.time(0), dt.time(23, 59, 59, 999999), None]),
        "moment ns": pl.Series([2**63 - 1, -(2**63) + 1, None]).cast(pl.Datetime("ns")),
        "moment us": pl.Series([YEAR_1 * 10**6, (YEAR_9999 + 1) * 10**6 - 1, None]).cast(pl.Datetime("us")),
        "moment zone": pl.Series([0, -1, None]).cast(pl.Datetime("ms", "Asia/Kolkata")),
        "date": pl.Series([dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
        "uint64": pl.Series([0, 2**64 - 1, None], dtype=pl.UInt64),
        "decimal": pl.Series([Decimal("9" * 36 + ".99"), Decimal("-0.01"), None], dtype=pl.Decimal(38, 2)),
        "array": pl.Series([[1, 2], None, [None, -128]], dtype=pl.Array(pl.Int8, 2)),
        "list": pl.Series([[1.5, None, float("nan")], [], None]),
        "categories": pl.Series([["a", None], [], None], dtype=pl.List(pl.Categorical)),
        "struct": pl.Series([{"a": 1, "b": ["x"]}, None, {"a": None, "b": []}]),
        "binary": pl.Series([b"\xff", b"", None]),
        "float": pl.Series([float("inf"), -0.0, float("nan")], dtype=pl.Float32),
        "null": pl.Series([None, None, None]),
    }
    pl.DataFrame({"text": ["good film"] * 3, **columns}).write_parquet(path)


def by_spark(name: str) -> Callable[[Path], None]:
    """A file that Spark wrote, see ``written_by_spark/README.md``."""
    return lambda path: path.write_bytes((Path(__file__).parent / "written_by_spark" / f"{name}.parquet").read_bytes())


def by_fastparquet(times: str) -> Callable[[Path], None]:
    """As fastparquet writes a frame of pandas; ``times`` are int64 or int96."""
    moments = np.array([0, -1, 1, 951_782_400 * 10**9, -9_214_560_000 * 10**9, 9_214_646_400 * 10**9], "int64")
    columns: dict[str, Any] = {
        "text": ["good film"] * len(moments),
        "moment": moments.view("datetime64[ns]"),
        "string": pd.array(["", "é", "\U0001f600", NUL, "x" * 300, None], dtype=object),
        "bytes": pd.array([b"", b"\xff\x00", b"x" * 300, None, b"a", b"b"], dtype=object),
        "category": pd.Categorical(["a", None, "b", "a", "", "c"]),
        "bool": [True, False] * 3,
        "float32": np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4028235e38], "float32"),
        "float64": [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308],
    }
    for bits in (8, 16, 32, 64):
        columns[f"int{bits}"] = np.resize(np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1], f"int{bits}"), 6)
        columns[f"uint{bits}"] = np.resize(np.array([0, 2**bits - 1], f"uint{bits}"), 6)
    columns["nullable"] = pd.array([-(2**63), 2**63 - 1, None, 0, 1, 2], dtype="Int64")
    if times == "int64":
        columns["duration"] = np.array([0, -1, 1, 10**15, -(10**15), 5], "int64").view("timedelta64[ns]")
    return lambda path: fastparquet.write(
        str(path),
        pd.DataFrame(columns),
        times=times,
        object_encoding={"text": "utf8", "string": "utf8", "bytes": "bytes", "category": "utf8"},
    )


WIDE = {
    "decimal256": decimals(pa.decimal256(76, 10)),
    "date64": pa.array([d and d * 86_400_000 for d in DAYS], "int64").view(pa.date64()),
}
OLD = {**numbers(), **moments(("s", "ms", "us")), **strings(), **nested()}
ALL = {**OLD, **moments()}
INT96_NS = [0, -1, 1, -9_214_560_000 * 10**9, 9_214_646_400 * 10**9]  # 1678 to 2262

WRITERS: dict[str, Callable[[Path], None]] = {
    "pyarrow 1.0": by_pyarrow(OLD, version="1.0"),
    "pyarrow 2.4": by_pyarrow(OLD, version="2.4"),
    "pyarrow 2.6": by_pyarrow(ALL, version="2.6"),
    "pyarrow, pages of version 2": by_pyarrow(ALL, data_page_version="2.0", compression="zstd"),
    "pyarrow, no dictionaries": by_pyarrow(ALL, use_dictionary=False, compression="none"),
    "pyarrow, no schema of Arrow": by_pyarrow(ALL, store_schema=False),
    "pyarrow, every encoding": delta_encoded,
    "pyarrow, wide": by_pyarrow(WIDE),
    "pyarrow, zones by offset": by_pyarrow({f"at {unit}": times(unit, "+05:30") for unit in TICKS}),
    "INT96, all in nanoseconds": by_pyarrow(
        {"at": of_ticks(pa.timestamp("ns"), *INT96_NS)}, use_deprecated_int96_timestamps=True, store_schema=False),
    "INT96, years 1 to 9999": by_pyarrow(
        {**{unit: times(unit) for unit in ("s", "ms", "us")}, "list": nested()["list of times"]},
        use_deprecated_int96_timestamps=True, store_schema=False),
    "duckdb v1": by_duckdb(DUCKDB, "v1"),
    "duckdb v2": by_duckdb(DUCKDB, "v2"),
    "duckdb v1, times in UTC": by_duckdb(
        {"text": "'x'", "at": "unnest(['23:59:59.999999+00', '01:00:00+05:30', NULL]::TIMETZ[])"}, "v1"),
    "polars": by_polars,
    "INT96, years of Spark, legacy": by_spark("int96-v1-legacy"),
    "INT96, years of Spark, parquet-mr's version 2": by_spark("int96-v2"),
    "Spark, parquet-mr's version 2": by_spark("micros-v2"),
    "Spark, legacy": by_spark("millis-v1-legacy"),
    "fastparquet": by_fastparquet("int64"),
    "fastparquet, INT96": by_fastparquet("int96"),
}  # fmt: skip


NANOSECONDS_AS_INT96 = (("INT96, all in nanoseconds", "at"), ("fastparquet, INT96", "moment"))


def seen_by_duckdb(path: Path, column: str) -> list[Any]:
    return duckdb.sql(f'SELECT typeof("{column}"), "{column}"::VARCHAR FROM \'{path}\'').fetchall()


def seen_by_polars(path: Path, column: str) -> pl.Series:
    return pl.read_parquet(path, columns=[column], use_pyarrow=False)[column]


def same_for_polars(before: pl.Series, after: pl.Series) -> bool:
    if before.dtype == pl.Binary and isinstance(
        after.dtype, pl.BaseExtension
    ):  # JSON, which pyarrow writes with a name
        after = after.ext.storage().cast(pl.Binary)
    if pl.Null in (before.dtype, after.dtype):
        return before.null_count() == after.null_count() == len(before)
    if {before.dtype, after.dtype} == {pl.Date, pl.Datetime("ms")}:  # date64 of Arrow
        before, after = before.cast(pl.Date), after.cast(pl.Date)
    return before.dtype == after.dtype and before.equals(after, null_equal=True)


@pytest.mark.parametrize("writer", WRITERS)
def test_parquet_comes_out_as_other_readers_saw_it(tmp_path: Path, tiny_bundle: Path, writer: str) -> None:
    before, after = tmp_path / "in.parquet", tmp_path / "out.parquet"
    WRITERS[writer](before)
    score_file(before, after, model=str(tiny_bundle))
    names = pq.ParquetFile(before).schema_arrow.names
    assert pq.ParquetFile(after).schema_arrow.names[: len(names)] == names
    unseen = []
    for name in names:
        readers = 0
        try:
            # An INT96 is no TIMESTAMP_NS for duckdb, and loses the last digits.
            is_nanosecond_int96 = (writer, name) in NANOSECONDS_AS_INT96
            found = None if is_nanosecond_int96 else seen_by_duckdb(before, name)
        except duckdb.Error:
            found = None
        if found is not None:
            assert seen_by_duckdb(after, name) == found, name
            readers += 1
        if not writer.startswith("INT96, years") and "offset" not in writer:  # polars reads no such time right
            try:
                series = seen_by_polars(before, name)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
                series = None
            if series is not None:
                assert same_for_polars(series, seen_by_polars(after, name)), name
                readers += 1
        if not readers:
            unseen.append(name)
    assert unseen == []


FLAT = {**numbers(), **moments(), **strings()}
FLAT = {name: column for name, column in FLAT.items() if name != "bool8" and not name.startswith("duration")}
# Duckdb takes the two kinds above for whole numbers, and prints no nanoseconds at the ends that it can read again.
FLAT |= {name: of_ticks(FLAT[name].type, *INT96_NS) for name in FLAT if name.startswith("timestamp ns")}


def cells_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(file, strict=True)]


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_text_holds_what_duckdb_makes_the_same_value_of(tmp_path: Path, tiny_bundle: Path, format: str) -> None:
    """NaN and infinities are null in JSON, and an empty text is an empty field in CSV; all else is told apart."""
    before, after = tmp_path / "in.parquet", tmp_path / f"out.{format}"
    by_pyarrow(FLAT)(before)
    score_file(before, after, model=str(tiny_bundle))
    rows = cells_of(after)
    for name in FLAT:
        for (kind, value), row in zip(seen_by_duckdb(before, name), rows, strict=True):
            cell = row[name]
            if kind == "BLOB" and cell is not None:
                cell = "".join(f"\\x{byte:02X}" for byte in base64.b64decode(cell))
                value = duckdb.execute("SELECT ?::BLOB::VARCHAR", [value]).fetchall()[0][0]
            if value in ("", "nan", "inf", "-inf") and cell is None:
                continue
            cell = json.dumps(cell) if isinstance(cell, (bool, int, float)) else cell
            if cell == value:
                continue
            assert duckdb.execute(f"SELECT ?::{kind}::VARCHAR", [cell]).fetchall() == [(value,)], (name, kind)


def test_nested_values_are_the_same_json_in_csv_and_jsonl(tmp_path: Path, tiny_bundle: Path) -> None:
    before = tmp_path / "in.parquet"
    by_pyarrow(nested())(before)
    for format in ("csv", "jsonl"):
        score_file(before, tmp_path / f"out.{format}", model=str(tiny_bundle))
    for name in nested():
        if name.startswith("map") or "times" in name:  # JSON of duckdb has other forms of these
            seen = [row[name] for row in cells_of(tmp_path / "out.jsonl")]
        else:
            found = duckdb.sql(f"SELECT to_json(\"{name}\") FROM '{before}'").fetchall()
            seen = [value and json.loads(value) for (value,) in found]
        assert [row[name] for row in cells_of(tmp_path / "out.jsonl")] == seen, name
        assert [json.loads(row[name] or "null") for row in cells_of(tmp_path / "out.csv")] == seen, name


def test_nanoseconds_in_lists_do_not_depend_on_pandas(tmp_path: Path, tiny_bundle: Path) -> None:
    """In views of lists too, whose values pyarrow loses in a cast."""
    column = pa.array([[0, 1], [5], None, []], pa.list_view(pa.timestamp("ns")))
    far = pa.array([[2**62], [5, None], None, []], pa.list_view(pa.timestamp("us")))
    pq.write_table(pa.table({"text": ["a"] * 4, "at": column, "far": far}), tmp_path / "in.parquet")
    score_file(tmp_path / "in.parquet", tmp_path / "out.jsonl", model=str(tiny_bundle))
    rows = cells_of(tmp_path / "out.jsonl")
    first = "1970-01-01 00:00:00.00000000"
    assert [row["at"] for row in rows] == [[f"{first}0", f"{first}1"], [f"{first}5"], None, []]
    assert [row["far"] for row in rows] == [
        [f"<value out of range: {2**62}>"],
        ["1970-01-01T00:00:00.000005", None],
        None,
        [],
    ]


def test_int96_times_that_no_unit_holds_are_refused_before_the_run(tmp_path: Path, tiny_bundle: Path) -> None:
    columns = {"at": of_ticks(pa.timestamp("ns"), 1), "until": of_ticks(pa.timestamp("us"), YEAR_9999 * 10**6)}
    by_pyarrow(columns, use_deprecated_int96_timestamps=True)(tmp_path / "in.parquet")
    with pytest.raises(
        InputError, match=r"in.parquet: no unit of time holds the INT96 values of 'at', 'until' without loss"
    ):
        score_file(tmp_path / "in.parquet", tmp_path / "out.parquet", model=str(tiny_bundle))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [("INTERVAL '1 month'", "INTERVAL"), ("[INTERVAL '1 day']", "INTERVAL"), ("5::VARIANT", "VARIANT")],
)
@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_types_that_arrow_cannot_write_are_refused_before_the_run(
    call_score: Call, tmp_path: Path, value: str, kind: str, format: str
) -> None:
    by_duckdb({"text": "'good film'", "id": "1", "c": value}, "v1")(tmp_path / "in.parquet")
    code, _, err = call_score("in.parquet", "-o", f"out.{format}")
    said = f"column 'c' is of Parquet's type {kind}, which would not come out as such; leave it out with --columns"
    assert (code, err.splitlines()[-1]) == (2, f"error: {said}")
    assert call_score("in.parquet", "-o", f"out.{format}", "--columns", "id,text")[0] == 0


def test_times_of_day_in_utc_and_in_no_zone(call_score: Call, tmp_path: Path) -> None:
    by_duckdb({"text": "'x'", "a": "TIMETZ '01:00:00+00'", "b": "TIME '01:00:00'"}, "v1")(tmp_path / "in.parquet")
    code, _, err = call_score("in.parquet", "-o", "out.parquet")
    said = "some times of day are in UTC and some are not, which one output cannot hold"
    assert (code, said in err) == (2, True)
    assert err.splitlines()[-1].endswith("; leave those of one kind out with --columns")
    for name in ("a", "b"):
        out = tmp_path / f"{name}.parquet"
        assert call_score("in.parquet", "-o", out, "--columns", f"text,{name}")[0] == 0
        assert seen_by_duckdb(out, name) == seen_by_duckdb(tmp_path / "in.parquet", name)
        assert not pq.ParquetFile(out).schema_arrow.field(name).metadata


def test_values_of_enum_are_strings(tmp_path: Path) -> None:
    """As parquet-avro writes them; pyarrow takes them for bytes, and duckdb and polars for strings."""
    path = tmp_path / "in.parquet"
    table = pa.table({"text": ["a", "é", None], "tags": [["x"], [], None]})
    pq.write_table(table, path, store_schema=False, compression="none")
    content, string, enum = path.read_bytes(), b"\x25\x00\x4c\x1c\x00\x00", b"\x25\x08\x4c\x4c\x00\x00"
    assert content.count(string) == 2
    path.write_bytes(content.replace(string, enum))
    assert pq.ParquetFile(path).schema_arrow.types == [pa.binary(), pa.list_(pa.field("element", pa.binary()))]
    source = open_source(path)
    assert (
        pa.concat_tables(source.tables(2)).to_pydict()
        == table.to_pydict()
        == pl.read_parquet(path).to_dict(as_series=False)
    )
    assert [row for chunk in source.chunks(2, ["tags"]) for row in chunk.rows["tags"].to_pylist()] == [["x"], [], None]
