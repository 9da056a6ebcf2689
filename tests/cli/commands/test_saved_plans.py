"""``plan --out`` and ``apply --plan``: exactly what was reviewed, or nothing and the exit code 9."""

from __future__ import annotations

import json
import os
import re
import signal
import termios
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provisioner.state.sealing import new_identity
from tests.cli.steps import (
    TWO,
    change,
    conforming,
    edit_manifest,
    having,
    login_of,
    made,
    sent,
    statuses,
    without_identity,
)
from tests.conftest import (
    HOOK_TOKEN,
    PARENT,
    NewProject,
    Project,
    SandboxProcess,
    StartSandbox,
    assert_kept,
    assert_no_secret,
    eventually,
    finished,
)

APPLY = ("apply", "--plan", "plan.json", "--yes")


@pytest.fixture
def planned(server: SandboxProcess, project: NewProject) -> Project:
    """A project whose plan is saved."""
    mine = project(server, TWO)
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    return mine


def refused(mine: Project, server: SandboxProcess, *words: str) -> None:
    """Check that the saved plan is refused for that reason, and that nothing was sent or saved."""
    before = sent(server), mine.state_path.exists() and mine.state_path.read_bytes()
    done = mine.run(*APPLY)
    assert (9, "") == (done.returncode, done.stdout)
    for each in (*words, "Nothing was sent."):
        assert each in done.stderr
    assert before == (sent(server), mine.state_path.exists() and mine.state_path.read_bytes())


def test_exactly_the_plan_and_only_once(planned: Project, server: SandboxProcess) -> None:
    saved = conforming((planned.folder / "plan.json").read_text(), "plan.v1")
    assert ["manifests/accounts.yaml"] == [each["path"] for each in saved["source"]["files"]]
    done = planned.run(*APPLY, "--format", "json")
    assert (0, ["created", "created"]) == (done.returncode, statuses(done.stdout))
    for name in TWO:
        assert_kept(server, planned, name)
    assert_no_secret(server, planned, done.stdout, done.stderr)
    refused(planned, server, "the state of the parent default is of lineage ", "and was none")


def touch_manifest(mine: Project) -> None:
    with (mine.folder / "manifests" / "accounts.yaml").open("a") as file:
        file.write("# only a comment\n")


def add_manifest(mine: Project) -> None:
    (mine.folder / "manifests" / "more.csv").write_text("name,first_name,last_name\nlyon,Louise,Labé\n")


def remove_manifest(mine: Project) -> None:
    (mine.folder / "manifests" / "accounts.yaml").rename(mine.folder / "manifests" / "renamed.yaml")


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (touch_manifest, "the manifest manifests/accounts.yaml has changed"),
        (add_manifest, "the manifest manifests/more.csv is new"),
        (remove_manifest, "the manifest manifests/accounts.yaml can no longer be read"),
    ],
)
def test_a_manifest_that_moved(
    planned: Project, server: SandboxProcess, move: Callable[[Project], None], words: str
) -> None:
    move(planned)
    refused(planned, server, "The plan in plan.json is stale:", words)


def test_a_manifest_that_is_not_valid_any_more_is_named_as_changed(planned: Project, server: SandboxProcess) -> None:
    edit_manifest(planned, "version: 1", "version: one")
    refused(planned, server, "manifests/accounts.yaml has changed")


def test_another_address(planned: Project, sandbox: StartSandbox, server: SandboxProcess) -> None:
    other = sandbox()
    refused(having(planned, OCTOPUSH_API_URL=other.url), server, f"is {other.url}, and was {server.url}")
    assert [] == other.requests()


def test_other_settings(planned: Project, server: SandboxProcess) -> None:
    other = having(planned, PROVISIONER_LIMIT="19", PROVISIONER_RESERVED="1")
    refused(
        other, server, "the limit of the parent default is 19, and was 20", "reserved slots of the parent default is 1"
    )


