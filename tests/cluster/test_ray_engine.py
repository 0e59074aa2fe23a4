"""Scoring on a real Ray cluster of two nodes: the same bytes, kills, resumes, errors and signals as without it."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ScorerError, score_file
from scorer.errors import InputError, ModelError, UsageError
from scorer.progress import NoProgress
from tests.conftest import Call
from tests.helpers.pages import python_blocks
from tests.helpers.processes import CODE, ROOT
from tests.helpers.ray_nodes import RayNodes, ray_nodes
from tests.helpers.stores import s3_store

pytest.importorskip("ray", reason="the extra [ray] is not installed")
if sys.platform != "linux":
    pytest.skip("processes are found in /proc", allow_module_level=True)

CHUNK_ROWS = 25
N_CHUNKS = 160
WAIT_SECONDS = 240
"""For a machine that is busy with other things; nothing is measured by the clock."""

# Several jobs over one connection: each line of stdin names the output, the input and the options of one.
JOBS = """
import json, sys, ray
from scorer import ScorerError, score_file
from scorer.cluster import worker
worker._PIECE_CHUNKS = 8
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
for output, input, options in json.load(sys.stdin):
    try:
        summary = score_file(input, output, engine="ray", ray_address=sys.argv[1], **options)
        said = [0, summary.counts.rows, summary.counts.rows_before]
    except ScorerError as error:
        said = [error.exit_code, str(error)]
    print(json.dumps(said), flush=True)
"""

# Several command lines over one connection, as words; what each said on stderr, and its exit code.
LINES = """
import contextlib, io, json, sys, ray
from scorer.commands.console import run
from scorer.commands.score import score
about, lines = json.load(sys.stdin)
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL", runtime_env=about)
for words in lines:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        try:
            run(score, words, env_prefix="SCORER")
        except SystemExit as left:
            print(json.dumps([left.code, err.getvalue()]), flush=True)
"""

COUNTED = f"""
import atexit
from scorer.cluster import pool, ray_engine
started = []
class Counted(pool.ActorPool):
    def __init__(self, start, **sizes):
        super().__init__(lambda: (started.append(1), start())[1], **sizes)
