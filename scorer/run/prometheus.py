"""The metrics of a run in the text format of Prometheus."""

from __future__ import annotations

import time
from pathlib import Path

from scorer.run.report import RunReport

_LAST_SUCCESS = "score_last_success_timestamp_seconds"

_LAST_SCORED = "score_last_scored_timestamp_seconds"


def metrics_text(report: RunReport, *, before: Path) -> bytes:
    """The report in Prometheus' text format.

    ``before`` is the file of the previous run: the times of the last success and of the last work are
    taken from it if this run has none.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()

    def gauge(name: str, help: str, value: float | None) -> None:
        if value is not None:
            Gauge(name, help, registry=registry).set(value)

    value, counts = report.to_json(), report.counts()
    rows = Gauge("score_rows", "Rows by status, and rejected ones, of the last run", ["status"], registry=registry)
    statuses = dict.fromkeys(("ok", "truncated", "windowed", "empty", "error"), 0)
    for status, count in {**statuses, **counts.by_status, "rejected": counts.rejected}.items():
        rows.labels(status).set(count)
    files = Gauge("score_files", "Input files of the last run by result", ["result"], registry=registry)
    for result, count in value["files"].items():
        files.labels(result).set(count)
    gauge("score_tokens", "Tokens that the model read in the last run", value["tokens"])
    gauge("score_duration_seconds", "Wall time of the last run", value["seconds"])
    gauge("score_exit_code", "Exit code of the last run", report.exit_code)
    now, previous = time.time(), _samples(before)
    gauge("score_last_run_timestamp_seconds", "When the last run ended, Unix time", now)
    success = now if report.exit_code == 0 or report.nothing_new else previous.get(_LAST_SUCCESS)
    gauge(_LAST_SUCCESS, "When a run last ended well, with or without work, Unix time", success)
    scored = now if value["files"]["done"] else previous.get(_LAST_SCORED)
    gauge(_LAST_SCORED, "When a run last scored a file, Unix time", scored)
    return bytes(generate_latest(registry))


def _samples(path: Path) -> dict[str, float]:
    """Samples of a file of metrics by name; none if it cannot be read or parsed."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    return {sample.name: float(sample.value) for family in families for sample in family.samples}
