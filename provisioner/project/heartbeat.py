"""Calls the address of a heartbeat monitor when a run has ended."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from provisioner.errors import ExitCode
from provisioner.octopush.transport import Reply, Request, Transport, host

if TYPE_CHECKING:
    from provisioner.model.account import Secret


def call(
    url: Secret, code: ExitCode, patience: float, proxy: str | None = None, ca_file: str | None = None
) -> str | None:
    """POST the result of a run to ``url``, which may be a secret; return why it was not received, or None.

    Replaces ``{status}`` and ``{exit_code}`` in the URL. Returns within ``patience`` seconds.
    """
    status = status_of(code)
    address = url.reveal().replace("{status}", status).replace("{exit_code}", str(int(code)))
    body = json.dumps({"version": 1, "status": status, "exit_code": int(code)}).encode()
    message = Request("POST", address, {"Content-Type": "application/json"}, body)
    transport = Transport(patience, proxy, ca_file)
    answers: list[str | None] = []

    def exchange() -> None:
        outcome = transport.exchange(message)
        if isinstance(outcome, Reply):
            answers.append(None if outcome.status in range(200, 300) else f"it answered with HTTP {outcome.status}")
        else:
            answers.append(outcome.reason)

    # In a thread, because a DNS lookup has no timeout, and must not hold up a run that has ended.
    caller = threading.Thread(target=exchange, daemon=True)
    caller.start()
    caller.join(patience)
    reason = answers[0] if answers else f"no answer within {patience:g} s"
    return None if reason is None else f"{reason} ({host(address)})"


def status_of(code: ExitCode) -> str:
    """Return ``success`` or ``failure``."""
    return "success" if code is ExitCode.DONE else "failure"
