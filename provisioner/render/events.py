"""The events of a log: with ``--log-format json``, each line of standard error is one event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from provisioner.model.rescue import defused

if TYPE_CHECKING:
    from provisioner.model.report import Outcome

INFO: Final = "info"
WARNING: Final = "warning"
ERROR: Final = "error"
COMMON: Final = {
    "time": "when, in UTC, as in `2026-01-02T03:04:05.678Z`",
    "level": "`info`, `warning` or `error`",
    "event": "one of the events below",
    "parent": "the name of the Octopush account in the settings",
    "account": "the name of the account in the manifest",
    "operation": "the id of the operation, as in the state",
    "duration": "seconds",
}
"""The fields that every event can have; unknown ones are left out."""


class Event(Enum):
    """Every event: its name, when it is written, and its fields beyond those of :data:`COMMON`."""

    PLAN = (
        "plan", "apply is about to apply the plan of one parent",
        ("serial", "slots", "create", "update", "unchanged", "unmanaged", "gone", "unknown", "abandoned",
         "endpoint", "login", "state", "begins"),
    )  # fmt: skip
    DIGEST = ("digest", "the digest of everything that is about to be applied", ("digest",))
    REQUEST = (
        "request", "a request to Octopush has ended; `call` is `create`, `edit`, `read` or `balance`",
        ("call", "attempt", "status", "reason", "sent"),
    )  # fmt: skip
    WAITING = ("waiting", "nothing happens for a while, and why", ("message",))
    ACCOUNT = (
        "account", "the outcome of one account is final", ("action", "status", "reason", "fields")
    )  # fmt: skip
    READ_BACK = (
        "read_back", "a new account differs from what was sent, or could not be read",
        ("action", "status", "reason", "fields"),
    )  # fmt: skip
    PROBLEM = (
        "problem", "a manifest has an error, or something else that you should know",
        ("file", "sheet", "line", "column", "row", "path", "message", "hint"),
    )  # fmt: skip
    WARNING = ("warning", "something that you should know, and that no exit code shows", ("message",))
    MESSAGE = ("message", "anything else that a person would see on a terminal", ("message",))
    SIGNAL = ("signal", "the run was asked to end, and is finishing the request in flight", ("message",))
    RESCUE = ("rescue", "a sealed outcome that could be saved nowhere else; `recover` reads it from the log", ())
    STOPPED = ("stopped", "work on one parent ended early", ("reason", "hint"))
    ERROR = ("error", "an error ended work on one parent or, without `parent`, the command",
             ("code", "name", "message", "hint"))  # fmt: skip
    FINISHED = ("finished", "the run has ended; the last event, unless an error ended the whole run",
                ("status", "exit_code", "phases"))  # fmt: skip

    def __init__(self, label: str, meaning: str, fields: tuple[str, ...]) -> None:
        self.label = label
        self.meaning = meaning
        self.fields = fields


def line(level: str, event: Event, **fields: object) -> str:
    """Return one line: the time (UTC, ISO 8601), the level, the event, and those ``fields`` that are known."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known = {name: value for name, value in fields.items() if value is not None}
    return defused(json.dumps({"time": now, "level": level, "event": event.label} | known)) + "\n"


def level(this: Outcome) -> str:
    """Return the level of the event of an outcome."""
    from provisioner.errors import ExitCode  # noqa: PLC0415  # most events are about no outcome
    from provisioner.model.report import Result  # noqa: PLC0415

    if this.result in {Result.FAILED, Result.UNKNOWN}:
        return ERROR
    doubtful = this.result in {Result.DRIFTED, Result.GONE} or this.exit_code is not ExitCode.DONE
    return WARNING if doubtful or this.reason else INFO


def account(this: Outcome) -> dict[str, Any]:
    """Return the fields of the event of an outcome."""
    from provisioner.render import advice  # noqa: PLC0415  # most events are about no outcome

    return {
        "account": this.name,
        "action": this.action,
        "status": this.result.value,
        "reason": advice.reason(this),
        "fields": [each.path for each in this.fields] or None,
    }
