"""Score what is new every night, then ask whether the predictions are still good. For Airflow 3.

Both commands are those of /opt/review-scorer, an environment of its own: Airflow's has other versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

BIN = "/opt/review-scorer/bin"
FOLDER = "/srv/reviews"

NOTHING_NEW = 99
CAN_HEAL = {5, 6, 7, 9, 130, 137, 143}
"""Exit codes that another try may not meet: a full disk, another run, no memory, a store
that does not answer, a signal."""


class Command(BaseOperator):
    """A command whose exit code decides: 0 done, 99 skipped, some tried again, all others failed at once."""

    template_fields: Sequence[str] = ("command",)

    def __init__(self, *, command: list[str], **options: Any) -> None:
        super().__init__(**options)
        self.command = command

    @cached_property
    def hook(self) -> SubprocessHook:
        """Runs the command, its lines in the log of the task."""
        return SubprocessHook()

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow passes it
        """Run it."""
        code = self.hook.run_command(self.command, cwd=FOLDER).exit_code
        # A command that a signal ended has the signal's number, negated.
        code = 128 - code if code < 0 else code
        if code == NOTHING_NEW:
            raise AirflowSkipException("nothing new")
        if code in CAN_HEAL:
            raise AirflowException(f"exit code {code}; another try resumes where this one stopped")
        if code != 0:
            raise AirflowFailException(f"exit code {code}, which another try would meet again")

    def on_kill(self) -> None:
        """SIGTERM: what is done is kept, and the command exits within 10 s."""
        self.hook.send_sigterm()


with DAG(
    dag_id="review_scorer",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10), "execution_timeout": timedelta(hours=6)},
    tags=["reviews"],
) as dag:
    score = Command(
        task_id="score",
        command=[
            f"{BIN}/score", "incoming/", "-o", "scored/", "--on-missing-input", "empty", "--on-bad-row", "reject",
            "--max-bad", "1%", "--exit-code-nothing-new", str(NOTHING_NEW),
            "--metrics-file", "metrics/score.prom", "--log-format", "json",
        ],
    )  # fmt: skip
    # Labelled reviews, kept back: exit code 8 when the model is no longer good enough. No review comes into the log.
    gate = Command(
        task_id="gate",
        command=[
            f"{BIN}/evaluate-labels", "labelled.parquet", "--min-f1", "0.8", "--mistakes", "0", "--log-format", "json",
        ],
    )  # fmt: skip
    score >> gate
