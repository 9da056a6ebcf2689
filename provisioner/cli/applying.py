"""``apply``: everything is read, checked and locked before the first request."""

from __future__ import annotations

import os
import secrets
import string
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

import click

from provisioner import config, executor
from provisioner.cli import connection, holding, opening, planning, terminal, wiring
from provisioner.cli.interrupt import Interrupt
from provisioner.cli.progress import progress as progressing
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid
from provisioner.executor import Work
from provisioner.executor.ports import credentials_of
from provisioner.manifest.expansion import edits, requests
from provisioner.model.account import Credentials, Manifest, Secret
from provisioner.model.plan import Plan, Update, raise_if_over
from provisioner.model.report import Report, Stop, exit_code
from provisioner.model.state import Active, State
from provisioner.render import report as faces
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
        jobs = [_prepared(held, each, settings) for each in manifests]
        if not options["yes"]:
            _confirm(jobs)
        reports = carried_out(jobs, settings, sealer)
    return told(reports, options)


def told(reports: list[Report], options: Options) -> int:
    """Print what was done, and return the exit code that follows."""
    if options["output"] == "json":
        terminal.document(faces.document(reports))
    else:
        for report in reports:
            terminal.lines(faces.text(report))
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
    # Whoever can open any record is named: what was sealed before stays as it was sealed, until a rekey.
    state = replace(state, recipients=tuple(sorted({*state.recipients, *settings.recipients})))
    return check_parent(state, endpoint=settings.api_url.rstrip("/"), api_login=credentials.api_login)


def _prepared(held: ExitStack, wanted: Manifest, settings: Settings) -> Job:
    """Hold the parent's state and make ready all that its changes need; nothing is sent."""
    parent = settings.parent(wanted.parent)
    credentials = config.credentials(parent, os.environ, settings.base)
    session = held.enter_context(holding.held(settings, wanted.parent))
    state = bound(session.state, wanted.parent, credentials, settings)
    state = executor.settle(state, session)
    plan = planning.plan_for(wanted, state, settings)
    terminal.talk(*text.plan(plan))
    raise_if_over(plan)
    opener = opening.opener_if_any(settings) if plan.updates else None
    return Job(session, state, plan, credentials, work(plan, state, opener))


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


def carried_out(jobs: list[Job], settings: Settings, sealer: AgeSealer) -> list[Report]:
    """Carry out every job, one after the other; what stops one stops those that follow."""
    for job in jobs:
        if job.plan.creates:
            job.session.reserve()
    total = sum(len(job.plan.creates) + len(job.plan.updates) for job in jobs)
    reports: list[Report] = []
    stop: Stop | None = None
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