def test_a_state_that_changed(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    add_manifest(mine)
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    serial = json.loads(mine.state_path.read_text())["serial"]
    (mine.folder / "manifests" / "more.csv").rename(mine.folder / "kept.csv")
    edit_manifest(mine, "last_name: Crash", "last_name: Crush")
    assert 0 == mine.run("apply", "--yes").returncode
    edit_manifest(mine, "last_name: Crush", "last_name: Crash")
    (mine.folder / "kept.csv").rename(mine.folder / "manifests" / "more.csv")
    refused(mine, server, f"the state of the parent default is at serial {serial + 4}, and was at {serial}")


def test_a_state_that_is_gone(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    add_manifest(mine)
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    mine.state_path.unlink()
    # On a machine that has never seen the state, as in CI.
    elsewhere = having(mine, XDG_STATE_HOME=str(mine.root / "elsewhere"))
    refused(elsewhere, server, "the state of the parent default is none, and was of lineage ")


def test_an_intent_that_a_dead_run_left_does_not_make_the_plan_stale(
    sandbox: StartSandbox, project: NewProject
) -> None:
    slow = sandbox("--fault", "delay=60@1")
    mine = project(slow, TWO)
    with mine.start("apply", "--yes") as process:
        eventually(lambda: bool(slow.requests()))
        process.send_signal(signal.SIGKILL)
        finished(process)
    assert {"paris": "pending"} == mine.statuses()
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    done = mine.run(*APPLY, "--format", "json")
    assert (8, ["unknown", "created"]) == (done.returncode, statuses(done.stdout))


def test_over_the_limit_is_refused_as_such(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox()
    mine = having(project(server, TWO), PROVISIONER_LIMIT="1")
    assert 4 == mine.run("plan", "--out", "plan.json").returncode
    done = mine.run(*APPLY)
    assert (4, []) == (done.returncode, server.requests())


# ── Refreshed ────────────────────────────────────────────────────────────────


def outcomes_are(mine: Project, *expected: str) -> None:
    done = mine.run(*APPLY, "--format", "json")
    assert (0, list(expected)) == (done.returncode, statuses(done.stdout)), done.stderr


@pytest.fixture
def drifted(server: SandboxProcess, project: NewProject) -> Project:
    """A project with a saved plan that changes back what somebody changed."""
    mine = made(server, project)
    change(server, login_of(mine, "paris"), last_name="By Hand")
    assert 0 == mine.run("plan", "--refresh", "--out", "plan.json").returncode
    return mine


def last_names(server: SandboxProcess) -> set[str]:
    """Return the last names that the server has now; its ledger lists every change."""
    return {each["last_name"] for each in {each["api_login"]: each for each in server.accounts()}.values()}


def test_what_was_found_is_looked_for_again(drifted: Project, server: SandboxProcess) -> None:
    outcomes_are(drifted, "updated", "unchanged")
    assert {"Crash"} == last_names(server)


def test_an_account_that_somebody_changed_since(drifted: Project, server: SandboxProcess) -> None:
    change(server, login_of(drifted, "rome"), last_name="By Hand")
    done = drifted.run(*APPLY)
    assert (9, "") == (done.returncode, done.stdout)
    assert "the plan of the parent default now differs for rome" in done.stderr
    assert {"By Hand"} == last_names(server)


def test_what_was_refreshed_needs_the_identity_again(drifted: Project) -> None:
    assert 10 == without_identity(drifted).run(*APPLY).returncode


# ── Files that are not plans ──────────────────────────────────────────────────


def altered(document: dict[str, Any], *path: str | int, to: object) -> str:
    *way, last = path
    place: Any = document
    for step in way:
        place = place[step]
    place[last] = to
    return json.dumps(document)


def test_a_plan_that_was_edited(planned: Project, server: SandboxProcess) -> None:
    path = planned.folder / "plan.json"
    original = path.read_text()
    path.write_text(altered(json.loads(original), "plans", 0, "changes", 0, "attributes", "last_name", to="Else"))
    refused(planned, server, "was changed after it was saved")
    for way, to in (
        (("files", 0, "sha256"), "0" * 64),
        (("endpoint",), "https://elsewhere.example.com"),
        (("manifests",), ["."]),
        (("refreshed",), True),
    ):
        path.write_text(altered(json.loads(original), "source", *way, to=to))
        refused(planned, server, "was changed after it was saved")
    path.write_text(original)
    outcomes_are(planned, "created", "created")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not a saved plan"),
        ("[]", "is not a saved plan"),
        ("[" * 100_000, "is not a saved plan"),
        ("\x00\xff", "is not a saved plan"),
        ('{"version": 1}', "is not a plan of version 1: plans is missing"),
        ('{"version": 2}', "has version 2; this program supports version 1"),
        ('{"version": {"a": "\\u001b[31m"}}', "this program supports version 1"),
        ('{"version": 1, "plans": [{"parent": "default"}]}', "is not a plan of version 1"),
        ('{"version": 1, "plans": []}', "does not say what it was made from"),
    ],
)
def test_a_file_that_is_not_a_plan(planned: Project, server: SandboxProcess, content: str, words: str) -> None:
    (planned.folder / "plan.json").write_text(content)
    done = planned.run(*APPLY)
    assert (9, "") == (done.returncode, done.stdout)
    assert words in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr
    assert [] == server.requests()


def test_a_printed_plan_was_not_saved(planned: Project, server: SandboxProcess) -> None:
    (planned.folder / "plan.json").write_text(planned.run("plan", "--format", "json").stdout)
    refused(planned, server, "was printed, not saved")


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply", "--plan", "missing.json", "--yes"),
        ("apply", "--plan", "manifests", "--yes"),
        (*APPLY, "manifests"),
        (*APPLY, "--refresh"),
        ("apply", "--plan", "plan.json"),
        ("plan", "--out", "missing/plan.json"),
        ("plan", "--out", "manifests"),
    ],
)
def test_a_wrong_command_line_changes_nothing(
    planned: Project, server: SandboxProcess, arguments: tuple[str, ...]
) -> None:
    done = planned.run(*arguments)
    assert (64, []) == (done.returncode, server.requests())
    assert len(done.stderr.splitlines()) >= 2
    assert not planned.state_path.exists()


