"""Commands in processes of their own, and in this one: their code, their environment, the peak of their memory."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from scorer import interrupts
from scorer.commands.console import run
from scorer.commands.score import score

ROOT = Path(__file__).parents[2]
CODE = "from scorer.commands.score import score_main; score_main()"
EVALUATE = "from scorer.commands.evaluate_labels import evaluate_main; evaluate_main()"

PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
"""
"""For a program of its own: a function of its peak memory so far, in KiB.

Not ru_maxrss: the kernel passes the peak of a process that forks on to its child, and that of the tests is larger.
"""

CODE_WITH_PEAK = f"""{PEAK}
import atexit
atexit.register(lambda: print(peak()))
{CODE}
"""
"""``score``, which prints its peak memory in KiB at the end."""

needs_peak = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


def environment() -> dict[str, str]:
    """The environment of a run: this source tree, few threads."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def base_environment() -> dict[str, str]:
    """The same without pandas, as after a plain installation: pyarrow loads it wherever it is, for half of a start."""
    return {**environment(), "PYTHONPATH": f"{ROOT / 'tests' / 'helpers' / 'without_pandas'}{os.pathsep}{ROOT}"}


def with_limits(
    folder: Path, *arguments: str, mib: int | None = None, stack_mib: int | None = None
) -> subprocess.CompletedProcess[str]:
    """``score`` in ``folder``, its address space at most ``mib``, and the stack of each thread ``stack_mib``.

    On two cores: threads of libraries, one for each core, take address space as well.
    """
    code = f"import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2]); {CODE}"
    limits = [f"ulimit -{name} {value * 1024}" for name, value in (("s", stack_mib), ("v", mib)) if value]
    script = " && ".join([*limits, f'exec {sys.executable} -c {shlex.quote(code)} "$@"'])
    command = ["sh", "-c", script, "score", *arguments]
    return subprocess.run(command, cwd=folder, env=base_environment(), capture_output=True, text=True, check=False)


def without_rights(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``score`` in ``folder`` by root without the rights that let it look into everything."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("a folder of somebody else takes root, and setpriv to be denied it")
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-c", CODE, *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Undo the changes that a command makes to this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        interrupts._arrived.clear()
        interrupts._all_is_done = False
        for name in ("scorer", "train", "export"):  # their handlers write to the stderr of this test
            logging.getLogger(name).handlers.clear()


def score_here(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """``score`` with ``arguments`` in this process, begun and ended in ``folder`` like one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with (
        as_before(),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        run(score, arguments, env_prefix="SCORER")
    assert isinstance(left.value.code, int)
    return subprocess.CompletedProcess(arguments, left.value.code, out.getvalue(), err.getvalue())


def tell(line: str) -> None:
    """Print a figure past pytest, for a person who runs a sweep."""
    sys.stderr.write(f"\n{line}\n")
