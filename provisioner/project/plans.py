"""Plans: what an apply would do, for every parent in the manifests.

Owns the steps from manifests and states to plans. Holds no lock and saves nothing. Needs
neither secrets nor the network, except for a refresh and for remote states.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import manifest
from provisioner.errors import CommandInvalid, ExitCode, OverLimit, ProvisionerError, gravest
from provisioner.immutable import immutable
from provisioner.manifest.load import Loaded
from provisioner.manifest.sources import Source, holds_any
from provisioner.model.account import AUTO_PARENT, DesiredAccount, Manifest
from provisioner.model.plan import Create, Plan, Update, counts, raise_if_over
from provisioner.model.state import State
from provisioner.planner import NOTHING_FOUND, Found, restricted, with_moves
from provisioner.planner import plan as planned
from provisioner.project.parent import Parent
from provisioner.project.running import attempted, each
from provisioner.state.reading import Snapshot

if TYPE_CHECKING:
    from provisioner.executor import Refreshed
    from provisioner.model.report import Report
    from provisioner.model.shard import Shard
    from provisioner.project.placing import Placement
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import Jobs, RunContext
    from provisioner.project.workspace import Workspace

MANIFESTS: Final = "manifests"
"""The default folder of manifests in a project."""
Look = tuple[Parent, Snapshot]


@immutable
class ParentPlan:
    """The plan of one parent, and everything that it was made from."""

    plan: Plan
    manifest: Manifest
    snapshot: Snapshot
    """The state when it was read."""
    refreshed: Refreshed | None = None
    """The result of the refresh, if there was one."""
    in_manifests: bool = True
    """Whether the manifests have the parent; otherwise, its accounts are only shown."""


@immutable
class Plans:
    """What an apply would do; :meth:`Project.apply` carries it out."""

    parents: Mapping[str, ParentPlan]
    """By the parent's name, sorted."""
    failures: Mapping[str, ProvisionerError]
    """The errors of parents that could not be planned, by name."""
    manifests: tuple[Path, ...]
    """The files and folders of manifests that were given."""
    sources: tuple[Source, ...]
    """The files that were read."""
    owner: str
    """The parent of accounts that do not name one."""
    refresh: bool
    """Whether the accounts were first read at Octopush."""
    placement: Placement | None = None
    """How accounts with ``parent: auto`` were placed, over all parents; None if there are none."""
    part_of: str | None = None
    """If these are only one parent's plan: the digest of the plans of all parents."""

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plan of each parent."""
        return tuple(each.plan for each in self.parents.values())

    @property
    def creates(self) -> int:
        """How many accounts would be created."""
        return counts(self.plans)[Create.action]

    @property
    def updates(self) -> int:
        """How many accounts would be changed."""
        return counts(self.plans)[Update.action]

    @property
    def over(self) -> tuple[OverLimit, ...]:
        """The errors of parents without enough slots for their creates."""
        return tuple(error for plan in self.plans if (error := _over(plan)) is not None)

    @property
    def shut_out(self) -> tuple[str, ...]:
        """The parents where nobody who can open the state could open what an apply seals."""
        return tuple(plan.parent for plan in self.plans if plan.pending and plan.terms and plan.terms.shuts_out)

    def require_any(self) -> None:
        """If there is only one parent and it failed, raise its failure."""
        if len(self.failures) == 1 and not self.parents:
            raise next(iter(self.failures.values()))

    def exit_code(self, *, detailed: bool = False) -> ExitCode:
        """Return the exit code of the plan; ``detailed`` also reports pending changes."""
        refused = [error.exit_code for error in (*self.failures.values(), *self.over)]
        seen = [each.refreshed.report for each in self.parents.values() if each.refreshed is not None]
        refreshed = _exit_code(seen) if seen else ExitCode.DONE
        if (code := gravest((*refused, refreshed))) is not ExitCode.DONE:
            return code
        pending = any(plan.pending or plan.gone or (self.refresh and plan.drifted) for plan in self.plans)
        return ExitCode.CHANGES_PENDING if detailed and pending else ExitCode.DONE


def _exit_code(reports: Sequence[Report]) -> ExitCode:
    from provisioner.model.report import exit_code  # a plan without refresh does not need it

    return exit_code(reports)


def _over(plan: Plan) -> OverLimit | None:
    try:
        raise_if_over(plan)
    except OverLimit as error:
        return error
    return None


def loaded(workspace: Workspace, paths: Sequence[Path], reporter: Reporter) -> Loaded:
    """Load the manifests at ``paths``, and report all their problems."""
    settings = workspace.settings
    reader = workspace.readers.manifests
    found = manifest.load(
        paths, owner=settings.owner, reader=reader, encoding=settings.encoding, parents=settings.parents
    )
    for problem in found.problems:
        reporter.problem(problem)
    return found


def manifest_paths(workspace: Workspace, paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return ``paths``, or the project's folder of manifests if there are none; raises CommandInvalid."""
    usual = workspace.folder / MANIFESTS
    if not paths and not usual.is_dir():
        raise CommandInvalid(f"No manifest was given, and there is no folder {usual}/.", hint="Name a file or folder.")
    return tuple(paths) or (usual,)


