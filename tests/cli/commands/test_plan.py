"""``plan``: what an apply would do, for people, programs and reviewers."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import ExitCode
from provisioner.model.plan import UNFINISHED
from provisioner.state.sealing import new_identity
from tests.cli.steps import (
    COMPANY,
    TWO,
    change,
    conforming,
    delete,
    edit_manifest,
    having,
    login_of,
    made,
    record_of,
    run,
)
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, environment
from tests.forks import COMMAND


def test_a_plan_needs_no_secret_and_no_network(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    done = run(mine.folder, "plan", "--format", "json")
    document = conforming(done.stdout, "plan.v1")
    (plan,) = document["plans"]
    assert {"limit": 20, "reserved": 0, "used": 0, "unknown": 0, "planned": 2, "left": 18} == plan["slots"]
    assert {"create": 2, "update": 0, "unchanged": 0, "unmanaged": 0, "unknown": 0} == plan["summary"]
    assert (0, "default", None, 0) == (done.returncode, plan["parent"], plan["lineage"], plan["serial"])
    assert [("create", "paris"), ("create", "rome")] == [(each["action"], each["name"]) for each in plan["changes"]]
    assert (
        "https://hooks.example.com/?t=${env:HOOK_TOKEN}"
        == plan["changes"][0]["attributes"]["callbacks"]["callback_url_for_deliveries"]
    )
    assert [] == server.requests()
    assert [] == list(mine.folder.glob("state*"))


def test_detailed_exit_codes(applied: Project) -> None:
    assert 0 == applied.run("plan", "--detailed-exitcode").returncode
    with (applied.folder / "manifests" / "accounts.yaml").open("a") as file:
        file.write("  - {name: oslo, first_name: oslo}\n")
    assert 2 == applied.run("plan", "--detailed-exitcode").returncode
    assert 0 == applied.run("plan").returncode


def test_what_does_not_fit_is_named_and_nothing_is_sent(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("a", "b", "c"))
    plan = mine.run("plan", "--limit", "3", "--reserved", "1", "--format", "json")
    assert ["c"] == conforming(plan.stdout, "plan.v1")["plans"][0]["over"]
    text = mine.run("plan", "--limit", "3", "--reserved", "1")
    assert "x no slot    c" in text.stdout
    done = mine.run("apply", "--yes", "--limit", "3", "--reserved", "1", "--format", "json")
    assert (4, 4, 4) == (plan.returncode, text.returncode, done.returncode)
    error = json.loads(done.stdout)["error"]
    assert (4, "OverLimit") == (error["code"], error["name"])
    assert "these do not fit: c" in error["message"]
    assert [] == server.requests()


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_a_plan_is_shown_even_if_the_terminal_lacks_its_letters(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\naccounts: [{name: berlin, first_name: Käthe, last_name: Kollwitz}]\n")
    done = subprocess.run(
        [*COMMAND, "plan", "a.yaml"],
        cwd=tmp_path,
        env=environment(tmp_path) | {"PROVISIONER_RECIPIENTS": new_identity()[1]} | environ,
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stderr)
    assert re.search(rb"K(\xc3\xa4|\\xe4)the  Kollwitz", done.stdout)
    done = subprocess.run(
        [*COMMAND, "plan", "--format", "json", "a.yaml"],
        cwd=tmp_path,
        env=environment(tmp_path) | environ,
        capture_output=True,
        check=False,
    )
    (change,) = json.loads(done.stdout.decode())["plans"][0]["changes"]
    assert "Käthe" == change["attributes"]["first_name"]


def test_a_plan_names_the_recipients_that_differ(applied: Project) -> None:
    mine, other = applied.environ["PROVISIONER_RECIPIENTS"], new_identity()[1]
    said = having(applied, PROVISIONER_RECIPIENTS=other).run("plan").stdout
    assert f"  seals to {other}, which the state does not list\n" in said
    assert f"  does not seal to {mine}, which only the state lists\n" in said
    said = having(applied, PROVISIONER_RECIPIENTS=f"{mine} {other}").run("plan").stdout
    assert (True, False) == (f"  seals to {other}, which" in said, "does not seal" in said)
    assert (True, False) == (f"Seals to {mine}.\n" in (said := applied.run("plan").stdout), " which " in said)


@pytest.mark.parametrize(
    ("recipients", "words"),
    [
        (None, "No recipient is set, so the credentials cannot be sealed."),
        ("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "its private key is public"),
    ],
)
def test_a_plan_warns_if_an_apply_could_seal_to_nobody(
    server: SandboxProcess, project: NewProject, recipients: str | None, words: str
) -> None:
    mine = project(server, TWO)
    environ = {name: value for name, value in mine.environ.items() if name != "PROVISIONER_RECIPIENTS"}
    environ |= {} if recipients is None else {"PROVISIONER_RECIPIENTS": recipients}
    done = replace(mine, environ=environ).run("plan")
    assert (0, True) == (done.returncode, "warning: apply would refuse this plan. " in done.stderr)
    assert words in done.stderr


# ── Another name ─────────────────────────────────────────────────────────────


def test_an_apparent_rename_is_reported(applied: Project) -> None:
    edit_manifest(applied, "name: rome,", "name: roma,")
    done = applied.run("plan")
    assert "rome is in no manifest and has the same names" in done.stdout
    assert "write `previously: rome` under roma" in done.stdout
    plan = conforming(applied.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert ["rome"] == [each["resembles"] for each in plan["changes"] if each["action"] == "create"]


def test_a_mistyped_earlier_name_is_reported_before_a_second_account_is_created(applied: Project) -> None:
    edit_manifest(applied, "name: rome, first_name: rome", "name: roma, previously: rone, first_name: Roma")
    done = applied.run("plan")
    assert "The state has no rone, its previous name, so nothing moves: this is a new account." in done.stdout
    plan = conforming(applied.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert ["rone"] == [each["previously"] for each in plan["changes"] if each["action"] == "create"]


# ── What is unfinished ───────────────────────────────────────────────────────


def test_every_format_shows_an_unfinished_edit_of_an_unmanaged_account(
    sandbox: StartSandbox, project: NewProject
) -> None:
    mine = made(sandbox("--fault", "reset-after@1:edit"), project)
    edit_manifest(mine, "first_name: paris", "first_name: Paris")
    assert ExitCode.SOME_FAILED == mine.run("apply", "--yes", "--attempts", "1").returncode
    edit_manifest(mine, "  - {name: paris, first_name: Paris}\n", "")
    words = f"is in no manifest; {UNFINISHED}"
    assert f"  ! unmanaged  paris  {words}\n" in mine.run("plan").stdout
    for form in ("markdown", "html"):
        assert words in mine.run("plan", "--format", form).stdout
    (plan,) = conforming(mine.run("plan", "--format", "json").stdout, "plan.v1")["plans"]
    assert [("unmanaged", True)] == [
        (each["action"], each["unfinished"]) for each in plan["changes"] if each["name"] == "paris"
    ]
    # An apply does not change it, because no manifest names it.
    assert 0 == mine.run("apply", "--yes").returncode
    assert record_of(mine, "paris").edit is not None
    edit_manifest(mine, "accounts:\n", "accounts:\n  - {name: paris, first_name: Paris}\n")
    assert 0 == mine.run("apply", "--yes").returncode
    assert record_of(mine, "paris").edit is None


# ── With --refresh ───────────────────────────────────────────────────────────


def test_a_plan_shows_what_stands_at_octopush_and_writes_nothing(applied: Project, server: SandboxProcess) -> None:
    change(server, login_of(applied, "rome"), company_name=COMPANY)
    delete(server, login_of(applied, "paris"))
    before = {path: path.read_bytes() for path in applied.files()}
    done = applied.run("plan", "--refresh", "--detailed-exitcode", "--format", "json")
    (plan,) = conforming(done.stdout, "plan.v1")["plans"]
    assert 2 == done.returncode
    assert ["gone", "update"] == [each["action"] for each in plan["changes"]]
    assert [{"path": "company_name", "before": COMPANY, "after": applied.root.name, "drifted": True}] == plan[
        "changes"
    ][1]["fields"]
    text = applied.run("plan", "--refresh").stdout
    assert f'company name  "{COMPANY}" -> "{applied.root.name}" (somebody changed it at Octopush)' in text
    assert before == {path: path.read_bytes() for path in applied.files()}
    assert "2 unchanged" in applied.run("plan").stdout


def test_a_plan_says_what_it_could_not_check(sandbox: StartSandbox, project: NewProject) -> None:
    mine = made(sandbox("--fault", "500@3:read", "--fault", "500@5:read", "--fault", "401@7:read"), project)
    done = mine.run("plan", "--refresh", "--detailed-exitcode", "--attempts", "1")
    assert (7, True) == (done.returncode, "Nothing known to do: 1 unchanged, 1 unchecked." in done.stdout)
    assert "warning: paris could not be checked: the API answered HTTP 500" in done.stderr
    assert "rome could not" not in done.stderr
    # What was not checked is stronger than what does not fit, and both are said.
    done = mine.run("plan", "--refresh", "--attempts", "1", "--limit", "1")
    assert 7 == done.returncode
    done = mine.run("plan", "--refresh")
    assert (10, True) == (done.returncode, "Check OCTOPUSH_API_LOGIN" in done.stderr)
    edit_manifest(mine, "accounts:\n", "accounts:\n  - {name: oslo, first_name: oslo}\n")
    assert 2 == mine.run("plan", "--refresh", "--detailed-exitcode").returncode
    assert 4 == mine.run("plan", "--refresh", "--detailed-exitcode", "--limit", "2").returncode


def test_a_plan_marks_unchecked_accounts_and_counts_drifted_ones(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "500@3-:read")
    mine = made(server, project)
    done = mine.run("plan", "--refresh", "--format", "json", "--attempts", "1")
    (plan,) = json.loads(done.stdout)["plans"]
    assert 7 == done.returncode
    assert all("HTTP 500" in each["unchecked"] for each in plan["changes"])
    assert "? unchecked" in mine.run("plan", "--refresh", "--attempts", "1").stdout


def test_a_refreshed_plan_reports_drift_with_its_exit_code(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, applied.names[0]))
    assert 2 == applied.run("plan", "--refresh", "--detailed-exitcode").returncode
    assert 0 == applied.run("plan", "--refresh").returncode


def test_a_reviewer_gets_the_plan_as_markdown_and_html_with_one_number(
    sandbox: StartSandbox, project: NewProject
) -> None:
    mine = project(sandbox(), ("athens", "berlin"))
    markdown = mine.run("plan", "--format", "markdown").stdout
    html = mine.run("plan", "--format", "html").stdout
    assert "## `default`: 0 of 20 slots used, 2 planned, 18 left" in markdown
    assert "| **create** | 2 | `athens`, `berlin` |" in markdown
    assert html.startswith("<!DOCTYPE html>")
    number = markdown.rpartition("Plan `")[2].partition("`")[0]
    assert len(number) == 64
    assert number in html
    assert number == mine.run("plan", "--format", "markdown").stdout.rpartition("Plan `")[2].partition("`")[0]


def test_the_page_is_written_whatever_the_terminal_can_spell(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox(), ("athens",))
    done = subprocess.run(
        [*COMMAND, "plan", "--format", "html"],
        cwd=mine.folder,
        env={**mine.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode
    assert done.stdout.decode().startswith("<!DOCTYPE html>")
