"""The domain: frozen types that every layer shares.

Owns the words (account, record, plan, verdict, report) and the arithmetic of
slots. Refuses I/O, clocks, parsing and printing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from provisioner.errors import ExitCode, OverLimit

DEFAULT_PARENT: Final = "default"
MASK: Final = "***"


# ── Secrets ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that must not be printed by accident.

    ``str()``, ``repr()`` and f-strings give ``***``; only :meth:`reveal` gives the
    text, so that every place where a secret is used can be found by name.
    """

    _text: str

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return MASK


def masked_url(url: str) -> str:
    """Return ``url`` with user-info and query string masked, fit to be shown.

    Callbacks carry no signature, so people put a token into the URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{MASK}@{host}" if "@" in parts.netloc else host
    query = MASK if parts.query else ""
    fragment = MASK if parts.fragment else ""
    return urlunsplit((parts.scheme, netloc, parts.path, query, fragment))


# ── What is desired ──────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, repr=False)
class Callbacks:
    """Where Octopush reports to; the names are those of the API."""

    callback_url_for_deliveries: str | None = None
    callback_url_for_blacklisted_numbers: str | None = None
    callback_url_for_visits: str | None = None
    callback_url_for_inbounds: str | None = None
    email_for_inbounds: str | None = None

    def given(self) -> dict[str, str]:
        """Return the callbacks that are set, by name."""
        values = ((name, getattr(self, name)) for name in CALLBACK_NAMES)
        return {name: value for name, value in values if value is not None}

    def __repr__(self) -> str:
        given = (f"{name}={shown_value(name, value)!r}" for name, value in self.given().items())
        return f"Callbacks({', '.join(given)})"


CALLBACK_NAMES: Final = tuple(each.name for each in fields(Callbacks))


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an account is made of, but for its password; placeholders unexpanded."""

    first_name: str
    last_name: str
    company_name: str | None = None
    callbacks: Callbacks = Callbacks()

    def document(self) -> dict[str, str | dict[str, str]]:
        """Return the JSON shape used by manifest, state and plan; absent stays absent."""
        document: dict[str, str | dict[str, str]] = {
            "first_name": self.first_name,
            "last_name": self.last_name,
        }
        if self.company_name is not None:
            document["company_name"] = self.company_name
        if callbacks := self.callbacks.given():
            document["callbacks"] = dict(callbacks)
        return document

    def shown(self) -> dict[str, str | dict[str, str]]:
        """Return :meth:`document` with every callback URL masked."""
        document = self.document()
        if callbacks := self.callbacks.given():
            document["callbacks"] = {name: shown_value(name, value) for name, value in callbacks.items()}
        return document

    def flat(self) -> dict[str, str]:
        """Return every given field by its dotted path, as in ``callbacks.email_for_inbounds``."""
        flat = {"first_name": self.first_name, "last_name": self.last_name}
        if self.company_name is not None:
            flat["company_name"] = self.company_name
        for name, value in self.callbacks.given().items():
            flat[f"callbacks.{name}"] = value
        return flat


def shown_value(path: str, value: str) -> str:
    """Return the value of the field at ``path`` as it may be shown."""
    return masked_url(value) if path.rpartition(".")[2].startswith("callback_url_") else value


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in a manifest something stands; numbers count from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    row: int | None = None
    """The data row of a table, its header not counted."""


@dataclass(frozen=True, slots=True)
class DesiredAccount:
    """One sub-account that a manifest asks for."""

    name: str
    """Our own stable key; never sent to the API."""
    attributes: Attributes
    password: Secret | None
    """As the manifest has it: a placeholder or a literal; None: generate one."""
    origin: Origin


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that the manifests ask of one parent."""

    parent: str
    accounts: tuple[DesiredAccount, ...]


class Severity(StrEnum):
    """How bad a problem is; only an ERROR makes a manifest invalid."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a manifest, told to the person who wrote it."""

    origin: Origin
    path: str
    """The value's path as in ``accounts[2].callbacks.email_for_inbounds``; a column name in a table."""
    message: str
    hint: str
    severity: Severity = Severity.ERROR


# ── What is known to exist: the state ────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Operation:
    """One attempt to create or change an account."""

    id: str
    started_at: str
    """UTC, ISO 8601 with a Z."""
    by: str
    """``user@host``."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The intent is durable; whether the request was sent is not known from here."""

    attributes: Attributes
    operation: Operation
    sealed: str | None = None
    """The password that the request carries, so that it outlives a lost answer."""

    @property
    def reason(self) -> str:
        """Why nobody knows the outcome, when it is another run that finds this record."""
        return "the run that sent it died before it saved the outcome"


@dataclass(frozen=True, slots=True)
class Active:
    """The account exists and its credentials are kept."""

    attributes: Attributes
    operation: Operation
    created_at: str
    sealed: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can know whether the account exists; it keeps its slot."""

    attributes: Attributes
    operation: Operation
    reason: str
    sealed: str | None = None
    """The password that was sent and, where there was one, the answer as it came."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A person gave an unknown up; it keeps its slot for ever."""

    attributes: Attributes
    operation: Operation
    reason: str
    sealed: str | None = None


Record = Pending | Active | Unknown | Abandoned