def desired_manifests(
    workspace: Workspace, paths: Sequence[Path], reporter: Reporter, *, more: Sequence[Path] = ()
) -> tuple[Manifest, ...]:
    """Return the manifests at ``paths``, or in the project if there are none, and ``more`` of them.

    There may be none at all. Raises ManifestInvalid.
    """
    usual = workspace.folder / MANIFESTS
    named = [*paths] or ([usual] if holds_any(usual) else [])
    return loaded(workspace, [*named, *more], reporter).require()


def accounts_of(parent: str, manifests: Sequence[Manifest]) -> dict[str, DesiredAccount]:
    """Return the accounts in ``manifests`` for one parent or for ``auto``, by name."""
    asked = (this for this in manifests if this.parent in {parent, AUTO_PARENT})
    return {account.name: account for this in asked for account in this.accounts}


def plan(
    workspace: Workspace,
    paths: Sequence[Path],
    parents: Sequence[str],
    run: RunContext,
    *,
    shard: Shard | None,
    only: Collection[str],
    refresh: bool,
    wait: bool,
    jobs: Jobs,
) -> Plans:
    """Return the plans of ``parents``, or of all parents in the manifests; see :meth:`Project.plan`."""
    named = manifest_paths(workspace, paths)
    found = loaded(workspace, named, run.reporter)
    return plans_of(
        workspace, named, found, parents, run, shard=shard, only=only, refresh=refresh, wait=wait, jobs=jobs
    )


def plans_of(
    workspace: Workspace,
    named: Sequence[Path],
    read: Loaded,
    parents: Sequence[str],
    run: RunContext,
    *,
    shard: Shard | None = None,
    only: Collection[str] = (),
    refresh: bool,
    wait: bool,
    jobs: Jobs,
) -> Plans:
    """Return the plans of the manifests that were ``named`` and ``read``.

    Raises:
        ManifestInvalid: a manifest has an error.
        SettingInvalid: a parent in ``parents`` is not in the settings.
        CommandInvalid: no manifest has accounts of ``parents``, or an account in ``only`` is in none.

    """
    for name in parents:
        workspace.settings.parent(name)
    start = time.monotonic()
    asked = {this.parent: this for this in read.require()}
    _require_accounts(only, asked, parents)
    looked: dict[str, Look | ProvisionerError] = {}
    placement: Placement | None = None
    failures: dict[str, ProvisionerError] = {}

    def look_at_all(names: Sequence[str]) -> dict[str, Look | ProvisionerError]:
        found = each(names, lambda name: attempted(_looked, workspace, name, run, wait=wait), jobs, run.cancel)
        return dict(zip(names, found, strict=True))

    if AUTO_PARENT in asked:
        from provisioner.project import placing  # rarely needed

        known = placing.recorded(workspace, run)
        # All parents, not only the chosen ones: otherwise two runs would place differently.
        looked = look_at_all(sorted({*workspace.settings.parents, *asked} - {AUTO_PARENT}))
        autos = asked[AUTO_PARENT]
        asked, placement, failures = placing.placed(workspace, asked, known, looked)
        failures = failures if _has(autos, only) else {}
    manifests = tuple(
        this
        for name, this in asked.items()
        if (not parents or name in parents) and (shard is None or name in shard) and _has(this, only)
    )
    others: dict[str, ParentPlan] = {}
    if not only and [*named] == [workspace.folder / MANIFESTS]:
        others = _others(workspace, asked, parents, shard, run, jobs)
    if not (manifests or failures or others):
        _require_shard(shard, parents, run)
    looked = looked or look_at_all([this.parent for this in manifests])
    looks = [looked[this.parent] for this in manifests]
    found: list[Refreshed | ProvisionerError | None] = [None] * len(looks)
    if refresh:
        from provisioner.project.refresh import refreshed  # loads the HTTP client

        names = [_known_as(this, only) for this in manifests]
        found = refreshed(looks, names, run, jobs)
        run.reporter.phase("refresh", time.monotonic() - start)
    made = others
    for this, look, seen in zip(manifests, looks, found, strict=True):
        outcome = attempted(_planned, this, look, seen, only)
        if isinstance(outcome, ProvisionerError):
            failures[this.parent] = outcome
        else:
            made[this.parent] = outcome
    parents_made = _with_moves({name: made[name] for name in sorted(made)})
    return Plans(parents_made, failures, tuple(named), read.sources, workspace.settings.owner, refresh, placement)


