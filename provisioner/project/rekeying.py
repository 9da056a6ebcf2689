"""Seals everything again, to other recipients: each parent in one save, all of its records or none.

Refuses to let anybody lock themselves out of what is sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner import executor
from provisioner.errors import CommandInvalid, ProvisionerError, StateConflict
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


@dataclass(frozen=True, slots=True)
class Rekey:
    """What is about to happen to one parent's seals."""

    parent: Parent
    state: State
    recipients: tuple[str, ...]
    """To whom everything will be sealed."""
    removed: tuple[str, ...] = ()
    """Those who were asked to be removed."""

    @property
    def changes(self) -> tuple[tuple[str, str], ...]:
        """Each recipient with a sign: ``+`` is added, ``-`` is removed, ``=`` stays, ``?`` only the state names.

        Whoever can write the state can write a recipient into it: one that the settings do
        not name is unknown, and is not sealed to.
        """
        before = {without_comment(each): each for each in self.state.recipients}
        after = {without_comment(each): each for each in self.recipients}
        known = {without_comment(each) for each in (*self.removed, *self.parent.settings.recipients)}
        signs = {key: "-" if key in known else "?" for key in before}
        signs |= {key: "=" if key in before else "+" for key in after}
        return tuple((signs[key], (before | after)[key]) for key in sorted(signs))

    @property
    def removes(self) -> bool:
        """Whether it is no longer sealed to somebody, who can still open every older copy of the state."""
        return any(sign in {"-", "?"} for sign, _ in self.changes)

    @property
    def older_copies(self) -> tuple[str, ...]:
        """Where older copies of what is sealed are kept next to the state."""
        return self.parent.store.older_copies()

    @property
    def differs_from_settings(self) -> bool:
        """Whether the next apply would seal to others again."""
        named = {without_comment(each) for each in self.parent.settings.recipients}
        return {without_comment(each) for each in self.recipients} != named


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
    AgeSealer(parent.settings.recipients)  # whoever has none set would remove everybody
    recipients = _recipients(state, parent.settings.recipients, add, remove)
    opener = parent.opener(run.reporter)
    require_opens(opener, AgeSealer(recipients))
    for name in state.accounts:
        executor.kept(state, name, opener)
        executor.begun(state, name, opener)
    return Rekey(parent, state, recipients, tuple(remove))


def _rekeyed(this: Rekey, run: RunContext, states: dict[str, State | None]) -> Report:
    parent = this.parent
    with parent.hold(run) as session:
        state = require_state(session.state, parent)
        if state.recipients != this.state.recipients:
            raise StateConflict(
                f"The recipients of the state of {parent.name} have changed since you were asked.",
                hint="Run it again, and look at what it shows. Nothing was changed.",
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
    """Return to whom everything is to be sealed: those ``named`` by the settings, with these changes.

    An SSH key is the same under any comment. What only the state names is never taken over.
    """
    wanted = {without_comment(each): each for each in named}
    sealed = {without_comment(each) for each in state.recipients}
    for text in add:
        AgeSealer([text])
        wanted.setdefault(without_comment(text), " ".join(text.split()))
    for text in remove:
        if wanted.pop(without_comment(text), None) is None and without_comment(text) not in sealed:
            # Only what is known to be a recipient may be repeated: it may be a private key.
            AgeSealer([text])
            raise CommandInvalid(
                f"Neither the settings nor the state name {printable(without_comment(text))}.",
                hint=f"The settings name {printable(', '.join(named))}. Nothing was changed.",
            )
    if not wanted:
        raise CommandInvalid(
            "Nobody would be left who can open what is sealed.", hint="Add a recipient with --add. Nothing was changed."
        )
    return tuple(sorted(wanted.values()))
