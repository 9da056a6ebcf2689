"""Applies plans: each parent on its own, and nothing that was not planned.

Owns the order of an apply. First come all checks that need no lock, then a person is
asked. Then, for each parent: its state is held and compared with the one that the plan was
made from, intents of dead runs are settled, drift is recorded, and the plan is carried
out. No lock is held while a person thinks.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provisioner import executor
from provisioner.errors import (
    InternalError,
    InterruptedRunError,
    OverThreshold,
    PlanStale,
    ProvisionerError,
    Refused,
    SettingInvalid,
    StateConflict,
    StateError,
    StateLocked,
)
from provisioner.executor import Work
from provisioner.immutable import immutable
from provisioner.manifest.expansion import edits, requests
from provisioner.model.plan import Change, Plan, StillUnknown, raise_if_over
from provisioner.model.report import Outcome, Report, Result, Scope, Stop
from provisioner.model.state import Operation, State, Unknown
from provisioner.model.verdict import Answer, SealedContent
from provisioner.octopush.transport import BODY_CAP
from provisioner.project import provenance, saved
from provisioner.project.bounds import Bounds
from provisioner.project.plans import ParentPlan, Plans, made_from
from provisioner.project.reports import Reports, failed
from provisioner.project.running import attempted, each
from provisioner.render.lines import counted
from provisioner.state import rescue
from provisioner.state.reading import check_endpoint
from provisioner.state.rescue import RescueEntry

if TYPE_CHECKING:
    from provisioner.errors import ExitCode
    from provisioner.model.account import Attributes
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import Jobs, RunContext
    from provisioner.project.spreading import Cluster
    from provisioner.project.workspace import Workspace
    from provisioner.state.session import Session

Turn = tuple[Report, bool, State | None]
"""The report of one parent, whether its state was held, and the state afterwards."""
Approve = Callable[[Plans], bool]
"""Gets the plans after all checks, and returns whether to go on."""


_LONGEST_STATUS: Final = 999
_LONGEST_REASON: Final = 1000
"""In characters. Real reasons are shorter, since none quotes a server."""


@immutable
class _Ready:
    """One parent's plan after all checks; nothing was held, saved or sent for it yet."""

    parent: Parent
    planned: ParentPlan
    work: Work


def apply(
    workspace: Workspace,
    plans: Plans,
    run: RunContext,
    *,
    approve: Approve | None,
    bounds: Bounds,
    jobs: Jobs,
    cluster: Cluster | None = None,
) -> Reports:
    """Apply ``plans``; see :meth:`Project.apply`."""
    # A frozen parent must not stop the others.
    open_plans = [each for each in plans.plans if each.terms is None or not each.terms.is_frozen]
    _require_within("create", sum(len(each.creates) for each in open_plans), bounds.max_creates)
    _require_within("update", sum(len(each.updates) for each in open_plans), bounds.max_updates)
    digest = str(saved.document(plans, workspace.settings)["digest"])
    run = replace(run, digest=plans.part_of or digest)
    if plans.plans:
        run.reporter.planned(plans.plans, digest)
    names = sorted((*(name for name, one in plans.parents.items() if one.in_manifests), *plans.failures))
    ready = {name: attempted(_ready, workspace, name, plans, bounds, run.reporter) for name in names}
    if len(ready) == 1 and isinstance(only := next(iter(ready.values())), ProvisionerError):
        raise only
    failures = {name: one for name, one in ready.items() if isinstance(one, ProvisionerError)}
    allowed = replace(
        plans, parents={name: one for name, one in plans.parents.items() if name not in failures}, failures=failures
    )
    asked = replace(allowed, parents={name: one for name, one in allowed.parents.items() if not _is_stopped(one)})
    if (asked.creates or asked.updates) and approve is not None and not approve(asked):
        raise InterruptedRunError("Not confirmed; nothing was changed.")
    run.reporter.expected(allowed.creates + allowed.updates)
    ready = _with_places_saved(workspace, plans, ready, run)
    start = time.monotonic()
    if cluster is None:
        done = each(names, lambda name: _turn(ready[name], plans, name, run, bounds), jobs, run.cancel, changes=True)
    else:
        done = _spread(cluster, workspace, ready, plans, run, bounds)
    # A reporter that fails here must not hide what was done.
    attempted(run.reporter.phase, "apply", time.monotonic() - start)
    states = {report.parent: state for report, held, state in done if held}
    terms = {plan.parent: plan.terms for plan in plans.plans}
    reports = tuple(replace(report, terms=terms.get(report.parent)) for report, _, _ in done)
    return Reports(reports, states, digest)


