"""Requests of a night with nothing new in a store: the listings and the index, or at most two an object beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scorer.job.stored_outputs import StoredOutputs
from scorer.run.seen_files import INDEX
from tests.conftest import Call
from tests.helpers.stores import s3_store

N = 14
"""Objects: more than the requests of a night with nothing new."""


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Requests that the store answers, with what they name."""
    import boto3
    from werkzeug.serving import WSGIRequestHandler

    seen: list[str] = []
    monkeypatch.setattr(
        WSGIRequestHandler, "log_request", lambda self, *_: seen.append(f"{self.command} {self.path.partition('?')[0]}")
    )
    with s3_store() as settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=settings["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="night")
        for number in range(N):
            kind, body = (
                ("csv", f"text\nfilm {number}\n") if number % 2 else ("jsonl", f'{{"text": "film {number}"}}\n')
            )
            client.put_object(Bucket="night", Key=f"in/{number}.{kind}", Body=body.encode())
        yield seen


def of_objects(requests: list[str]) -> list[str]:
    """Those that name an input or an output, not a folder or a file of the run's own."""
    paths = [
        path for one in requests for path in [one.split(" ")[1]] if not path.endswith("/") and "/.score." not in path
    ]
    return [path for path in paths if path.startswith(("/night/in/", "/night/out/"))]


def test_the_requests_of_a_night_with_nothing_new(call_score: Call, requests: list[str], tmp_path: Path) -> None:
    command = ("s3://night/in/", "-o", "s3://night/out/")
    code, _, err = call_score(*command)
    assert (code, f"{N} files scored" in err) == (0, True), err
    requests.clear()
    code, _, err = call_score(*command)
    assert (code, f"nothing new: 0 files scored, {N} up to date" in err) == (0, True), err
    assert of_objects(requests) == []
    assert len(requests) <= 12, requests

    # Without the index: the provenance of each.
    import os

    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.delete_object(Bucket="night", Key=f"out/{INDEX}")
    requests.clear()
    code, _, err = call_score(*command)
    assert (code, "nothing new" in err) == (0, True), err
    assert len(of_objects(requests)) <= 2 * N
    assert max(of_objects(requests).count(one) for one in requests) <= 2

    # One object has changed, one output is gone.
    client.put_object(Bucket="night", Key="in/1.csv", Body=b"text\nanother film\n")
    client.delete_object(Bucket="night", Key="out/2.jsonl")
    code, _, err = call_score(*command)
    assert (code, f"2 files scored, {N - 2} up to date" in err) == (0, True), err
    assert err.count("scored again for a changed input") == 1
    assert call_score(*command, "-o", "s3://night/full/")[0] == 0
    for number in (1, 3):
        bodies = [
            client.get_object(Bucket="night", Key=f"{out}/{number}.csv")["Body"].read() for out in ("out", "full")
        ]
        assert bodies[0] == bodies[1]


def test_a_store_that_dies_before_the_index_is_written(
    call_score: Call, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is a cache: whatever becomes of it, the outputs are there."""
    listing = StoredOutputs._listing
    listed = []

    def dies(self: StoredOutputs) -> object:
        listed.append(self)
        if len(listed) > 1:
            raise ConnectionRefusedError
        return listing(self)

    monkeypatch.setattr(StoredOutputs, "_listing", dies)
    code, _, err = call_score("s3://night/in/", "-o", "s3://night/out/")
    assert (code, f"{N} files scored" in err, len(listed)) == (0, True, 2), err
    assert requests.count("PUT /night/out/0.jsonl") == 1
