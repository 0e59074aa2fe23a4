"""The metrics of a run in the text format of Prometheus."""

from __future__ import annotations

import time
from pathlib import Path

from scorer.run.report import RunReport

_LAST_SUCCESS = "score_last_success_timestamp_seconds"

_LAST_SCORED = "score_last_scored_timestamp_seconds"

_LAST_START = "score_last_start_seconds"

_START = "When a run last began to work, Unix time"

_ROWS = "score_rows"


def metrics_text(report: RunReport, *, before: Path) -> bytes:
    """The report in Prometheus' text format.

    ``before`` is the file of the previous run: the times of the last success and of the last work, and the rows that
    were rejected then, are taken from it if this run has none.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()

    def gauge(name: str, help: str, value: float | None) -> None:
        if value is not None:
            Gauge(name, help, registry=registry).set(value)

    value, counts = report.to_json(), report.counts()
    now, previous, worked = time.time(), _samples(before), bool(value["files"]["done"])
    rows = Gauge(
        _ROWS,
        "Rows of the last run by status; those rejected are of the last run that scored a file",
        ["status"],
        registry=registry,
    )
    statuses = dict.fromkeys(("ok", "truncated", "windowed", "empty", "error"), 0)
    rejected = counts.rejected if worked else previous.get((_ROWS, "rejected"), 0)
    for status, count in {**statuses, **counts.by_status, "rejected": rejected, "reused": counts.reused}.items():
        rows.labels(status).set(count)
    files = Gauge("score_files", "Input files of the last run by result", ["result"], registry=registry)
    for result, count in value["files"].items():
        files.labels(result).set(count)
    gauge("score_tokens", "Tokens that the model read in the last run", value["tokens"])
    gauge("score_duration_seconds", "Wall time of the last run", value["seconds"])
    gauge("score_exit_code", "Exit code of the last run", report.exit_code)
    gauge(_LAST_START, _START, report.begun_at or previous.get((_LAST_START,)))
    gauge("score_last_run_timestamp_seconds", "When the last run ended, Unix time", now)
    is_success = (report.exit_code == 0 or report.nothing_new) and report.all_listed
    success = now if is_success else previous.get((_LAST_SUCCESS,))
    gauge(_LAST_SUCCESS, "When a run last ended well, with or without work, Unix time", success)
    scored = now if worked else previous.get((_LAST_SCORED,))
    gauge(_LAST_SCORED, "When a run last scored a file, Unix time", scored)
    return bytes(generate_latest(registry))


def started_text(moment: float, *, before: Path) -> bytes:
    """The metrics of the file ``before`` with ``moment``, Unix time, as the start of the last run."""
    try:
        lines = before.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    kept = [line for line in lines if _LAST_START not in line]
    start = [f"# HELP {_LAST_START} {_START}", f"# TYPE {_LAST_START} gauge", f"{_LAST_START} {moment!r}"]
    return "\n".join([*kept, *start, ""]).encode()


def is_metrics(path: Path) -> bool:
    """True if the file ``path`` has what :func:`metrics_text` or :func:`started_text` gave."""
    try:
        with path.open("rb") as file:
            return file.read(13) == b"# HELP score_"
    except OSError:
        return False


def _samples(path: Path) -> dict[tuple[str, ...], float]:
    """Samples of a file of metrics by name and values of labels; none if it cannot be read or parsed."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    samples = (sample for family in families for sample in family.samples)
    return {(sample.name, *sample.labels.values()): float(sample.value) for sample in samples}
