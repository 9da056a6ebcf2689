"""``apply``: everything is read, checked and locked before the first request."""

from __future__ import annotations

import os
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click

from provisioner import config, executor
from provisioner.cli import holding, planning, terminal, wiring
from provisioner.cli.interrupt import Interrupt
from provisioner.cli.progress import progress as progressing
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid
from provisioner.manifest.expansion import requests
from provisioner.model.account import Credentials, Manifest, Secret
from provisioner.model.plan import Plan, raise_if_over
from provisioner.model.report import Report, Stop, exit_code
from provisioner.model.state import State
from provisioner.model.verdict import CreateRequest
from provisioner.octopush.client import Client
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Transport
from provisioner.render import report as faces
from provisioner.render import text
from provisioner.state.sealing import AgeSealer
from provisioner.state.session import Session, check_parent

_PASSWORD_BYTES: Final = 24
_CLASSES: Final = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_")


@dataclass(frozen=True, slots=True)
class _Job:
    """One parent's part of the run, ready to be carried out."""

    session: Session
    state: State
    plan: Plan
    credentials: Credentials
    requests: Mapping[str, CreateRequest]


def apply(options: Options) -> int:
    """Create what is missing in every parent that the manifests name."""
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
        creates = sum(len(job.plan.creates) for job in jobs)
        if creates and not options["yes"]:
            click.confirm(f"Create {creates} sub-account{'' if creates == 1 else 's'}?", abort=True, err=True)
        reports = _carried_out(jobs, settings, sealer)
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


def _prepared(held: ExitStack, wanted: Manifest, settings: Settings) -> _Job:
    """Hold the parent's state and make ready all that its creates need; nothing is sent."""
    parent = settings.parent(wanted.parent)
    credentials = config.credentials(parent, os.environ, settings.base)
    session = held.enter_context(holding.held(settings, wanted.parent))
    state = session.state or State(
        lineage=str(uuid.uuid4()), parent=wanted.parent, recipients=tuple(sorted(set(settings.recipients)))
    )
    state = check_parent(state, endpoint=settings.api_url.rstrip("/"), api_login=credentials.api_login)
    state = executor.settle(state, session)
    plan = planning.plan_for(wanted, state, settings)
    terminal.talk(*text.plan(plan))
    raise_if_over(plan)
    to_send = requests(plan.creates, os.environ, new_password)
    return _Job(session, state, plan, credentials, to_send)


def _carried_out(jobs: list[_Job], settings: Settings, sealer: AgeSealer) -> list[Report]:
    for job in jobs:
        if job.plan.creates:
            job.session.reserve()
    total = sum(len(job.plan.creates) + len(job.plan.updates) for job in jobs)
    reports: list[Report] = []
    stop: Stop | None = None
    with Interrupt() as interrupt, progressing(total) as progress:
        for job in jobs:
            ports = executor.Ports(
                api=_client(job.credentials, settings, interrupt, progress.waiting),
                journal=job.session,
                sealer=sealer,
                progress=progress,
                now=holding.now,
                new_id=_new_id,
                by=holding.by(),
                interrupted=interrupt.code,
            )
            report = executor.apply(job.plan, job.state, job.requests, ports, keep_going=settings.keep_going, stop=stop)
            stop = report.stop
            reports.append(report)
    return reports


def _client(
    credentials: Credentials, settings: Settings, interrupt: Interrupt, waiting: Callable[[str], None]
) -> Client:
    return Client(
        base_url=settings.api_url.rstrip("/"),
        parent=credentials,
        transport=Transport(settings.timeout, settings.proxy, settings.ca_file),
        retry=RetryPolicy(
            attempts=settings.attempts,
            budget=settings.retry_budget,
            retry_after_cap=settings.retry_after_cap,
            sleep=interrupt.sleep,
            interrupted=interrupt.is_set,
            waiting=waiting,
        ),
        now=_utc_now,
        retry_on_503=settings.retry_on_503,
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid.uuid4())
