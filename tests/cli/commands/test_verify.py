"""``verify``: credentials that are good, and credentials that somebody tampered with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provisioner.errors import ExitCode
from provisioner.model.account import Secret
from provisioner.state.sealing import AgeSealer, new_identity
from tests.cli.steps import TWO, change, delete, keep, login_of, outcomes, put, replay, tamper
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_no_secret


def test_good_credentials_are_called_good(applied: Project, server: SandboxProcess) -> None:
    before = applied.state_path.read_bytes()
    done = applied.run("verify")
    assert (0, "Verified (keys, not passwords): 2 good.") == (done.returncode, done.stdout.splitlines()[-1])
    told = applied.run("verify", "rome", "rome", "--format", "json")
    assert [("rome", "verify", "verified", None)] == outcomes(told.stdout)
    assert ["GET"] * 3 == [each["method"] for each in server.requests()[4:]]
    assert before == applied.state_path.read_bytes()
    assert_no_secret(server, applied, done.stdout, done.stderr, told.stdout, told.stderr)


def swapped(project: Project, _: SandboxProcess) -> None:
    def alter(accounts: dict[str, Any]) -> None:
        paris, rome = accounts["paris"], accounts["rome"]
        paris["sealed"], rome["sealed"] = rome["sealed"], paris["sealed"]

    tamper(project, alter)


def duplicated(project: Project, _: SandboxProcess) -> None:
    keep(project, "rome", replace(project.opened("rome"), credentials=project.opened("paris").credentials))


def replaced(project: Project, _: SandboxProcess) -> None:
    credentials = project.opened("paris").credentials
    assert credentials is not None
    forged = replace(credentials, api_key=Secret("forged-key-0a1b2c3d"))
    keep(project, "paris", replace(project.opened("paris"), credentials=forged))


def emptied(project: Project, _: SandboxProcess) -> None:
    keep(project, "paris", replace(project.opened("paris"), credentials=None))


def rekeyed_by_hand(project: Project, server: SandboxProcess) -> None:
    change(server, login_of(project, "paris"), api_key="key-made-by-hand-7f3a")


def dead(project: Project, server: SandboxProcess) -> None:
    delete(server, login_of(project, "paris"))


def sealed_to_another(project: Project, _: SandboxProcess) -> None:
    put(project, "paris", AgeSealer([new_identity()[1]]).seal(project.opened("paris")))


SPOILED: list[tuple[Callable[[Project, SandboxProcess], None], dict[str, str]]] = [
    (swapped, {"paris": "was sealed for default/rome", "rome": "was sealed for default/paris"}),
    (duplicated, {"paris": "it has the same login as rome", "rome": "it has the same login as paris"}),
    (replaced, {"paris": "key for this login is not the sealed one"}),
    (emptied, {"paris": "contains no credentials"}),
    (rekeyed_by_hand, {"paris": "key for this login is not the sealed one"}),
    (dead, {"paris": "does not know its login"}),
    (sealed_to_another, {"paris": "is damaged, or sealed to others"}),
    (lambda project, _: replay(project), {"paris": "from another operation"}),
]


@pytest.mark.parametrize(("spoil", "expected"), SPOILED)
def test_a_credential_that_is_not_good_is_named_and_not_exported(
    applied: Project, server: SandboxProcess, spoil: Callable[[Project, SandboxProcess], None], expected: dict[str, str]
) -> None:
    spoil(applied, server)
    before = applied.state_path.read_bytes()
    done = applied.run("verify", "--format", "json")
    failed = {name: str(reason) for name, _, status, reason in outcomes(done.stdout) if status == "failed"}
    assert (7, expected.keys()) == (done.returncode, failed.keys())
    for name, words in expected.items():
        assert words in failed[name]
        assert f"failed         {name}  " in applied.run("verify", name).stdout
    out = applied.folder / "out.json"
    refused = applied.run("credentials", "export", "--verified", "--format", "json", "--out", str(out))
    assert (7, "Unverified") == (refused.returncode, json.loads(refused.stdout)["error"]["name"])
    for name, words in expected.items():
        assert words in refused.stderr.partition(f"\n  {name}: ")[2].partition("\n")[0]
    plain = applied.run("credentials", "export", "--verified", *expected)
    assert (7, "", False) == (plain.returncode, plain.stdout, out.exists())
    assert "Nothing was exported." in plain.stderr
    if "rome" not in expected:
        assert 0 == applied.run("credentials", "export", "--verified", "rome").returncode
        assert 0 == applied.run("verify", "rome").returncode
    assert before == applied.state_path.read_bytes()
    assert_no_secret(server, applied, done.stdout, done.stderr, refused.stdout, refused.stderr)


def test_verify_names_what_it_cannot_verify(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "not-json@1")
    mine = project(server, TWO)
    assert ExitCode.OUTCOME_UNKNOWN == mine.run("apply", "--yes").returncode
    done = mine.run("verify", "paris")
    assert (5, True) == (done.returncode, "it is unknown" in done.stderr)
    assert 64 == mine.run("verify", "oslo").returncode
    assert 5 == mine.run("credentials", "export", "--verified", "paris").returncode