ray_engine.ActorPool = Counted
atexit.register(lambda: print(len(started), "actors were started"))
{CODE}
"""


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """An S3 of our own; the variables with which a process reaches it."""
    with s3_store() as variables:
        yield variables


@pytest.fixture(scope="module")
def nodes(store: dict[str, str]) -> Iterator[RayNodes]:
    with ray_nodes(store) as running:
        yield running


@dataclass(frozen=True)
class Inputs:
    """Files to score, and what the local engine makes of them.

    Attributes:
        folder: of ``reviews.parquet`` in row groups that no chunk agrees with, ``bad.csv`` with rows that are
            none, ``open.csv`` with a quote that nobody closes, and ``local.*``, the outputs of the local engine.
        model: a bundle.
    """

    folder: Path
    model: str

    def options(self, **more: object) -> dict[str, object]:
        return {"model": self.model, "chunk_rows": CHUNK_ROWS, **more}


def reviews(n: int) -> pa.Table:
    draw = random.Random(5)
    words = "a warm funny film that nobody gives back dull loud badly acted great the first half".split()  # noqa: SIM905
    texts = [None if k % 41 == 0 else " ".join(draw.choices(words, k=draw.randint(1, 12))) for k in range(n)]
    kinds = pa.array([f"kind {k % 3}" for k in range(n)]).dictionary_encode()
    return pa.table({"id": range(n), "text": texts, "kind": kinds})


@pytest.fixture(scope="module")
def inputs(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("ray")
    made = Inputs(folder, str(tiny_bundle))
    pq.write_table(reviews(N_CHUNKS * CHUNK_ROWS - 7), folder / "reviews.parquet", row_group_size=610)
    lines = [f"{k},film {k}" + (",more" if k in (30, 77, 78) else "") for k in range(200)]
    (folder / "bad.csv").write_text("id,text\n" + "\n".join(lines) + "\n")
    (folder / "open.csv").write_text("id,text\n" + "\n".join(lines[:20]) + '\n1,"open\n' + "\n".join(lines[:9]) + "\n")
    score_file(folder / "reviews.parquet", folder / "local.parquet", **made.options())
    return made


def start(inputs: Inputs, output: Path, *arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(inputs.folder / "reviews.parquet"), "-o", str(output), "--model", inputs.model,
         "--chunk-rows", str(CHUNK_ROWS), "--threads", "1", *arguments],
        env=environment, cwd=output.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_parts(process: subprocess.Popen[str], output: Path, count: int) -> None:
    until = time.monotonic() + WAIT_SECONDS
    folder = output.with_name(f"{output.name}.partial")
    while len(list(folder.glob("chunk-*.arrow"))) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.005)


class InterruptedAfter(NoProgress):
    """Ctrl-C behind so many chunks: where a signal would hit is a matter of luck."""

    def __init__(self, chunks: int) -> None:
        self._left = chunks

    def advance(self, rows: int, tokens: int) -> None:  # noqa: ARG002
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


def own_lines(err: str) -> list[str]:
    """The lines of stderr without those of Ray, and without those of progress, which come on slow machines alone.

    Ray says which chunks it runs again when a process dies.
    """
    others = r"[\d,]+ of [\d,]+ rows, .* s left|\S*\(raylet.*"
    return [line for line in err.splitlines() if not re.fullmatch(others, line)]


def check_lines(err: str, output: Path, actors: str) -> None:
    first, last = own_lines(err)
    assert first == f"scoring with int8 on cpu, {actors} with 1 CPU on Ray"
    assert last.startswith(f"{output}: 3,993 rows (98 empty) in ")


def plain_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.in_python
def test_one_connection_many_jobs(
    nodes: RayNodes, store: dict[str, str], inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of actors, rejects, a run that was begun without Ray, stores, and errors: all as locally."""
    import s3fs

    for name, value in store.items():
        monkeypatch.setenv(name, value)
    files = s3fs.S3FileSystem(endpoint_url=store["AWS_ENDPOINT_URL"], skip_instance_cache=True)
    files.mkdir("ray")  # a name of its own: all servers of moto in one process share their buckets
    files.put(str(inputs.folder / "bad.csv"), "ray/bad.csv")

    begun = tmp_path / "begun.parquet"
    parquet = str(inputs.folder / "reviews.parquet")
    with pytest.raises(KeyboardInterrupt):
        score_file(parquet, begun, progress=InterruptedAfter(5), **inputs.options(threads=1))

    in_store = inputs.options(on_bad_row="reject", actors=1)
    jobs = [
        (str(tmp_path / "1.parquet"), parquet, inputs.options(actors=1)),
        (str(tmp_path / "3.parquet"), parquet, inputs.options(actors=3)),
        (str(begun), parquet, inputs.options(actors=1, threads=1)),
        ("s3://ray/out.csv", "s3://ray/bad.csv", in_store),
        (str(tmp_path / "open.csv"), str(inputs.folder / "open.csv"), inputs.options(actors=1)),
    ]
    done = subprocess.run(
        [sys.executable, "-c", JOBS, nodes.address],
        env={**nodes.environment(), **store}, cwd=tmp_path, input=json.dumps(jobs),
        capture_output=True, text=True, check=False, timeout=WAIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    rows = N_CHUNKS * CHUNK_ROWS - 7
    assert said[:4] == [[0, rows, 0], [0, rows, 0], [0, rows, 5 * CHUNK_ROWS], [0, 197, 0]]
    expected = (inputs.folder / "local.parquet").read_bytes()
    for name in ("1.parquet", "3.parquet", "begun.parquet"):
        assert (tmp_path / name).read_bytes() == expected, name

    score_file("s3://ray/bad.csv", tmp_path / "local.csv", **{**in_store, "actors": None})
    for suffix in ("", ".rejects.jsonl", ".provenance.json"):
        assert files.cat(f"ray/out.csv{suffix}") == (tmp_path / f"local.csv{suffix}").read_bytes()

    with pytest.raises(InputError) as local:
        score_file(inputs.folder / "open.csv", tmp_path / "open.csv", **inputs.options())
    assert said[4] == [3, str(local.value)]
    assert not (tmp_path / "open.csv").exists()
    left = {path.name for path in tmp_path.iterdir()}
    assert not {name for name in left if name.endswith((".partial", ".lock"))}


def test_one_pool_for_a_folder_though_a_file_fails_and_a_worker_is_killed(
    nodes: RayNodes, inputs: Inputs, tmp_path: Path
) -> None:
    names = ("a.csv", "b.csv", "c.parquet", "d.jsonl")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("text\n" + "".join(f"a warm film {k}\n" for k in range(60)))
    shutil.copy(inputs.folder / "open.csv", tmp_path / "in" / "b.csv")
    shutil.copy(inputs.folder / "reviews.parquet", tmp_path / "in" / "c.parquet")
    (tmp_path / "in" / "d.jsonl").write_text("".join(f'{{"text": "dull {k}"}}\n' for k in range(30)))
    command = [
        sys.executable, "-c", COUNTED, "in", "-o", "out", "--model", inputs.model, "--chunk-rows", str(CHUNK_ROWS),
        "--engine", "ray", "--ray-address", nodes.address, "--actors", "2",
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=nodes.environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_parts(process, tmp_path / "out" / "c.parquet", 3)
        victims = nodes.actors()
        assert victims
        os.kill(victims[0], signal.SIGKILL)
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, out) == (3, "2 actors were started\n"), err
    first, *lines, last = own_lines(err)
    assert first == "scoring with int8 on cpu, 2 actors with 1 CPU on Ray"
    said = [line.removeprefix("error: ").partition(": ")[0] for line in lines]
    assert said[:4] == ["out/a.csv", "in/b.csv", "out/c.parquet", "out/d.jsonl"]
    assert "nothing is lost: 3 files scored" in lines
    assert last == "error: 1 of 4 files could not be scored: in/b.csv; the other 3 are done"
    for name in names:
        if name != "b.csv":
            score_file(tmp_path / "in" / name, tmp_path / name, **inputs.options())
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / name).read_bytes(), name
    until = time.monotonic() + WAIT_SECONDS
    while left := nodes.actors():
        assert time.monotonic() < until, left
        time.sleep(0.1)


