"""Adopts accounts that exist at Octopush, and writes a manifest for those that have none.

Owns the order: each account is saved in the state before the next one is read, and the
manifest is written last. Never writes a value that may be a secret into a manifest, and
never overwrites a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import executor, placeholders
from provisioner.errors import CommandInvalid, ProvisionerError
from provisioner.executor.adopt import Adopted, NamedLogin
from provisioner.immutable import immutable
from provisioner.manifest import logins, yaml_manifest
from provisioner.manifest.problems import errors
from provisioner.manifest.sources import YAML_SUFFIXES
from provisioner.manifest.writing import as_yaml, with_placeholders
from provisioner.model.account import AUTO_PARENT, DEFAULT_PARENT, Attributes, DesiredAccount, Problem, fits
from provisioner.model.report import Report, Result
from provisioner.model.state import Slots
from provisioner.project.places import require_harmless
from provisioner.project.plans import MANIFESTS, desired_manifests
from provisioner.project.reports import Reports, failed
from provisioner.project.running import attempted
from provisioner.state.disk import Disk, write_new

if TYPE_CHECKING:
    from provisioner.model.state import State
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import RunContext
    from provisioner.project.workspace import Workspace

_DEFAULT_TARGET: Final = Path(MANIFESTS) / "adopted.yaml"


@immutable
class Written:
    """A manifest that was written for adopted accounts."""

    path: Path
    accounts: Mapping[str, Attributes]
    """By name, as in the manifest."""

    @property
    def variables(self) -> tuple[tuple[str, str, str], ...]:
        """The variables that replace possible secrets: each variable's name, the account's, and the field's path."""
        return tuple(
            (variable.removeprefix("env:"), name, path)
            for name, attributes in sorted(self.accounts.items())
            for path, value in attributes.flat().items()
            for variable in placeholders.names(value)
        )


@immutable
class Adoption:
    """The result of an adoption."""

    reports: Reports
    written: tuple[Written, ...]
    without_password: tuple[str, ...]
    """The accounts without a stored password: Octopush does not show it."""
    over: Mapping[str, Slots]
    """The slots of each parent that now has more accounts than its limit allows."""


def read_table(path: Path, encoding: str | None, reporter: Reporter) -> list[NamedLogin]:
    """Return the names and logins in a CSV table; reports every problem, then raises ManifestInvalid."""
    found = logins.read(path, encoding)
    for problem in found.problems:
        reporter.problem(problem)
    return [(row.name, row.api_login) for row in found.require()]


def adopt(
    workspace: Workspace,
    rows: Sequence[NamedLogin],
    paths: Sequence[Path],
    run: RunContext,
    *,
    write: Path | None,
    alone: bool,
    different: bool,
    parents: Sequence[str],
) -> Adoption:
    """Adopt ``rows``; see :meth:`Project.adopt`."""
    for name, login in rows if alone else ():
        if fault := logins.fault(name, login):
            raise CommandInvalid(fault[0], hint=fault[1])
    target = _target(workspace, write)
    known = _desired(workspace, paths, tuple(_written_before(target)), run.reporter)
    groups = _by_parent(workspace, rows, known, parents, run.reporter)
    run.reporter.expected(len(rows))
    reports: list[Report] = []
    states: dict[str, State | None] = {}
    done: list[Adopted] = []
    written: list[Written] = []
    for parent, own in groups:
        desired = {**known.get(AUTO_PARENT, {}), **known.get(parent.name, {})}
        outcome = attempted(_adopted, parent, own, desired, run, target, written, alone=alone, different=different)
        if not isinstance(outcome, ProvisionerError):
            done.append(outcome)
            reports.append(outcome.report)
            states[parent.name] = outcome.state
        elif len(groups) == 1:
            raise outcome
        else:
            reports.append(failed(parent.name, outcome))
    without = tuple(name for each in done for name in each.without_password)
    over = {each.state.parent: slots for each in done if (slots := _over(workspace, each)) is not None}
    return Adoption(Reports(tuple(reports), states), tuple(written), without, over)


def _adopted(
    parent: Parent,
    rows: Sequence[NamedLogin],
    desired: Mapping[str, DesiredAccount],
    run: RunContext,
    target: Path,
    written: list[Written],
    *,
    alone: bool,
    different: bool,
) -> Adopted:
    opener = parent.opener(run.reporter)
    with parent.hold(run) as session:
        before = session.state
        state = parent.bound(before, run.reporter)
        parent.require_readers(before)
        parent.warn_of_recipients(before, run.reporter)
        ports = parent.ports(session, run.watch(parent.name), run)
        done = executor.adopt(
            rows,
            state,
            desired,
            ports,
            opener,
            alone=alone,
            different=different,
            fits=fits,
            writable=_writable,
        )
        if done.unwritten:
            written.append(_write(target, done.unwritten, parent))
        if session.state is None:
            return done
        return replace(done, report=replace(done.report, terms=parent.terms(before, begins=before is None), begun=True))


