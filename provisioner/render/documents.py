"""The JSON documents of version 1: plain dictionaries, ready for ``json.dumps``.

Owns their shapes, which the files in ``schemas/`` describe. Never contains a secret in clear
text: the documents of opened credentials are made in ``render/credentials.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from provisioner import placeholders
from provisioner.errors import ManifestInvalid, ProvisionerError
from provisioner.model.account import Problem, Severity, shown_value
from provisioner.model.plan import (
    Change,
    Create,
    Elsewhere,
    FieldChange,
    Gone,
    Plan,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
    counts,
)
from provisioner.model.revision import Revision
from provisioner.model.state import NO_DRIFT, Active, Edit, Record, Slots, Unknown
from provisioner.render import advice, conditions, words
from provisioner.render.lines import is_seen

if TYPE_CHECKING:  # a plan does not load what only reports and balances need
    from provisioner.model.exchange import Balance, Failed
    from provisioner.model.report import Outcome, Report
    from provisioner.model.status import ParentStatus
    from provisioner.model.terms import Setting, Terms
    from provisioner.placeholders import Read

    Balances = Mapping[str, Balance | Failed]
    """The balances of accounts, by name; an account that is missing was not asked about."""

VERSION: Final = 1
Document = dict[str, Any]

# The schema of a plan's summary has only these; a reader can count other actions in the changes.
_SUMMED: Final = tuple(kind.action for kind in (Create, Update, Unchanged, Unmanaged, StillUnknown))
_BYTES: Final = 0xDC00
"""Python represents a byte of a file's name that is not UTF-8 as this plus its value; JSON must not contain that."""
_FOREIGN: Final = range(0x80, 0x100)


def text(document: object) -> str:
    r"""Return the JSON of ``document``, indented.

    Control characters and invisible characters are escaped. A byte of a file's name that is not
    UTF-8 becomes four characters, ``\xff``.
    """
    whole = json.dumps(document, indent=2, ensure_ascii=False)
    # JSON has line feeds only between its lines, never inside a string.
    return "\n".join(line if is_seen(line) else "".join(map(_escaped, line)) for line in whole.split("\n")) + "\n"


def _escaped(character: str) -> str:
    if is_seen(character):
        return character
    byte = ord(character) - _BYTES
    if byte in _FOREIGN:
        return rf"\\x{byte:02x}"
    # A lone surrogate is not text, so its escape is shown.
    half = "\ud800" <= character <= "\udfff"
    return ("\\" if half else "") + json.dumps(character)[1:-1]


def plans(these: Iterable[Plan], failures: Mapping[str, ProvisionerError] = MappingProxyType({})) -> Document:
    """Return the document of ``plan --format json``; ``schemas/plan.v1.schema.json`` describes it.

    ``failures`` has the reason why a parent has no plan.
    """
    all_plans = tuple(these)
    known = next((plan.terms for plan in all_plans if plan.terms is not None), None)
    head = {} if known is None else {"endpoint": known.endpoint, "settings": list(map(_setting, known.settings))}
    return {"version": VERSION, **head, "plans": [_plan(plan) for plan in all_plans]} | failed_parents(failures)


def digest(document: Document) -> str:
    """Return the digest that identifies a document of plans, whatever format they are shown in."""
    import hashlib  # noqa: PLC0415  # slow to load, and most commands do not need it

    content = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def reports(these: Iterable[Report], digest: str | None = None) -> Document:
    """Return the document of what a command did; ``schemas/report.v1.schema.json`` describes it.

    ``digest`` is the digest of the plans, if plans were applied.
    """
    document: Document = {"version": VERSION, "reports": [_report(each) for each in these]}
    return document if digest is None else document | {"digest": digest}


def states(these: Iterable[ParentStatus]) -> Document:
    """Return the document of ``status --format json``; a parent that failed appears only among the failures."""
    all_parents = tuple(these)
    failures = {each.parent: each.failure for each in all_parents if each.failure is not None}
    found = [_state(each) for each in all_parents if each.failure is None]
    return {"version": VERSION, "states": found} | failed_parents(failures)


def history(these: Iterable[Revision]) -> Document:
    """Return the document of ``state history --format json``, newest first."""
    return {"version": VERSION, "revisions": [asdict(each) for each in these]}


def problems(these: Iterable[Problem]) -> Document:
    """Return the document of ``validate --format json``; problems that leave a manifest valid are ``warnings``."""
    errors: list[Document] = []
    warnings: list[Document] = []
    for each in these:
        (errors if each.severity is Severity.ERROR else warnings).append(problem(each))
    return {"version": VERSION, "valid": not errors, "problems": errors, "warnings": warnings}


