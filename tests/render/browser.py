"""A real browser, spoken to through its debugging pipe: no package is needed, only Chromium itself.

``find`` looks for one, and ``running`` keeps it for the length of a ``with``::

    with running(path) as browser:
        with browser.page() as page:
            page.open(file)
            assert page.value("document.title") == "…"
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING: Final = (
    "no Chromium was found: `apt-get install chromium`, or name one in the variable BROWSER; "
    "until then nothing here is shown in a real browser"
)
# The protocol's pipes are descriptors 3 and 4; ours may have any numbers, those included.
PIPES: Final = """
import fcntl, os, sys
ours = [int(each) for each in sys.argv[1:3]]
for target, high in zip((3, 4), [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in ours]):
    os.dup2(high, target)
for each in set(ours) - {3, 4}:
    os.close(each)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE: Final = 60
"""Seconds after which a browser that says nothing is ended."""


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(
        (path for name in (os.environ.get("BROWSER", ""), *NAMES) if name and (path := shutil.which(name))), None
    )


class Browser:
    """A browser without a window; every message goes through two pipes."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Send one message of the DevTools protocol, and return what is answered."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        os.write(self._write, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            received = self._receive()
            if received.get("id") == self._number:
                assert "error" not in received, received
                result: dict[str, Any] = received["result"]
                return result
            self.events.append(received)

    def wait(self, event: str) -> None:
        """Return once ``event`` has come."""
        while not any(each.get("method") == event for each in self.events):
            self.events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has ended"
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\0")
        received: dict[str, Any] = json.loads(raw)
        return received

    @contextmanager
    def page(
        self, *, scripts: bool = True, scheme: str = "light", width: int = 1280, height: int = 900
    ) -> Iterator[Page]:
        """Open an empty page for the length of a ``with``."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.events.clear()
        page = Page(self, session)
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        try:
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)


class Page:
    """One page of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Send one message about this page."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, file: Path) -> None:
        """Show a file, and return once it is loaded."""
        self.call("Page.navigate", url=file.as_uri())
        self._browser.wait("Page.loadEventFired")

    def value(self, expression: str) -> Any:  # noqa: ANN401
        """Return the value of an expression, evaluated from outside: no policy of the page holds it back."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def type(self, text: str) -> None:
        """Type on the keyboard, into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press and release a key by its name."""
        code = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}[key]
        typed = {" ": {"text": " "}, "Enter": {"text": "\r"}}.get(key, {})
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def requested(self) -> list[str]:
        """Return the address of everything that was asked for."""
        return [
            each["params"]["request"]["url"]
            for each in self._browser.events
            if each.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return what the browser says of the page: errors, and what a policy held back."""
        logged = [
            each["params"]["entry"]["text"] for each in self._browser.events if each.get("method") == "Log.entryAdded"
        ]
        thrown = [
            str(each["params"]) for each in self._browser.events if each.get("method") == "Runtime.exceptionThrown"
        ]
        return logged + thrown

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Return a PNG of what is seen, or of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])


@contextmanager
def running(path: str) -> Iterator[Browser]:
    """Keep a browser for the length of a ``with``; it has a profile of its own, and reaches no network."""
    to_browser, our_write = os.pipe()
    our_read, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", PIPES, str(to_browser), str(from_browser)),
                path,
                "--headless",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_browser, from_browser),
            env={**os.environ, "HOME": profile},
        )
        os.close(to_browser)
        os.close(from_browser)
        browser = Browser(our_write, our_read)
        try:
            yield browser
        finally:
            try:
                browser.call("Browser.close")
                process.wait(PATIENCE)
            except (AssertionError, OSError, subprocess.TimeoutExpired):
                process.kill()
                process.wait()
            os.close(our_write)
            os.close(our_read)
