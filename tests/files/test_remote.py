"""Stores that do not answer, refuse, or have nothing there: three different errors, for every kind of store."""

from __future__ import annotations

import http.server
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from scorer import score_file
from scorer.errors import InputError, MissingInputError, OutputError, ScorerError, UnreachableError
from scorer.files import store_errors as store_errors_of
from scorer.files.input_state import InputState
from scorer.files.inputs import InputFile, expand_inputs
from scorer.files.opening import open_source
from scorer.files.remote import open_url
from scorer.files.store_errors import store_errors
from tests.conftest import Call
from tests.helpers.stores import s3_store


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One try after another, and two in all."""
    monkeypatch.setattr(store_errors_of, "_WAITS", (0.0,))


CONTENT = b"text\n" + b"good\n" * 40


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the path: ``/s403/a.csv``; ``later`` in a path breaks off in the middle."""

    def do_GET(self) -> None:
        status = int((re.search(r"s(\d{3})", self.path) or ["", "404"])[1])
        codes = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}
        code = "ExpiredToken" if "expired" in self.path else codes.get(status, "InternalError")
        body = CONTENT if status == 200 else f"<Error><Code>{code}</Code><Message>hunter2</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:20] if "later" in self.path else body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of :class:`Answers`, which stands for S3 and Google's store too."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{found.server_port}"
        yield from _with_stores_at(address, monkeypatch)
        found.shutdown()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address of this machine at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield from _with_stores_at(f"http://127.0.0.1:{bound.getsockname()[1]}", monkeypatch)


