"""``apply`` and ``reconcile``: everything is read, checked and locked before the first request."""

from __future__ import annotations

import os
import secrets
import string
import uuid
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

import click

from provisioner import config, executor
from provisioner.cli import connection, holding, inspecting, opening, planning, saved_plans, terminal, watching, wiring
from provisioner.cli.interrupt import Interrupt
from provisioner.cli.progress import progress as progressing
from provisioner.cli.saved_plans import SavedPlan
from provisioner.cli.watching import Watch
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, OverThreshold, StateConflict
from provisioner.executor import Refreshed, Work
from provisioner.executor.ports import credentials_of
from provisioner.manifest.expansion import edits, requests
from provisioner.model.account import Credentials, Manifest, Secret
from provisioner.model.plan import Plan, Update, counts, raise_if_over
from provisioner.model.report import Report, Stop, exit_code
from provisioner.model.state import Active, State
from provisioner.render import documents, text
from provisioner.state.sealing import AgeOpener, AgeSealer
from provisioner.state.session import Session, check_parent

_PASSWORD_BYTES: Final = 24
_CLASSES: Final = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_")


@dataclass(frozen=True, slots=True)
class Job:
    """One parent's part of the run, ready to be carried out."""

    session: Session
    state: State
    plan: Plan
    credentials: Credentials
    work: Work


@dataclass(frozen=True, slots=True)
class _Held:
    """One parent's state, held by this run, and what the manifests ask of it."""

    wanted: Manifest
    credentials: Credentials
    session: Session
    found: State | None
    """The state as it was before this run touched it."""
    state: State


@dataclass(frozen=True, slots=True)
class _Planned:
    """What is to be done for one parent; nothing was saved or sent for it."""

    held: _Held
    state: State
    """With the drift that was found, to be saved."""
    plan: Plan
    refreshed: Refreshed | None
    """What reading the accounts before the plan was made has shown."""


@dataclass(frozen=True, slots=True)
class _Mandate:
    """What a run was told to do."""

    asks: bool
    refresh: bool
    begins: bool = True
    """Whether it may begin a state where there is none."""
    saved: SavedPlan | None = None
    max_creates: int | None = None
    max_updates: int | None = None

    def check(self, planned: Sequence[_Planned]) -> None:
        """Return if all of it may be done; raises PlanStale, OverLimit or OverThreshold."""
        plans = [each.plan for each in planned]
        if self.saved is not None:
            self.saved.require_same({each.held.wanted.parent: each.held.found for each in planned}, plans)
        for plan in plans:
            raise_if_over(plan)
        _bounded("create", sum(len(plan.creates) for plan in plans), self.max_creates)
        _bounded("update", sum(len(plan.updates) for plan in plans), self.max_updates)


def apply(options: Options) -> int:
    """Create and change what the plan says, in every parent that the manifests name."""
    if not options["yes"] and not terminal.is_interactive():
        raise CommandInvalid(
            "There is no terminal to ask on.", hint="Look at `provisioner plan`, then apply with --yes."
        )
    if options["plan"] is not None and (options["manifests"] or options["refresh"]):
        raise CommandInvalid(
            "A saved plan says by itself from which manifests it was made, and whether --refresh was given.",
            hint=f"Write `provisioner apply --plan {options['plan']}`.",
        )
    return watching.watched(options, _apply)


def reconcile(options: Options) -> int:
    """Do the same with nobody there to ask: drift is looked for where it can be, and thresholds bound what is done."""
    return watching.watched(options, _reconcile)


def _apply(options: Options, settings: Settings, watch: Watch) -> list[Report]:
    saved = None if options["plan"] is None else saved_plans.read(options["plan"])
    if saved is not None:
        options = {**options, "manifests": saved.manifests, "parent": saved.parent, "refresh": saved.refreshed}
    mandate = _Mandate(asks=not options["yes"], refresh=options["refresh"], saved=saved)
    return _carry_out(options, settings, watch, mandate)


def _reconcile(options: Options, settings: Settings, watch: Watch) -> list[Report]:
    looks = config.has_identity(settings, os.environ, wiring.default_identity())
    if not looks:
        terminal.warn("there is no identity: accounts are not compared with Octopush, and none is changed.")
    mandate = _Mandate(
        asks=False,
        refresh=looks,
        begins=options["new_state"],
        max_creates=settings.max_creates,
        max_updates=settings.max_updates,
    )
    return _carry_out(options, settings, watch, mandate)


