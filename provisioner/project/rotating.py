"""Sets new passwords for one account or many.

First come all checks that need no lock, then a person is asked, once for all accounts. For
each parent, the accounts follow one by one: each new password is sealed and saved before it
is sent, and the old one is kept until it is certain that the new one is set. An unknown
outcome stops the parent, so that at most one of its passwords is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner import executor
from provisioner.errors import (
    Advice,
    InternalError,
    ProvisionerError,
    Remedy,
    SettingInvalid,
    StateConflict,
    StateError,
    StateLocked,
)
from provisioner.executor import Work
from provisioner.immutable import immutable
from provisioner.manifest import expansion
from provisioner.model.account import FIELDS, DesiredAccount, Origin
from provisioner.model.exchange import EditRequest
from provisioner.model.plan import FieldChange, Plan, Update
from provisioner.model.report import Outcome, Report, Result, Scope, Stop
from provisioner.model.state import Active, State
from provisioner.project.accounts import by_owner
from provisioner.project.deciding import confirmed, require_same
from provisioner.project.parent import require_state
from provisioner.project.plans import accounts_of, desired_manifests
from provisioner.project.refresh import looked
from provisioner.project.reports import Reports, failed
from provisioner.project.running import attempted, each
from provisioner.render import advice

if TYPE_CHECKING:
    from provisioner.model.account import Secret
    from provisioner.model.verdict import SealedContent
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import Jobs, RunContext
    from provisioner.project.workspace import Workspace
    from provisioner.state.reading import Snapshot


@immutable
class Rotation:
    """The new passwords for one parent's accounts; nothing was held, saved or sent yet."""

    parent: Parent
    state: State
    """As read before a person is asked."""
    updates: tuple[Update, ...]
    work: Work = field(repr=False)
    refused: Mapping[str, ProvisionerError]
    """The errors of accounts that get no new password, by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """The accounts that get a new password."""
        return tuple(update.name for update in self.updates)


Approve = Callable[[Sequence[Rotation]], bool]
"""Gets the planned rotations after all checks, and returns whether to go on."""
Chosen = tuple["Parent", State | ProvisionerError, tuple[str, ...]]
"""A parent, its state or the error on reading it, and the names of accounts."""


def rotate(
    workspace: Workspace,
    parents: Sequence[Parent],
    names: Sequence[str] | None,
    paths: Sequence[Path],
    run: RunContext,
    jobs: Jobs,
    *,
    approve: Approve | None,
) -> Reports:
    """Give the accounts ``names`` new passwords; see :meth:`Project.rotate_passwords`."""
    chosen = _chosen(parents, names, run.reporter)
    manifests = desired_manifests(workspace, paths, run.reporter)
    ready = {
        parent.name: attempted(_ready, parent, state, own, accounts_of(parent.name, manifests), run)
        for parent, state, own in chosen
    }
    if len(ready) == 1 and isinstance(only := next(iter(ready.values())), ProvisionerError):
        raise only
    rotations = [one for one in ready.values() if isinstance(one, Rotation)]
    if len(ready) == 1 and not rotations[0].updates and len(rotations[0].refused) == 1:
        raise next(iter(rotations[0].refused.values()))
    if approve is not None and any(one.updates for one in rotations):
        confirmed(lambda: approve(rotations))
    run.reporter.expected(sum(len(one.updates) for one in rotations))
    states: dict[str, State | None] = {}

    def turn(name: str) -> Report:
        one = ready[name]
        if isinstance(one, ProvisionerError):
            return failed(name, one)
        return one.parent.with_terms(_turn(one, run, states))

    return Reports(tuple(each([*ready], turn, jobs, run.cancel, changes=True)), states)


def _chosen(parents: Sequence[Parent], names: Sequence[str] | None, reporter: Reporter) -> list[Chosen]:
    """Return the accounts to rotate, by parent; raises CommandInvalid or StateConflict."""
    if names is not None:
        return [*by_owner(parents, names, reporter, active=True, settled=True)]
    looks = looked(parents, reporter)
    return [
        (parent, look if isinstance(look, ProvisionerError) else attempted(_settled, parent, look), ())
        for parent, look in looks
    ]


def _settled(parent: Parent, look: Snapshot | ProvisionerError) -> State:
    if isinstance(look, ProvisionerError):
        raise look
    return require_state(look.settled, parent)


# ── Checks before a person is asked ──────────────────────────────────────────


def _ready(
    parent: Parent,
    state: State | ProvisionerError,
    names: Sequence[str],
    desired: Mapping[str, DesiredAccount],
    run: RunContext,
) -> Rotation:
    """Do all checks that need no lock on the parent's state; without ``names``, for all active accounts."""
    parent.require_unfrozen()
    if isinstance(state, ProvisionerError):
        raise state
    opener = parent.opener(run.reporter)
    state = parent.bound(state, run.reporter)
    names = names or [name for name, record in state.accounts.items() if isinstance(record, Active)]
    updates: list[Update] = []
    refused: dict[str, ProvisionerError] = {}
    edits: dict[str, EditRequest] = {}
    opened: dict[str, SealedContent] = {}
    unfinished: dict[str, SealedContent] = {}
    for name in sorted(names):
        try:
            update = _update(parent, state, name)
            opened[name] = executor.open_active(state, name, opener)
            edit = executor.open_edit(state, name, opener)
            edits[name] = _request(parent, update, opened[name], edit, desired.get(name))
        except (StateError, SettingInvalid) as error:
            refused[name] = error
            continue
        updates.append(update)
        if edit is not None:
            unfinished[name] = edit
    if updates:
        parent.keys.require_own(opener)
        parent.warn_of_recipients(state, run.reporter)
    for update in updates:
        _warn_of_difference(update, desired.get(update.name), run.reporter)
    return Rotation(parent, state, tuple(updates), Work({}, edits, opened, unfinished), refused)