def test_a_signal_leaves_the_rest_to_the_local_engine(nodes: RayNodes, inputs: Inputs, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    output.write_bytes(b"what stood here before")
    command = ("--engine", "ray", "--ray-address", nodes.address, "--actors", "1", "--overwrite")
    with start(inputs, output, *command, environment=nodes.environment()) as process:
        wait_for_parts(process, output, 3)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, out) == (143, ""), err
    assert own_lines(err)[-1] == "error: terminated"
    assert output.read_bytes() == b"what stood here before"
    assert {path.name for path in tmp_path.iterdir()} == {"out.parquet", "out.parquet.partial"}
    with start(inputs, output, "--overwrite", environment=plain_environment()) as process:
        _, err = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0
    assert "resuming after" in err
    assert output.read_bytes() == (inputs.folder / "local.parquet").read_bytes()


def said_of(
    nodes: RayNodes, folder: Path, inputs: Inputs, *lines: str, variables: dict[str, str] | None = None
) -> list[tuple[int, str]]:
    """Exit code and hint of each command line on the cluster; ``variables`` are those of its workers."""
    always = ["--model", inputs.model, "--engine", "ray", "--ray-address", nodes.address, "--chunk-rows", "25"]
    about = {"env_vars": variables} if variables else {}
    # What a line says itself comes last, and holds.
    words = [[*line.split()[:1], *always, *line.split()[1:]] for line in lines]
    done = subprocess.run(
        [sys.executable, "-c", LINES, nodes.address],
        env=nodes.environment(), cwd=folder, input=json.dumps([about, words]),
        capture_output=True, text=True, check=False, timeout=WAIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(found) == len(lines), done.stdout + done.stderr
    return [(code, err.splitlines()[-1].partition("; ")[2] if code else "") for code, err in found]


def test_an_actor_that_no_node_has_room_for(nodes: RayNodes, inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na warm film\n")
    hint = "lower --cores-per-actor or --gpus-per-actor, or add nodes"
    refused = ("a.csv -o b.csv --cores-per-actor 99", "a.csv -o b.csv --device auto --gpus-per-actor 1")
    follow = ("a.csv -o c.csv --cores-per-actor 2 --actors 1", "a.csv -o d.csv --gpus-per-actor 0 --actors 1")
    found = said_of(nodes, tmp_path, inputs, *refused, *follow)
    assert found == [(4, hint), (4, hint), (0, ""), (0, "")]
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"a", "c", "d"}  # nothing is left of b


@pytest.mark.torture  # each death of an actor takes seconds
def test_memory_that_runs_out_on_a_cluster(inputs: Inputs, tmp_path: Path) -> None:
    """And nodes that are added, which another test would see."""
    (tmp_path / "wide.csv").write_text("text,x\n" + f"a warm film,{'x' * 2_000_000}\n" * 200)
    helper = str(ROOT / "tests" / "helpers" / "little_memory")
    little = {"PYTHONPATH": f"{helper}{os.pathsep}{ROOT}", "TEST_MIB": "700"}
    with ray_nodes({}) as nodes:
        lines = [f"wide.csv -o {n}.csv --actors 1 --chunk-rows {n}" for n in (200, 10)]
        found = said_of(nodes, tmp_path, inputs, *lines, variables=little)
        assert found == [(7, "lower --chunk-rows or --actors"), (0, "")]
        (tmp_path / "a.csv").write_text("text\na warm film\n")
        line = "a.csv -o b.csv --cores-per-actor 3 --actors 1"
        assert said_of(nodes, tmp_path, inputs, line)[0][0] == 4
        nodes.add(3)
        assert said_of(nodes, tmp_path, inputs, line) == [(0, "")]


def test_the_recipe_for_ray_data(nodes: RayNodes, tmp_path: Path) -> None:
    (code,) = python_blocks(ROOT / "docs" / "recipes.md", "Ray Data")
    code = code.replace('"reviews.parquet"', repr(str(ROOT / "sample_data" / "reviews.parquet")))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**nodes.environment(), "RAY_ADDRESS": nodes.address}, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=WAIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Ray itself may say something on stdout, before or behind.
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("Counter("))
    counted = ast.literal_eval(line.removeprefix("Counter(").removesuffix(")"))
    assert set(counted) == {None, "negative", "positive"}
    assert sum(counted.values()) == 300