def _with_places_saved(
    workspace: Workspace, plans: Plans, ready: dict[str, _Ready | ProvisionerError], run: RunContext
) -> dict[str, _Ready | ProvisionerError]:
    """Save where accounts were placed, and return ``ready``; if that fails, with the failure for their parents."""
    places = [name for name, one in ready.items() if isinstance(one, _Ready) and _places(one.planned)]
    if plans.placement is None or not places or run.cancel.code() is not None:
        return ready
    from provisioner.project import placing  # rarely needed

    failure = attempted(placing.save, workspace, plans.placement, run)
    return ready if failure is None else ready | dict.fromkeys(places, failure)


def _places(planned: ParentPlan) -> bool:
    """Return whether a placed account is created or changed; a change may give it a new name to record."""
    accounts = [*(each.account for each in planned.plan.creates), *(each.account for each in planned.plan.updates)]
    return any(account.placed is not None for account in accounts)


def _spread(
    cluster: Cluster,
    workspace: Workspace,
    ready: Mapping[str, _Ready | ProvisionerError],
    plans: Plans,
    run: RunContext,
    bounds: Bounds,
) -> list[Turn]:
    """Let the workers of a cluster apply the plans of the parents that are ready."""
    from provisioner.project import spreading  # rarely needed

    able = {name: one for name, one in ready.items() if isinstance(one, _Ready)}
    spreading.require_reachable(one.parent for one in able.values())
    futures = {
        name: spreading.sent(cluster, plans, workspace.settings, name, bounds, run.digest)
        for name, one in able.items()
        if one.planned.plan.pending
    }
    return [
        spreading.received(futures[name], able[name].parent, plans, run)
        if name in futures
        else _turn(one, plans, name, run, bounds)
        for name, one in ready.items()
    ]


def _is_stopped(planned: ParentPlan) -> bool:
    """Return whether the refresh stopped, so that nothing will be sent."""
    return planned.refreshed is not None and planned.refreshed.report.stop is not None


def _require_within(action: str, count: int, bound: int | None) -> None:
    """Raise OverThreshold if there are more changes of one kind than ``bound``."""
    if bound is not None and count > bound:
        raise OverThreshold(
            f"The plan would {action} {counted(count, 'account')}, but --max-{action}s is {bound}.",
            hint=f"Check `provisioner plan`; if it is right, apply it by hand or raise --max-{action}s."
            " Nothing was created or changed.",
        )


# ── Checks before a person is asked ──────────────────────────────────────────


def _ready(workspace: Workspace, name: str, plans: Plans, bounds: Bounds, reporter: Reporter) -> _Ready:
    """Do all checks that need no lock on the parent's state."""
    if name in plans.failures:
        raise plans.failures[name]
    parent, planned = workspace.parent(name), plans.parents[name]
    parent.require_unfrozen()
    raise_if_over(planned.plan)
    if planned.plan.pending:
        parent.keys.sealer()
    if name in plans.shut_out and not bounds.new_recipients:
        parent.require_readers(planned.snapshot.settled)
    if planned.snapshot.state is None and not bounds.new_state:
        raise StateConflict(
            f"There is no state of the parent {name} at {parent.store.address}.",
            hint="If accounts exist, restore the state: without it they would be created again. If the project"
            " is new, run `provisioner apply` once without --yes, or once with --new-state. Nothing was sent.",
        )
    if plans.placement is not None and _places(planned):
        from provisioner.project import placing

        placing.require_record(workspace, plans.placement, may_begin=bounds.new_state)
    if not bounds.lookalikes:
        _require_no_lookalikes(planned.plan)
    state = _bound(parent, planned, planned.snapshot.settled, reporter)
    return _Ready(parent, planned, Work() if state is None else _work(planned.plan, state, parent, reporter))


def _bound(parent: Parent, planned: ParentPlan, state: State | None, reporter: Reporter) -> State | None:
    """Return ``state`` bound to the parent's account; unchanged if credentials are missing and nothing is to be sent.

    Raises the same errors as :meth:`Parent.bound`.
    """
    try:
        return parent.bound(state, reporter)
    except SettingInvalid:
        if planned.plan.pending:
            raise
        if state is not None:
            check_endpoint(state, parent.settings.api_url)
        return state


