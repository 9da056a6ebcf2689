"""Docker's own client, and its requests to a daemon."""

from __future__ import annotations

import json
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.forks import PATIENCE
from tests.ready.tools import system


class _Daemon(BaseHTTPRequestHandler):
    """Answers what the client asks before and when it makes a container, and keeps the body."""

    asked: dict[str, Any]

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer({})

    do_GET = do_HEAD

    def do_POST(self) -> None:
        self.asked.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer({"Id": "0" * 64, "Warnings": []}, 201)

    def _answer(self, document: dict[str, Any], status: int = 200) -> None:
        body = b"" if self.command == "HEAD" else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("API-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def docker_create(folder: Path, *options: str) -> dict[str, Any]:
    """Return the real client's request to a daemon for ``docker create OPTIONS``; skip the test without a client."""
    client = system("docker")
    asked: dict[str, Any] = {}
    address = folder / "docker.sock"
    handler = type("Daemon", (_Daemon,), {"asked": asked})
    with socketserver.ThreadingUnixStreamServer(str(address), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            subprocess.run(
                [client, "--host", f"unix://{address}", "create", *options, "image"],
                env={"HOME": str(folder)},
                capture_output=True,
                check=True,
                timeout=PATIENCE,
            )
        finally:
            server.shutdown()
    return asked
