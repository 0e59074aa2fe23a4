"""The ready files of docs/nightly, each by its own tool as far as that is here."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
import yaml

from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from scorer.run.prometheus import metrics_text
from scorer.run.report import RunReport
from tests.helpers.messages import KINDS
from tests.helpers.processes import CODE, ROOT
from tests.helpers.settling import settle

NIGHTLY = ROOT / "docs" / "nightly"
HEALING = {5, 6, 7, 9, 130, 137, 143}
"""Exit codes after which another try may end well: see the table of docs/nightly.md."""

FAILING_AGAIN = {1, 2, 3, 4, 8}


def test_every_code_either_heals_or_fails_again() -> None:
    assert {*KINDS.values()} | {130, 137, 143} == HEALING | FAILING_AGAIN
    assert not HEALING & FAILING_AGAIN


def parsed_by_score(words: list[str]) -> dict[str, Any]:
    """The options that `score` reads from a command line of one of the files."""
    return dict(score.make_context("score", list(words)).params)


@pytest.fixture
def score_command(tiny_bundle: Path, tmp_path: Path) -> Path:
    """An executable `score` of this source tree, on the tiny model."""
    path = tmp_path / "bin" / "score"
    path.parent.mkdir()
    settings = {"PYTHONPATH": str(ROOT), "SCORER_MODEL": str(tiny_bundle), "SCORER_THREADS": "1"}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
    path.write_text(f'#!/bin/sh\n{exports}exec {sys.executable} -c "{CODE}" "$@"\n')
    path.chmod(0o755)
    return path


# systemd


def service() -> dict[str, str]:
    found = configparser.ConfigParser(interpolation=None, strict=True)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read(NIGHTLY / "score.service", encoding="utf-8")
    return dict(found["Service"])


def test_systemd_verifies_the_units(score_command: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    units = []
    for name in ("score.service", "score.timer"):
        text = (NIGHTLY / name).read_text(encoding="utf-8").replace("/opt/review-scorer/bin/score", str(score_command))
        (tmp_path / name).write_text(text, encoding="utf-8")
        units.append(str(tmp_path / name))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    # It warns of unknown keys and of values that it cannot read, and leaves with 0 all the same.
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "score." in line]
    assert (done.returncode, said) == (0, []), done.stderr
    (tmp_path / "score.service").write_text((tmp_path / "score.service").read_text() + "\nSuccesExitStatus=99\n")
    again = subprocess.run(["systemd-analyze", "verify", units[0]], capture_output=True, text=True, check=False)
    assert "SuccesExitStatus" in again.stderr  # it would have said so


def test_the_service_runs_and_its_codes_are_ours(score_command: Path, tmp_path: Path) -> None:
    settings = service()
    words = shlex.split(settings["ExecStart"].replace("%%", "%"))
    assert set(map(int, settings["RestartPreventExitStatus"].split())) == FAILING_AGAIN
    options = parsed_by_score(words[1:])
    assert int(settings["SuccessExitStatus"]) == options["exit_code_nothing_new"] == 99
    assert int(settings["TimeoutStopSec"].removesuffix("s")) > 10  # the promise for SIGTERM
    # The index lies beside the folder of outputs.
    assert settings["ReadWritePaths"] == settings["WorkingDirectory"]
    assert settings["ReadOnlyPaths"] == f"{settings['WorkingDirectory']}/incoming"
    for name in ("incoming", options["output"], options["metrics_file"].parent):
        (tmp_path / name).mkdir()
    command = [str(score_command), *words[1:]]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 99
    (tmp_path / "incoming" / "a.csv").write_text("text\n" + "good\n" * 150 + "a,b\n")
    settle(tmp_path / "incoming")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scored" / "a.csv.rejects.jsonl").exists()
    assert (tmp_path / ".scored.score.index").exists()


# cron


def crontab() -> str:
    (line,) = [
        line for line in (NIGHTLY / "crontab").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    return line


def test_the_line_is_like_the_service() -> None:
    command = crontab().split(" ", 5)[5].replace("\\%", "%")
    words = shlex.split(command.partition("&& ")[2].partition(" >>")[0])
    assert words == shlex.split(service()["ExecStart"].replace("%%", "%"))


def why_no_cron() -> str:
    if shutil.which("cron", path="/usr/sbin:/usr/bin:/sbin") is None:
        return "cron is not installed"
    if os.geteuid() != 0:
        return "a cron daemon needs root"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "no mount namespace can be made here"


def test_a_cron_daemon_runs_the_line_once(score_command: Path, tmp_path: Path) -> None:
    if reason := why_no_cron():
        pytest.skip(reason)
    for name in ("incoming", "scored", "metrics", "spool", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "no-file").touch()
    (tmp_path / "incoming" / "a.csv").write_text("text\ngood\n")
    line = crontab().replace("/srv/reviews", str(tmp_path)).replace("/opt/review-scorer/bin/score", str(score_command))
    # At once in place of at half past two; all else as it stands.
    line = line.replace("30 2 * * *", "@reboot", 1)
    (tmp_path / "spool" / "root").write_text(line + "\n")
    (tmp_path / "spool" / "root").chmod(0o600)
    mounts = [
        "mount -t tmpfs tmpfs /run",
        f"mount --bind {tmp_path}/spool /var/spool/cron/crontabs",
        f"mount --bind {tmp_path}/none /etc/cron.d",
        f"test ! -e /etc/crontab || mount --bind {tmp_path}/no-file /etc/crontab",
    ]
    script = " && ".join([*mounts, 'exec "$(command -v cron || echo /usr/sbin/cron)" -f'])
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stderr=subprocess.PIPE, text=True) as daemon:
        try:
            since = time.monotonic()
            log = tmp_path / "score.log"
            # The metrics are there from the beginning of a run on.
            while not log.exists() or '"run_ended"' not in log.read_text():
                assert daemon.poll() is None, daemon.stderr.read() if daemon.stderr else ""
                if time.monotonic() - since > 60:
                    pytest.fail(f"nothing ran; {list(tmp_path.rglob('*.log'))}")
                time.sleep(0.05)
        finally:
            daemon.send_signal(signal.SIGTERM)
    assert (tmp_path / "scored" / "a.csv").read_text().startswith("text,pred_label,")
    (tmp_path / "metrics" / "score.prom").unlink()
    events = [json.loads(line)["event"] for line in (tmp_path / "score.log").read_text().splitlines()]
    assert events.count("model_loaded") == 1


def test_the_readme_gets_to_a_nightly_job(score_command: Path, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Every night\n")[2]
    lines = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0].splitlines()
    # Only what takes minutes, or would change this machine, is put in place of what stands there.
    assert lines[:4] == [
        "mkdir ~/nightly && cd ~/nightly", "REPO=~/review-scorer", "python3 -m venv env",
        "env/bin/pip install -c $REPO/constraints.txt $REPO",
    ]  # fmt: skip
    (tmp_path / "a night" / "env" / "bin").mkdir(parents=True)
    (tmp_path / "a night" / "env" / "bin" / "score").symlink_to(score_command)
    (tmp_path / "bin" / "crontab").write_text(
        f'#!/bin/sh\n[ "$1" = -l ] && echo "# old" || cat > {tmp_path}/installed\n'
    )
    (tmp_path / "bin" / "crontab").chmod(0o755)
    script = "\n".join([f"set -e\nREPO={ROOT}", *lines[4:]])
    done = subprocess.run(
        ["sh", "-c", script.replace("; echo $?", " || echo $?")],
        cwd=tmp_path / "a night", capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "99" in done.stdout.splitlines()
    assert 'score_files{result="done"} 1.0' in done.stdout
    assert (tmp_path / "installed").read_text().startswith("# old\n")
    assert (
        f'cd "{tmp_path}/a night" && "{tmp_path}/a night/env/bin/score" incoming/'
        in (tmp_path / "installed").read_text()
    )
    assert pq.read_metadata(tmp_path / "a night" / "scored" / "reviews.parquet").num_rows == 300


# Kubernetes


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((NIGHTLY / "cronjob.yaml").read_text(encoding="utf-8")))


def test_the_manifests_fit_the_schema_of_kubernetes(manifests: list[dict[str, Any]]) -> None:
    schema = json.loads((Path(__file__).parent / "kubernetes" / "schema-1.31.json").read_text(encoding="utf-8"))
    names = {"CronJob": "io.k8s.api.batch.v1.CronJob", "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy"}
    for manifest in manifests:
        checker = jsonschema.Draft202012Validator(
            {"$ref": f"#/$defs/{names[manifest['kind']]}", "$defs": schema["$defs"]}
        )
        assert [error.message for error in checker.iter_errors(manifest)] == []
        manifest["spec"]["concurencyPolicy"] = "Forbid"
        assert [error.message for error in checker.iter_errors(manifest)] != []  # it would have said so
        del manifest["spec"]["concurencyPolicy"]


def test_what_the_schema_cannot_know(manifests: list[dict[str, Any]]) -> None:
    cron_job = next(manifest for manifest in manifests if manifest["kind"] == "CronJob")
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    job = cron_job["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy asks for it
    assert pod["terminationGracePeriodSeconds"] > 10  # the promise for SIGTERM
    (container,) = pod["containers"]
    codes = {}
    for rule in job["podFailurePolicy"]["rules"]:
        if "onExitCodes" in rule:
            values = rule["onExitCodes"]["values"]
            assert values == sorted(set(values))  # what the API asks for
            assert 0 not in values
            assert rule["onExitCodes"]["containerName"] == container["name"]
            codes[rule["action"]] = set(values)
    assert codes == {"FailJob": FAILING_AGAIN, "Count": HEALING}
    options = parsed_by_score(container["args"])
    assert options["exit_code_nothing_new"] == 0  # any other code is a failure there
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    policy = next(manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy")
    labels = job["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


# Airflow


def test_the_codes_and_commands_of_the_dag() -> None:
    tree = ast.parse((NIGHTLY / "airflow_dag.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert (values["NOTHING_NEW"], values["CAN_HEAL"]) == (99, HEALING)
    commands = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "command"]
    words = []
    for command in commands:
        if isinstance(command.value, ast.List):
            known = {"BIN": values["BIN"], "NOTHING_NEW": values["NOTHING_NEW"], "str": str}
            words.append(eval(compile(ast.Expression(command.value), "dag", "eval"), {}, known))
    assert [Path(command[0]).name for command in words] == ["score", "evaluate-labels"]
    assert words[0] == shlex.split(service()["ExecStart"].replace("%%", "%"))
    assert evaluate_labels.make_context("evaluate-labels", words[1][1:]).params["min_f1"] == 0.8


CHECK_OF_AIRFLOW = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import airflow_dag as ours
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

assert ours.dag.task_dict["score"].downstream_task_ids == {"gate"}
assert ours.dag.max_active_runs == 1 and not ours.dag.catchup
ours.FOLDER = sys.argv[2]
for code in range(0, 256):
    command = ours.Command(task_id=f"t{code}", command=["sh", "-c", f"exit {code}"])
    try:
        command.execute({})
        outcome = "done"
    except AirflowSkipException:
        outcome = "skipped"
    except AirflowFailException:
        outcome = "failed"
    except AirflowException:
        outcome = "again"
    wanted = {0: "done", 99: "skipped", **dict.fromkeys((5, 6, 7, 9, 130, 137, 143), "again")}
    assert outcome == wanted.get(code, "failed"), (code, outcome)
killed = ours.Command(task_id="killed", command=["sh", "-c", "kill -9 $$"])
try:
    killed.execute({})
except AirflowFailException:
    raise SystemExit("a killed run must be tried again")
except AirflowException:
    pass
import airflow
print("Airflow", airflow.__version__, "imports the DAG")
"""


def test_airflow_imports_the_dag(tmp_path: Path) -> None:
    python = os.environ.get("AIRFLOW_PYTHON")
    if not python:
        pytest.skip("AIRFLOW_PYTHON does not name the Python of an environment with Airflow")
    variables = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    variables.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, "-c", CHECK_OF_AIRFLOW, str(NIGHTLY), str(tmp_path)],
        capture_output=True, text=True, check=False, env=variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imports the DAG" in done.stdout


# Prometheus


def test_the_alerts_are_about_metrics_that_there_are(tmp_path: Path) -> None:
    rules = yaml.safe_load((NIGHTLY / "alerts.yml").read_text(encoding="utf-8"))
    text = metrics_text(RunReport(), before=tmp_path / "none").decode()
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    known.add("score_last_scored_timestamp_seconds")  # once a file was scored
    found = set()
    for rule in rules["groups"][0]["rules"]:
        found |= set(re.findall(r"score_\w+", rule["expr"]))
    assert found <= known
    if shutil.which("promtool") is not None:
        done = subprocess.run(["promtool", "check", "rules", NIGHTLY / "alerts.yml"], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