# ── The parent of each account ───────────────────────────────────────────────


def _desired(
    workspace: Workspace, paths: Sequence[Path], more: Sequence[Path], reporter: Reporter
) -> dict[str, dict[str, DesiredAccount]]:
    """Return the accounts in the manifests, by parent and name; there may be none. Raises ManifestInvalid."""
    return {
        this.parent: {account.name: account for account in this.accounts}
        for this in desired_manifests(workspace, paths, reporter, more=more)
    }


def _by_parent(
    workspace: Workspace,
    rows: Sequence[NamedLogin],
    known: Mapping[str, Mapping[str, DesiredAccount]],
    parents: Sequence[str],
    reporter: Reporter,
) -> list[tuple[Parent, list[NamedLogin]]]:
    """Return the rows of each parent: the only parent, or the one whose manifest or state has the name.

    Raises:
        CommandInvalid: several parents have the name, or none does.

    """
    chosen = workspace.parents(parents)
    if len(chosen) == 1:
        return [(chosen[0], list(rows))]
    states = {parent.name: parent.look(reporter).state for parent in chosen}
    groups: dict[str, list[NamedLogin]] = {}
    for name, login in rows:
        owners = [
            parent
            for parent, state in states.items()
            if name in known.get(parent, {}) or (state is not None and name in state.accounts)
        ]
        if len(owners) > 1:
            raise CommandInvalid(
                f"{name} exists under several parents ({', '.join(owners)}).", hint="Choose one with --parent."
            )
        rest = "" if name in known.get(AUTO_PARENT, {}) else workspace.settings.owner
        owner = owners[0] if owners else rest
        if owner not in states:
            raise CommandInvalid(
                f"Nothing says which parent {name} belongs to.", hint="Name it with --parent, or in a manifest."
            )
        groups.setdefault(owner, []).append((name, login))
    return [(workspace.parent(name), own) for name, own in sorted(groups.items())]


def _over(workspace: Workspace, done: Adopted) -> Slots | None:
    own = workspace.settings.parent(done.state.parent)
    slots = done.state.slots(limit=own.limit, reserved=own.reserved, planned=0)
    adopted = any(outcome.result is Result.ADOPTED for outcome in done.report.outcomes)
    return slots if adopted and slots.left < 0 else None


# ── The manifest for accounts that had none ──────────────────────────────────


def _target(workspace: Workspace, write: Path | None) -> Path:
    target = write or workspace.folder / _DEFAULT_TARGET
    if target.suffix.lower() not in YAML_SUFFIXES:
        raise CommandInvalid(
            f"{target} is not the name of a YAML file.", hint="--write creates a manifest: end its name in .yaml."
        )
    require_harmless(target, workspace.folder)
    return target


def _places(target: Path) -> Iterator[Path]:
    """Yield ``target``, then the names to try if it is taken."""
    yield target
    for number in count(2):
        yield target.with_stem(f"{target.stem}-{number}")


def _written_before(target: Path) -> Iterator[Path]:
    """Yield the manifests from earlier adoptions: they count, even if the command names other manifests."""
    for place in _places(target):
        if not os.path.lexists(place):
            return
        if place.is_file():
            yield place


def _writable(name: str, found: Attributes) -> Attributes | Problem:
    """Return an account as a manifest can have it, or the first error of that manifest."""
    wanted, _ = with_placeholders(name, found)
    problems = errors(yaml_manifest.read(as_yaml([(name, wanted)]).encode(), name).problems)
    return problems[0] if problems else wanted


def _write(target: Path, accounts: Mapping[str, Attributes], parent: Parent) -> Written:
    """Write one manifest of ``accounts``; raises CommandInvalid."""
    owner = None if parent.name == DEFAULT_PARENT else parent.name
    content = as_yaml(accounts.items(), parent=owner).encode()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Written(_first_free(target, content), accounts)
    except OSError as error:
        raise CommandInvalid(
            f"The manifest cannot be written to {target}: {error.strerror or error}.",
            hint="The adopted accounts are in the state. Run it again, with --write and a writable path.",
        ) from error


def _first_free(target: Path, content: bytes) -> Path:
    for place in _places(target):
        try:
            write_new(place, content, Disk())
        except FileExistsError:
            continue
        return place
    raise AssertionError  # the generator never ends
