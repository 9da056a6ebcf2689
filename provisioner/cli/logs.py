"""The log for programs: standard error as one JSON object per line.

Owns what each line holds. Whatever else is written to standard error becomes a line
too, so that nothing that reads the log meets anything but JSON. Refuses to tell where
a request went, what it held, or what came back, but for the status: an address holds
a login, and the rest holds secrets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOBase
from typing import Any, Final, Self, TextIO

from provisioner.errors import ExitCode
from provisioner.model.report import Outcome, Result
from provisioner.octopush.client import Exchange
from provisioner.octopush.transport import Failure, Reply, Request
from provisioner.render import advice
from provisioner.state.rescue import MARK

INFO: Final = "info"
WARNING: Final = "warning"
ERROR: Final = "error"
_CALLS: Final = {"POST": "create", "PATCH": "edit", "GET": "read"}
_SUCCESSES: Final = range(200, 300)


class JsonLines(TextIOBase):
    """A text stream of which every line is a JSON object; it takes the place of standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""

    def write(self, text: str, /) -> int:
        """Make an event of every line that ``text`` ends."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.startswith(f"{MARK} "):
                # Kept as it is under its own key: it may be all that is left of an account. Whether
                # it was taken, whoever wrote it must hear.
                self._stream.write(encoded(ERROR, "rescue", **{MARK: json.loads(line.removeprefix(MARK))}))
                self._stream.flush()
            elif line.strip():
                self.event(INFO, "message", message=line.strip())
        return len(text)

    def flush(self) -> None:
        """Do nothing: every line is handed on when it ends."""

    def fileno(self) -> int:
        """Return the number of standard error."""
        return self._stream.fileno()

    def event(self, level: str, event: str, **fields: object) -> None:
        """Write one event, with those of ``fields`` that are known.

        A reader that went away ends nothing: between a request and the save of its answer
        that would lose an account.
        """
        with suppress(OSError):
            self._stream.write(encoded(level, event, **fields))
            self._stream.flush()


def encoded(level: str, event: str, **fields: object) -> str:
    """Return one line: the time (UTC, ISO 8601), the level, the event, and those of ``fields`` that are known."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known = {name: value for name, value in fields.items() if value is not None}
    return json.dumps({"time": now, "level": level, "event": event} | known) + "\n"


class LogProgress:
    """Writes an event for each request and each account, with how long it took."""

    def __init__(self, log: JsonLines, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._parent: str | None = None
        self._about: dict[str, Any] = {}
        self._begun = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def at(self, parent: str) -> None:
        """Hear of whose accounts what follows is."""
        self._parent = parent

    def started(self, name: str, operation: str | None = None) -> None:
        """Hear which account, and which operation, the requests that follow are about."""
        self._about = {"account": name, "operation": operation}
        self._begun = self._clock()

    def waiting(self, words: str) -> None:
        """Say why nothing happens for a while."""
        self._log.event(WARNING, "waiting", parent=self._parent, **self._about, message=words)

    def finished(self, outcome: Outcome) -> None:
        """Tell what became of an account; how long it took, where anything was asked about it."""
        mine = self._about.get("account") == outcome.name
        self._log.event(
            _level(outcome),
            "account",
            parent=self._parent,
            account=outcome.name,
            operation=self._about.get("operation") if mine else None,
            action=outcome.action,
            status=outcome.result.value,
            reason=advice.reason(outcome),
            fields=[each.path for each in outcome.fields] or None,
            duration=self._since(self._begun) if mine else None,
        )
        self._about = {}

    def carrying(self, carrier: Exchange) -> Exchange:
        """Return what carries requests as ``carrier`` does, each with an event."""
        return _Logged(carrier, self)

    def requested(self, request: Request, attempt: int, begun: float, outcome: Reply | Failure) -> None:
        """Tell of one request: its status, or why it has none."""
        status = outcome.status if isinstance(outcome, Reply) else None
        self._log.event(
            INFO if status in _SUCCESSES else WARNING,
            "request",
            parent=self._parent,
            **self._about,
            call="balance" if request.url.endswith("/check-balance") else _CALLS[request.method],
            attempt=attempt,
            status=status,
            reason=outcome.reason if isinstance(outcome, Failure) else outcome.cut,
            sent=outcome.sent if isinstance(outcome, Failure) else None,
            duration=self._since(begun),
        )

    def now(self) -> float:
        """Return the clock's seconds."""
        return self._clock()

    def _since(self, begun: float) -> float:
        return round(self._clock() - begun, 3)


class _Logged:
    """Carries requests, and counts how often each is tried."""

    def __init__(self, carrier: Exchange, progress: LogProgress) -> None:
        self._carrier = carrier
        self._progress = progress
        self._last: Request | None = None
        self._attempt = 0

    def exchange(self, request: Request) -> Reply | Failure:
        # A request that is tried again is the same object.
        self._attempt = self._attempt + 1 if request is self._last else 1
        self._last = request
        begun = self._progress.now()
        outcome = self._carrier.exchange(request)
        self._progress.requested(request, self._attempt, begun, outcome)
        return outcome


def _level(outcome: Outcome) -> str:
    if outcome.result in {Result.FAILED, Result.UNKNOWN}:
        return ERROR
    doubtful = outcome.result in {Result.DRIFTED, Result.GONE} or outcome.exit_code is not ExitCode.DONE
    return WARNING if doubtful or outcome.reason else INFO