def _with_stores_at(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    import gcsfs
    import s3fs
    from fsspec.implementations.http import HTTPFileSystem

    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSECRET")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    monkeypatch.setattr(gcsfs.GCSFileSystem, "retries", 1)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    kinds: tuple[Any, ...] = (HTTPFileSystem, s3fs.S3FileSystem, gcsfs.GCSFileSystem)
    for kind in kinds:
        kind.clear_instance_cache()
    yield address
    for kind in kinds:
        kind.clear_instance_cache()


def failure(url: str) -> ScorerError:
    """The error of a URL, which is the same if missing inputs are left out, unless it is one of these."""
    with pytest.raises(ScorerError) as caught:
        expand_inputs([url])
    error = caught.value
    if isinstance(error, MissingInputError):
        assert expand_inputs([url], skip_missing=True) == []
    else:
        with pytest.raises(type(error)):
            expand_inputs([url], skip_missing=True)
    assert "hunter2" not in str(error)
    assert "AKIDSECRET" not in str(error)
    return error


STATUSES = {
    "401": "does not accept the credentials",
    "403": "may not be read (status 403)",
    "404": "no such file",
    "410": "no such file",
    "429": "cannot be reached: it answers with status 429",
    "500": "cannot be reached: it answers with status 500",
    "503": "cannot be reached: it answers with status 503",
}


@pytest.mark.parametrize("form", ["{server}/s{status}/a.csv", "{server}/s{status}/in/*.csv"])
@pytest.mark.parametrize("status", STATUSES)
def test_answers_over_http(server: str, status: str, form: str) -> None:
    check_answer(form.format(server=server, status=status), status)


@pytest.mark.parametrize("url", ["s3://s{}/a.csv", "s3://s{}/in/", "s3://s{}/in/*.csv"])
@pytest.mark.parametrize("status", ["403", "404", "500", "503"])
@pytest.mark.usefixtures("server")
def test_answers_of_s3(url: str, status: str) -> None:
    check_answer(url.format(status), status)


@pytest.mark.parametrize("status", ["401", "403", "404"])
@pytest.mark.usefixtures("server")
def test_answers_of_google(status: str) -> None:
    error = failure(f"gs://s{status}/a.csv")
    assert type(error) is {"401": UnreachableError, "403": InputError, "404": MissingInputError}[status]


def check_answer(url: str, status: str) -> None:
    error = failure(url)
    assert error.message == STATUSES[status]
    assert error.path == url
    assert error.exit_code == (9 if status in ("401", "429", "500", "503") else 3)


@pytest.mark.usefixtures("server")
def test_credentials_that_have_expired() -> None:
    for url in ("s3://s403/expired.csv", "s3://s400/expired.csv", "s3://s403/expired/"):
        error = failure(url)
        assert (error.message, error.exit_code) == ("refuses credentials that have expired", 9)
        assert error.hint == "renew or set them; a run that is started again resumes"
    botocore = pytest.importorskip("botocore.exceptions")
    about = {"Error": {"Code": "ExpiredToken"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    for writing in (False, True):
        with pytest.raises(UnreachableError, match="have expired"), store_errors("s3://b/a.csv", writing=writing):
            raise botocore.ClientError(about, "ListObjectsV2")
    for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"):
        about = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        with pytest.raises(UnreachableError, match="does not accept the credentials; renew"), store_errors("s3://b"):
            raise PermissionError from botocore.ClientError(about, "GetObject")
    for none in (botocore.NoCredentialsError(), botocore.MetadataRetrievalError(error_msg="")):
        for writing in (False, True):
            with (
                pytest.raises(UnreachableError, match="no credentials were found; renew"),
                store_errors("s3://b", writing=writing),
            ):
                raise none
    about = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    with pytest.raises(InputError, match=r"may not be read \(status 403"), store_errors("s3://b/a.csv"):
        raise PermissionError from botocore.ClientError(about, "GetObject")
    with pytest.raises(UnreachableError, match="does not accept"), store_errors("gs://b/a.csv"):
        raise ValueError("Bad Request: b/a.csv\nRequest had invalid authentication credentials. Expected OAuth 2")


def test_a_name_that_the_hub_does_not_know_is_no_expired_token() -> None:
    import requests
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    response = requests.Response()
    response.status_code = 401
    for kind in (RepositoryNotFoundError, GatedRepoError):
        with pytest.raises(InputError, match=r"may not be read \(status 401\)"), store_errors("hf://datasets/a/b.csv"):
            raise kind("401 Client Error", response=response)


@pytest.mark.parametrize("url", ["{}/a.csv", "{}/in/*.csv", "s3://bucket/a.csv", "s3://bucket/*.csv"])
def test_nobody_listens(nobody: str, url: str) -> None:
    error = failure(url.format(nobody))
    assert isinstance(error, UnreachableError)
    assert error.message.startswith("cannot be reached: the connection ")


@pytest.mark.parametrize("url", ["http://nowhere.invalid/a.csv", "https://nowhere.invalid/in/*.csv"])
def test_a_host_name_that_is_not_known(url: str) -> None:
    assert failure(url).message == "cannot be reached: its host name is not known"


@pytest.mark.parametrize("kind", [TimeoutError, ConnectionResetError, BrokenPipeError])
def test_a_store_that_falls_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[OSError]) -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/silent/a.csv", CONTENT)
    state = InputState.of(InputFile("memory://silent/a.csv", "a.csv"))

    def fails(*_: object, **__: object) -> None:
        raise kind

    with monkeypatch.context() as patch:
        patch.setattr(type(files), "info", fails)
        with pytest.raises(UnreachableError):
            state.check()  # it is not gone
        with pytest.raises(UnreachableError):
            score_file(tmp_path / "no.csv", "memory://silent/b.csv")
    with open_url("memory://silent/a.csv") as file:
        monkeypatch.setattr(file._file, "read", fails)  # type: ignore[attr-defined]
        with pytest.raises(UnreachableError, match=r"memory://silent/a\.csv: cannot be reached: "):
            file.read(4)


def test_an_answer_that_breaks_off(server: str) -> None:
    url = f"{server}/s200/later.csv"
    with pytest.raises(UnreachableError, match="cannot be reached: the connection"):
        list(open_source(url).chunks(10))
    assert open_source(f"{server}/s200/a.csv").schema.names == ["text"]


def test_a_certificate_that_is_not_trusted() -> None:
    import ssl

    with pytest.raises(InputError, match="its certificate is not trusted"), store_errors("https://host/a.csv"):
        raise ConnectionError from ssl.SSLCertVerificationError("self-signed")


@pytest.mark.parametrize(("raised", "error"), [(TimeoutError, UnreachableError), (PermissionError, OutputError)])
def test_writing(raised: type[OSError], error: type[ScorerError]) -> None:
    with pytest.raises(error), store_errors("s3://b/a.csv", writing=True):
        raise raised


def test_the_command(call_score: Call, nobody: str) -> None:
    url = f"{nobody}/a.csv"
    for more in ((), ("--on-missing-input", "ok", "--exit-code-nothing-new", "99")):
        code, out, err = call_score(url, "-o", "out.csv", *more)
        assert (code, out) == (9, "")
        assert re.fullmatch(rf"error: {re.escape(url)}: cannot be reached: the connection was refused; .+\n", err)
    code, _, err = call_score(url, "no.csv", "-o", "out", "--on-missing-input", "ok")
    assert code == 9


def test_a_folder_of_a_store_may_end_in_parquet(call_score: Call) -> None:
    files = fsspec.filesystem("memory")
    for name in ("a", "b"):
        files.pipe(f"/store/reviews.parquet/{name}.csv", b"text\ngood\n")
    url = "memory://store/reviews.parquet"
    code, _, err = call_score(url, "-o", "out.parquet")
    assert (code, f"error: {url}: is a folder, so the output must be a folder too; " in err) == (2, True)
    code, _, err = call_score(url, "-o", "out/")
    assert code == 0, err
    assert {path.name for path in Path("out").glob("*.csv")} == {"a.csv", "b.csv"}


class Recovers(Answers):
    """Answers with the status 503 to the first three requests of each path, and with the content from then on."""

    asked: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        self.asked[self.path] = self.asked.get(self.path, 0) + 1
        self.path = f"/s{503 if self.asked[self.path] <= 3 else 200}/a.csv"
        super().do_GET()

    do_HEAD = do_GET


def test_a_store_that_recovers_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_errors_of, "_WAITS", (0.0,) * 5)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recovers) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{found.server_port}/a.csv"
        assert [file.path for file in expand_inputs([url])] == [url]
        assert sum(table.num_rows for table in open_source(url).tables(10)) == 40
        found.shutdown()


