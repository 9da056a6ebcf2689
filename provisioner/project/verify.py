"""Verifies credentials and reads balances. Changes nothing, here or at Octopush."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from provisioner import executor
from provisioner.errors import ExitCode, ProvisionerError, Unverified
from provisioner.model.exchange import Balance, Failed
from provisioner.model.report import Report
from provisioner.model.state import Active, State
from provisioner.project.accounts import by_owner
from provisioner.project.parent import require_state
from provisioner.project.refresh import active_accounts, looked
from provisioner.project.reports import Reports, failed
from provisioner.project.running import attempted, each
from provisioner.render import advice
from provisioner.state.reading import check_endpoint

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import Jobs, RunContext

Balances: TypeAlias = Mapping[str, Balance | Failed]
"""The balance of each account by name, or why it is not known."""


Choice = tuple["Parent", State | ProvisionerError, tuple[str, ...]]
"""A parent, its state or the error on reading it, and the names of accounts; empty for all active ones."""


def chosen(parents: Sequence[Parent], names: Sequence[str], reporter: Reporter) -> list[Choice]:
    """Return the accounts to verify, by parent; raises CommandInvalid or StateConflict."""
    if not names:
        looks = looked(parents, reporter)
        return [
            (parent, look if isinstance(look, ProvisionerError) else require_state(look.state, parent), ())
            for parent, look in looks
        ]
    return [(parent, state, own) for parent, state, own in by_owner(parents, names, reporter, active=True)]


def verify(these: Sequence[Choice], run: RunContext, jobs: Jobs) -> Reports:
    """Compare the credentials of the active accounts of ``these`` with their records and with Octopush.

    Without names, verify all active accounts. See :meth:`Project.verify`.
    """
    wanted = [
        (parent, state, () if isinstance(state, ProvisionerError) else tuple(names) or _active(state))
        for parent, state, names in these
    ]
    run.reporter.expected(sum(len(names) for _, _, names in wanted))

    def turn(this: tuple[Parent, State | ProvisionerError, Sequence[str]]) -> Report:
        parent, state, names = this
        outcome = state if isinstance(state, ProvisionerError) else attempted(verified, parent, state, names, run)
        return parent.with_terms(failed(parent.name, outcome) if isinstance(outcome, ProvisionerError) else outcome)

    return Reports(tuple(each(wanted, turn, jobs, run.cancel)))


def verified(parent: Parent, state: State, names: Sequence[str], run: RunContext) -> Report:
    """Return the report on the accounts ``names``; raises SettingInvalid, StateForeign or IdentityRejected."""
    opener = parent.opener(run.reporter)
    parent.bound(state, run.reporter)
    watch = run.watch(parent.name)
    return executor.verify(state, names, opener, parent.client(watch, run), watch)


def require_verified(parent: Parent, state: State, names: Sequence[str], run: RunContext) -> None:
    """Raise Unverified unless Octopush confirms the credentials of the accounts ``names``."""
    run.reporter.expected(len(names))
    report = verified(parent, state, names, run)
    failed = [f"{one.name}: {advice.reason(one)}" for one in report.outcomes if one.exit_code is not ExitCode.DONE]
    if failed:
        hint = (report.stop and advice.hint(report.stop)) or "Export the others by name."
        raise Unverified(
            "\n".join(("Not all credentials could be verified:", *failed)), hint=f"{hint} Nothing was exported."
        )


def balances(
    looks: Sequence[tuple[Parent, State]], run: RunContext, jobs: Jobs
) -> dict[str, Balances | ProvisionerError]:
    """Return the balances of all active accounts by parent, each read with the account's own credentials."""
    run.reporter.expected(active_accounts(state for _, state in looks))
    found = each(looks, lambda look: attempted(_balances, *look, run), jobs, run.cancel)
    return {parent.name: result for (parent, _), result in zip(looks, found, strict=True)}


def _balances(parent: Parent, state: State, run: RunContext) -> Balances:
    check_endpoint(state, parent.settings.api_url)
    opener = parent.opener(run.reporter)
    watch = run.watch(parent.name)
    return executor.balances(state, opener, parent.client_without_credentials(watch, run), watch)


def _active(state: State) -> tuple[str, ...]:
    return tuple(name for name, record in sorted(state.accounts.items()) if isinstance(record, Active))
