"""Whatever goes wrong for one parent is in its result, whichever operation it is; the others are done."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import provisioner
from provisioner.errors import ExitCode, InternalError, ProvisionerError, SettingInvalid, StateInvalid
from provisioner.project.parts import Parts
from provisioner.state.stores import Store
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.opening import Place
from tests.conftest import StartSandbox
from tests.project.opened import accounts_of, many, opened, state_of

THREE = ("acme", "globex", "initech")
Failures = dict[str, type[ProvisionerError]]


class _Broken(LocalStore):
    def load(self) -> tuple[bytes | None, str]:
        raise RuntimeError("a bug")


def _store(place: Place, kind: str) -> Store:
    path = Path(place.address)
    if path.stem != "globex" or kind == "damaged":
        return LocalStore(path)
    if kind == "bug":
        return _Broken(path)
    raise SettingInvalid("The setting state cannot be used.")


KINDS: dict[str, type[ProvisionerError]] = {"damaged": StateInvalid, "bug": InternalError, "setting": SettingInvalid}


def _reports(reports: provisioner.project.reports.Reports) -> Failures:
    assert THREE == tuple(each.parent for each in reports.reports)
    return {each.parent: type(each.failure) for each in reports.reports if each.failure is not None}


def _planned(this: provisioner.Project, *, refresh: bool = False) -> Failures:
    plans = this.plan(refresh=refresh)
    assert {*THREE} == {*plans.parents, *plans.failures}
    return {name: type(each) for name, each in plans.failures.items()}


def _status(this: provisioner.Project, *, balances: bool = False) -> Failures:
    return {each.parent: type(each.failure) for each in this.status(balances=balances) if each.failure is not None}


def _listed(this: provisioner.Project) -> Failures:
    listed = this.list_credentials()
    assert {"acme", "initech"} == {each.content.parent for each in listed.opened}
    return {name: type(each) for name, each in listed.failures.items()}


def _examined(this: provisioner.Project) -> Failures:
    return {each.parent or "": type(each.failure) for each in this.examine() if each.failure is not None}


def _migrated(this: provisioner.Project) -> Failures:
    return _of_each(this.migrate_states(str(this.settings.base / "old" / "{parent}.json")))


def _of_each(these: tuple[object, ...]) -> Failures:
    found = {each.parent: each.failure for each in these}  # type: ignore[attr-defined]
    return {name: type(each) for name, each in found.items() if each is not None}


OPERATIONS: dict[str, Callable[[provisioner.Project], Failures]] = {
    "plan": _planned,
    "plan with refresh": partial(_planned, refresh=True),
    "apply": lambda this: _reports(this.apply(this.plan())),
    "refresh": lambda this: _reports(this.refresh()),
    "verify": lambda this: _reports(this.verify()),
    "rotate": lambda this: _reports(this.rotate_passwords(None)),
    "status": _status,
    "balances": partial(_status, balances=True),
    "rekey": lambda this: _reports(this.rekey()[0]),
    "list": _listed,
    "history": lambda this: _of_each(this.history()),
    "recover": lambda this: _of_each(this.recover()),
    "migrate": _migrated,
    "prepare": lambda this: _of_each(this.prepare_states()),
    "examine": _examined,
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_parent_that_fails_is_in_every_result_and_stops_no_other(
    sandbox: StartSandbox, tmp_path: Path, kind: str
) -> None:
    mine = many(sandbox(*accounts_of(*THREE)), tmp_path / "three", {parent: ["paris"] for parent in THREE})
    assert ExitCode.DONE is opened(mine).apply(opened(mine).plan()).exit_code
    (mine.folder / "old").mkdir()
    (mine.folder / "old" / "globex.json").write_text('{"version": 1')
    state_of(mine, "globex").with_name("globex.json.rescue").write_text("provisioner-rescue {}")
    if kind == "damaged":
        state_of(mine, "globex").write_text('{"version": 1')
    this = opened(mine, parts=Parts(store=partial(_store, kind=kind)))
    expected = {name: {"globex": KINDS[kind]} for name in OPERATIONS}
    if kind != "setting":
        expected["prepare"] = {}  # a file needs no preparation
        expected["history"] = {}  # it is another file
    assert expected == {name: operation(this) for name, operation in OPERATIONS.items()}


def test_an_export_of_several_parents_is_complete_or_lists_all_that_fail(sandbox: StartSandbox, tmp_path: Path) -> None:
    mine = many(sandbox(*accounts_of(*THREE)), tmp_path / "three", {parent: ["paris"] for parent in THREE})
    assert ExitCode.DONE is opened(mine).apply(opened(mine).plan()).exit_code
    for parent in ("acme", "globex"):
        state_of(mine, parent).write_text('{"version": 1')
    with pytest.raises(StateInvalid, match=r"(?s)acme: .*\nglobex: "):
        opened(mine).open_credentials()
    done = mine.run("recover", "--accept-state", "--yes")
    assert (5, ["acme", "globex"]) == (done.returncode, re.findall(r"^error: (\w+): ", done.stderr, re.MULTILINE))
    state_of(mine, "initech").unlink()
    # A state that cannot be read does not keep the others from being accepted.
    done = mine.run("recover", "--accept-state", "--yes")
    assert (5, 2, True) == (done.returncode, done.stderr.count("error: "), "Accepted: there is no state" in done.stderr)
    done = mine.run("state", "migrate", "--from", "state/{parent}.json")
    assert (64, 4) == (done.returncode, done.stderr.count("error: ")), done.stderr