def _require_no_lookalikes(plan: Plan) -> None:
    """Raise Refused if an account to create looks like a renamed one."""
    found = [
        f"{change.name} like {twin}"
        for change in plan.creates
        for twin in (change.resembles, change.moved_from and f"{change.moved_from.name} of {change.moved_from.parent}")
        if twin is not None
    ]
    if found:
        raise Refused(
            f"Parent {plan.parent}: accounts that look like renamed or moved ones would be created a second time:"
            f" {', '.join(found)}.",
            hint="If you renamed an account, write `previously: OLD` under the new name. If you moved one to another"
            " parent, move it back: Octopush cannot move it. If it is a second account, run"
            " `provisioner apply` at a terminal, which asks about it by name. Nothing was sent.",
        )


def _work(plan: Plan, state: State, parent: Parent, reporter: Reporter) -> Work:
    """Read all placeholders and open all seals that ``plan`` needs; without an identity, leave out its updates."""
    creates = requests(plan.creates, parent.readers.manifests, parent.parts.new_password)
    if not plan.updates or not parent.keys.has_identity():
        return Work(creates)
    opener = parent.opener(reporter)
    parent.keys.require_own(opener)
    opened: dict[str, SealedContent] = {}
    unfinished: dict[str, SealedContent] = {}
    faults: dict[str, str] = {}
    for name in (update.record_name for update in plan.updates):
        try:
            content, edit = executor.open_active(state, name, opener), executor.open_edit(state, name, opener)
        except StateError as error:
            faults[name] = executor.reason_of(error)
            continue
        opened[name] = content
        if edit is not None:
            unfinished[name] = edit
    # An update without a request needs no placeholders.
    sent = (update for update in plan.updates if update.sends and update.record_name in opened)
    return Work(creates, edits(sent, parent.readers.manifests, parent.parts.new_password), opened, unfinished, faults)


# ── A parent's turn ──────────────────────────────────────────────────────────


def _turn(
    ready: _Ready | ProvisionerError, plans: Plans, name: str, run: RunContext, bounds: Bounds
) -> tuple[Report, bool, State | None]:
    """Return the report of one parent, whether its state was held, and the state afterwards; raises nothing."""
    done = attempted(_reported, ready, plans, name, run, bounds)
    return (failed(name, done), False, None) if isinstance(done, ProvisionerError) else done


def _reported(
    ready: _Ready | ProvisionerError, plans: Plans, name: str, run: RunContext, bounds: Bounds
) -> tuple[Report, bool, State | None]:
    if isinstance(ready, ProvisionerError):
        return _failed(name, plans, ready, run), False, None
    if (code := run.cancel.code()) is not None:
        return _interrupted(name, plans, code, run), False, None
    held: list[Session] = []
    outcome = attempted(_carried_out, ready, run, bounds, held)
    if isinstance(outcome, StateLocked) and (code := run.cancel.code()) is not None:
        # The interruption came while the run waited for the lock.
        return _interrupted(name, plans, code, run), False, None
    report = _failed(name, plans, outcome, run) if isinstance(outcome, ProvisionerError) else outcome
    state = held[0].state if held else None
    return replace(report, begun=state is not None), bool(held), state


def _interrupted(name: str, plans: Plans, code: ExitCode, run: RunContext) -> Report:
    """Return the report of a parent that the run did not reach before it was interrupted."""
    stop = Stop(code, "the run was interrupted", "Run it again to continue.", scope=Scope.RUN)
    return Report(name, _not_attempted(name, plans, stop.reason, run), stop)


def _failed(name: str, plans: Plans, failure: ProvisionerError, run: RunContext) -> Report:
    """Return the report of a parent for which nothing was done."""
    # After an internal error, only the state says which accounts were reached.
    reason = failure.message.splitlines()[0].removesuffix(".")
    outcomes = () if isinstance(failure, InternalError) else _not_attempted(name, plans, reason, run)
    return Report(name, outcomes, failure=failure)


def _not_attempted(name: str, plans: Plans, reason: str, run: RunContext) -> tuple[Outcome, ...]:
    planned = plans.parents.get(name)
    if planned is None:
        return ()
    outcomes = [
        Outcome(change.name, action, Result.NOT_ATTEMPTED, reason)
        for action, changes in (("create", planned.plan.creates), ("update", planned.plan.updates))
        for change in changes
    ]
    for outcome in outcomes:
        run.reporter.finished(name, outcome)
    return tuple(sorted(outcomes, key=lambda outcome: outcome.name))


