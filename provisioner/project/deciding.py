"""Decisions of a person about single accounts: resolve, forget.

Each command first checks the account without a lock, then asks, then acts on the held
state. If the account's record has changed in between, it refuses.
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

Confirm = Callable[["Parent", State], bool]
"""Gets the account's parent and its state after all checks, and returns whether a person confirms."""


def confirmed(confirm: Callable[[], bool] | None) -> None:
    """Ask a person to confirm; raises InterruptedRunError if they decline."""
    if confirm is not None and not confirm():
        raise InterruptedRunError("Not confirmed; nothing was changed.")


def require_same(names: Sequence[str], seen: State, held: State) -> None:
    """Raise StateConflict if an account has changed since a person was asked about it."""
    if seen.lineage == held.lineage:
        names = [name for name in names if seen.accounts.get(name) != held.accounts.get(name)]
    if names:
        raise StateConflict(
            f"Since you were asked, another run has changed {', '.join(names)}.",
            hint="Check `provisioner status`, and decide again. Nothing was changed.",
        )


# ── Resolve ──────────────────────────────────────────────────────────────────


def resolve(parent: Parent, name: str, run: RunContext, *, abandon: bool, confirm: Confirm | None) -> State:
    """Settle an unknown outcome as a person decided; see :meth:`Project.resolve`."""
    seen = require_state(parent.look(run.reporter).settled, parent)
    require_known(seen, [name])
    executor.resolve(seen, name, abandon=abandon)
    _require_unproven(parent, seen, name, run, abandon=abandon)
    confirmed(None if confirm is None else lambda: confirm(parent, seen))
    with parent.hold(run) as session:
        state = require_state(session.state, parent)
        require_same([name], seen, state)
        after = executor.resolve(state, name, abandon=abandon)
        session.save(after, "resolve")
        return after


def _require_unproven(parent: Parent, state: State, name: str, run: RunContext, *, abandon: bool) -> None:
    """Raise Refused if the stored answer proves that the account was created: it contains a login or a key.

    If nobody here can open the answer, it is still possible to abandon the account, which keeps answer and slot.
    """
    record = state.accounts[name]
    obstacle = "there is no identity that opens it"
    if record.sealed is not None and parent.keys.has_identity():
        try:
            content = executor.open_record(state, name, parent.opener(run.reporter))
        except (StateError, SettingsError) as error:
            obstacle = error.message.removesuffix(".")
        else:
            if content is not None and _proves(content, parent):
                raise Refused(
                    f"{name} was created: the stored answer contains a login or a key.",
                    hint=f"Adopt it with `provisioner adopt {name} LOGIN`; `provisioner credentials show {name}`"
                    f" shows the answer. If the account was deleted since, `provisioner forget {name} --force` frees"
                    " its slot. Nothing was changed.",
                )
            return
    if not executor.is_answered(record):
        return
    reason = f"the stored answer for {name} may prove that it was created, but cannot be opened here: {obstacle}"
    if abandon:
        run.reporter.warning(f"{reason}. With an identity, `provisioner credentials show {name}` shows it.")
        return
    raise Refused(
        f"{reason[0].upper()}{reason[1:]}.",
        hint=f"Run it with an identity. If you are certain that the account does not exist, `provisioner forget {name}"
        " --force` frees its slot, and keeps the sealed answer. Nothing was changed.",
    )


def _proves(content: SealedContent, parent: Parent) -> bool:
    """Return whether the sealed content of an unknown outcome proves that the account was created."""
    from provisioner.octopush.answers import holds_credentials  # only needed here

    own = [*content.sent.flat().values()] if content.sent else []
    own += [content.password.reveal()] if content.password else []
    with suppress(SettingInvalid):
        # An answer may repeat the parent's credentials. To resolve, they are not required.
        own += [parent.credentials.api_login, parent.credentials.api_key.reveal()]
    proven = content.answer is not None and holds_credentials(content.answer.body, own)
    return proven or content.credentials is not None


# ── Forget ───────────────────────────────────────────────────────────────────


def forget(parent: Parent, name: str, run: RunContext, *, force: bool, confirm: Confirm | None) -> tuple[Reports, str]:
    """Remove an account from the state; return the report, and where a sealed copy of its record is."""
    seen = require_state(parent.look(run.reporter).settled, parent)
    require_known(seen, [name])
    executor.forget(seen, name, reading=None if force else _reading(parent, seen, name, run))
    confirmed(None if confirm is None else lambda: confirm(parent, seen))
    with parent.hold(run) as session:
        state = require_state(session.state, parent)
        require_same([name], seen, state)
        # Octopush may know it again since the question.
        after = executor.forget(state, name, reading=None if force else _reading(parent, state, name, run))
        record = state.accounts[name]
        copy = session.keep_forgotten(
            RescueEntry(state.lineage, parent.name, name, record.operation.id, record), parent.parts.now()
        )
        session.save(after, "forget")
        left = session.state
    reason = "forced: Octopush was not asked" if force else None
    report = Report(parent.name, (Outcome(name, "forget", Result.FORGOTTEN, reason),))
    return Reports((parent.with_terms(report),), {parent.name: left}), copy


def _reading(parent: Parent, state: State, name: str, run: RunContext) -> Reading:
    """Return what Octopush says about an account, after a check that it is the right parent and address."""
    executor.active(state, name)
    parent.bound(state, run.reporter)
    content = executor.open_active(state, name, parent.opener(run.reporter))
    client = parent.client(run.watch(parent.name), run)
    return client.read(executor.credentials_of(content).api_login)