def _carry_out(options: Options, settings: Settings, watch: Watch, mandate: _Mandate) -> list[Report]:
    loaded = planning.tell(wiring.manifest_paths(options), options["parent"])
    if mandate.saved is not None:
        mandate.saved.require_sources(loaded.sources, settings)
    manifests = loaded.require()
    config.require_connection(settings)
    sealer = AgeSealer(settings.recipients)
    with ExitStack() as held:
        with watch.phase("lock"):
            holds = [_held(held, each, settings, watch) for each in manifests]
            if not mandate.begins:
                _require_states(holds, settings)
        with watch.phase("refresh"):
            found = _refreshed(holds, settings) if mandate.refresh else [None] * len(holds)
        planned = [_planned(*each, settings) for each in zip(holds, found, strict=True)]
        mandate.check(planned)
        jobs = [_prepared(each, settings, sealer) for each in planned]
        stop = next((each.report.stop for each in found if each is not None and each.report.stop is not None), None)
        if mandate.asks and stop is None:
            _confirm(jobs)
        with watch.phase("apply"):
            reports = carried_out(jobs, settings, sealer, stop)
    return [
        report if each.refreshed is None else inspecting.unchecked(each.refreshed, each.plan, report)
        for each, report in zip(planned, reports, strict=True)
    ]


def _require_states(holds: Iterable[_Held], settings: Settings) -> None:
    """Refuse to begin a state: a wrong checkout or an empty volume would have everything created again.

    Raises StateConflict.
    """
    for each in holds:
        if each.found is None:
            parent = each.wanted.parent
            raise StateConflict(
                f"There is no state of the parent {parent} at {settings.state_path(parent)}.",
                hint="If accounts exist, bring the state back: without it they would be created again. If the project"
                " is new, run `provisioner apply` once, or give --new-state. Nothing was sent.",
            )


def _bounded(action: str, count: int, bound: int | None) -> None:
    """Refuse more changes of one kind than a run may do; raises OverThreshold."""
    if bound is not None and count > bound:
        raise OverThreshold(
            f"The plan would {action} {count}, and this run may {action} {bound}.",
            hint=f"Look at `provisioner plan`; if it is right, apply it by hand or raise --max-{action}s."
            " Nothing was created or changed.",
        )


def told(reports: list[Report], options: Options) -> int:
    """Print what was done, and return the exit code that follows."""
    terminal.reports(reports, options["output"])
    return exit_code(reports)


def new_password() -> Secret:
    """Return a password of 32 characters, of 190 bits; what Octopush demands of one is not documented.

    It begins with a letter, holds a capital, a digit and a sign, and needs no quotes in
    a shell, a URL or a spreadsheet.
    """
    while True:
        text = secrets.token_urlsafe(_PASSWORD_BYTES)
        if text[0].isalpha() and all(any(each in kind for each in text) for kind in _CLASSES):
            return Secret(text)


def bound(state: State | None, parent: str, credentials: Credentials, settings: Settings) -> State:
    """Return the state, a new one where there is none, bound to the parent's account at the settings' address."""
    state = state or State(lineage=str(uuid.uuid4()), parent=parent)
    if not state.accounts:
        # From its first record on it names those that it began with, so that a plan warns until a rekey makes it right.
        state = replace(state, recipients=tuple(sorted(set(settings.recipients))))
    return check_parent(state, endpoint=settings.api_url.rstrip("/"), api_login=credentials.api_login)


def _held(held: ExitStack, wanted: Manifest, settings: Settings, watch: Watch) -> _Held:
    """Hold the parent's state; nothing is sent."""
    parent = settings.parent(wanted.parent)
    credentials = config.credentials(parent, os.environ, settings.base)
    session = held.enter_context(holding.held(settings, wanted.parent))
    watch.follow(parent, session)
    found = session.state
    state = bound(found, wanted.parent, credentials, settings)
    return _Held(wanted, credentials, session, found, executor.settle(state, session))


def _refreshed(holds: Sequence[_Held], settings: Settings) -> list[Refreshed]:
    """Read every active account of the parents that are held; nothing is changed at Octopush."""
    opener = opening.opener(settings)
    return inspecting.looked_at([inspecting.subject(each.state, settings, opener) for each in holds], settings)


