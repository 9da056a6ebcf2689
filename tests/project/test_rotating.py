"""New passwords for many accounts: one question, each account on its own, at most one unknown password per parent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import provisioner
from provisioner import CancelToken
from provisioner.errors import CommandInvalid, ExitCode, InterruptedRunError
from provisioner.model.report import Result
from provisioner.project.rotating import Rotation
from provisioner.render import documents
from tests.cli.steps import change, conforming
from tests.conftest import NewProject, SandboxProcess, StartSandbox
from tests.project.opened import accounts_of, having, many, opened, results, state_of

THREE = ("oslo", "paris", "rome")


def passwords(project: provisioner.Project, *parents: str) -> dict[str, str]:
    """Return the stored password of each account."""
    found = ((each.name, each.content.password) for each in project.open_credentials(parents=parents))
    return {name: password.reveal() for name, password in found if password is not None}


def at_octopush(server: SandboxProcess) -> dict[str, str]:
    """Return the password of each account at Octopush, by first name."""
    return {each["first_name"]: each["password"] for each in server.accounts()}


def login_of(project: provisioner.Project, name: str) -> str:
    (found,) = project.open_credentials([name])
    assert found.content.credentials is not None
    return found.content.credentials.api_login


def test_all_accounts_get_new_passwords_and_a_failure_stays_with_its_parent(
    sandbox: StartSandbox, tmp_path: Path
) -> None:
    server = sandbox(*accounts_of("acme", "beta", "core", "dawn"))
    wanted = {"acme": ["oslo", "paris"], "beta": ["rome", "lyon"], "core": ["bern"], "dawn": ["kiel"]}
    mine = many(server, tmp_path, wanted)
    this = opened(mine)
    this.apply(this.plan())
    before = passwords(this)
    change(server, login_of(this, "rome"), last_name="Somebody")
    this.refresh(parents=["beta"])
    state_of(mine, "core").write_text("{")
    unset = opened(having(mine, DAWN_KEY=""))
    asked: list[dict[str, tuple[Sequence[str], Sequence[str]]]] = []

    def approve(these: Sequence[Rotation]) -> bool:
        asked.append({each.parent.name: (each.names, [*each.refused]) for each in these})
        return True

    reports = unset.rotate_passwords(None, approve=approve)
    assert [{"acme": (("oslo", "paris"), []), "beta": (("lyon",), ["rome"])}] == asked
    assert {
        "acme": {"oslo": "updated", "paris": "updated"},
        "beta": {"lyon": "updated", "rome": "not_attempted"},
        "core": {},
        "dawn": {},
    } == results(reports)
    after = passwords(this, "acme", "beta", "dawn")
    changed = {"oslo", "paris", "lyon"}
    assert changed == {name for name, password in after.items() if password != before[name]}
    assert after == {name: password for name, password in at_octopush(server).items() if name != "bern"}
    assert len({*after.values()}) == len(after)
    (rome,) = [each for each in reports.reports[1].outcomes if each.name == "rome"]
    assert (ExitCode.STATE_UNUSABLE, True) == (rome.exit_code, "Run `provisioner apply` first" in str(rome.reason))
    text = documents.text(documents.reports(reports.reports))
    assert ["core", "dawn"] == [each["parent"] for each in conforming(text, "report.v1")["reports"] if "error" in each]
    assert [] == [password for password in (*before.values(), *after.values()) if password in text]


def test_an_unknown_password_stops_the_parent_and_the_next_run_settles_it(
    sandbox: StartSandbox, project: NewProject
) -> None:
    server = sandbox("--fault", "lost@2:edit")
    mine = project(server, THREE)
    this = opened(mine, flags={"attempts": 1})
    this.apply(this.plan())
    before = passwords(this)
    reports = this.rotate_passwords([*THREE])
    assert {"default": {"oslo": "updated", "paris": "failed", "rome": "not_attempted"}} == results(reports)
    assert ExitCode.SOME_FAILED is reports.exit_code
    state = mine.state()
    assert state is not None
    assert ["paris"] == [name for name, record in state.accounts.items() if getattr(record, "edit", None)]
    assert before["rome"] == at_octopush(server)["rome"]
    assert {"updated"} == {*results(this.rotate_passwords(["paris", "rome"]))["default"].values()}
    assert passwords(this) == at_octopush(server)
    assert [] == [name for name, password in passwords(this).items() if password == before[name]]


def test_a_declined_rotation_does_nothing_and_a_changed_account_is_refused(
    sandbox: StartSandbox, project: NewProject
) -> None:
    server = sandbox()
    mine = project(server, THREE)
    this = opened(mine)
    this.apply(this.plan())
    before, sent = passwords(this), len(server.requests())
    with pytest.raises(InterruptedRunError):
        this.rotate_passwords(None, approve=lambda _: False)
    with pytest.raises(CommandInvalid, match="no account bern"):
        this.rotate_passwords(["paris", "bern"])
    ended = CancelToken()
    ended.cancel()
    stopped = this.rotate_passwords(None, cancel=ended)
    assert {"default": dict.fromkeys(THREE, "not_attempted")} == results(stopped)
    assert ExitCode.INTERRUPTED is stopped.exit_code
    assert (before, sent) == (passwords(this), len(server.requests()))

    def meanwhile(_: Sequence[Rotation]) -> bool:
        opened(mine).rotate_passwords(["rome"])
        return True

    reports = this.rotate_passwords(None, approve=meanwhile)
    assert {Result.NOT_ATTEMPTED} == {each.result for each in reports.reports[0].outcomes}
    failure = reports.reports[0].failure
    assert failure is not None
    assert "has changed rome." in failure.message
    assert {"rome"} == {name for name, password in passwords(this).items() if password != before[name]}
