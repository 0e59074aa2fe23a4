"""Make the picture of a terminal that README.md shows: ``python docs/terminal_picture.py docs/terminal.svg``.

The commands run as they stand in the picture, in a folder with sample_data, on a terminal of 80 columns.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
COLUMNS = 80
SHOWN = (
    ('score --text "A quiet, tender film."', 3),
    ("score sample_data/reviews.parquet -o preds.parquet", 3),
    ("python sample_data/show.py preds.parquet", 7),
    ("evaluate-labels sample_data/labelled.parquet", 18),
)
"""Commands, and how many lines of what each prints are shown."""

_FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def make_picture(target: Path) -> None:
    """Run the commands and write what they print as an SVG that loads nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "sample_data", Path(folder) / "sample_data")
        for place, (command, n_lines) in enumerate(SHOWN):
            console.print(Text.assemble(("\n$ " if place else "$ ", "bold green"), (command, "bold white")))
            lines = _printed(command, Path(folder)).splitlines()
            console.print(Text.from_ansi("\n".join(lines[:n_lines])))
            if len(lines) > n_lines:
                console.print("…", style="dim")
    drawn = console.export_svg(title="review-scorer", theme=MONOKAI, unique_id="terminal")
    target.write_text(_FONT_FROM_ELSEWHERE.sub("", drawn), encoding="utf-8")


def _printed(command: str, folder: Path) -> str:
    """What a command prints on stderr and then, on a terminal, on stdout."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=folder, env=variables, stdout=end, stderr=subprocess.PIPE, text=True
    )
    os.close(end)
    shown = bytearray()
    while True:
        try:
            block = os.read(terminal, 65_536)
        except OSError:  # Linux tells the end so
            break
        if not block:
            break
        shown += block
    os.close(terminal)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{command}: exit code {process.returncode}: {said}")
    return said + shown.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]))
