"""Examples for the tests of the executor: accounts, their records and their sealed content."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from provisioner.errors import ExitCode, StateNotSaved
from provisioner.model.account import FIELDS, Attributes, Credentials, DesiredAccount, Manifest, Origin, Secret
from provisioner.model.exchange import Failed, Missing, Observed
from provisioner.model.report import Report
from provisioner.model.state import Active, Edit, Operation, Record, State
from provisioner.model.verdict import Answer, Created, NotCreated, OutcomeUnknown, SealedContent, Then
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities

IDENTITY, RECIPIENT = new_identity()
SEALER: Final = AgeSealer([RECIPIENT])
OPENER: Final = AgeOpener(parse_identities(IDENTITY, "the test"))
OPERATION: Final = Operation("an earlier one", "2026-01-01T00:00:00Z", "me@here")
BEGUN: Final = Operation("one that was begun", "2026-01-02T00:00:00Z", "me@here")
THREE: Final = ("athens", "berlin", "paris")
NOW: Final = "2026-02-03T04:05:06Z"
EMPTY: Final = State("lineage", "default", recipients=(RECIPIENT,))
NOT_SAVED: Final = StateNotSaved("The state could not be saved: full.", hint="Make room.")
MISSING: Final = Missing("Octopush does not know its login (HTTP 404)")
UNREACHED: Final = Failed("the connection was refused", Then.RETRY)
PROCESSED: Final = Failed("the API answered HTTP 500", Then.RETRY, possible=True)

# ── Verdicts on a create ─────────────────────────────────────────────────────

ANSWER: Final = Answer(201, b'{"api_login": "abc_1f2@sub-accounts.com"}')
LOST: Final = OutcomeUnknown("the connection was reset, after the request was sent")
CUT: Final = OutcomeUnknown("HTTP 201, but the answer was cut", ANSWER)
REFUSED: Final = NotCreated("the API refused it (HTTP 400)", Then.GO_ON)
UNAUTHORIZED: Final = NotCreated("not accepted (HTTP 401)", Then.STOP, None, ExitCode.SETTING_INVALID, "Check the key.")
EXHAUSTED: Final = NotCreated("the API asked to try later (HTTP 429)", Then.RETRY, 30.0)

# ── Accounts ─────────────────────────────────────────────────────────────────


def attributes(name: str) -> Attributes:
    return Attributes(name.title(), "Crash")


def credentials(name: str) -> Credentials:
    return Credentials(f"{name}@sub-accounts.com", Secret(f"key of {name}"))


def created(name: str) -> Created:
    return Created(credentials(name))


def desired(name: str, wanted: Attributes | None = None, **more: Any) -> DesiredAccount:  # noqa: ANN401  # each has its own type
    return DesiredAccount(name, wanted or attributes(name), None, Origin("accounts.yaml"), **more)


def manifest(*accounts: str | DesiredAccount) -> Manifest:
    return Manifest("default", tuple(desired(each) if isinstance(each, str) else each for each in accounts))


def content(name: str, **changes: Any) -> SealedContent:  # noqa: ANN401
    """Return the sealed content of a created account."""
    usual: dict[str, Any] = {
        "operation": OPERATION.id,
        "password": Secret(f"password of {name}"),
        "credentials": credentials(name),
        "sent": attributes(name),
    }
    return SealedContent("lineage", "default", name, **(usual | changes))


def active(name: str, **changes: Any) -> Active:  # noqa: ANN401
    """Return the record of an account that was created; ``kept`` is what is sealed in it."""
    kept = changes.pop("kept", None)
    sealed = _sealed(name) if kept is None else SEALER.seal(kept)
    return replace(Active(attributes(name), OPERATION, NOW, sealed), **changes)


@lru_cache
def _sealed(name: str) -> str:
    """Seal once: the same content is never sealed to the same text."""
    return SEALER.seal(content(name))


def edit(name: str, wanted: Attributes, password: str | None = None, *, version: int = 1) -> Edit:
    """Return an edit that an earlier run began."""
    sealed = None
    if password is not None:
        sealed = SEALER.seal(SealedContent("lineage", "default", name, BEGUN.id, password=Secret(password)))
    return Edit(wanted, BEGUN, version, sealed)


def state(**accounts: Record) -> State:
    return replace(EMPTY, serial=7, accounts=accounts)


def observed(fields: Attributes, key: str | None = None, **changes: str | None) -> Observed:
    """Return a complete answer to a read; ``changes`` are by dotted path, with two underscores for the dot."""
    flat = fields.flat()
    told = {path: flat.get(path) for path in FIELDS} | {path.replace("__", "."): v for path, v in changes.items()}
    return Observed(told, None if key is None else Secret(key))


def opened(name: str, record: Record | None) -> SealedContent:
    """Open what is sealed in a record."""
    assert record is not None
    assert record.sealed is not None
    return OPENER.open(record.sealed, lineage="lineage", parent="default", name=name, operation=record.operation.id)


def begun_password(name: str, record: Record) -> str:
    """Return the password that is sealed in the record's unfinished edit."""
    assert isinstance(record, Active)
    assert record.edit is not None
    assert record.edit.sealed is not None
    found = OPENER.open(
        record.edit.sealed, lineage="lineage", parent="default", name=name, operation=record.edit.operation.id
    )
    assert found.credentials is None
    assert found.password is not None
    return found.password.reveal()


def results(report: Report) -> dict[str, str]:
    return {each.name: each.result.value for each in report.outcomes}


def kind(record: Record) -> str:
    """Return what a record is, in a word or two."""
    unfinished = " begun" if isinstance(record, Active) and record.edit is not None else ""
    return f"{type(record).__name__.lower()}{unfinished}"
