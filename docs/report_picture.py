"""Make the picture of a report that README.md shows: ``python docs/report_picture.py preds.parquet docs/report.png``.

It ends above the slices, so no text of any review is in it. Needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scorer.evaluation.evaluate import evaluate_labels  # noqa: E402
from scorer.report.html import to_html  # noqa: E402
from tests.helpers.chromium import chromium  # noqa: E402

WIDTH = 1180


def make_picture(predictions: str, target: Path) -> None:
    """Evaluate a file with predictions and gold labels, and write the upper part of its report as a PNG."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(to_html(evaluate_labels(predictions, mistakes=0)), encoding="utf-8")
        with chromium(Path(folder) / "profile") as browser:
            browser.open(page, width=WIDTH)
            height = browser.run("document.querySelector('#slices').getBoundingClientRect().top")
            browser.screenshot(target, clip=(0, 0, WIDTH, height))
    # It has few colours; with a palette the file is a third.
    with Image.open(target) as picture:
        small = picture.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(target, optimize=True)


if __name__ == "__main__":
    make_picture(sys.argv[1], Path(sys.argv[2]))