def _others(
    workspace: Workspace,
    asked: Collection[str],
    parents: Sequence[str],
    shard: Shard | None,
    run: RunContext,
    jobs: Jobs,
) -> dict[str, ParentPlan]:
    """Return the plans of parents that have accounts, but none in the manifests, and so not in ``asked``.

    They are only shown, so an error is only a warning.
    """
    chosen = [parent for parent in workspace.parents(parents, shard) if parent.name not in asked]
    found: dict[str, ParentPlan] = {}
    for parent, made in zip(
        chosen, each(chosen, lambda parent: attempted(_left, parent, run), jobs, run.cancel), strict=True
    ):
        if isinstance(made, ProvisionerError):
            parent.warn(run.reporter, f"no manifest has accounts of it, and its state cannot be shown. {made.message}")
        elif made is not None:
            found[parent.name] = made
    return found


def _left(parent: Parent, run: RunContext) -> ParentPlan | None:
    """Return the plan of a parent that no manifest names, or None if it has no accounts."""
    snapshot, this = parent.look(run.reporter), Manifest(parent.name, ())
    if (state := snapshot.settled) is None or not state.accounts:
        return None
    return ParentPlan(made_from(this, state, parent, None, ()), this, snapshot, in_manifests=False)


def _with_moves(made: Mapping[str, ParentPlan]) -> dict[str, ParentPlan]:
    marked = with_moves([each.plan for each in made.values()], [each.manifest for each in made.values()])
    return {name: replace(one, plan=plan) for (name, one), plan in zip(made.items(), marked, strict=True)}


def _require_shard(shard: Shard | None, parents: Sequence[str], run: RunContext) -> None:
    """Warn that no parent is in the ``shard``; raises CommandInvalid if that is not why there is nothing to plan."""
    if shard is None:
        raise CommandInvalid(
            f"No manifest has an account of {', '.join(parents)}.", hint="Check --parent and the manifests."
        )
    run.reporter.warning(f"no parent in the manifests is in shard {shard}: there is nothing to do.")


def _has(this: Manifest, only: Collection[str]) -> bool:
    """Return whether a manifest has any of the accounts ``only``; true if ``only`` is empty."""
    return not only or any(account.name in only for account in this.accounts)


def _known_as(this: Manifest, only: Collection[str]) -> frozenset[str]:
    """Return the names under which a state may have the accounts ``only``; empty for all accounts."""
    chosen = (account for account in this.accounts if account.name in only)
    return frozenset(name for account in chosen for name in (account.name, account.previously) if name is not None)


def _require_accounts(only: Collection[str], asked: Mapping[str, Manifest], parents: Sequence[str]) -> None:
    """Raise CommandInvalid unless the manifests have all accounts in ``only``."""
    chosen = [this for name, this in asked.items() if not parents or name in {*parents, AUTO_PARENT}]
    known = {account.name for this in chosen for account in this.accounts}
    if missing := sorted(set(only) - known):
        from provisioner.project.accounts import meant  # only needed after a mistake

        whose = f" of {', '.join(parents)}" if parents else ""
        raise CommandInvalid(
            f"No manifest has an account {', '.join(missing)}{whose}.",
            hint=f"{meant(missing, known)}--only takes the account names in the manifests.",
        )


def _looked(workspace: Workspace, name: str, run: RunContext, *, wait: bool) -> Look:
    parent = workspace.parent(name)
    if wait:
        parent.wait_for_others(run.cancel)
    snapshot = parent.look(run.reporter)
    if not wait:
        # The apply that follows a plan with ``wait`` says it itself.
        parent.warn_of_refusal(snapshot.state, run.reporter)
    return parent, snapshot


def _planned(
    this: Manifest,
    look: Look | ProvisionerError,
    refreshed: Refreshed | ProvisionerError | None,
    only: Collection[str],
) -> ParentPlan:
    for error in (look, refreshed):
        if isinstance(error, ProvisionerError):
            raise error
    assert not isinstance(look, ProvisionerError | None)  # noqa: S101  # raised above
    assert not isinstance(refreshed, ProvisionerError)  # noqa: S101  # raised above
    parent, snapshot = look
    return ParentPlan(made_from(this, snapshot.settled, parent, refreshed, only), this, snapshot, refreshed)


def made_from(
    this: Manifest, state: State | None, parent: Parent, refreshed: Refreshed | None, only: Collection[str]
) -> Plan:
    """Return the plan for ``this`` manifest and ``state``, with the drift that was ``refreshed``.

    Raises:
        SettingInvalid: a file that a setting names, and that is part of the plan, cannot be read.

    """
    if refreshed is None or state is None:
        return _plan(this, state, parent, only)
    from provisioner.executor import with_drift  # a plan without refresh does not need it
    from provisioner.planner import with_unchecked

    # The drift is not saved yet, so the plan has the serial of the state in the store.
    drifted = replace(with_drift(refreshed, state), serial=state.serial)
    made = _plan(this, drifted, parent, only, refreshed.found)
    return with_unchecked(made, refreshed.report)


def _plan(
    this: Manifest, state: State | None, parent: Parent, only: Collection[str], found: Found = NOTHING_FOUND
) -> Plan:
    made = planned(this, state, limit=parent.own.limit, reserved=parent.own.reserved, found=found)
    made = restricted(made, this, only) if only else made
    return replace(made, terms=parent.terms(state, begins=state is None))
