"""A small forge on this machine: git over HTTP with tokens, and the comments of GitHub and GitLab.

git's own server does the work; what is added is who may do what. A request whose
token is not known is refused, and so is a write with a token that may only read.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

WRITES: Final = "token-that-writes-5b1d"
READS: Final = "token-that-reads-9c3e"
PROJECT: Final = "team/accounts"
APPROVALS: Final = [
    {"state": state, "user": {"login": login}} for state, login in (("rejected", "eve"), ("approved", "grace"))
]
"""Who looked at a run, in GitHub's words."""
_PAGE: Final = 100


@dataclass(slots=True)
class Forge:
    """The forge's content and address."""

    folder: Path
    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    """Statuses with which the next writes of a comment are answered instead of being done."""
    befalls: list[str] = field(default_factory=list)
    """What befalls the next pushes: `lost`, `cut`, `slow`, `silent` once git has them, `refused`, `reset` before."""
    release: threading.Event = field(default_factory=threading.Event)
    """Ends what is silent."""

    @property
    def repository(self) -> Path:
        """The bare repository."""
        return self.folder / f"{PROJECT}.git"

    @property
    def remote(self) -> str:
        """Its address."""
        return f"{self.url}/{PROJECT}.git"

    def texts(self) -> list[str]:
        """Return the text of every comment."""
        return [each["body"] for each in self.comments]

    def add(self, body: str, *, mine: bool) -> dict[str, Any]:
        """Store a comment of ours or of somebody else, in the formats of both forges."""
        who = {"id": 1 if mine else 2, "type": "Bot" if mine else "User", "login": "somebody"}
        comment = {"id": 1000 + len(self.comments), "body": body, "user": who, "author": who}
        self.comments.append(comment)
        return comment


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        if url.path.startswith(f"/{PROJECT}.git/"):
            self._git(url.path, url.query, body)
        else:
            self._api(url.path, parse_qs(url.query), body)

    do_GET = do_POST = do_PATCH = do_PUT = handle_any

    def _token(self) -> str:
        given = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
        scheme, _, value = given.rpartition(" ")
        return base64.b64decode(value).decode().partition(":")[2] if scheme == "Basic" else value

    def _git(self, path: str, query: str, body: bytes) -> None:
        pushes = "git-receive-pack" in path + query
        if self._token() not in ({WRITES} if pushes else {WRITES, READS}):
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()
            return
        befalls = self.forge.befalls.pop(0) if self.forge.befalls and path.endswith("/git-receive-pack") else ""
        if befalls == "refused":
            self.send_error(503)
            return
        if befalls == "reset":
            self.close_connection = True
            return
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.forge.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "runner",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            },
        ).stdout
        head, _, content = done.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200")[:3]))
        for name, value in headers.items():
            self.send_header(name, value)
        if befalls == "silent":
            self.forge.release.wait()
        if befalls in {"lost", "silent"}:
            self.close_connection = True
            return
        if befalls == "slow":
            time.sleep(1)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if befalls == "cut" else content)

    def _api(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if self._token() not in {WRITES, READS}:
            return self._answer(401, {"message": "Bad credentials"})
        if path == "/api/v4/user":
            return self._answer(200, {"id": 1})
        if path.endswith("/approvals"):
            return self._answer(200, APPROVALS)
        if self.command == "GET":
            start = (int(query["page"][0]) - 1) * _PAGE
            assert query["per_page"] == [str(_PAGE)]
            return self._answer(200, self.forge.comments[start : start + _PAGE])
        if self._token() == READS:
            return self._answer(403, {"message": "Resource not accessible by integration"})
        if self.forge.failures:
            return self._answer(self.forge.failures.pop(0), {"message": "Try again"})
        is_form = self.headers["Content-Type"] == "application/x-www-form-urlencoded" and not body.startswith(b"{")
        text = parse_qs(body.decode())["body"][0] if is_form else json.loads(body)["body"]
        if self.command == "POST":
            return self._answer(201, self.forge.add(text, mine=True))
        (number,) = re.findall(r"/(\d+)$", path)
        (comment,) = (each for each in self.forge.comments if each["id"] == int(number))
        comment["body"] = text
        return self._answer(200, comment)

    def _answer(self, status: int, content: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def running_forge(folder: Path) -> Iterator[Forge]:
    """Keep a forge with one empty repository for the length of a ``with``."""
    forge = Forge(folder)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", forge.repository], check=True)
    for setting in ("http.receivepack", "receive.advertisePushOptions", "receive.advertiseAtomic"):
        subprocess.run(["git", "-C", forge.repository, "config", setting, "true"], check=True)
    handler = type("Handler", (_Handler,), {"forge": forge})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        forge.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield forge
        forge.release.set()
        server.shutdown()
