"""``refresh``: what somebody changed at Octopush, with hands in the sandbox's dashboard."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from provisioner.errors import ExitCode
from provisioner.sandbox import Sandbox, SandboxParent, SandboxSettings
from tests.cli.steps import (
    COMPANY,
    TWO,
    change,
    conforming,
    delete,
    edit_manifest,
    events,
    having,
    login_of,
    made,
    outcomes,
    record_of,
    replay,
    sent,
    state_of,
    statuses,
    stranger,
    without,
    without_identity,
)
from tests.conftest import (
    ACME,
    HOOK_TOKEN,
    PARENT,
    NewProject,
    Project,
    SandboxProcess,
    StartSandbox,
    assert_no_secret,
    eventually,
)


def test_nothing_differs_and_nothing_is_written(applied: Project, server: SandboxProcess) -> None:
    before, stamp = applied.state_path.read_bytes(), applied.state_path.stat().st_mtime_ns
    done = applied.run("refresh", "--detailed-exitcode")
    _, address, login, state, told = done.stdout.splitlines()
    assert (0, "Checked: 2 as sent.") == (done.returncode, told)
    assert address.endswith("/v1/public")
    assert ["  login    par*** (from OCTOPUSH_API_LOGIN)", "  state    state/default.json"] == [login, state]
    assert "[1/2] as sent        paris\n[2/2] as sent        rome\n" == done.stderr
    assert (before, stamp) == (applied.state_path.read_bytes(), applied.state_path.stat().st_mtime_ns)
    told = applied.run("refresh", "--format", "json")
    assert [(name, "refresh", "unchanged", None) for name in TWO] == outcomes(told.stdout)
    assert ["GET"] * 4 == [each["method"] for each in server.requests()[4:]]


def test_what_was_changed_by_hand_is_reported_kept_and_changed_back(applied: Project, server: SandboxProcess) -> None:
    serial = state_of(applied).serial
    change(server, login_of(applied, "rome"), company_name=COMPANY, callbacks={"email_for_inbounds": "x@example.com"})
    done = applied.run("refresh", "--format", "json", "--detailed-exitcode")
    (report,) = conforming(done.stdout, "report.v1")["reports"]
    assert 2 == done.returncode
    assert ["unchanged", "drifted"] == [each["status"] for each in report["outcomes"]]
    assert "somebody changed company_name, callbacks.email_for_inbounds" == report["outcomes"][1]["reason"]
    assert [
        {"path": "company_name", "before": applied.root.name, "after": COMPANY, "drifted": True},
        {"path": "callbacks.email_for_inbounds", "before": None, "after": "x@example.com", "drifted": True},
    ] == report["outcomes"][1]["fields"]
    assert serial + 1 == state_of(applied).serial
    again = applied.state_path.read_bytes()
    text = applied.run("refresh")
    assert 0 == text.returncode
    assert "  drifted        rome  somebody changed company_name, callbacks.email_for_inbounds\n" in text.stdout
    assert f'      company_name: sent "{applied.root.name}", found "{COMPANY}"\n' in text.stdout
    assert text.stdout.endswith("Checked: 1 as sent, 1 drifted.\n")
    assert again == applied.state_path.read_bytes()
    assert 2 == applied.run("plan", "--detailed-exitcode").returncode
    text = applied.run("plan").stdout
    assert "company name        (not stored: plan --refresh shows it) -> " in text
    assert COMPANY not in text + applied.state_path.read_text(), "the state keeps in clear that it changed, no more"
    assert 0 == applied.run("apply", "--yes").returncode
    assert "Checked: 2 as sent." in applied.run("refresh", "--detailed-exitcode").stdout


def test_what_was_healed_by_hand_has_not_drifted_any_more(applied: Project, server: SandboxProcess) -> None:
    clean = state_of(applied).accounts
    change(server, login_of(applied, "rome"), company_name=COMPANY)
    assert 2 == applied.run("refresh", "--detailed-exitcode").returncode
    change(server, login_of(applied, "rome"), company_name=applied.root.name)
    assert 0 == applied.run("refresh", "--detailed-exitcode").returncode
    assert clean == state_of(applied).accounts
    assert 0 == applied.run("plan", "--detailed-exitcode").returncode


def test_what_was_deleted_by_hand_is_gone(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, "paris"))
    done = applied.run("refresh")
    assert 0 == done.returncode
    assert "  gone           paris  Octopush does not know its login (HTTP 404" in done.stdout
    assert done.stdout.endswith("Checked: 1 as sent, 1 gone.\n")
    told = applied.run("refresh", "--format", "json", "--detailed-exitcode")
    assert (2, ["gone", "unchanged"]) == (told.returncode, statuses(told.stdout))
    assert record_of(applied, "paris").drift.gone
    assert "- gone       paris" in applied.run("plan").stdout
    # Whoever reads the log has the same advice.
    log = events(applied.run("apply", "--yes", "--log-format", "json"))
    (reason,) = {each["reason"] for each in log if (each["event"], each.get("account")) == ("account", "paris")}
    assert "`provisioner forget paris` frees its slot" in reason


def test_octopushs_own_corrections_are_shown_separately(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "drop=company_name@1")
    mine = made(server, project)
    before = mine.state_path.read_bytes()
    done = mine.run("refresh", "--format", "json", "--detailed-exitcode")
    (report,) = conforming(done.stdout, "report.v1")["reports"]
    told = report["outcomes"][0]
    assert (2, "drifted", "Octopush altered company_name") == (done.returncode, told["status"], told["reason"])
    assert [{"path": "company_name", "before": mine.root.name, "after": None}] == told["fields"]
    assert before == mine.state_path.read_bytes()
    assert 0 == mine.run("plan", "--detailed-exitcode").returncode
    change(server, login_of(mine, "paris"), company_name=COMPANY)
    assert "somebody changed company_name" in mine.run("refresh").stdout
    assert 2 == mine.run("plan", "--detailed-exitcode").returncode


def test_credentials_that_are_not_accepted_end_it(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "401@3-:read")
    mine = made(server, project)
    before, asked = mine.state_path.read_bytes(), sent(server)
    done = mine.run("refresh")
    assert ExitCode.SETTING_INVALID == done.returncode
    assert "Checked: 2 unchecked." in done.stdout
    assert "Check OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY" in done.stdout
    assert "as sent" not in done.stdout
    assert (before, asked + 1) == (mine.state_path.read_bytes(), sent(server))
    told = mine.run("refresh", "--format", "json")
    assert (10, ["unchecked"] * 2) == (told.returncode, statuses(told.stdout))
    assert "Stopped: the API did not accept the credentials" in told.stderr


def test_a_failure_that_passes_is_waited_for(sandbox: StartSandbox, project: NewProject) -> None:
    done = made(sandbox("--fault", "500@3-5:read"), project).run("refresh")
    assert (0, "Checked: 2 as sent.") == (done.returncode, done.stdout.splitlines()[-1])
    assert 3 == done.stderr.count("waiting: the API answered HTTP 500")


def test_what_could_not_be_checked_is_not_called_right(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "500@3:read", "--fault", "400@5:read")
    mine = made(server, project)
    change(server, login_of(mine, "rome"), company_name=COMPANY)
    done = mine.run("refresh", "--attempts", "1", "--detailed-exitcode")
    assert ExitCode.SOME_FAILED == done.returncode
    assert done.stdout.endswith("Checked: 1 drifted, 1 unchecked.\n")
    assert "  unchecked      paris  the API answered HTTP 500" in done.stdout
    # What was seen before stays known, though now it is not seen.
    assert ("company_name",) == record_of(mine, "rome").drift.changed
    mine.run("refresh", "--attempts", "1")
    assert ("company_name",) == record_of(mine, "rome").drift.changed


def test_an_incomplete_answer_is_not_a_check(sandbox: StartSandbox, project: NewProject) -> None:
    mine = made(sandbox("--fault", "missing-credential@3-4:read", "--fault", "cut@5-:read"), project)
    assert ExitCode.SOME_FAILED == mine.run("verify", "--attempts", "1").returncode
    done = mine.run("refresh", "--attempts", "1")
    assert (ExitCode.SOME_FAILED, True) == (done.returncode, "Checked: 2 unchecked." in done.stdout)


def test_an_api_that_cannot_be_reached(tmp_path: Path, project: NewProject) -> None:
    with Sandbox(
        SandboxSettings(parents=tuple(SandboxParent(login, PARENT.api_key) for login in (PARENT.api_login, ACME)))
    ) as server:
        mine = made(SandboxProcess(server.url, tmp_path / "ledger"), project)
    before = mine.state_path.read_bytes()
    for command in ("refresh", "verify"):
        done = mine.run(command, "--attempts", "2")
        assert ExitCode.SOME_FAILED == done.returncode
        assert 1 == done.stderr.count("waiting: ")
        assert "2 unchecked" in done.stdout
        assert "rome  not checked, for the same reason" in done.stdout
        assert "can be reached from here" in done.stdout
    done = mine.run("apply", "--refresh", "--yes", "--attempts", "1", "--format", "json")
    told = [(name, action, status) for name, action, status, _ in outcomes(done.stdout)]
    unchecked = [(name, "refresh", "unchecked") for name in TWO]
    assert (7, [(name, "unchanged", "unchanged") for name in TWO] + unchecked) == (done.returncode, told)
    done = mine.run("status", "--balances", "--attempts", "1")
    assert (7, 1) == (done.returncode, done.stdout.count("not checked, because the connection was refused"))
    assert before == mine.state_path.read_bytes()


@contextmanager
def falling_silent(tmp_path: Path) -> Iterator[tuple[SandboxProcess, Callable[[], None]]]:
    """Keep a server, and what makes one of it that takes every connection, at the same address, and never answers."""
    with ExitStack() as kept:
        serving = kept.enter_context(ExitStack())
        server = serving.enter_context(
            Sandbox(
                SandboxSettings(
                    parents=tuple(SandboxParent(login, PARENT.api_key) for login in (PARENT.api_login, ACME))
                )
            )
        )
        port = urlsplit(server.url).port

        def fall_silent() -> None:
            serving.close()
            # The kernel takes connections, and what is sent over them, for whoever listens.
            kept.enter_context(socket.create_server(("127.0.0.1", port or 0), backlog=100))

        yield SandboxProcess(server.url, tmp_path / "ledger"), fall_silent


def test_a_server_that_never_answers_costs_each_parent_the_time_of_one_account(
    tmp_path: Path, project: NewProject
) -> None:
    with falling_silent(tmp_path) as (server, fall_silent):
        mine = made(server, project, ("oslo", "paris", "rome"))
        (mine.folder / "provisioner.yaml").write_text(
            'parents:\n  default: {}\n  acme: {api_login: acme@example.com, api_key: "${env:OCTOPUSH_API_KEY}"}\n'
        )
        account = "{name: lima, first_name: lima, last_name: Crash}"
        (mine.folder / "manifests" / "acme.yaml").write_text(f"version: 1\nparent: acme\naccounts: [{account}]\n")
        assert 0 == mine.run("apply", "--yes").returncode
        # Something is to be created, and must not be: of that nobody would know whether it was.
        edit_manifest(mine, "accounts:\n", "accounts:\n  - {name: bergen, first_name: bergen}\n")
        states = {path: path.read_bytes() for path in mine.state_path.parent.glob("*.json")}
        fall_silent()
        for command in (
            ["refresh"], ["verify"], ["plan", "--refresh"], ["apply", "--refresh", "--yes"], ["status", "--balances"],
        ):  # fmt: skip
            done = mine.run(*command, "--timeout", "0.3", "--attempts", "2")
            # Of two parents: what stops one is not known to stop the other.
            assert (command, 7, 2) == (command, done.returncode, done.stderr.count("waiting: no answer within 0.3 s"))
            said = done.stdout + done.stderr
            assert any(
                f"not checked, {why}" in said for why in ("for the same reason", "because no answer within 0.3 s")
            )
            assert "Traceback" not in said
            assert "as sent" not in done.stdout
        logins = "".join(f"a{number},a{number}@sub-accounts.com\n" for number in range(3))
        (mine.folder / "logins.csv").write_text(f"name,login\n{logins}")
        done = mine.run("adopt", "--from", "logins.csv", "--timeout", "0.3", "--attempts", "2", "--format", "json")
        assert (7, 1) == (done.returncode, done.stderr.count("waiting: "))
        assert ["failed", "not_attempted", "not_attempted"] == statuses(done.stdout)
        assert states == {path: path.read_bytes() for path in mine.state_path.parent.glob("*.json")}


def test_an_error_with_one_account_does_not_stop_the_others(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "500@3-4:read", "--fault", "503@6-7:read")
    mine = made(server, project)
    for command in ("refresh", "verify"):
        done = mine.run(command, "--attempts", "2", "--format", "json")
        told = statuses(done.stdout)
        assert (7, "unchecked", True) == (done.returncode, told[0], told[1] in {"unchanged", "verified"})


@pytest.mark.parametrize(
    "command",
    [["refresh"], ["verify"], ["plan", "--refresh"], ["apply", "--refresh", "--yes"], ["status", "--balances"]],
)
@pytest.mark.parametrize("spoiled", [without_identity, stranger])
def test_without_the_right_identity_nothing_is_sent(
    applied: Project, server: SandboxProcess, command: list[str], spoiled: Callable[[Project], Project]
) -> None:
    before, asked = applied.state_path.read_bytes(), sent(server)
    done = spoiled(applied).run(*command, "--format", "json")
    assert (10, 10) == (done.returncode, json.loads(done.stdout)["error"]["code"])
    assert (before, asked) == (applied.state_path.read_bytes(), sent(server))


@pytest.mark.parametrize(
    "command",
    [["refresh"], ["verify"], ["plan", "--refresh"], ["apply", "--refresh", "--yes"], ["status", "--balances"]],
)
def test_no_key_goes_to_another_account_or_address(
    applied: Project, server: SandboxProcess, sandbox: StartSandbox, command: list[str]
) -> None:
    asked, elsewhere = sent(server), sandbox()
    done = having(applied, OCTOPUSH_API_URL=elsewhere.url).run(*command)
    assert (5, True) == (done.returncode, "live at" in done.stderr)
    if "--balances" not in command:
        done = having(applied, OCTOPUSH_API_LOGIN="somebody@example.com").run(*command)
        assert (5, True) == (done.returncode, "another Octopush account" in done.stderr)
    assert (asked, 0) == (sent(server), sent(elsewhere))


@pytest.mark.parametrize("command", [["refresh"], ["verify"], ["plan", "--refresh"]])
def test_the_parents_key_is_needed(applied: Project, server: SandboxProcess, command: list[str]) -> None:
    asked = sent(server)
    done = without(applied, "OCTOPUSH_API_KEY").run(*command)
    assert (10, True) == (done.returncode, "OCTOPUSH_API_KEY is not set" in done.stderr)
    assert asked == sent(server)


def test_an_unfinished_edit_is_not_compared(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "reset-after@1:edit")
    mine = made(server, project)
    edit_manifest(mine, "first_name: paris", "first_name: Paris")
    assert ExitCode.SOME_FAILED == mine.run("apply", "--yes", "--attempts", "1").returncode
    before = mine.state_path.read_bytes()
    done = mine.run("refresh")
    assert (7, before) == (done.returncode, mine.state_path.read_bytes())
    assert "  unchecked      paris  an earlier edit is unfinished" in done.stdout
    planned = mine.run("plan", "--refresh")
    assert (7, True) == (planned.returncode, "warning: paris could not be checked: an earlier edit" in planned.stderr)
    assert 0 == mine.run("verify").returncode
    # The same run that could not check it finishes it, and reads it back.
    done = mine.run("apply", "--refresh", "--yes", "--format", "json")
    assert (0, ["updated", "unchanged"]) == (done.returncode, statuses(done.stdout))
    assert 0 == mine.run("refresh", "--detailed-exitcode").returncode


def test_a_blob_of_an_older_operation_is_not_compared_with(applied: Project, server: SandboxProcess) -> None:
    replay(applied)
    asked = sent(server)
    done = applied.run("refresh")
    assert (7, asked + 1) == (done.returncode, sent(server))
    assert "  unchecked      paris  The sealed content of paris is from another operation" in done.stdout


def test_a_state_that_cannot_be_written_is_still_reported_on(applied: Project, server: SandboxProcess) -> None:
    # Root writes everywhere, but for the right to do so.
    bound = ("setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override") if os.getuid() == 0 else ()
    if bound and shutil.which("setpriv") is None:
        pytest.skip("the superuser writes everywhere")
    before = applied.state_path.read_bytes()
    folder = applied.state_path.parent
    folder.chmod(0o500)
    try:
        # Where nothing has drifted there is nothing to write.
        assert 0 == applied.run("refresh", prefix=bound).returncode
        change(server, login_of(applied, "rome"), company_name=COMPANY)
        done = applied.run("refresh", prefix=bound)
        told = applied.run("refresh", "--format", "json", prefix=bound)
        applying = applied.run("apply", "--refresh", "--yes", prefix=bound)
    finally:
        folder.chmod(0o700)
    assert (5, before) == (done.returncode, applied.state_path.read_bytes())
    assert "1 drifted" in done.stdout
    assert "Stopped: The state could not be saved" in done.stdout
    assert (5, ["unchanged", "drifted"]) == (told.returncode, statuses(told.stdout))
    assert "Stopped: The state could not be saved" in told.stderr
    assert (5, "") == (applying.returncode, applying.stdout)


def test_a_state_that_is_held_is_left_alone(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=60@3:read")
    mine = made(server, project)
    with mine.start("refresh") as process:
        eventually(lambda: server.requests()[-1]["status"] is None)
        assert ExitCode.STATE_LOCKED == mine.run("refresh").returncode
        # What changes nothing needs no lock.
        assert 0 == mine.run("plan", "--refresh").returncode
        assert 0 == mine.run("verify").returncode
        process.kill()


def test_no_secret_is_shown_or_kept_in_clear(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "drop=callback_url_for_deliveries@2")
    mine = project(server, TWO)
    # A placeholder may stand in what is shown of a URL, and in what is no URL.
    edit_manifest(mine, "hooks.example.com/?t=${env:HOOK_TOKEN}", "hooks.example.com/${env:HOOK_TOKEN}/dlr?t=1")
    edit_manifest(mine, "last_name: Crash", 'last_name: "${env:HOOK_TOKEN}"')
    assert 0 == mine.run("apply", "--yes").returncode
    moved = f"https://elsewhere.example.com/{HOOK_TOKEN}"
    change(
        server, login_of(mine, "paris"), last_name=f"x{HOOK_TOKEN}", callbacks={"callback_url_for_deliveries": moved}
    )
    said = []
    for command in (["refresh"], ["refresh", "--format", "json"], ["plan", "--refresh"], ["verify"], ["status"]):
        done = mine.run(*command)
        said += [done.stdout, done.stderr]
    assert 'last_name: sent "${env:HOOK_TOKEN}", found (masked)' in said[0]
    assert "rome  Octopush altered callbacks.callback_url_for_deliveries" in said[0]
    assert 'last name   (masked) -> "${env:HOOK_TOKEN}" (somebody changed it at Octopush)' in said[4]
    done = mine.run("apply", "--refresh", "--yes", "--format", "json")
    assert 0 == done.returncode
    assert_no_secret(server, mine, *said, done.stdout, done.stderr)


def test_the_found_value_is_not_shown_if_the_field_has_a_placeholder(applied: Project, server: SandboxProcess) -> None:
    # Wherever in the manifest's URL the token has its place, somebody may have put it into another.
    url = f"https://elsewhere.example.com/{HOOK_TOKEN}/dlr?x=1"
    change(server, login_of(applied, "rome"), callbacks={"callback_url_for_deliveries": url})
    done = applied.run("refresh")
    assert 'sent "https://hooks.example.com/?t=${env:HOOK_TOKEN}", found (masked)' in done.stdout
    assert_no_secret(server, applied, done.stdout, done.stderr)


def test_a_url_without_placeholders_is_shown_except_for_its_query(applied: Project, server: SandboxProcess) -> None:
    edit_manifest(applied, "?t=${env:HOOK_TOKEN}", "plain")
    assert 0 == applied.run("apply", "--yes").returncode
    change(
        server,
        login_of(applied, "rome"),
        callbacks={"callback_url_for_deliveries": "https://elsewhere.example.com/dlr?t=1"},
    )
    done = applied.run("refresh")
    assert 'sent "https://hooks.example.com/plain", found "https://elsewhere.example.com/dlr?***"' in done.stdout


def test_a_placeholder_whose_value_changes_is_not_noticed(applied: Project) -> None:
    other = having(applied, HOOK_TOKEN="another-5f6e7d8c")
    assert 0 == other.run("refresh", "--detailed-exitcode").returncode
    assert 0 == other.run("plan", "--refresh", "--detailed-exitcode").returncode


def statuses_in(report: dict[str, Any]) -> list[str]:
    return [each["status"] for each in report["outcomes"]]


def test_a_problem_with_one_parent_does_not_affect_the_others(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    (mine.folder / "provisioner.yaml").write_text(
        'parents:\n  acme: {api_login: acme@example.com, api_key: "${env:ACME_KEY}"}\n  default: {}\n'
    )
    more = mine.folder / "manifests" / "acme.yaml"
    more.write_text("version: 1\nparent: acme\naccounts:\n  - {name: oslo, first_name: A, last_name: B}\n")
    both = having(mine, ACME_KEY=mine.environ["OCTOPUSH_API_KEY"])
    assert 0 == both.run("apply", "--yes").returncode
    more.write_text(more.read_text() + "  - {name: bergen, first_name: A, last_name: B}\n")
    edit_manifest(mine, "accounts:\n", "accounts:\n  - {name: lima, first_name: lima}\n")
    refused = having(mine, ACME_KEY="not-the-key-5c1d")
    for command in ("refresh", "verify"):
        done = refused.run(command, "--format", "json")
        told = {each["parent"]: statuses_in(each) for each in json.loads(done.stdout)["reports"]}
        assert (10, ["unchecked"]) == (done.returncode, told["acme"])
        assert "unchecked" not in told["default"]
    done = refused.run("apply", "--refresh", "--yes", "--format", "json")
    told = {each["parent"]: statuses_in(each) for each in json.loads(done.stdout)["reports"]}
    assert (10, ["not_attempted", "unchanged", "unchecked"]) == (done.returncode, told["acme"])
    assert ["created", "unchanged", "unchanged"] == told["default"]


def parents(text: str) -> list[str]:
    return [each["parent"] for each in conforming(text, "report.v1")["reports"]]


def test_every_parent_that_has_a_state_is_read(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    (mine.folder / "provisioner.yaml").write_text(
        "parents:\n  default: {}\n  acme: {api_login: acme@example.com}\n  idle: {api_login: idle@example.com}\n"
    )
    for command in ("refresh", "verify"):
        assert ["default"] == parents(mine.run(command, "--format", "json").stdout)
    assert 5 == mine.run("refresh", "--parent", "acme").returncode
    assert 10 == mine.run("refresh", "--parent", "nobody").returncode
    more = mine.folder / "manifests" / "acme.yaml"
    more.write_text("version: 1\nparent: acme\naccounts:\n  - {name: oslo, first_name: A, last_name: B}\n")
    assert 0 == mine.run("apply", "--yes").returncode
    for command in ("refresh", "verify"):
        assert ["acme", "default"] == parents(mine.run(command, "--format", "json").stdout)
        assert ["acme"] == parents(mine.run(command, "--parent", "acme", "--format", "json").stdout)
    assert ["default"] == parents(mine.run("verify", "paris", "--format", "json").stdout)
    assert re.search(r"\[3/3\] (acme|default): as sent", mine.run("refresh").stderr)
    delete(server, login_of(mine, "rome"))
    assert 0 == mine.run("plan", "--refresh").returncode
    states = json.loads(mine.run("status", "--balances", "--format", "json").stdout)["states"]
    assert [1, 2, 0] == [len([each for each in state["accounts"] if "balance" in each]) for state in states]
    assert not (mine.folder / "state" / "idle.json.lock").exists()


def test_a_project_without_state_has_nothing_to_compare(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    for command in ("refresh", "verify"):
        done = mine.run(command)
        assert (5, True) == (done.returncode, "There is no state" in done.stderr)
    planned = mine.run("plan", "--refresh")
    assert (0, True) == (planned.returncode, "2 to create" in planned.stdout)
    assert 0 == mine.run("apply", "--refresh", "--yes").returncode
    assert not list(mine.folder.glob("state.*"))


def test_requests_start_no_faster_than_the_rate(sandbox: StartSandbox, project: NewProject) -> None:
    mine = made(sandbox(), project, ("a", "b", "c", "d"))
    for command in ("refresh", "verify"):
        start = time.monotonic()
        assert 0 == mine.run(command, "--rate", "5").returncode
        assert 0.6 <= time.monotonic() - start
    for rate in ("0", "-1", "nan", "many"):
        assert ExitCode.USAGE == mine.run("refresh", "--rate", rate).returncode
