"""Signals that come while files change their names wait for the end."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from scorer import interrupts
from scorer.interrupts import Terminated, held_back
from tests.helpers.processes import environment


@pytest.fixture(autouse=True)
def installed() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored, in the background
    interrupts.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_raised_where_it_comes_and_found_again() -> None:
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Terminated):  # had a finalizer swallowed it
        interrupts.check()


def test_one_that_is_held_back_comes_at_the_end() -> None:
    done = []

    def work() -> None:
        with held_back(forget=False):
            signal.raise_signal(signal.SIGINT)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all"]


def test_one_that_came_when_all_was_done_is_forgotten() -> None:
    with held_back(forget=True):
        signal.raise_signal(signal.SIGTERM)
    with held_back(forget=False):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    interrupts.check()
    interrupts.install()  # another command in this process
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)


def test_a_failure_is_not_forgotten_with_the_signal() -> None:
    def work() -> None:
        with held_back(forget=True):
            signal.raise_signal(signal.SIGTERM)
            raise OSError

    with pytest.raises(Terminated):
        work()


def test_an_ignored_sigint_stays_ignored() -> None:
    code = (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nfrom scorer import interrupts\n"
        "interrupts.install()\nsignal.raise_signal(signal.SIGINT)\nprint('here')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "here\n"
