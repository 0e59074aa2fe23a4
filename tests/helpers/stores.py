"""Stores of our own, on this machine: an S3, and one that can fall silent."""

from __future__ import annotations

import http.server
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@contextmanager
def s3_store() -> Iterator[dict[str, str]]:
    """Run an S3 for the time of the block; gives the environment variables with which any process reaches it.

    s3fs keeps connections by their settings, and the address of another store is none of them: it forgets both.
    """
    import s3fs
    from moto.server import ThreadedMotoServer

    s3fs.S3FileSystem.clear_instance_cache()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # All servers of a process share their buckets.
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
    try:
        yield {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
        }
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


@dataclass
class MortalStore:
    """A file over HTTP.

    Attributes:
        url: its address.
        content: its bytes.
        is_dead: True to hang up on whoever asks.
    """

    url: str
    content: bytes
    is_dead: bool = False


@contextmanager
def mortal_store(name: str, content: bytes) -> Iterator[MortalStore]:
    """Serve one file for the time of the block."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if store.is_dead:
                return  # the connection is closed without a word
            self.send_response(200 if self.path == f"/{name}" else 404)
            self.send_header("ETag", f'"{hash(store.content)}"')
            self.send_header("Content-Length", str(len(store.content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(store.content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        store = MortalStore(f"http://127.0.0.1:{server.server_port}/{name}", content)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield store
        finally:
            server.shutdown()