def _planned(hold: _Held, refreshed: Refreshed | None, settings: Settings) -> _Planned:
    """Plan from the state and from what was found, and show it."""
    if refreshed is None:
        state = hold.state
        plan = planning.plan_for(hold.wanted, state, settings)
    else:
        state = inspecting.noted(refreshed, hold.state)
        plan = planning.plan_for(hold.wanted, state, settings, refreshed.found)
        plan = inspecting.doubted(plan, refreshed.report)
    _show(plan)
    return _Planned(hold, state, plan, refreshed)


def _show(plan: Plan) -> None:
    """Show a person the plan, and a log how much of what it is."""
    if terminal.log() is None:
        terminal.talk(*text.plan(plan))
        return
    slots = documents.slots(plan.slots)
    terminal.event("plan", parent=plan.parent, serial=plan.serial, **counts([plan]), slots=slots)


def _prepared(planned: _Planned, settings: Settings, sealer: AgeSealer) -> Job:
    """Save the drift that was found, and make ready all that the changes of the plan need; nothing is sent."""
    hold, plan, state = planned.held, planned.plan, planned.state
    if state != hold.state:
        hold.session.save(state)
    opener = opening.opener_if_any(settings) if plan.updates else None
    ready = work(plan, state, opener)
    if opener is not None:
        # What is changed is sealed anew: to recipients of whom this identity is none, nobody here could open it again.
        opening.require_opens(opener, sealer, state)
    return Job(hold.session, state, plan, hold.credentials, ready)


def work(plan: Plan, state: State, opener: AgeOpener | None) -> Work:
    """Read every placeholder and open every seal that ``plan`` needs; without an identity, none for its updates."""
    creates = requests(plan.creates, os.environ, new_password)
    if opener is None:
        return Work(creates)
    opened, begun = {}, {}
    for each in plan.updates:
        record = state.accounts[each.record_name]
        assert isinstance(record, Active)  # noqa: S101  # what the plan updates exists
        opened[each.record_name] = opening.content(opener, state, each.record_name, record.sealed)
        credentials_of(opened[each.record_name])
        if record.edit is not None and record.edit.sealed is not None:
            begun[each.record_name] = opening.content(opener, state, each.record_name, record.edit.sealed)
    passwords = {name: content.password for name, content in begun.items() if content.password is not None}
    return Work(creates, edits(_sent(plan.updates), os.environ, new_password, passwords), opened, begun)


def _sent(updates: Iterable[Update]) -> Iterable[Update]:
    """Return those of ``updates`` that need a request, and so their placeholders."""
    return (each for each in updates if each.sends)


def _confirm(jobs: list[Job]) -> None:
    creates = sum(len(job.plan.creates) for job in jobs)
    updates = sum(len(job.plan.updates) for job in jobs)
    parts = [f"{verb} {count}" for verb, count in (("create", creates), ("change", updates)) if count]
    if parts:
        noun = "sub-account" if creates + updates == 1 else "sub-accounts"
        click.confirm(f"{' and '.join(parts).capitalize()} {noun}?", abort=True, err=True)


def carried_out(jobs: list[Job], settings: Settings, sealer: AgeSealer, stop: Stop | None = None) -> list[Report]:
    """Carry out every job, one after the other; what stops one, or has stopped the run before, stops what follows."""
    for job in jobs:
        if job.plan.creates:
            job.session.reserve()
    total = sum(len(job.plan.creates) + len(job.plan.updates) for job in jobs)
    reports: list[Report] = []
    with Interrupt() as interrupt, progressing(total) as progress:
        for job in jobs:
            progress.at(job.plan.parent)
            carrier = progress.carrying(connection.direct(settings))
            api = connection.client(job.credentials, settings, progress.waiting, interrupt, carrier=carrier)
            ports = ports_of(job.session, api, sealer, progress, interrupt)
            report = executor.apply(job.plan, job.state, job.work, ports, keep_going=settings.keep_going, stop=stop)
            stop = report.stop
            reports.append(report)
    return reports


def ports_of(
    session: Session, api: executor.Api, sealer: AgeSealer, progress: executor.Progress, interrupt: Interrupt
) -> executor.Ports:
    """Return all that a run touches."""
    return executor.Ports(
        api=api,
        journal=session,
        sealer=sealer,
        progress=progress,
        now=holding.now,
        new_id=connection.new_id,
        by=holding.by(),
        interrupted=interrupt.code,
    )