@dataclass(frozen=True, slots=True)
class Slots:
    """A parent's places."""

    limit: int
    reserved: int
    used: int
    """Every record of the state holds one, whatever its status."""
    unknown: int
    planned: int

    @property
    def left(self) -> int:
        """Slots still free once the plan is carried out; negative when it does not fit."""
        return self.limit - self.reserved - self.used - self.planned


@dataclass(frozen=True, slots=True)
class State:
    """All that is known about one parent's sub-accounts."""

    lineage: str
    """A UUID given once, so that two states are never taken for one another."""
    parent: str
    serial: int = 0
    """Goes up by one with every save."""
    endpoint: str | None = None
    parent_check: str | None = None
    recipients: tuple[str, ...] = ()
    accounts: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))

    def with_record(self, name: str, record: Record | None) -> State:
        """Return the next state, in which ``name`` has ``record``, or none."""
        accounts = dict(self.accounts)
        if record is None:
            accounts.pop(name, None)
        else:
            accounts[name] = record
        return replace(self, serial=self.serial + 1, accounts=accounts)

    def slots(self, *, limit: int, reserved: int, planned: int) -> Slots:
        """Return the parent's slots when ``planned`` accounts more are wanted."""
        unknown = sum(isinstance(record, Pending | Unknown) for record in self.accounts.values())
        return Slots(limit=limit, reserved=reserved, used=len(self.accounts), unknown=unknown, planned=planned)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the API returns once."""

    api_login: str
    api_key: Secret


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of an answer as it came, for a person to read; it may hold a credential."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, body={MASK})"


@dataclass(frozen=True, slots=True)
class SealedContent:
    """What is encrypted into a record; lineage, parent and name tell where it belongs."""

    lineage: str
    parent: str
    name: str
    operation: str
    """The id of the operation that brought it."""
    password: Secret | None = None
    credentials: Credentials | None = None
    answer: Answer | None = None


# ── What is to be done: the plan ─────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an update; None is an absent value."""

    path: str
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Create:
    """The account is missing."""

    account: DesiredAccount

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name


@dataclass(frozen=True, slots=True)
class Update:
    """The account exists with other attributes."""

    account: DesiredAccount
    fields: tuple[FieldChange, ...]

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The account exists as it should."""

    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """The account exists and no manifest names it; it is never touched."""

    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody knows whether the account exists; a person must resolve it."""

    name: str
    attributes: Attributes
    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The account was abandoned: it keeps its slot and is not created again."""

    name: str
    attributes: Attributes
    reason: str


Change = Create | Update | Unchanged | Unmanaged | Undecided | Closed


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply would do for one parent, sorted by name."""

    parent: str
    lineage: str | None
    """None while there is no state."""
    serial: int
    slots: Slots
    changes: tuple[Change, ...]
    over: tuple[str, ...] = ()
    """Names of the creates for which there is no slot."""

    @property
    def creates(self) -> tuple[Create, ...]:
        """The accounts to create, in the order in which they will be."""
        return tuple(each for each in self.changes if isinstance(each, Create))

    @property
    def updates(self) -> tuple[Update, ...]:
        """The accounts to change."""
        return tuple(each for each in self.changes if isinstance(each, Update))


def raise_if_over(plan: Plan) -> None:
    """Refuse a plan that does not fit into the parent's slots; raises OverLimit."""
    if plan.over:
        slots = plan.slots
        free = max(0, slots.limit - slots.reserved - slots.used)
        raise OverLimit(
            f"{slots.planned} accounts are to be created and {free} of {slots.limit} slots are free;"
            f" these do not fit: {', '.join(plan.over)}.",
            hint="Take accounts out of the manifest, or set `limit` if Octopush has raised yours. Nothing was sent.",
        )


# ── What the API said: the verdict on one create ─────────────────────────────


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What is sent to the API to create one account, placeholders expanded."""

    attributes: Attributes
    password: Secret


class Then(Enum):
    """What follows a create that is proven not to have been processed."""

    RETRY = "retry"
    GO_ON = "go on"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Created:
    """The account exists and these are its credentials."""

    credentials: Credentials
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class NotCreated:
    """It is proven that the request was not processed."""

    reason: str
    then: Then
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    exit_code: ExitCode = ExitCode.SOME_FAILED
    hint: str = ""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Whether the account was created cannot be known."""

    reason: str
    answer: Answer | None = None


Verdict = Created | NotCreated | InDoubt


# ── What was done: the report ────────────────────────────────────────────────


class Result(StrEnum):
    """How one account came out of an apply."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an apply did about one account."""

    name: str
    action: str
    result: Result
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ended before its plan was done."""

    exit_code: ExitCode
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What an apply did for one parent."""

    parent: str
    outcomes: tuple[Outcome, ...]
    stop: Stop | None = None


def exit_code(reports: Iterable[Report]) -> ExitCode:
    """Return what an apply tells its caller: a doubt is stronger than why the run stopped, and that than a failure."""
    these = tuple(reports)
    outcomes = [outcome for report in these for outcome in report.outcomes]
    if any(outcome.result is Result.UNKNOWN for outcome in outcomes):
        return ExitCode.OUTCOME_UNKNOWN
    for report in these:
        if report.stop is not None:
            return report.stop.exit_code
    undone = {Result.FAILED, Result.NOT_ATTEMPTED}
    if any(outcome.result in undone and outcome.action != "abandoned" for outcome in outcomes):
        return ExitCode.SOME_FAILED
    return ExitCode.DONE