def test_the_file_is_replaced_whole_and_never_through_a_link(planned: Project) -> None:
    plan = planned.folder / "plan.json"
    (planned.folder / "link.json").symlink_to(plan)
    before = plan.read_text()
    plan.write_text(before.replace("\n", " \n"))
    kept = plan.read_text()
    assert (64, kept) == (planned.run("plan", "--out", "link.json").returncode, plan.read_text())
    assert (0, before) == (planned.run("plan", "--out", "plan.json").returncode, plan.read_text())


def test_what_a_manifest_has_in_clear_is_masked_in_it(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    edit_manifest(mine, "${env:HOOK_TOKEN}", HOOK_TOKEN)
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    assert HOOK_TOKEN not in (mine.folder / "plan.json").read_text()
    edit_manifest(mine, HOOK_TOKEN, "another-token-5f1b")
    refused(mine, server, "has changed")


def test_only_one_of_two_simultaneous_runs_applies_the_plan(planned: Project, server: SandboxProcess) -> None:
    runs = [planned.start(*APPLY) for _ in range(2)]
    codes = sorted(finished(each).returncode for each in runs)
    assert codes in ([0, 6], [0, 9])
    assert 2 == len(server.accounts())


def test_a_parent_whose_plan_is_stale_is_refused_alone(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    (mine.folder / "provisioner.yaml").write_text(
        "parents:\n"
        "  acme: {api_login: acme@example.com, api_key: '${env:OCTOPUSH_API_KEY}'}\n"
        "  default: {api_login: '${env:OCTOPUSH_API_LOGIN}', api_key: '${env:OCTOPUSH_API_KEY}'}\n"
    )
    (mine.folder / "manifests" / "acme.yaml").write_text(
        "version: 1\nparent: acme\naccounts: [{name: lyon, first_name: Louise, last_name: Labé}]\n"
    )
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    # What comes second has moved.
    assert 0 == replace(mine).run("apply", "--yes", "manifests/accounts.yaml").returncode
    moved = mine.state_path.read_bytes()
    done = mine.run(*APPLY)
    assert (9, moved) == (done.returncode, mine.state_path.read_bytes())
    assert re.search("^acme:\n  address .*\n  login .*\n  state .*\n  created        lyon\n", done.stdout, re.MULTILINE)
    assert "the state of the parent default is of lineage" in done.stdout
    assert 3 == len(server.accounts())


def test_on_a_terminal_it_still_asks(planned: Project, server: SandboxProcess) -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (50, 1000))
    arguments = ("apply", "--plan", "plan.json", "--new-state")
    with planned.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, b"n\n")
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:  # the other side has closed it
            pass
        assert 130 == process.wait()
    os.close(ours)
    asked = f"Create 2 sub-accounts of {PARENT.api_login} at {server.url}, and begin the state state/default.json?"
    assert asked.encode() in seen
    assert json.loads((planned.folder / "plan.json").read_text())["digest"].encode() in seen
    assert [] == server.requests()


