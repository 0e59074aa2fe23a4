"""The metrics of a run in the text format of Prometheus."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.run.report import RunReport

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

LAST_SUCCESS = "score_last_success_timestamp_seconds"

LAST_SCORED = "score_last_scored_timestamp_seconds"


def metrics_text(report: RunReport, exit_code: int, *, before: Path) -> bytes:
    """The report in Prometheus' text format; the times of the last success and work stay when this run has none.

    ``before`` is the file of the run before. Written to a temporary name and renamed, as the
    ``write_to_textfile`` of prometheus-client does, so that no collector reads half of it.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    value = report.to_json(exit_code)
    rows = Gauge("score_rows", "Rows by status, and rejected ones, of the last run", ["status"], registry=registry)
    statuses = dict.fromkeys(("ok", "truncated", "windowed", "empty", "rejected"), 0)
    for status, count in {**statuses, **report.rows()}.items():
        rows.labels(status).set(count)
    files = Gauge("score_files", "Input files of the last run by result", ["result"], registry=registry)
    for result, count in value["files"].items():
        files.labels(result).set(count)
    _gauge(registry, "score_tokens", "Tokens that the model read in the last run", value["tokens"])
    _gauge(registry, "score_duration_seconds", "Wall time of the last run", value["seconds"])
    _gauge(registry, "score_exit_code", "Exit code of the last run", exit_code)
    now, stated = time.time(), _stated(before)
    _gauge(registry, "score_last_run_timestamp_seconds", "When the last run ended, Unix time", now)
    success = now if exit_code == 0 or report.nothing_new else stated.get(LAST_SUCCESS)
    if success is not None:
        _gauge(registry, LAST_SUCCESS, "When a run last ended well, with or without work, Unix time", success)
    scored = now if value["files"]["done"] else stated.get(LAST_SCORED)
    if scored is not None:
        _gauge(registry, LAST_SCORED, "When a run last scored a file, Unix time", scored)
    return bytes(generate_latest(registry))


def _gauge(registry: CollectorRegistry, name: str, help: str, value: float) -> None:
    from prometheus_client import Gauge

    Gauge(name, help, registry=registry).set(value)


def _stated(path: Path) -> dict[str, float]:
    """What the file of the run before says, by name; nothing where there is none, or it is not ours."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    return {sample.name: float(sample.value) for family in families for sample in family.samples}
