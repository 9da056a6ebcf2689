"""``apply``: everything is read, checked and locked before the first request."""

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
from provisioner.cli import connection, holding, inspecting, opening, planning, terminal, wiring
from provisioner.cli.interrupt import Interrupt
from provisioner.cli.progress import progress as progressing
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid
from provisioner.executor import Refreshed, Work
from provisioner.executor.ports import credentials_of
from provisioner.manifest.expansion import edits, requests
from provisioner.model.account import Credentials, Manifest, Secret
from provisioner.model.plan import Plan, Update, raise_if_over
from provisioner.model.report import Report, Stop, exit_code
from provisioner.model.state import Active, State
from provisioner.planner import NOTHING_FOUND
from provisioner.render import text
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
    refreshed: Refreshed | None = None
    """What reading the accounts before the plan was made has shown."""


@dataclass(frozen=True, slots=True)
class _Held:
    """One parent's state, held by this run, and what the manifests ask of it."""

    wanted: Manifest
    credentials: Credentials
    session: Session
    state: State


def apply(options: Options) -> int:
    """Create and change what the plan says, in every parent that the manifests name."""
    if not options["yes"] and not terminal.is_interactive():
        raise CommandInvalid(
            "There is no terminal to ask on.", hint="Look at `provisioner plan`, then apply with --yes."
        )
    manifests = planning.load(options)
    settings = wiring.settings(options)
    config.require_connection(settings)
    sealer = AgeSealer(settings.recipients)
    with ExitStack() as held:
        holds = [_held(held, each, settings) for each in manifests]
        found = _refreshed(holds, settings) if options["refresh"] else [None] * len(holds)
        jobs = [_prepared(*each, settings, sealer) for each in zip(holds, found, strict=True)]
        stop = next((each.report.stop for each in found if each is not None and each.report.stop is not None), None)
        if not options["yes"] and stop is None:
            _confirm(jobs)
        reports = carried_out(jobs, settings, sealer, stop)
        reports = [
            report if job.refreshed is None else inspecting.unchecked(job.refreshed, job.plan, report)
            for job, report in zip(jobs, reports, strict=True)
        ]
    return told(reports, options)


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


def _held(held: ExitStack, wanted: Manifest, settings: Settings) -> _Held:
    """Hold the parent's state; nothing is sent."""
    parent = settings.parent(wanted.parent)
    credentials = config.credentials(parent, os.environ, settings.base)
    session = held.enter_context(holding.held(settings, wanted.parent))
    state = bound(session.state, wanted.parent, credentials, settings)
    return _Held(wanted, credentials, session, executor.settle(state, session))


def _refreshed(holds: Sequence[_Held], settings: Settings) -> list[Refreshed]:
    """Read every active account of the parents that are held; nothing is changed at Octopush."""
    opener = opening.opener(settings)
    return inspecting.looked_at([inspecting.subject(each.state, settings, opener) for each in holds], settings)


def _prepared(hold: _Held, refreshed: Refreshed | None, settings: Settings, sealer: AgeSealer) -> Job:
    """Save the drift that was found, and make ready all that the changes of the plan need; nothing is sent."""
    state, found = hold.state, NOTHING_FOUND
    if refreshed is not None:
        state, found = inspecting.saved(refreshed, state, hold.session), refreshed.found
    plan = planning.plan_for(hold.wanted, state, settings, found)
    terminal.talk(*text.plan(plan))
    raise_if_over(plan)
    opener = opening.opener_if_any(settings) if plan.updates else None
    ready = work(plan, state, opener)
    if opener is not None:
        # What is changed is sealed anew: to recipients of whom this identity is none, nobody here could open it again.
        opening.require_opens(opener, sealer, state)
    return Job(hold.session, state, plan, hold.credentials, ready, refreshed)


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
            api = connection.client(job.credentials, settings, progress.waiting, interrupt)
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