def test_only_the_plan_that_was_reviewed_is_applied(planned: Project, server: SandboxProcess) -> None:
    path = planned.folder / "plan.json"
    digest = json.loads(path.read_text())["digest"]
    other = planned.root / "other.yaml"
    other.write_text("version: 1\naccounts: [{name: mallory, first_name: Never, last_name: Reviewed}]\n")
    assert 0 == planned.run("plan", "--out", "swapped.json", str(other)).returncode
    swapped = json.loads((planned.folder / "swapped.json").read_text())["digest"]
    for code, words, arguments in (
        (9, f"its digest is {swapped}, not {digest}", ("--yes", "--plan", "swapped.json", "--digest", digest)),
        (64, "all 64", ("--yes", "--plan", "plan.json", "--digest", digest[:16])),
        (64, "--digest needs --plan.", ("--digest", digest)),
    ):
        done = planned.run("apply", *arguments)
        assert (code, True) == (done.returncode, words in done.stderr), done.stderr
    assert ([], False) == (server.requests(), planned.state_path.exists())
    done = planned.run(*APPLY, "--digest", digest, "--format", "json")
    document = conforming(done.stdout, "report.v1")
    assert (0, digest, True) == (done.returncode, document["digest"], f"Plan digest: {digest}\n" in done.stderr)
    (report,) = document["reports"]
    assert (server.url, "${env:OCTOPUSH_API_LOGIN}", "state/default.json", True) == (
        report["endpoint"], report["login"], report["state"], report["begins"],
    )  # fmt: skip


def test_a_plan_made_before_there_was_a_state_is_for_one_place(planned: Project, server: SandboxProcess) -> None:
    elsewhere = having(planned, PROVISIONER_STATE="elsewhere/{parent}.json")
    outcomes_are(planned, "created", "created")
    refused(elsewhere, server, "is kept at elsewhere/default.json, and was at state/default.json")


def test_other_recipients(planned: Project, server: SandboxProcess) -> None:
    stranger = having(planned, PROVISIONER_RECIPIENTS=new_identity()[1])
    refused(stranger, server, "the recipients have changed")


def test_every_format_has_the_digest_of_the_file(planned: Project) -> None:
    digest = json.loads((planned.folder / "plan.json").read_text())["digest"]
    for form in ("text", "markdown", "html"):
        assert digest in planned.run("plan", "--format", form).stdout
    assert digest == json.loads(planned.run("plan", "--format", "json").stdout)["digest"]
    touch_manifest(planned)
    assert digest not in planned.run("plan", "--format", "markdown").stdout
