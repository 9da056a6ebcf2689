"""``reconcile``: what a schedule runs, unattended, and its thresholds."""

from __future__ import annotations

import json

from tests.cli.steps import (
    RECONCILE,
    TWO,
    change,
    delete,
    edit_manifest,
    having,
    login_of,
    made,
    sent,
    statuses,
    without_identity,
)
from tests.conftest import NewProject, SandboxProcess, assert_kept


def test_it_creates_without_asking_and_then_only_reads(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    first = mine.run(*RECONCILE, "--format", "json")
    assert (0, ["created", "created"]) == (first.returncode, statuses(first.stdout))
    for name in TWO:
        assert_kept(server, mine, name)
    before = sent(server), mine.state_path.read_bytes(), mine.state_path.stat().st_mtime_ns
    listed = sorted(mine.state_path.parent.iterdir())
    for _ in range(5):
        again = mine.run(*RECONCILE, "--format", "json")
        assert (0, ["unchanged", "unchanged"]) == (again.returncode, statuses(again.stdout))
    assert before[1:] == (mine.state_path.read_bytes(), mine.state_path.stat().st_mtime_ns)
    assert listed == sorted(mine.state_path.parent.iterdir())
    assert {"GET"} == {each["method"] for each in server.requests()[before[0] :]}
    assert before[0] + 10 == sent(server)


def test_it_changes_back_what_somebody_changed(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    change(server, login_of(mine, "paris"), last_name="By Hand")
    done = mine.run(*RECONCILE, "--format", "json")
    assert (0, ["updated", "unchanged"]) == (done.returncode, statuses(done.stdout))
    assert "Crash" == {each["api_login"]: each for each in server.accounts()}[login_of(mine, "paris")]["last_name"]


def test_what_is_gone_waits_for_a_person(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    delete(server, login_of(mine, "paris"))
    done = mine.run(*RECONCILE, "--format", "json")
    assert (7, ["not_attempted", "unchanged"]) == (done.returncode, statuses(done.stdout))
    assert "provisioner forget paris" in done.stdout


def test_without_an_identity_it_says_what_it_cannot_see(server: SandboxProcess, project: NewProject) -> None:
    mine = without_identity(made(server, project))
    reads = sent(server)
    done = mine.run(*RECONCILE)
    assert (0, reads) == (done.returncode, sent(server))
    assert "there is no identity" in done.stderr
    edit_manifest(mine, "last_name: Crash", "last_name: Crush")
    changed = mine.run(*RECONCILE, "--format", "json")
    assert (10, ["not_attempted", "not_attempted"]) == (changed.returncode, statuses(changed.stdout))


def test_an_identity_that_was_given_must_be_right(server: SandboxProcess, project: NewProject) -> None:
    mine = having(made(server, project), PROVISIONER_IDENTITY="AGE-SECRET-KEY-NONSENSE")
    before = sent(server)
    assert (10, before) == (mine.run(*RECONCILE).returncode, sent(server))


def test_without_a_state_it_refuses_to_start_one(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    mine.state_path.unlink()
    # A machine that has never seen the state: a scheduler's, with the wrong checkout or an empty volume.
    elsewhere = having(mine, XDG_STATE_HOME=str(mine.root / "elsewhere"))
    before = sent(server)
    done = elsewhere.run("reconcile", "--format", "json")
    assert (5, "StateConflict") == (done.returncode, json.loads(done.stdout)["error"]["name"])
    assert "There is no state of the parent default at state/default.json." in done.stderr
    assert (before, False) == (sent(server), mine.state_path.exists())


# ── Thresholds ───────────────────────────────────────────────────────────────


def test_over_a_threshold_nothing_is_done(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    done = mine.run(*RECONCILE, "--max-creates", "1", "--format", "json")
    assert (4, "OverThreshold") == (done.returncode, json.loads(done.stdout)["error"]["name"])
    assert "The plan would create 2 accounts, but --max-creates is 1." in done.stderr
    assert ([], False) == (server.requests(), mine.state_path.exists())
    assert 0 == mine.run(*RECONCILE, "--max-creates", "2").returncode


def test_a_threshold_of_changes(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    edit_manifest(mine, "last_name: Crash", "last_name: Crush")
    change(server, login_of(mine, "paris"), company_name="By Hand")
    before = mine.state_path.read_bytes()
    done = mine.run(*RECONCILE, "--max-updates", "1")
    assert (4, before) == (done.returncode, mine.state_path.read_bytes())
    assert [] == [each for each in server.requests() if each["method"] == "PATCH" and "sandbox" not in each["path"]]
    assert 0 == mine.run(*RECONCILE, "--max-updates", "2", "--max-creates", "0").returncode


def test_a_threshold_of_the_settings_and_of_the_environment(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    (mine.folder / "provisioner.yaml").write_text("max_creates: 0\n")
    assert 4 == mine.run(*RECONCILE).returncode
    assert 4 == having(mine, PROVISIONER_MAX_CREATES="1").run(*RECONCILE).returncode
    assert 10 == having(mine, PROVISIONER_MAX_CREATES="many").run(*RECONCILE).returncode
    assert 10 == mine.run(*RECONCILE, "--max-creates", "-1").returncode
    assert 0 == having(mine, PROVISIONER_MAX_CREATES="1").run(*RECONCILE, "--max-creates", "2").returncode


def test_thresholds_count_the_whole_run(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    (mine.folder / "provisioner.yaml").write_text("parents: {default: {}, acme: {api_login: acme@example.com}}\n")
    (mine.folder / "manifests" / "acme.yaml").write_text(
        "version: 1\nparent: acme\naccounts: [{name: lyon, first_name: Louise, last_name: Labé}]\n"
    )
    assert (4, []) == (mine.run(*RECONCILE, "--max-creates", "2").returncode, server.requests())