def error(this: ProvisionerError) -> Document:
    """Return the document of a failure for ``--format json``, with the problems of the manifests."""
    document = {"version": VERSION, "error": _error(this)}
    if isinstance(this, ManifestInvalid) and this.problems:
        document["problems"] = [problem(each) for each in this.problems]
    return document


def failed_parents(these: Mapping[str, ProvisionerError]) -> Document:
    """Return the reasons why parents failed; empty if none did."""
    if not these:
        return {}
    return {"failures": [{"parent": name, "error": _error(one)} for name, one in these.items()]}


def _plan(plan: Plan) -> Document:
    found = counts([plan])
    document: Document = {
        "parent": plan.parent,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "slots": slots(plan.slots),
        "summary": {action: found[action] for action in _SUMMED},
        "changes": [_change(change) for change in plan.changes],
        "over": list(plan.over),
    }
    if (chosen := plan.selection) is not None:
        document |= {"only": list(chosen.names), "left_out": {"create": chosen.creates, "update": chosen.updates}}
    if plan.terms is not None:
        document |= _terms(plan.terms)
    if readers := conditions.readers(plan):
        document["placeholders"] = [
            {"kind": kind, "name": name, "to": to, "accounts": names} for (kind, name, to), names in readers.items()
        ]
    return document


def place(this: Terms) -> Document:
    """Return where a plan is applied."""
    known = {} if this.account is None else {"account": conditions.masked_login(this.account)}
    return {"endpoint": this.endpoint, **_login(this), **known, "state": this.state, "begins": this.begins}


def logins(these: Iterable[Plan]) -> Document:
    """Return the beginning of each parent's login, if it is known here.

    Digests and saved plans do not contain it: they are the same wherever a plan is made.
    """
    found = {plan.parent: plan.terms.account for plan in these if plan.terms is not None}
    known = {parent: conditions.masked_login(login) for parent, login in found.items() if login is not None}
    return {"logins": known} if known else {}


def _login(this: Terms) -> Document:
    """Return the source of a login; one that is written in the settings is masked, with its hash for comparison."""
    import hashlib  # noqa: PLC0415  # most logins are placeholders

    if placeholders.names(this.login):
        return {"login": this.login}
    return {
        "login": conditions.masked_login(this.login),
        "login_sha256": hashlib.sha256(this.login.encode()).hexdigest(),
    }


def _terms(these: Terms) -> Document:
    signs = dict.fromkeys(these.recipients, "same") | dict.fromkeys(these.added, "added")
    signs |= dict.fromkeys(these.removed, "removed")
    return {
        **_login(these),
        "key": these.key,
        "state": these.state,
        "begins": these.begins,
        "recipients": [{"recipient": each, "change": sign} for each, sign in sorted(signs.items())],
    } | ({} if these.frozen is None else {"frozen": asdict(these.frozen)})


def _setting(this: Setting) -> Document:
    more = {name: text for name, text in (("usual", this.usual), ("sha256", this.sha256)) if text is not None}
    return {"name": this.name, "value": this.value, **more}


def slots(these: Slots) -> Document:
    """Return the slots of a parent, by use."""
    return {
        "limit": these.limit,
        "reserved": these.reserved,
        "used": these.used,
        "unknown": these.unknown,
        "planned": these.planned,
        "left": these.left,
    }


def _change(change: Change) -> Document:
    attributes = change.account.attributes if isinstance(change, Create | Update) else change.attributes
    document: Document = {"action": change.action, "name": change.name, "attributes": attributes.shown()}
    match change:
        case Create(account=account):
            facts = {"placed": account.placed, "previously": account.previously, "resembles": change.resembles}
            document |= {key: text for key, text in facts.items() if text is not None}
            document |= _elsewhere("moved_from", change.moved_from)
        case Update():
            document["fields"] = [field(each) for each in change.fields]
            document |= {} if change.edit is None else {"begun": _unfinished_edit(change.edit)}
        case StillUnknown() | StillAbandoned() | Gone():
            document["reason"] = change.reason
            if isinstance(change, StillUnknown) and change.since is not None:
                document["since"] = change.since
        case Unchanged() | Unmanaged():
            if change.drift != NO_DRIFT:
                drift = change.drift
                document["drift"] = {
                    "altered": list(drift.altered),
                    "changed": list(drift.changed),
                    "gone": drift.gone,
                }
    if isinstance(change, Unmanaged | StillUnknown):
        document |= _elsewhere("moved_to", change.moved_to)
    if isinstance(change, Update | Unmanaged) and change.unfinished:
        document["unfinished"] = True
    if isinstance(change, Unchanged) and change.unchecked is not None:
        document["unchecked"] = change.unchecked
    return document | _reads(conditions.reads(change))


