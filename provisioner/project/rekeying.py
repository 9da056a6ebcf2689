"""Seals everything again, to other recipients: each parent in one save, all records or none.

Nobody can lock themselves out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from provisioner import executor
from provisioner.errors import CommandInvalid, ProvisionerError, StateConflict
from provisioner.immutable import immutable
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import State, without_comment
from provisioner.project.deciding import confirmed
from provisioner.project.parent import require_state
from provisioner.project.refresh import looked
from provisioner.project.reports import Reports, failed
from provisioner.project.running import attempted
from provisioner.render.lines import printable
from provisioner.state.sealing import AgeSealer, require_opens

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.running import RunContext
    from provisioner.state.reading import Snapshot


@immutable
class Rekey:
    """The planned change to the recipients of one parent."""

    parent: Parent
    state: State
    recipients: tuple[str, ...]
    """The recipients to seal everything to."""
    removed: tuple[str, ...] = ()
    """The recipients that the user asked to remove."""

    @property
    def changes(self) -> tuple[tuple[str, str], ...]:
        """Each recipient with a sign: ``+`` added, ``-`` removed, ``=`` unchanged, ``?`` only in the state.

        Anyone who can write the state can add a recipient to it. So one that is not in the
        settings is unknown, and nothing is sealed to it.
        """
        before = {without_comment(each): each for each in self.state.recipients}
        after = {without_comment(each): each for each in self.recipients}
        known = {without_comment(each) for each in (*self.removed, *self.parent.settings.recipients)}
        signs = {key: "-" if key in known else "?" for key in before}
        signs |= {key: "=" if key in before else "+" for key in after}
        return tuple((signs[key], (before | after)[key]) for key in sorted(signs))

    @property
    def removes(self) -> bool:
        """Whether a recipient is removed, who can still open older copies of the state."""
        return any(sign in {"-", "?"} for sign, _ in self.changes)

    @property
    def older_copies(self) -> tuple[str, ...]:
        """The places of older copies next to the state."""
        return self.parent.store.older_copies()

    @property
    def differs_from_settings(self) -> bool:
        """Whether the settings have other recipients, which the next apply would seal to."""
        in_settings = {without_comment(each) for each in self.parent.settings.recipients}
        return {without_comment(each) for each in self.recipients} != in_settings


Approve = Callable[[Sequence[Rekey]], bool]


def rekey(
    parents: Sequence[Parent], run: RunContext, *, add: Sequence[str], remove: Sequence[str], approve: Approve | None
) -> tuple[Reports, tuple[Rekey, ...]]:
    """Seal everything of ``parents`` again; see :meth:`Project.rekey`."""
    looks = looked(parents, run.reporter)
    ready = {parent.name: attempted(_ready, parent, look, run, add, remove) for parent, look in looks}
    if len(ready) == 1 and isinstance(only := next(iter(ready.values())), ProvisionerError):
        raise only
    todo = [each for each in ready.values() if not isinstance(each, ProvisionerError)]
    confirmed(None if approve is None or not todo else lambda: approve(todo))
    reports: list[Report] = []
    states: dict[str, State | None] = {}
    for name, each in ready.items():
        outcome = each if isinstance(each, ProvisionerError) else attempted(_rekeyed, each, run, states)
        reports.append(failed(name, outcome) if isinstance(outcome, ProvisionerError) else outcome)
    return Reports(tuple(reports), states), tuple(todo)


def _ready(
    parent: Parent, look: Snapshot | ProvisionerError, run: RunContext, add: Sequence[str], remove: Sequence[str]
) -> Rekey:
    if isinstance(look, ProvisionerError):
        raise look
    state = require_state(look.settled, parent)
    AgeSealer(parent.settings.recipients)  # without recipients in the settings, everybody would be removed
    recipients = _recipients(state, parent.settings.recipients, add, remove)
    opener = parent.opener(run.reporter)
    require_opens(opener, AgeSealer(recipients))
    for name in state.accounts:
        executor.open_record(state, name, opener)
        executor.open_edit(state, name, opener)
    return Rekey(parent, state, recipients, tuple(remove))


def _rekeyed(this: Rekey, run: RunContext, states: dict[str, State | None]) -> Report:
    parent = this.parent
    with parent.hold(run) as session:
        state = require_state(session.state, parent)
        if state.recipients != this.state.recipients:
            raise StateConflict(
                f"The recipients of the state of {parent.name} have changed since you were asked.",
                hint="Run it again, and check what it shows. Nothing was changed.",
            )
        after = executor.rekey(state, parent.opener(run.reporter), AgeSealer(this.recipients), this.recipients)
        session.save(after, "rekey")
        states[parent.name] = session.state
    outcomes = (
        Outcome(name, "rekey", Result.UNCHANGED if record.sealed is None else Result.UPDATED)
        for name, record in sorted(after.accounts.items())
    )
    return Report(parent.name, tuple(outcomes))


def _recipients(state: State, named: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> tuple[str, ...]:
    """Return the recipients to seal to: those ``named`` in the settings, with the changes.

    SSH keys are compared without their comments. Recipients that are only in the state are left out.
    """
    wanted = {without_comment(each): each for each in named}
    sealed = {without_comment(each) for each in state.recipients}
    for text in add:
        AgeSealer([text])
        wanted.setdefault(without_comment(text), " ".join(text.split()))
    for text in remove:
        if wanted.pop(without_comment(text), None) is None and without_comment(text) not in sealed:
            # The message quotes only valid recipients: the text could be a private key.
            AgeSealer([text])
            raise CommandInvalid(
                f"{printable(without_comment(text))} is not a recipient in the settings or the state.",
                hint=f"The settings have {printable(', '.join(named))}. Nothing was changed.",
            )
    if not wanted:
        raise CommandInvalid("No recipient would be left.", hint="Add a recipient with --add. Nothing was changed.")
    return tuple(sorted(wanted.values()))
