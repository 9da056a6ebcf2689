"""What a person decides about single accounts: resolve, forget, rotate a password.

Each is looked at first, without holding anything, then asked about, and then done on the
state that is held: if its record is another by then, it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from provisioner import executor
from provisioner.errors import (
    InterruptedRunError,
    Refused,
    SettingInvalid,
    SettingsError,
    StateConflict,
    StateError,
)
from provisioner.executor import Work
from provisioner.manifest import expansion
from provisioner.model.account import FIELDS, Attributes, DesiredAccount, Origin
from provisioner.model.exchange import EditRequest, Reading
from provisioner.model.plan import FieldChange, Plan, Update
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import Active, State
from provisioner.project.accounts import require_known
from provisioner.project.parent import require_state
from provisioner.project.reports import Reports
from provisioner.state.rescue import RescueEntry

if TYPE_CHECKING:
    from provisioner.executor.ports import Opener
    from provisioner.model.account import Secret
    from provisioner.model.verdict import SealedContent
    from provisioner.project.parent import Parent
    from provisioner.project.running import RunContext

Confirm = Callable[[], bool]
"""Asks a person, once it is certain that what they decided can be done."""

_APPLY_FIRST = "Run `provisioner apply` first: it finishes or undoes that. Nothing was sent."


def confirmed(confirm: Confirm | None) -> None:
    """Return once a person has said yes; raises InterruptedRunError where they say no."""
    if confirm is not None and not confirm():
        raise InterruptedRunError("Not confirmed; nothing was changed.")


def _require_same(name: str, seen: State, held: State) -> None:
    """Refuse an account that is another, since it was looked at and asked about; raises StateConflict."""
    if seen.lineage != held.lineage or seen.accounts.get(name) != held.accounts.get(name):
        raise StateConflict(
            f"{name} has changed since you were asked about it: another run has saved the state.",
            hint="Look at `provisioner status`, and decide again. Nothing was changed.",
        )


# ── Resolve ──────────────────────────────────────────────────────────────────


def resolve(parent: Parent, name: str, run: RunContext, *, abandon: bool, confirm: Confirm | None) -> State:
    """End one unknown outcome as a person decides; see :meth:`Project.resolve`."""
    seen = require_state(parent.look(run.reporter).settled, parent)
    require_known(seen, [name])
    executor.resolve(seen, name, abandon=abandon)
    _require_unproven(parent, seen, name, run, abandon=abandon)
    confirmed(confirm)
    with parent.hold(run) as session:
        state = require_state(session.state, parent)
        _require_same(name, seen, state)
        after = executor.resolve(state, name, abandon=abandon)
        session.save(after)
        return after


def _require_unproven(parent: Parent, state: State, name: str, run: RunContext, *, abandon: bool) -> None:
    """Refuse to end an outcome that is none: the answer that is kept of it holds a login or a key.

    Where nobody here can open that, it may: given up, the account keeps it, and its slot. Raises Refused.
    """
    record = state.accounts[name]
    unopened = "there is no identity that opens it"
    if record.sealed is not None and parent.keys.has_identity():
        try:
            content = executor.kept(state, name, parent.opener(run.reporter))
        except (StateError, SettingsError) as error:
            unopened = error.message.removesuffix(".")
        else:
            if content is not None and _proves(content, parent):
                raise Refused(
                    f"{name} was created: the answer that is kept of it holds a login or a key.",
                    hint=f"Take it over with `provisioner adopt {name} LOGIN`; `provisioner credentials show {name}`"
                    f" shows the answer. If the account was deleted since, `provisioner forget {name} --force` frees"
                    " its slot. Nothing was changed.",
                )
            return
    if not executor.is_answered(record):
        return
    unreported = (
        f"the answer that is kept of {name} may prove that it was created, and could not be looked at: {unopened}"
    )
    if abandon:
        run.reporter.warning(
            f"{unreported}. `provisioner credentials show {name}` shows it to whoever has an identity."
        )
        return
    raise Refused(
        f"{unreported[0].upper()}{unreported[1:]}.",
        hint=f"Run it with an identity. If you are certain that the account does not exist, `provisioner forget {name}"
        " --force` frees its slot, and keeps the answer, sealed. Nothing was changed.",
    )


def _proves(content: SealedContent, parent: Parent) -> bool:
    """Tell whether what is sealed of an unknown outcome shows that the account was created."""
    from provisioner.octopush.answers import holds_credentials  # only who resolves looks for any

    own = [*content.sent.flat().values()] if content.sent else []
    own += [content.password.reveal()] if content.password else []
    with suppress(SettingInvalid):
        # An answer may repeat whose request it was; a person who resolves needs no key.
        own += [parent.credentials.api_login, parent.credentials.api_key.reveal()]
    kept = content.answer is not None and holds_credentials(content.answer.body, own)
    return kept or content.credentials is not None


# ── Forget ───────────────────────────────────────────────────────────────────


def forget(parent: Parent, name: str, run: RunContext, *, force: bool, confirm: Confirm | None) -> tuple[Reports, str]:
    """Take an account out of the state; return the report, and where what was known of it is kept."""
    seen = require_state(parent.look(run.reporter).settled, parent)
    require_known(seen, [name])
    executor.forget(seen, name, reading=None if force else _reading(parent, seen, name, run))
    confirmed(confirm)
    with parent.hold(run) as session:
        state = require_state(session.state, parent)
        _require_same(name, seen, state)
        # Between the question and now it may have been found after all.
        after = executor.forget(state, name, reading=None if force else _reading(parent, state, name, run))
        record = state.accounts[name]
        kept = session.keep_forgotten(
            RescueEntry(state.lineage, parent.name, name, record.operation.id, record), parent.parts.now()
        )
        session.save(after)
        left = session.state
    reason = "forced: Octopush was not asked" if force else None
    report = Report(parent.name, (Outcome(name, "forget", Result.FORGOTTEN, reason),))
    return Reports((parent.placed(report),), {parent.name: left}), kept


def _reading(parent: Parent, state: State, name: str, run: RunContext) -> Reading:
    """Return what Octopush says of an account; that another Octopush does not know it would mean nothing."""
    executor.active(state, name)
    parent.bound(state, run.reporter)
    content = executor.credentials(state, name, parent.opener(run.reporter))
    client = parent.client(run.watch(parent.name), run)
    return client.read(executor.credentials_of(content).api_login)


# ── Rotate a password ────────────────────────────────────────────────────────


def rotate_password(
    parent: Parent, name: str, desired: DesiredAccount | None, run: RunContext, *, confirm: Confirm | None
) -> Reports:
    """Give an account a new password, and send nothing else that it does not have already.

    ``desired`` is what a manifest asks of it, where one does.
    """
    parent.require_unfrozen()
    opener = parent.opener(run.reporter)
    seen = parent.bound(require_state(parent.look(run.reporter).settled, parent), run.reporter)
    require_known(seen, [name])
    update = _rotation(parent, seen, name)
    work = _work(parent, seen, name, opener, desired)
    parent.keys.require_own(opener)
    parent.warn_of_recipients(seen, run.reporter)
    if desired is not None and (differ := _differing(desired.attributes, executor.active(seen, name).attributes)):
        run.reporter.warning(
            f"the manifest asks for something else of {name} than the state holds, which is sent: {', '.join(differ)}."
        )
    confirmed(confirm)
    run.reporter.expected(1)
    with parent.hold(run) as session:
        state = parent.bound(require_state(session.state, parent), run.reporter)
        _require_same(name, seen, state)
        slots = state.slots(limit=parent.own.limit, reserved=parent.own.reserved, planned=0)
        plan = Plan(parent.name, state.lineage, state.serial, slots, (update,))
        report = executor.apply(plan, state, work, parent.ports(session, run.watch(parent.name), run))
        return Reports((parent.placed(report),), {parent.name: session.state})


def _differing(wanted: Attributes, held: Attributes) -> list[str]:
    return [path for path in FIELDS if wanted.flat().get(path) != held.flat().get(path)]


def _rotation(parent: Parent, state: State, name: str) -> Update:
    """Return the change that a new password is, and nothing else."""
    record = executor.active(state, name)
    _require_settled(name, record)
    account = DesiredAccount(
        name,
        record.attributes,
        None,
        Origin(parent.store.address),
        # An unfinished edit that asked for a version is finished as it was begun.
        password_version=(record.edit or record).password_version,
    )
    return Update(account, (FieldChange("password", None, None),), begun=record.edit)


def _work(parent: Parent, state: State, name: str, opener: Opener, desired: DesiredAccount | None) -> Work:
    """Return the account as it was sent, and the password to send with it."""
    record = executor.active(state, name)
    # What is sealed as sent fits the record in clear: it fills in the placeholders, and says nothing else.
    content = executor.credentials(state, name, opener)
    if content.sent is None:
        raise StateConflict(
            f"What was sent for {name} is not kept, and a new password is sent with the whole account.",
            hint="Raise its `password_version` in the manifest, and run `provisioner apply`. Nothing was sent.",
        )
    begun = executor.begun(state, name, opener)
    # What a placeholder filled in is sent again, and no message may repeat it.
    written = record.attributes.flat()
    hidden = tuple(value for path, value in content.sent.flat().items() if value != written.get(path))
    request = EditRequest(content.sent, _password(parent, content, begun, desired), hidden)
    return Work({}, {name: request}, {name: content}, {} if begun is None else {name: begun})


def _require_settled(name: str, record: Active) -> None:
    """Refuse where sending an account as it was last sent would undo something, or come to nothing."""
    if record.drift.gone:
        raise StateConflict(
            f"Octopush no longer knows {name}.",
            hint=f"If it was deleted, `provisioner forget {name}` frees its slot. Nothing was sent.",
        )
    if record.drift.changed:
        raise StateConflict(
            f"{name} is not at Octopush what it should be: {', '.join(record.drift.changed)}.", hint=_APPLY_FIRST
        )
    if record.edit is not None and record.edit.attributes != record.attributes:
        raise StateConflict(f"An earlier run began to change {name}, and did not finish.", hint=_APPLY_FIRST)


def _password(
    parent: Parent, content: SealedContent, begun: SealedContent | None, desired: DesiredAccount | None
) -> Secret:
    """Return the password to set: the manifest's, or a new one; never the one that an unfinished edit began.

    Whoever can write the state could have sealed that.
    """
    given = None if desired is None else expansion.password(desired, parent.readers.manifests)
    if given is None:
        return parent.parts.new_password()
    if begun is None and given == content.password:
        raise SettingInvalid(
            f"The password that the manifest gives {content.name} is the one that it has.",
            hint="Change what its placeholder stands for, or delete `password` to get one. Nothing was sent.",
        )
    return given
