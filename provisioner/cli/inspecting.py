"""The commands that compare what is kept with what Octopush has, and what other commands ask of that.

Owns ``refresh`` and ``verify``, and the reading for ``plan --refresh``, ``apply --refresh``,
``status --balances`` and ``credentials export --verified``. Refuses to change anything at
Octopush, to save more than the drift that was found, and to send a key anywhere but to
the address and the account that the state belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from provisioner import config, executor
from provisioner.cli import connection, holding, opening, planning, terminal, wiring
from provisioner.cli.progress import BarProgress, PlainProgress
from provisioner.cli.progress import progress as progressing
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import ExitCode, StateError, Unverified
from provisioner.executor import Refreshed
from provisioner.model.account import DEFAULT_PARENT, Credentials, Manifest, Secret
from provisioner.model.exchange import Balance, Failed
from provisioner.model.plan import Plan
from provisioner.model.report import Report, Result, Stop, exit_code
from provisioner.model.state import Active, State
from provisioner.model.verdict import SealedContent
from provisioner.octopush.client import Exchange
from provisioner.planner import with_unchecked
from provisioner.render import advice
from provisioner.state.sealing import AgeOpener
from provisioner.state.session import Session, check_endpoint, check_parent

if TYPE_CHECKING:
    from provisioner.cli.logs import LogProgress

RATE: Final = 20
"""Requests that begin in a second where no other rate is given."""
# Whoever asks for a balance is the sub-account itself: no parent is needed, and none is asked for its key.
_NOBODY: Final = Credentials("", Secret(""))


@dataclass(frozen=True, slots=True)
class Subject:
    """One parent's accounts, opened and ready to be asked for; nothing was sent."""

    state: State
    credentials: Credentials
    opened: Mapping[str, SealedContent]


# ── Drift ────────────────────────────────────────────────────────────────────


def refresh(options: Options) -> int:
    """Read every active account, report what differs from what was sent, and save that."""
    settings = wiring.settings(options)
    config.require_connection(settings)
    parents = _states(options["parent"], settings)
    opener = opening.opener(settings)
    with ExitStack() as held:
        sessions = [held.enter_context(holding.held(settings, parent)) for parent in parents]
        states = [wiring.existing(session.state, parent) for session, parent in zip(sessions, parents, strict=True)]
        subjects = [subject(state, settings, opener) for state in states]
        found = looked_at(subjects, settings, options["rate"])
        reports = [
            _saved_or_stopped(refreshed, state, session)
            for refreshed, state, session in zip(found, states, sessions, strict=True)
        ]
    terminal.reports(reports, options["output"])
    code = exit_code(reports)
    if code is ExitCode.DONE and options["detailed_exitcode"] and _has_drifted(reports):
        return ExitCode.CHANGES_PENDING
    return code


def subject(state: State, settings: Settings, opener: AgeOpener) -> Subject:
    """Return what is needed to ask for the accounts of ``state``.

    Raises SettingInvalid, StateForeign, IdentityRejected, StateConflict.
    """
    credentials = _credentials(state, settings)
    return Subject(state, credentials, opening.active(opener, state))


def looked_at(subjects: Sequence[Subject], settings: Settings, rate: float = RATE) -> list[Refreshed]:
    """Read every active account of every subject; what stops one parent stops no other."""
    carrier = connection.paced(settings, rate)
    found: list[Refreshed] = []
    with progressing(sum(len(each.opened) for each in subjects)) as progress:
        for each in subjects:
            client = _client(each.state.parent, each.credentials, settings, carrier, progress)
            found.append(executor.refresh(each.state, each.opened, client, progress))
    return found


def plans(manifests: Iterable[Manifest], settings: Settings) -> tuple[list[Plan], ExitCode]:
    """Return the plans made from what stands at Octopush, and what the reading alone tells the caller.

    Nothing is held or saved.
    """
    config.require_connection(settings)
    wanted = [(each, wiring.stored(settings, each.parent)) for each in manifests]
    states = {manifest.parent: state for manifest, state in wanted if state is not None}
    opener = opening.opener(settings) if states else None
    subjects = [subject(state, settings, opener) for state in states.values() if opener is not None]
    found = dict(zip(states, looked_at(subjects, settings), strict=True))
    reports = [each.report for each in found.values()]
    for report in reports:
        for outcome in report.outcomes:
            if outcome.exit_code is not ExitCode.DONE:
                terminal.warn(f"{outcome.name} could not be checked: {outcome.reason}.")
        if report.stop is not None and report.stop.hint:
            terminal.talk(f"  {report.stop.hint}")
    made = []
    for manifest, _ in wanted:
        refreshed = found.get(manifest.parent)
        made.append(
            with_unchecked(planning.plan_for(manifest, refreshed.state, settings, refreshed.found), refreshed.report)
            if refreshed is not None
            else planning.plan_for(manifest, None, settings)
        )
    return made, exit_code(reports)


