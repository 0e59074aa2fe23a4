"""Pages of the documentation, for tests that run their code."""

from __future__ import annotations

import re
from pathlib import Path


def python_blocks(page: Path, heading: str | None = None) -> list[str]:
    """The Python of a page, or of one section of it."""
    text = page.read_text(encoding="utf-8")
    if heading is not None:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)