def _update(parent: Parent, state: State, name: str) -> Update:
    """Return an update of the password only; raises StateConflict if other fields would change too."""
    record = executor.active(state, name)
    if record.drift.gone:
        raise StateConflict(
            f"Octopush no longer knows {name}.", hint="Nothing was sent.", advice=Advice(Remedy.FORGET, name)
        )
    apply_first = Advice(Remedy.APPLY_FIRST, name)
    if record.drift.changed:
        raise StateConflict(
            f"{name} has drifted at Octopush: {', '.join(record.drift.changed)}.",
            hint="Nothing was sent.",
            advice=apply_first,
        )
    if record.edit is not None and record.edit.attributes != record.attributes:
        raise StateConflict(
            f"An earlier run did not finish its change of {name}.", hint="Nothing was sent.", advice=apply_first
        )
    account = DesiredAccount(
        name,
        record.attributes,
        None,
        Origin(parent.store.address),
        # An unfinished edit keeps its version.
        password_version=(record.edit or record).password_version,
    )
    return Update(account, (FieldChange("password", None, None),), edit=record.edit)


def _request(
    parent: Parent,
    update: Update,
    content: SealedContent,
    unfinished: SealedContent | None,
    desired: DesiredAccount | None,
) -> EditRequest:
    """Return the account as it was last sent, with its new password."""
    # The sealed values match the record, except that placeholders are filled in.
    if content.sent is None:
        raise StateConflict(
            f"The values that were sent for {update.name} are not stored, but a password is sent with all of them.",
            hint="Raise its `password_version` in the manifest, and run `provisioner apply`. Nothing was sent.",
        )
    # No message may quote values from placeholders.
    written = update.account.attributes.flat()
    hidden = tuple(value for path, value in content.sent.flat().items() if value != written.get(path))
    return EditRequest(content.sent, _password(parent, content, unfinished, desired), hidden)


