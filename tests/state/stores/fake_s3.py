"""A server that speaks as much S3 as a state needs, and can be wrong in every way that matters."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from provisioner.files import MAX_STATE_BYTES

_AT: Final = "2026-01-02T03:04:05.000Z"
_ERROR: Final = "<Error><Code>{}</Code><Message>Of key AKIA-1, with signature s1gn: {}</Message></Error>"


@dataclass(slots=True)
class FakeS3:
    """The server's objects, and its flaw."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    flaw: str = ""
    """It ``ignores``, ``imagines`` or ``loses`` what is there, ``races``, ``refuses`` all at once, or is ``vast``."""
    answers: list[tuple[str, int, str]] = field(default_factory=list)
    """Of the next requests with that method, with what they are answered instead: status and code."""
    racing: list[str] = field(default_factory=list)
    """What was to be created while it ``races``."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environ(self) -> dict[str, str]:
        """Its address and any credentials; it accepts everybody."""
        endpoint = f"http://127.0.0.1:{self.port}"
        return {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AKIA-1", "AWS_SECRET_ACCESS_KEY": "hush-3b8e"}

    def put(self, path: str, raw: bytes, *, is_create: bool) -> int:
        """Return the status of a write."""
        if self.flaw == "imagines" or (self.flaw == "refuses" and not path.endswith("-0")):
            return 409
        if self.flaw == "races" and is_create and path not in self.objects:
            # Until a second one has come as well, and not only for as long as that takes on an idle machine.
            self.racing.append(path)
            deadline = time.monotonic() + 5
            while self.racing.count(path) == 1 and not path.endswith("-0") and time.monotonic() < deadline:
                time.sleep(0.005)
            self.objects[path] = raw
            return 200
        with self.lock:
            if is_create and path in self.objects and self.flaw != "ignores":
                if self.flaw == "loses":
                    self.objects[path] = raw
                return 412
            self.objects[path] = raw
        return 200


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    made: ClassVar[FakeS3]

    @property
    def is_vast(self) -> bool:
        return self.made.flaw == "vast" and self.command == "GET"

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
        self.send_header("Content-Length", str(len(body) or self.is_vast * (MAX_STATE_BYTES + 1)))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    def is_refused(self) -> bool:
        with self.made.lock:
            due = next((each for each in self.made.answers if each[0] == self.command), None)
            if due is None:
                return False
            self.made.answers.remove(due)
        self.answer(due[1], _ERROR.format(due[2], due[2]).encode())
        return True

    def do_PUT(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.is_refused():
            status = self.made.put(urlsplit(self.path).path, raw, is_create="If-None-Match" in self.headers)
            self.answer(status, b"" if status == 200 else _ERROR.format("PreconditionFailed", "").encode())

    def do_GET(self) -> None:
        if self.is_refused():
            return
        parts = urlsplit(self.path)
        if (prefix := parse_qs(parts.query).get("prefix")) is None:
            raw = self.made.objects.get(parts.path)
            self.answer(404, _ERROR.format("NoSuchKey", "").encode()) if raw is None else self.answer(200, raw)
            return
        keys = [path.split("/", 2)[2] for path in sorted(self.made.objects)]
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_AT}</LastModified><ETag>0</ETag><Size>1</Size></Contents>"
            for key in keys
            if key.startswith(prefix[0])
        )
        self.answer(200, f"<ListBucketResult>{items}</ListBucketResult>".encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, b"<DeleteResult></DeleteResult>")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def running_fake_s3() -> Iterator[FakeS3]:
    """Run the server for the length of a ``with``."""
    made = FakeS3()
    handler = type("Handler", (_Handler,), {"made": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.port = server.server_port
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield made
        finally:
            server.shutdown()
            serving.join()
