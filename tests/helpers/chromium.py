"""A headless Chromium, driven over its DevTools pipe: no port is opened and no client library is needed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TIMEOUT = 40.0
"""Seconds that one command may take; starting on a loaded machine is the slow part."""

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers run the tests as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes to descriptor 4.
_EXEC = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Page:
    """One tab, with its requests and complaints since it was opened.

    Attributes:
        requests: URLs of every request of the page, its own first.
        complaints: console messages, exceptions and log entries, such as violations of the security policy.
    """

    def __init__(self, commands: int, events: int) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._commands, self._events = commands, events
        self._selector = selectors.DefaultSelector()
        self._selector.register(events, selectors.EVENT_READ)
        self._pending = b""
        self._seen: set[str] = set()
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a DevTools command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])

    def open(self, path: Path, *, width: int = 1200, height: int = 900, scheme: str = "light", media: str = "") -> None:
        """Load ``path`` in a window of CSS pixels, and wait for it and everything that it requests."""
        self.requests.clear()
        self.complaints.clear()
        self.look(width=width, height=height, scheme=scheme, media=media)
        self._seen.discard("Page.loadEventFired")
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + TIMEOUT
        while "Page.loadEventFired" not in self._seen:
            self._next(deadline)
        # Handlers of pictures that failed run after the load; what they did arrives before the next answer.
        time.sleep(0.2)
        self.run("1")

    def look(self, *, width: int = 1200, height: int = 900, scheme: str = "light", media: str = "") -> None:
        """Change the window: a phone below 500 pixels; ``scheme`` is light or dark, ``media`` print or empty."""
        phone = width < 500
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def place(self, element: str) -> tuple[float, float]:
        """Middle of the element of a JavaScript expression in the window, scrolled there, in CSS pixels."""
        x, y = self.run(f"""(() => {{
            const one = {element};
            one.scrollIntoView({{block: 'center', inline: 'center'}});
            const box = one.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2];
        }})()""")
        return x, y

    def point(self, x: float, y: float) -> None:
        """Move the pointer to a place in the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, element: str) -> None:
        """Click in the middle of the element of a JavaScript expression."""
        x, y = self.place(element)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, element: str, text: str) -> None:
        """Click into the field of a JavaScript expression and replace what it holds."""
        self.click(element)
        self.run(f"{element}.select()")
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press and release a key by its name, such as ``ArrowRight``."""
        code = {"ArrowLeft": 37, "ArrowRight": 39}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def print(self) -> bytes:
        """The page as PDF on paper of A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
        return base64.b64decode(self.call("Page.printToPDF", **paper)["data"])

    def screenshot(
        self, path: Path, *, whole: bool = True, clip: tuple[float, float, float, float] | None = None
    ) -> None:
        """Write a PNG of the whole page, of the window, or of ``clip``: x, y, width and height in CSS pixels."""
        options: dict[str, Any] = {"captureBeyondViewport": whole}
        if clip is not None:
            options["clip"] = dict(zip(("x", "y", "width", "height"), clip, strict=True)) | {"scale": 1}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **options)["data"]))

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"Chromium said nothing for {TIMEOUT:.0f} s")
            data = os.read(self._events, 1 << 20)
            if not data:
                raise RuntimeError("Chromium has gone")
            self._pending += data
        line, self._pending = self._pending.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method", ""), message.get("params", {})
        self._seen.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(" ".join(str(part.get("value")) for part in parameters["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]["text"]))
        elif method == "Log.entryAdded":
            self.complaints.append(str(parameters["entry"]["text"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A page in a new browser, which ends with the block."""
    assert BINARY is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # Out of the way of 3 and 4.
    handed = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20) for descriptor in (theirs_in, theirs_out)]
    command = [sys.executable, "-c", _EXEC, *map(str, handed), BINARY, *_FLAGS, f"--user-data-dir={profile}"]
    log = profile.with_suffix(".log")
    with log.open("wb") as said:
        process = subprocess.Popen(command, pass_fds=handed, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    for descriptor in (theirs_in, theirs_out, *handed):
        os.close(descriptor)
    try:
        yield Page(ours_out, ours_in)
    finally:
        os.close(ours_out)  # Chromium leaves when its commands end
        os.close(ours_in)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
