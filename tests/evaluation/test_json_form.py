"""The guide has every key of the JSON form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import scorer.evaluation

ROOT = Path(__file__).parents[2]

NAMED = ("inputs", "model", "rows", "thresholds", "comparison")
"""Sections whose own keys the guide names too."""


def test_the_table_of_the_guide_has_every_key_of_the_schema() -> None:
    schema = json.loads((Path(scorer.evaluation.__file__).parent / "report.schema.json").read_text(encoding="utf-8"))
    guide = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|$", guide.partition("### JSON")[2], flags=re.MULTILINE)
    said = {key: set(re.findall(r"`(\w+)`", cell)) for keys, cell in rows for key in re.findall(r"`(\w+)`", keys)}
    assert set(schema["properties"]) <= set(said)
    for name in NAMED:
        section = schema["properties"][name]
        keys = set(section.get("items", section)["properties"]) - {"baseline"}
        assert keys <= said[name] | {name}, name