def test_a_ray_of_its_own_leaves_nothing_behind(inputs: Inputs, tmp_path: Path) -> None:
    environment = {**plain_environment(), "RAY_AUTH_MODE": "token", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment.pop("RAY_ADDRESS", None)
    output = tmp_path / "out.parquet"
    mark = f"SCORER_TEST_RUN={os.getpid()}-{time.time_ns()}"
    environment["SCORER_TEST_RUN"] = mark.partition("=")[2]
    with start(inputs, output, "--engine", "ray", "--actors", "1", environment=environment) as process:
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, out) == (0, ""), err
    check_lines(err, output, "1 actors")
    assert output.read_bytes() == (inputs.folder / "local.parquet").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"out.parquet"}
    until = time.monotonic() + WAIT_SECONDS
    while left := processes_with(mark):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def processes_with(mark: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)


def fails(inputs: Inputs, tmp_path: Path, **options: object) -> str:
    with pytest.raises(ScorerError) as failure:
        score_file(inputs.folder / "reviews.parquet", tmp_path / "out.parquet", **inputs.options(**options))
    assert list(tmp_path.iterdir()) == []
    return f"{failure.value.exit_code} {failure.value}"


def test_a_missing_extra(inputs: Inputs, tmp_path: Path, no_ray: None) -> None:
    assert fails(inputs, tmp_path, engine="ray") == (
        '2 --engine ray needs a package that is not installed; pip install "review-scorer[ray]"'
    )