def _elsewhere(key: str, this: Elsewhere | None) -> Document:
    return {} if this is None else {key: {"parent": this.parent, "name": this.name}}


def without_moves(plan: Document) -> Document:
    """Return the document of one parent's plan without what only the plans of other parents say."""
    changes = [{key: each[key] for key in each if key not in {"moved_from", "moved_to"}} for each in plan["changes"]]
    return {**plan, "changes": changes}


def _reads(these: Iterable[Read]) -> Document:
    found = [{"kind": each.kind, "name": each.name, "path": each.path, "to": each.to} for each in these]
    return {"placeholders": found} if found else {}


def _unfinished_edit(edit: Edit) -> Document:
    operation = edit.operation
    return {"started_at": operation.started_at, "by": operation.by, "password": edit.sealed is not None}


def field(change: FieldChange) -> Document:
    """Return one field of a change, with secret parts of its values masked."""
    document: Document = {
        "path": change.path,
        "before": None if change.before is None else shown_value(change.path, change.before),
        "after": None if change.after is None else shown_value(change.path, change.after),
    }
    flags = {"drifted": change.drifted, "unseen": change.unseen, "masked": words.is_masked(change)}
    document |= {name: True for name, is_so in flags.items() if is_so}
    if remark := words.remark(change):
        document["remark"] = remark
    return document


def problem(this: Problem) -> Document:
    """Return one problem of a manifest, and its place."""
    origin = this.origin
    sheet = {} if origin.sheet is None else {"sheet": origin.sheet}
    return {
        "file": origin.file,
        **sheet,
        "line": origin.line,
        "column": origin.column,
        "row": origin.row,
        "path": this.path,
        "message": this.message,
        "hint": this.hint,
    }


def _report(this: Report) -> Document:
    document: Document = {"parent": this.parent, "outcomes": [_outcome(each) for each in this.outcomes]}
    if this.failure is not None:
        document["error"] = _error(this.failure)
    return document if this.terms is None else document | place(this.terms)


def _outcome(this: Outcome) -> Document:
    document: Document = {"name": this.name, "action": this.action, "status": this.result.value}
    document["reason"] = advice.reason(this)
    if this.attempt is not None:
        document["attributes"] = this.attempt.attributes.shown()
        document |= {} if this.attempt.since is None else {"since": this.attempt.since}
    return document | {"fields": [field(each) for each in this.fields]} if this.fields else document


def _error(this: ProvisionerError) -> Document:
    return {
        "code": int(this.exit_code),
        "name": type(this).__name__,
        "message": this.message,
        "hint": advice.hint(this),
    }


def _state(this: ParentStatus) -> Document:
    state = this.state
    document: Document = {
        "parent": this.parent,
        "address": this.address,
        "lineage": state.lineage if state else None,
        "serial": state.serial if state else 0,
        "accounts": [
            _account(name, record, this.balances) for name, record in sorted(state.accounts.items() if state else ())
        ],
    }
    document |= {} if this.slots is None else {"slots": slots(this.slots)}
    return document | ({} if this.frozen is None else {"frozen": asdict(this.frozen)})


def _account(name: str, record: Record, balances: Balances | None) -> Document:
    balance = (balances or {}).get(name)
    document: Document = {
        "name": name,
        "status": record.status,
        "created_at": record.created_at if isinstance(record, Active) else None,
        "reason": words.reason(record, balance),
        "attributes": record.attributes.shown(),
    }
    if isinstance(record, Unknown):
        document["since"] = record.operation.started_at
    if isinstance(record, Active) and record.drift.gone:
        document["gone"] = True
    if balances is not None:
        document["balance"] = _balance(balance)
    return document


def _balance(this: Balance | Failed | None) -> Document | None:
    from provisioner.model.exchange import Balance  # noqa: PLC0415  # plans load this module and have no balances

    if not isinstance(this, Balance):
        return None
    document: Document = {"amount": this.amount, "unit": this.unit}
    if this.packs:
        document["packs"] = [{"credit": each.credit, "expires_at": _time(each.expires)} for each in this.packs]
    return document


def _time(this: datetime) -> str:
    return this.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