def test_tries_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waits = [0.0], []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    def slow() -> None:
        clock[0] += 25
        raise TimeoutError

    monkeypatch.undo()
    monkeypatch.setattr(store_errors_of.time, "sleep", wait)
    monkeypatch.setattr(store_errors_of.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(store_errors_of, "_silent", {})
    with pytest.raises(UnreachableError):
        store_errors_of.asked("s3://b/a.csv", slow)
    assert (waits, clock[0] < 120) == ([0.5, 1.0], True)


def test_a_bucket_that_is_not_there_is_found_before_any_work(call_score: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.csv").write_text("text\ngood\n")
    with s3_store() as settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        for output in ("s3://nowhere/out.csv", "s3://nowhere/out/"):
            code, _, err = call_score("a.csv", "-o", output)
            assert (code, "there is no such bucket; make it first" in err.splitlines()[-1]) == (5, True), err
        fsspec.filesystem("s3").mkdir("here")
        assert call_score("a.csv", "-o", "s3://here/out.csv")[0] == 0
        assert fsspec.filesystem("s3").find("here") == ["here/out.csv", "here/out.csv.provenance.json"]
        night = ("-o", "out/", "--on-missing-input", "ok", "--metrics-file", "m.prom")
        code, _, err = call_score("s3://nowhere/in/", *night)
        assert (code, "s3://nowhere/in/: there is no such bucket: left out" in err) == (0, True), err
        assert "score_last_success_timestamp_seconds" not in Path("m.prom").read_text()
        assert call_score("s3://here/in/", *night)[0] == 0  # a bucket with no file there
        assert "score_last_success_timestamp_seconds" in Path("m.prom").read_text()
        code, _, err = call_score("s3://nowhere/in/", "-o", "out/")
        assert (code, "error: s3://nowhere/in/: there is no such bucket; check the URL" in err) == (3, True), err