def _saved_or_stopped(refreshed: Refreshed, before: State, session: Session) -> Report:
    """Save the drift; what was found is told even where that fails."""
    after = executor.with_drift(refreshed, before)
    try:
        if after != before:
            session.save(after)
    except StateError as error:
        return replace(refreshed.report, stop=Stop.of(error))
    return refreshed.report


def _has_drifted(reports: Iterable[Report]) -> bool:
    return any(each.result in {Result.DRIFTED, Result.GONE} for report in reports for each in report.outcomes)


# ── Credentials ──────────────────────────────────────────────────────────────


def verify(options: Options) -> int:
    """Compare every credential, or those of the accounts that were named, with what Octopush has."""
    settings = wiring.settings(options)
    config.require_connection(settings)
    names = tuple(dict.fromkeys(options["names"]))
    states = _states(options["parent"] or (DEFAULT_PARENT if names else None), settings)
    for state in states.values():
        wiring.require_known(state, names)
        for name in names:
            executor.active(state, name)
    opener = opening.opener(settings)
    wanted = [(state, names or _active(state)) for state in states.values()]
    reports = _verified(wanted, settings, opener, options["rate"])
    terminal.reports(reports, options["output"])
    return exit_code(reports)


def require_verified(state: State, names: Sequence[str], settings: Settings, opener: AgeOpener) -> None:
    """Return if every credential of the active accounts ``names`` is the one that Octopush has; raises Unverified."""
    config.require_connection(settings)
    (report,) = _verified([(state, names)], settings, opener, RATE)
    failed = [f"{each.name}: {advice.reason(each)}" for each in report.outcomes if each.exit_code is not ExitCode.DONE]
    if failed:
        hint = report.stop.hint if report.stop is not None and report.stop.hint else "Export the others by their names."
        raise Unverified(
            "\n".join(("Not every credential could be verified:", *failed)), hint=f"{hint} Nothing was exported."
        )


def _verified(
    wanted: Sequence[tuple[State, Sequence[str]]], settings: Settings, opener: AgeOpener, rate: float
) -> list[Report]:
    credentials = [_credentials(state, settings) for state, _ in wanted]
    carrier = connection.paced(settings, rate)
    reports: list[Report] = []
    with progressing(sum(len(names) for _, names in wanted)) as progress:
        for (state, names), own in zip(wanted, credentials, strict=True):
            client = _client(state.parent, own, settings, carrier, progress)
            reports.append(executor.verify(state, names, opener, client, progress))
    return reports


# ── Balances ─────────────────────────────────────────────────────────────────


def balances(found: Iterable[tuple[str, State | None]], settings: Settings) -> dict[str, dict[str, Balance | Failed]]:
    """Return, by parent and name, what every active account has left, asked for with its own credentials."""
    config.require_connection(settings)
    opener = opening.opener(settings)
    opened: dict[str, dict[str, SealedContent]] = {}
    for parent, state in found:
        if state is not None:
            check_endpoint(state, settings.api_url.rstrip("/"))
            opened[parent] = opening.active(opener, state)
    carrier = connection.paced(settings, RATE)
    asked: dict[str, dict[str, Balance | Failed]] = {}
    with progressing(sum(map(len, opened.values()))) as progress:
        for parent, contents in opened.items():
            client = _client(parent, _NOBODY, settings, carrier, progress)
            asked[parent] = executor.balances(contents, client, progress)
    return asked


# ── What they share ──────────────────────────────────────────────────────────


def _states(parent: str | None, settings: Settings) -> dict[str, State]:
    """Return the state of ``parent``, or of every parent that has one; raises StateConflict where there is none."""
    parents = sorted(settings.parents) if parent is None else [parent]
    found = {each: state for each in parents if (state := wiring.stored(settings, each)) is not None}
    if not found:
        wiring.existing(None, ", ".join(parents))
    return found


def _active(state: State) -> tuple[str, ...]:
    return tuple(name for name, record in sorted(state.accounts.items()) if isinstance(record, Active))


def _credentials(state: State, settings: Settings) -> Credentials:
    """Return the parent's credentials, of which ``state`` is known to be; raises SettingInvalid or StateForeign."""
    credentials = config.credentials(settings.parent(state.parent), os.environ, settings.base)
    check_parent(state, endpoint=settings.api_url.rstrip("/"), api_login=credentials.api_login)
    return credentials


def _client(
    parent: str,
    credentials: Credentials,
    settings: Settings,
    carrier: Exchange,
    progress: PlainProgress | BarProgress | LogProgress,
) -> executor.Api:
    """Return a client for the accounts of ``parent``, of which ``progress`` hears from here on."""
    progress.at(parent)
    return connection.client(credentials, settings, progress.waiting, carrier=progress.carrying(carrier))