def _password(
    parent: Parent, content: SealedContent, unfinished: SealedContent | None, desired: DesiredAccount | None
) -> Secret:
    """Return the password to set: the manifest's, or a new one; never that of an unfinished edit.

    Anyone who can write the state could have put it there.
    """
    given = None if desired is None else expansion.password(desired, parent.readers.manifests)
    if given is None:
        return parent.parts.new_password()
    if unfinished is None and given == content.password:
        raise SettingInvalid(
            f"{content.name} already has the password in the manifest.",
            hint="Change the value of its placeholder, or delete `password` to generate one. Nothing was sent.",
        )
    return given


def _warn_of_difference(update: Update, desired: DesiredAccount | None, reporter: Reporter) -> None:
    """Warn if the manifest differs from the state, whose values are sent with the password."""
    wanted, sent = (each.attributes.flat() for each in (desired or update.account, update.account))
    if differ := [path for path in FIELDS if wanted.get(path) != sent.get(path)]:
        reporter.warning(
            f"The manifest also changes {update.name} ({', '.join(differ)}); only its password changes now, the rest"
            " with the next apply."
        )


# ── A parent's turn ──────────────────────────────────────────────────────────


def _turn(this: Rotation, run: RunContext, states: dict[str, State | None]) -> Report:
    """Return the report of one parent; raises nothing."""
    name = this.parent.name
    refused = tuple(_not_attempted(each, _reason(error), run, name, error) for each, error in this.refused.items())
    report = _interrupted(this, run) or _attempted(this, run, states)
    outcomes = sorted((*refused, *report.outcomes), key=lambda outcome: outcome.name)
    return replace(report, outcomes=tuple(outcomes))


def _interrupted(this: Rotation, run: RunContext) -> Report | None:
    """Return the report of a parent that the run did not reach before it was interrupted, or None."""
    if (code := run.cancel.code()) is None:
        return None
    stop = Stop(code, "the run was interrupted", "Run it again to continue.", scope=Scope.RUN)
    name = this.parent.name
    return Report(name, tuple(_not_attempted(each, stop.reason, run, name) for each in this.names), stop)


def _attempted(this: Rotation, run: RunContext, states: dict[str, State | None]) -> Report:
    done = attempted(_carried_out, this, run, states)
    if isinstance(done, Report):
        return done
    if isinstance(done, StateLocked) and (interrupted := _interrupted(this, run)) is not None:
        # The interruption came while the run waited for the lock.
        return interrupted
    name, reason = this.parent.name, done.message.splitlines()[0].removesuffix(".")
    # After an internal error, only the state says which accounts were reached.
    names = () if isinstance(done, InternalError) else this.names
    return Report(name, tuple(_not_attempted(each, reason, run, name) for each in names), failure=done)


def _carried_out(this: Rotation, run: RunContext, states: dict[str, State | None]) -> Report:
    parent = this.parent
    if not this.updates:
        return Report(parent.name, ())
    with parent.hold(run) as session:
        states[parent.name] = session.state
        state = parent.bound(require_state(session.state, parent), run.reporter)
        require_same(this.names, this.state, state)
        slots = state.slots(limit=parent.own.limit, reserved=parent.own.reserved, planned=0)
        plan = Plan(parent.name, state.lineage, state.serial, slots, this.updates)
        report = executor.apply(plan, state, this.work, parent.ports(session, run.watch(parent.name), run))
        states[parent.name] = session.state
        return report


def _not_attempted(
    name: str, reason: str, run: RunContext, parent: str, error: ProvisionerError | None = None
) -> Outcome:
    weight = None if error is None else error.exit_code
    outcome = Outcome(name, "update", Result.NOT_ATTEMPTED, reason, weight=weight, only_password=True)
    run.reporter.finished(parent, outcome)
    return outcome


def _reason(error: ProvisionerError) -> str:
    """Return why an account gets no new password, and what to do."""
    hint = advice.hint(error).replace("Nothing was sent.", "").strip()
    return " ".join(filter(None, (error.message, hint))).removesuffix(".")
