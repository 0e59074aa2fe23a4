"""The value that travels with the model."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from scorer.errors import ModelError, UsageError
from scorer.model.preprocessing import PREPROCESSING_FILE, Preprocessing, load_preprocessing, save_preprocessing


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    value = Preprocessing(max_length=300, long_text="head-tail", stride=64, clean=("html-breaks",))
    save_preprocessing(value, tmp_path)
    assert load_preprocessing(tmp_path) == value


def test_a_folder_of_others_has_none(tmp_path: Path) -> None:
    assert load_preprocessing(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"max_length": "512"}', "max_length='512'"),
        ('{"max_length": true}', "max_length=True"),
        ('{"lower_case": 1}', "lower_case=1"),
        ('{"clean": ["spelling"]}', "unknown cleaning step 'spelling'"),
        ('{"max_length": 2}', "leaves no room"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / PREPROCESSING_FILE).write_text(content)
    with pytest.raises(ModelError, match=says.replace("[", r"\[")):
        load_preprocessing(tmp_path)


@pytest.mark.parametrize(
    "settings", [{"max_length": 2}, {"long_text": "middle"}, {"stride": 510}, {"stride": -1}, {"clean": ("x",)}]
)
def test_nonsense_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Preprocessing(**settings)  # type: ignore[arg-type]


def test_options_replace_what_they_name() -> None:
    base = Preprocessing(max_length=512, long_text="truncate", stride=128)
    assert base.with_options() == base
    assert base.with_options(max_length=64) == Preprocessing(max_length=64, stride=31)
    assert base.with_options(long_text="window", stride=10) == Preprocessing(long_text="window", stride=10)


@pytest.mark.parametrize("text", ["a<br>b", "a<br/>b", "a<BR />b", "a<br\t/>b"])
def test_breaks_become_one_space(text: str) -> None:
    assert Preprocessing(clean=("html-breaks",)).cleaned(pa.array([text, None], pa.large_string())).to_pylist() == [
        "a b",
        None,
    ]
