"""What a person decides about single accounts: resolve, forget.

Each is looked at first, without holding anything, then asked about, and then done on the
state that is held: if its record is another by then, it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from provisioner.model.exchange import Reading
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import State
from provisioner.project.accounts import require_known
from provisioner.project.parent import require_state
from provisioner.project.reports import Reports
from provisioner.state.rescue import RescueEntry

if TYPE_CHECKING:
    from provisioner.model.verdict import SealedContent
    from provisioner.project.parent import Parent
    from provisioner.project.running import RunContext

Confirm = Callable[[], bool]
"""Asks a person, once it is certain that what they decided can be done."""


def confirmed(confirm: Confirm | None) -> None:
    """Return once a person has said yes; raises InterruptedRunError where they say no."""
    if confirm is not None and not confirm():
        raise InterruptedRunError("Not confirmed; nothing was changed.")


def require_same(names: Sequence[str], seen: State, held: State) -> None:
    """Refuse accounts that have changed since a person was asked about them; raises StateConflict."""
    if seen.lineage == held.lineage:
        names = [name for name in names if seen.accounts.get(name) != held.accounts.get(name)]
    if names:
        raise StateConflict(
            f"Another run has saved the state since you were asked, and has changed {', '.join(names)}.",
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
        require_same([name], seen, state)
        after = executor.resolve(state, name, abandon=abandon)
        session.save(after, "resolve")
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
        require_same([name], seen, state)
        # Between the question and now it may have been found after all.
        after = executor.forget(state, name, reading=None if force else _reading(parent, state, name, run))
        record = state.accounts[name]
        kept = session.keep_forgotten(
            RescueEntry(state.lineage, parent.name, name, record.operation.id, record), parent.parts.now()
        )
        session.save(after, "forget")
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