def _carried_out(ready: _Ready, run: RunContext, bounds: Bounds, held: list[Session]) -> Report:
    parent, planned = ready.parent, ready.planned
    with parent.hold(run) as session:
        held.append(session)
        same = session.found.version == planned.snapshot.version and session.found.rescued == planned.snapshot.rescued
        if not same:
            _require_same_plan(planned, session.state, parent)
        state = _bound(parent, planned, session.state, run.reporter)
        state = None if state is None else executor.settle(state, session)
        if (
            state is not None
            and planned.refreshed is not None
            and (after := executor.with_drift(planned.refreshed, state)) != state
        ):
            session.save(after)
            state = after
        watch = run.watch(parent.name)
        # If Octopush refused the refresh or did not answer, nothing is sent either.
        stop = None if planned.refreshed is None else planned.refreshed.report.stop
        plan = planned.plan if state is None else _as_settled(planned.plan, state)
        if state is None or not plan.pending:
            report = executor.report_unchanged(plan, watch, stop)
        else:
            work = ready.work if same else _work(plan, state, parent, run.reporter)
            if plan.creates:
                largest = _largest(plan, state, work, parent)
                # A failed save may leave two outcomes to rescue: one that was sent, and one that was not.
                session.reserve(rescue.space(largest) + rescue.space(replace(largest, record=None)))
            keep_going = parent.settings.keep_going if bounds.keep_going is None else bounds.keep_going
            ports = parent.ports(session, watch, run)
            report = executor.apply(plan, state, work, ports, keep_going=keep_going, stop=stop)
    if planned.refreshed is None:
        return report
    return executor.with_refresh_outcomes(planned.refreshed, planned.plan, report)


def _largest(plan: Plan, state: State, work: Work, parent: Parent) -> RescueEntry:
    """Return the largest outcome that a create in ``plan`` can have, with the longest answer that is read.

    A control character takes six characters in JSON, more than anything else.
    """
    answer = Answer(_LONGEST_STATUS, b"\0" * BODY_CAP)
    create = max(plan.creates, key=lambda each: _length(each.account.attributes, work.creates[each.name].attributes))
    request = work.creates[create.name]
    operation = Operation(str(uuid.uuid4()), parent.parts.now(), provenance.by(parent.environ))
    content = SealedContent(
        state.lineage, state.parent, create.name, operation.id, request.password, answer=answer, sent=request.attributes
    )
    unknown = Unknown(create.account.attributes, operation, "?" * _LONGEST_REASON, parent.keys.sealer().seal(content))
    return RescueEntry(state.lineage, state.parent, create.name, operation.id, unknown)


def _length(*these: Attributes) -> int:
    return sum(len(json.dumps(each.document())) for each in these)


def _as_settled(plan: Plan, state: State) -> Plan:
    """Return ``plan`` with the held state's reasons for unknown accounts: another run may have died meanwhile."""

    def settled(change: Change) -> Change:
        record = state.accounts.get(change.name)
        if isinstance(change, StillUnknown) and isinstance(record, Unknown):
            return replace(change, reason=record.reason)
        return change

    return replace(plan, changes=tuple(map(settled, plan.changes)))


def _require_same_plan(planned: ParentPlan, state: State | None, parent: Parent) -> None:
    """Raise PlanStale unless ``state``, which somebody else has saved since the plan, still gives the same plan."""
    from provisioner.render import documents  # rarely needed

    only = () if planned.plan.selection is None else planned.plan.selection.names
    again = made_from(planned.manifest, state, parent, planned.refreshed, only)
    before, after = (
        documents.without_moves(documents.plans([replace(one, serial=0)])["plans"][0]) for one in (planned.plan, again)
    )
    if before != after:
        names = _differing(before["changes"], after["changes"])
        differing = f"; the plan now differs for {', '.join(names)}" if names else ""
        raise PlanStale(
            f"The state of the parent {parent.name} has changed since the plan was made: it is at serial"
            f" {state.serial if state else 0}, and was at {planned.plan.serial}{differing}.",
            hint="Find out who else works on it, and plan again. Nothing was sent.",
        )


def _differing(before: Iterable[Mapping[str, object]], after: Iterable[Mapping[str, object]]) -> list[str]:
    was, now = ({str(change["name"]): change for change in changes} for changes in (before, after))
    return [name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]