def test_a_ray_that_does_not_start(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na warm film\n")
    environment = plain_environment() | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-c", CODE, "a.csv", "-o", "b.csv", "--engine"]
    done = subprocess.run([*command, "ray"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("error: Ray could not be started on this machine: ")
    assert done.stderr.endswith("; try --engine local\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert call_score("a.csv", "-o", "b.csv", "--engine", "local")[0] == 0


def test_clusters_that_cannot_be_reached(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        hint = "check the address, and that this machine is part of the cluster"
        expected = f"4 no Ray cluster can be reached at {address}: Connection refused; {hint}"
        # Bound, so that nobody else takes the port, and not listening.
        assert fails(inputs, tmp_path, engine="ray", ray_address=address) == expected
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert fails(inputs, tmp_path, engine="ray") == expected


@contextmanager
def web_server() -> Iterator[str]:
    """The address of a server that takes every connection, and is not Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_what_ray_says_of_a_server_that_is_not_ray(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("Failed to connect to Ray\nLook at the logs.")

    monkeypatch.setattr("ray.init", refuse)
    with web_server() as address:
        line = fails(inputs, tmp_path, engine="ray", ray_address=address)
    assert line.startswith(f"4 no Ray cluster can be reached at {address}: Failed to connect to Ray; check the address")


@pytest.mark.torture  # Ray waits for 40 s
def test_what_answers_there_is_not_ray(inputs: Inputs, tmp_path: Path) -> None:
    environment = plain_environment()
    with web_server() as address:
        command = ("--engine", "ray", "--ray-address", address)
        with start(inputs, tmp_path / "out.parquet", *command, environment=environment) as process:
            out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, out) == (4, "")
    assert err.splitlines()[-1].startswith(f"error: no Ray cluster can be reached at {address}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"engine": "ray", "ray_address": "ray://head:10001"}, "--ray-address ray://head:10001 is not HOST:PORT"),
        ({"engine": "ray", "ray_address": "head:port"}, "--ray-address head:port is not HOST:PORT"),
        ({"engine": "ray", "device": "cuda:1"}, "--device cuda:1 with --engine ray"),
        ({"actors": 2}, "--actors does nothing without --engine ray"),
        ({"ray_address": "auto"}, "--ray-address does nothing without --engine ray"),
        ({"engine": "ray", "actors": 0}, "--actors 0 must be at least 1"),
        ({"engine": "spark"}, "unknown --engine 'spark'"),
    ],
)
def test_options_that_cannot_be(inputs: Inputs, tmp_path: Path, options: dict[str, object], line: str) -> None:
    with pytest.raises(UsageError, match=f"^{line}"):
        score_file(inputs.folder / "reviews.parquet", tmp_path / "out.parquet", **inputs.options(**options))


@pytest.mark.parametrize(("input", "output", "stream"), [("-", "o.csv", "input"), ("i.csv", "-", "output")])
def test_streams_are_for_the_local_engine(input: str, output: str, stream: str) -> None:
    with pytest.raises(UsageError, match=f"works on files, not on standard {stream}"):
        score_file(input, output, engine="ray", format="csv", output_format="csv")


def test_a_bad_model_needs_no_cluster(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for model in (tmp_path / "none", ROOT / "docs"):
        lines = []
        for engine in ("local", "ray"):
            with pytest.raises(ModelError) as failure:
                score_file(inputs.folder / "reviews.parquet", tmp_path / "o.parquet", engine=engine, model=str(model))
            lines.append(str(failure.value))
        assert lines[0] == lines[1]
