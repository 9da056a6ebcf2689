"""Checks that settings, manifests, keys, states and credentials work, before they are needed. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provisioner.errors import CommandInvalid, ManifestInvalid, ProvisionerError, SettingInvalid, Unverified
from provisioner.immutable import immutable
from provisioner.model.exchange import Balance
from provisioner.model.state import Active
from provisioner.project.running import attempted, each
from provisioner.render import conditions, text
from provisioner.render.lines import counted
from provisioner.state.stores.remote import RemoteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.project.parent import Parent
    from provisioner.project.running import Jobs, RunContext
    from provisioner.project.workspace import Workspace

_NO_IDENTITY: Final = "there is none: accounts can be created, but not changed or delivered"


@immutable
class Check:
    """The result of one check."""

    parent: str | None
    """None for checks of the whole project."""
    what: str
    found: str
    """What was found, in a few words, or the message of the failure."""
    failure: ProvisionerError | None = None


def examine(
    workspace: Workspace, parents: Sequence[str], run: RunContext, jobs: Jobs, *, offline: bool
) -> tuple[Check, ...]:
    """Return all checks, those of the project first; see :meth:`Project.examine`."""
    own = (
        Check(None, "settings", str(workspace.settings.file) if workspace.settings.file.exists() else "the defaults"),
        _check(None, "manifests", lambda: _manifests(workspace)),
        _check(None, "recipients", lambda: _recipients(workspace)),
        _check(None, "identity", lambda: _identity(workspace, run)),
        *_placements(workspace, run),
    )
    found = each(
        workspace.parents(parents), lambda parent: _of(parent, workspace, run, offline=offline), jobs, run.cancel
    )
    return (*own, *(check for checks in found for check in checks))


def _check(parent: str | None, what: str, look: Callable[[], str]) -> Check:
    found = attempted(look)
    if isinstance(found, ProvisionerError):
        return Check(parent, what, found.message, found)
    return Check(parent, what, found)


def _manifests(workspace: Workspace) -> str:
    from provisioner.project.plans import loaded, manifest_paths
    from provisioner.project.reporter import SILENT

    try:
        found = loaded(workspace, manifest_paths(workspace, ()), SILENT)
    except CommandInvalid as error:
        # Not an error: the user may name the manifests on each run.
        return error.message.rstrip(".")
    if found.errors:
        raise ManifestInvalid(f"{counted(len(found.errors), 'problem')}.", hint="`provisioner validate` lists them.")
    accounts = sum(len(manifest.accounts) for manifest in found.manifests)
    return f"{counted(len(found.sources), 'file')} with {counted(accounts, 'account')}"


def _recipients(workspace: Workspace) -> str:
    workspace.keys.sealer()
    return ", ".join(workspace.settings.recipients)


def _identity(workspace: Workspace, run: RunContext) -> str:
    if not workspace.keys.has_identity():
        return _NO_IDENTITY
    workspace.keys.require_own(workspace.keys.opener(run.reporter.identity_said))
    return "it belongs to one of the recipients"


def _placements(workspace: Workspace, run: RunContext) -> tuple[Check, ...]:
    """Check the record of placements, if there is one."""
    checks = []
    for record in workspace.records():
        look = attempted(record.look, run.reporter)
        if isinstance(look, ProvisionerError):
            checks.append(Check(None, "placements", look.message, look))
        elif look.state is not None:
            found = f"{record.store.address} with {counted(len(look.state.placements), 'account')}"
            checks.append(Check(None, "placements", found))
    return tuple(checks)


def _of(parent: Parent, workspace: Workspace, run: RunContext, *, offline: bool) -> tuple[Check, ...]:
    """Return the checks of one parent; those that depend on a failed check are left out."""
    credentials = _check(parent.name, "credentials", lambda: _credentials(parent))
    if isinstance(terms := attempted(parent.terms), ProvisionerError):
        return credentials, Check(parent.name, "settings", terms.message, terms)
    checks = [credentials, _check(parent.name, "state", lambda: _state(parent, run))]
    if (frozen := conditions.freeze(terms) or conditions.past_freeze(terms)) is not None:
        checks.insert(0, Check(parent.name, "freeze", text.plain(frozen)))
    if checks[-1].failure is None:
        if isinstance(store := parent.store, RemoteStore):
            checks.append(_check(parent.name, "saves", store.backend.try_out))
        checks.append(_check(parent.name, "sealed", lambda: _sealed(parent, workspace, run)))
    if not offline and credentials.failure is None:
        checks.append(_check(parent.name, "Octopush", lambda: _octopush(parent, run)))
    return tuple(checks)


def _credentials(parent: Parent) -> str:
    return f"the login of {parent.own.sources[0]}" if parent.credentials and parent.own.sources else "given"


def _state(parent: Parent, run: RunContext) -> str:
    state = parent.look(run.reporter).state
    parent.warn_of_refusal(state, run.reporter)
    if state is None:
        return f"there is none at {parent.store.address} yet"
    return f"{parent.store.address} with serial {state.serial} and {counted(len(state.accounts), 'account')}"


def _sealed(parent: Parent, workspace: Workspace, run: RunContext) -> str:
    """Open the sealed content of one account; all accounts are sealed to the same recipients."""
    from provisioner import executor

    state = parent.look(run.reporter).state
    name = next((name for name, each in (state.accounts if state else {}).items() if isinstance(each, Active)), None)
    if state is None or name is None:
        return "nothing yet"
    if not workspace.keys.has_identity():
        return "not checked, for lack of an identity"
    executor.open_active(state, name, parent.opener(run.reporter))
    return f"the content of {name} can be opened; `provisioner verify` checks all"


def _octopush(parent: Parent, run: RunContext) -> str:
    found = parent.client(run.watch(parent.name), run).balance(parent.credentials)
    if isinstance(found, Balance):
        return f"accepts login and key at {parent.settings.api_url}; the parent has {found.amount:.2f} {found.unit}"
    message = f"{parent.settings.api_url}: {found.reason}."
    if found.exit_code == SettingInvalid.exit_code:
        raise SettingInvalid(message, hint=f"Check {' and '.join(parent.own.sources) or 'login and key'}.")
    raise Unverified(message, hint=found.hint)
