"""``adopt``: accounts that exist already are taken over."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
from pathlib import Path
from typing import Final

import pytest
import requests

from provisioner import manifest
from provisioner.model.account import Attributes, Callbacks, Credentials
from provisioner.model.verdict import SealedContent
from provisioner.state.sealing import new_identity
from tests.cli.steps import (
    by_name,
    change,
    conforming,
    delete,
    error_of,
    having,
    login_of,
    made,
    manifest_of,
    outcomes,
    password_of,
    record_of,
    without,
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
    headers,
)
from tests.forks import PATIENCE

HOOK: Final = f"https://hooks.example.com/?t={HOOK_TOKEN}"
OTHER_TOKEN: Final = "other-token-9b1f3e5d"


def elsewhere(
    server: SandboxProcess, first: str, company: str | None, parent: Credentials = PARENT, **fields: object
) -> str:
    """Create an account without this program, as somebody did in the dashboard, and return its login."""
    document = {"first_name": first, "last_name": "Crash", "company_name": company, "password": "By-hand-1-secret"}
    answer = requests.post(
        f"{server.url}/subaccount/create", json={**document, **fields}, headers=headers(parent), timeout=PATIENCE
    )
    assert 201 == answer.status_code
    return str(answer.json()["api_login"])


def made_for(server: SandboxProcess, project: Project, name: str, **fields: object) -> str:
    """Create an account as in the project's manifest, except for ``fields``."""
    usual = {"callbacks": {"callback_url_for_deliveries": HOOK}}
    return elsewhere(server, name, project.root.name, **{**usual, **fields})


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def pending(project: Project) -> list[tuple[str, str]]:
    """Return what an apply would change."""
    (plan,) = conforming(project.run("plan", "--format", "json").stdout, "plan.v1")["plans"]
    return [(each["action"], each["name"]) for each in plan["changes"] if each["action"] != "unchanged"]


# ── One ──────────────────────────────────────────────────────────────────────


def test_an_account_that_is_as_the_manifest_has_it(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris")
    # What a placeholder stands for is not needed here: the text around it fits.
    done = without(mine, "HOOK_TOKEN").run("adopt", "paris", login, "--format", "json")
    ((name, action, status, reason),) = outcomes(done.stdout)
    assert (0, "paris", "adopt", "adopted") == (done.returncode, name, action, status)
    assert "as in the manifest: first_name, last_name, company_name, callbacks.callback_url_for_deliveries" == reason
    assert [] == pending(mine)
    credentials = mine.opened("paris").credentials
    assert credentials is not None
    assert (login, server.key_of(login)) == (credentials.api_login, credentials.api_key.reveal())
    assert server.accepts(credentials)
    assert "rotate-password" in done.stderr
    assert ["accounts.yaml"] == files(mine.folder / "manifests")
    assert_no_secret(server, mine, done.stdout, done.stderr)
    assert 0 == mine.run("apply", "--yes").returncode
    assert [] == [each for each in server.requests()[1:] if each["method"] != "GET"]


def table(project: Project, *rows: tuple[str, str]) -> str:
    path = project.folder / "logins.csv"
    path.write_text("name,login\n" + "".join(f"{name},{login}\n" for name, login in rows))
    return path.name


def test_adopting_again_changes_nothing_and_of_a_table_asks_nobody(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris")
    assert 0 == mine.run("adopt", "paris", login).returncode
    before, asked = mine.state_path.read_bytes(), len(server.requests())
    for again in (login, login.upper()):
        done = mine.run("adopt", "--from", table(mine, ("paris", again)), "--format", "json")
        assert (0, {"paris": "unchanged"}) == (done.returncode, by_name(done.stdout))
    assert asked == len(server.requests())
    for again in (login, login.upper()):
        done = mine.run("adopt", "paris", again, "--format", "json")
        assert (0, {"paris": "unchanged"}) == (done.returncode, by_name(done.stdout))
    assert before == mine.state_path.read_bytes()
    assert ["GET", "GET"] == [each["method"] for each in server.requests()[asked:]]


def test_a_key_that_octopush_has_changed_is_taken_over(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project, ("paris", "rome"))
    login, before = login_of(mine, "paris"), mine.opened("paris")
    change(server, login, api_key="key-made-by-hand-7f3a")
    done = mine.run("verify")
    assert (7, True) == (done.returncode, "`provisioner adopt paris LOGIN` takes it over" in done.stdout)
    done = mine.run("adopt", "paris", login, "--format", "json")
    assert (0, {"paris": "adopted"}) == (done.returncode, by_name(done.stdout))
    after = mine.opened("paris")
    assert after.credentials is not None
    assert "key-made-by-hand-7f3a" == after.credentials.api_key.reveal()
    assert (before.password, before.sent) == (after.password, after.sent)
    assert "Verified (keys, not passwords): 2 good." in mine.run("verify").stdout
    assert 0 == mine.run("plan", "--detailed-exitcode").returncode
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    assert_no_secret(server, mine, done.stdout, done.stderr)
    delete(server, login)
    done = mine.run("adopt", "paris", login)
    assert (7, True) == (done.returncode, "does not know its login" in done.stdout)


def test_a_difference_is_reported_and_changed_by_the_next_apply(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    elsewhere_url = f"https://elsewhere.example.com/?t={OTHER_TOKEN}"
    login = made_for(server, mine, "paris", last_name="Other", callbacks={"callback_url_for_deliveries": elsewhere_url})
    refused = mine.run("adopt", "paris", login, "--format", "json")
    assert (4, None) == (refused.returncode, mine.state())
    assert 'last_name: "Crash" in the manifest for paris, "Other" at Octopush' in error_of(refused)["message"]
    done = mine.run("adopt", "paris", login, "--different", "--format", "json")
    (outcome,) = conforming(done.stdout, "report.v1")["reports"][0]["outcomes"]
    path = "callbacks.callback_url_for_deliveries"
    assert [
        {"path": "last_name", "before": "Crash", "after": "Other"},
        {"path": path, "before": "https://hooks.example.com/?t=${env:HOOK_TOKEN}", "after": "***", "masked": True},
    ] == outcome["fields"]
    assert f"the next apply changes last_name, {path}" in outcome["reason"]
    assert ("last_name", path) == record_of(mine, "paris").drift.changed
    assert [("update", "paris")] == pending(mine)
    refused = mine.run("rotate-password", "paris", "--yes")
    assert (5, True) == (refused.returncode, "`provisioner apply` first" in refused.stderr)
    applied = mine.run("apply", "--yes")
    assert (0, "Crash") == (applied.returncode, server.accounts()[-1]["last_name"])
    assert {"callback_url_for_deliveries": HOOK} == server.accounts()[-1]["callbacks"]
    assert [] == pending(mine)
    # The edit sent no password: that of before is as it was.
    assert "By-hand-1-secret" == server.accounts()[-1]["password"]
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    assert password_of(mine.opened("paris")) == server.accounts()[-1]["password"]
    said = done.stdout + done.stderr + applied.stdout + applied.stderr
    assert OTHER_TOKEN not in said + mine.state_path.read_text()


def test_a_token_in_the_path_of_what_was_found_is_shown_by_nothing(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    there = f"https://elsewhere.example.com/{OTHER_TOKEN}/dlr"
    login = made_for(server, mine, "paris", callbacks={"callback_url_for_deliveries": there})
    said = []
    for command in (
        ["adopt", "paris", login],
        ["refresh"],
        ["refresh", "--format", "json"],
        ["plan"],
        ["plan", "--refresh"],
        *(["plan", "--refresh", "--format", form] for form in ("json", "markdown", "html")),
        ["apply", "--refresh", "--yes", "--format", "json"],
    ):
        done = mine.run(*command)
        assert 0 == done.returncode, done.stderr
        said += [done.stdout, done.stderr]
    assert 'wanted "https://hooks.example.com/?t=${env:HOOK_TOKEN}", found (masked)' in said[0]
    assert 'sent "https://hooks.example.com/?t=${env:HOOK_TOKEN}", found (masked)' in said[2]
    assert [] == [each for each in (*said, mine.state_path.read_text()) if OTHER_TOKEN in each]
    assert {"callback_url_for_deliveries": HOOK} == server.accounts()[-1]["callbacks"]


def test_text_shows_the_wanted_and_the_found_value(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    done = mine.run("adopt", "paris", made_for(server, mine, "paris", last_name="Other"), "--different")
    _, login, state, _, field = done.stdout.splitlines()[1:6]
    assert "  login    par*** (from OCTOPUSH_API_LOGIN)" == login
    assert "  state    state/default.json, begun by this run" == state
    assert '    last_name: wanted "Crash", found "Other"' in field
    assert "Done: 1 adopted." == done.stdout.splitlines()[-1]


def written(project: Project, file: str = "adopted.yaml") -> dict[str, Attributes]:
    """Return what a manifest in the project's folder asks for, by name."""
    (found,) = manifest.load([project.folder / "manifests" / file]).require()
    return {each.name: each.attributes for each in found.accounts}


def test_an_account_that_no_manifest_names_gets_one(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = elsewhere(
        server,
        "Otto",
        "Dix: Söhne",
        callbacks={"callback_url_for_deliveries": f"https://h.example.com/{'a'}?t={OTHER_TOKEN}",
                   "callback_url_for_visits": "https://h.example.com/visits", "email_for_inbounds": "a@example.com"},
    )  # fmt: skip
    done = mine.run("adopt", "1-otto", login)
    assert 0 == done.returncode
    variable = "_1_OTTO_CALLBACK_URL_FOR_DELIVERIES"
    expected = Attributes(
        "Otto", "Crash", "Dix: Söhne",
        Callbacks(f"${{env:{variable}}}", None, "https://h.example.com/visits", None, "a@example.com"),
    )  # fmt: skip
    assert {"1-otto": expected} == written(mine)
    assert expected == record_of(mine, "1-otto").attributes
    assert variable in done.stderr
    assert OTHER_TOKEN not in done.stdout + done.stderr + mine.state_path.read_text()
    assert_no_secret(server, mine, done.stdout, done.stderr)
    assert [("create", "paris")] == pending(mine)
    shown = mine.run("credentials", "show", "1-otto").stdout
    assert f"callbacks.callback_url_for_deliveries: https://h.example.com/a?t={OTHER_TOKEN}\n" in shown
    # With the value that was shown, an apply that changes something else leaves it as it is.
    path = mine.folder / "manifests" / "adopted.yaml"
    path.write_text(path.read_text().replace("last_name: Crash", "last_name: Dix"))
    ready = having(mine, **{variable: f"https://h.example.com/a?t={OTHER_TOKEN}"})
    assert 0 == ready.run("apply", "--yes").returncode
    last = [each for each in server.accounts() if each["api_login"] == login][-1]
    assert ("Dix", f"https://h.example.com/a?t={OTHER_TOKEN}") == (
        last["last_name"], last["callbacks"]["callback_url_for_deliveries"],
    )  # fmt: skip


def test_the_written_manifest_is_an_ordinary_new_file(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    folder, target = mine.folder / "manifests", mine.root / "elsewhere"
    (mine.folder / "link.yaml").symlink_to(target)
    otto = elsewhere(server, "Otto", None)
    assert 0 == mine.run("adopt", "otto", otto, "--write", "link.yaml").returncode
    assert (False, True) == (target.exists(), (mine.folder / "link-2.yaml").is_file())
    (folder / "adopted.yaml").write_bytes((mine.folder / "link-2.yaml").read_bytes().replace(b"otto", b"otto-2"))
    assert 0 == mine.run("adopt", "otto", otto).returncode
    assert ["accounts.yaml", "adopted-2.yaml", "adopted.yaml"] == files(folder)
    mode = stat.S_IMODE((folder / "adopted-2.yaml").stat().st_mode)
    assert stat.S_IMODE((folder / "accounts.yaml").stat().st_mode) == mode
    kept = (folder / "adopted-2.yaml").read_bytes()
    assert 0 == mine.run("adopt", "anna", elsewhere(server, "Anna", None)).returncode
    assert (kept, ["anna"]) == ((folder / "adopted-2.yaml").read_bytes(), [*written(mine, "adopted-3.yaml")])
    done = mine.run("adopt", "emil", elsewhere(server, "Emil", None), "--write", "new/more.yml")
    assert (0, True) == (done.returncode, (mine.folder / "new" / "more.yml").is_file())
    (folder / "adopted.yaml").unlink()
    assert [("create", "paris"), ("unmanaged", "emil")] == sorted(pending(mine))


def test_a_manifest_that_cannot_be_written_can_be_written_later(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = elsewhere(server, "Otto", None)
    (mine.folder / "file").touch()
    done = mine.run("adopt", "otto", login, "--write", "file/adopted.yaml")
    assert (64, True) == (done.returncode, "The adopted accounts are in the state" in done.stderr)
    assert {"otto": "active"} == mine.statuses()
    before = mine.state_path.read_bytes()
    again = mine.run("adopt", "otto", login, "--format", "json")
    assert (0, {"otto": "unchanged"}) == (again.returncode, by_name(again.stdout))
    assert (before, ["otto"]) == (mine.state_path.read_bytes(), [*written(mine)])


def test_unsuitable_input_changes_nothing(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris", "rome"))
    login, other = made_for(server, mine, "paris"), made_for(server, mine, "rome")
    assert 0 == mine.run("adopt", "paris", login).returncode
    before = mine.state_path.read_bytes()
    stranger, _ = new_identity()
    cases = (
        (mine, ("rome", login), 4, "already belongs to paris"),
        (mine, ("paris", other), 4, "already has another login"),
        (mine, ("rome", login.upper()), 4, "already belongs to paris"),
        (having(mine, PROVISIONER_IDENTITY=stranger.reveal()), ("rome", other), 10, "does not open"),
        (having(mine, PROVISIONER_IDENTITY_FILE="nowhere"), ("rome", other), 10, "nowhere"),
        (having(mine, OCTOPUSH_API_LOGIN="somebody@example.com"), ("rome", other), 5, "another Octopush account"),
        (without(mine, "OCTOPUSH_API_KEY"), ("rome", other), 10, "OCTOPUSH_API_KEY"),
        (mine, ("rome", ".."), 64, "a folder's name"),
        (mine, ("rome", "."), 64, "a folder's name"),
        (mine, ("rome", f"{other} "), 64, "The login"),
        (mine, ("rome", "a b@example.com"), 64, "contains a space"),
        *((mine, ("rome", each), 64, "a login cannot have") for each in ("a/../b", "%2e%2e", "a?b", "a#c", "x/edit")),
        (mine, ("rome", ""), 64, "The login is empty"),
        (mine, ("rome", "é@example.com"), 64, "The login contains"),
        (mine, ("Rome", other), 64, "lower-case"),
        (mine, ("", other), 64, "The name is empty"),
        (mine, ("rome",), 64, "No account to adopt"),
        (mine, (), 64, "No account to adopt"),
        (mine, ("rome", other, "nowhere.yaml"), 3, "1 problem"),
        (mine, ("rome", other, "--write", "adopted.csv"), 64, "YAML"),
        (mine, ("rome", other, "--parent", "acme"), 10, "acme"),
    )
    for who, arguments, code, words in cases:
        done = who.run("adopt", *arguments, "--format", "json")
        error = error_of(done)
        assert (arguments, code, True) == (arguments, done.returncode, words in error["message"] + error["hint"])
    assert before == mine.state_path.read_bytes()
    assert ["accounts.yaml"] == files(mine.folder / "manifests")


@pytest.mark.parametrize("login", ["nobody@example.com", "create"])
def test_a_login_that_nobody_has(server: SandboxProcess, project: NewProject, login: str) -> None:
    mine = project(server, ("paris",))
    for name in ("paris", "oslo"):
        done = mine.run("adopt", name, login, "--format", "json", "--attempts", "1")
        assert (7, {name: "failed"}) == (done.returncode, by_name(done.stdout))
    assert None is mine.state()
    assert ["accounts.yaml"] == files(mine.folder / "manifests")


def test_adopting_an_unknown_keeps_its_password(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1-2")
    mine = project(server, ("paris", "rome"))
    assert 8 == mine.run("apply", "--yes", "--keep-going").returncode
    sent = {name: password_of(mine.opened(name)) for name in ("paris", "rome")}
    logins = {each["first_name"]: each["api_login"] for each in server.accounts()}
    assert 0 == mine.run("resolve", "rome", "--abandon", "--yes").returncode
    for name in ("paris", "rome"):
        done = mine.run("adopt", name, logins[name], "--format", "json")
        assert (0, {name: "adopted"}) == (done.returncode, by_name(done.stdout))
        content = mine.opened(name)
        assert (sent[name], logins[name]) == (password_of(content), login_of(mine, name))
        assert "rotate-password" not in done.stderr
    assert {each["first_name"]: each["password"] for each in server.accounts()} == sent
    assert ([], 0) == (pending(mine), mine.run("apply", "--yes").returncode)
    assert_no_secret(server, mine)


def test_an_unknown_in_no_manifest_keeps_its_password_too(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1")
    mine = project(server, ("paris",))
    assert 8 == mine.run("apply", "--yes").returncode
    sent = password_of(mine.opened("paris"))
    manifest_of(mine).unlink()
    assert 0 == mine.run("adopt", "paris", server.accounts()[0]["api_login"]).returncode
    assert (sent, ["paris"]) == (password_of(mine.opened("paris")), [*written(mine)])


def test_reserved_is_to_be_lowered(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    done = mine.run("adopt", "paris", made_for(server, mine, "paris"), "--limit", "3", "--reserved", "2")
    assert (0, False) == (done.returncode, "lower `reserved`" in done.stderr)
    done = mine.run("adopt", "rome", made_for(server, mine, "rome"), "--limit", "3", "--reserved", "2")
    assert (0, True) == (done.returncode, "lower `reserved` to 1 or less" in done.stderr)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("500@1:read", 7, "HTTP 500"),
        ("lost@1:read", 7, "connection"),
        ("cut@1:read", 7, "cut"),
        ("401@1:read", 10, "did not accept the credentials"),
        ("429@1:read", 7, "try later"),
    ],
)
def test_a_failed_read_adopts_nothing(
    sandbox: StartSandbox, project: NewProject, fault: str, code: int, words: str
) -> None:
    server = sandbox("--fault", fault)
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris")
    done = mine.run("adopt", "paris", login, "--attempts", "1", "--format", "json")
    ((_, _, status, reason),) = outcomes(done.stdout)
    assert (code, "failed", True) == (done.returncode, status, words in str(reason))
    assert None is mine.state()
    assert 0 == mine.run("adopt", "paris", login).returncode


def test_an_account_that_cannot_be_written_into_a_manifest_must_be_in_one_first(
    server: SandboxProcess, project: NewProject
) -> None:
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris")
    change(server, login, first_name="")
    done = mine.run("adopt", "otto", login, "--format", "json")
    assert (7, {"otto": "failed"}) == (done.returncode, by_name(done.stdout))
    assert "a manifest cannot contain its present values" in done.stderr
    assert None is mine.state()
    assert 0 == mine.run("adopt", "paris", login, "--different").returncode
    assert 0 == mine.run("apply", "--yes").returncode
    assert "paris" == server.accounts()[-1]["first_name"]


def test_a_text_that_looks_like_a_placeholder_stays_what_it_is(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris", callbacks=None)
    change(server, login, company_name="${env:HOME} Ltd", last_name="\x1b[31mRed")
    done = mine.run("adopt", "otto", login)
    # A manifest cannot contain control characters.
    assert (7, False) == (done.returncode, "\x1b" in done.stdout + done.stderr)
    change(server, login, last_name="Dix")
    assert 0 == mine.run("adopt", "otto", login).returncode
    assert "${env:OTTO_COMPANY_NAME}" == written(mine)["otto"].company_name
    assert "company_name: ${env:HOME} Ltd\n" in mine.run("credentials", "show", "otto").stdout
    path = mine.folder / "manifests" / "adopted.yaml"
    path.write_text(path.read_text().replace("last_name: Dix", "last_name: Otto"))
    manifest_of(mine).unlink()
    assert 0 == having(mine, OTTO_COMPANY_NAME="${env:HOME} Ltd").run("apply", "--yes").returncode
    assert "Otto" == server.accounts()[-1]["last_name"]


def test_an_account_without_a_key_cannot_be_kept(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris")
    change(server, login, api_key=" ")
    done = mine.run("adopt", "paris", login)
    assert (7, True) == (done.returncode, "the answer contains no key" in done.stdout)
    assert None is mine.state()


def test_a_rename_is_not_an_adoption(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project, ("paris",))
    login = login_of(mine, "paris")
    done = mine.run("adopt", "paname", login)
    assert (4, True) == (done.returncode, "`previously: paris`" in done.stderr)
    delete(server, login)
    successor = made_for(server, mine, "paris")
    done = mine.run("adopt", "paris", successor)
    assert (4, True) == (done.returncode, "already has another login" in done.stderr)
    assert 0 == mine.run("forget", "paris", "--yes").returncode
    assert 0 == mine.run("adopt", "paris", successor).returncode
    assert [] == pending(mine)


def test_each_parent_has_its_own(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    (mine.folder / "provisioner.yaml").write_text(
        'parents:\n  default: {}\n  acme: {api_login: acme@example.com, api_key: "${env:OCTOPUSH_API_KEY}"}\n'
    )
    login = elsewhere(server, "Otto", None, Credentials(ACME, PARENT.api_key))
    assert 0 == mine.run("adopt", "otto", login, "manifests/accounts.yaml", "--parent", "acme").returncode
    (found,) = manifest.load([mine.folder / "manifests" / "adopted.yaml"]).require()
    assert ("acme", ["otto"]) == (found.parent, [each.name for each in found.accounts])
    plans = json.loads(mine.run("plan", "--format", "json").stdout)["plans"]
    assert {"acme": ["unchanged"], "default": ["create"]} == {
        each["parent"]: [change["action"] for change in each["changes"]] for each in plans
    }


# ── Many ─────────────────────────────────────────────────────────────────────


def test_many_go_on_after_one_that_fails(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris", "rome"))
    paris, rome = made_for(server, mine, "paris"), made_for(server, mine, "rome")
    otto, anna = elsewhere(server, "Otto", None), elsewhere(server, "Anna", None)
    assert 0 == mine.run("adopt", "rome", rome).returncode
    rows = table(mine, ("otto", otto), ("gone", "gone@example.com"), ("rome", "x@example.com"), ("thief", rome),
                 ("anna", anna), ("paris", paris))  # fmt: skip
    serial = json.loads(mine.state_path.read_text())["serial"]
    done = mine.run("adopt", "--from", rows, "--format", "json")
    assert 7 == done.returncode
    assert {
        "otto": "adopted", "gone": "failed", "rome": "failed", "thief": "failed", "anna": "adopted", "paris": "adopted",
    } == by_name(done.stdout)  # fmt: skip
    assert ["anna", "otto"] == [*written(mine)]
    # Each was saved before the next was asked for.
    assert serial + 3 == json.loads(mine.state_path.read_text())["serial"]
    before, asked = mine.state_path.read_bytes(), len(server.requests())
    rows = table(mine, ("anna", anna), ("otto", otto), ("paris", paris), ("rome", rome))
    again = mine.run("adopt", "--from", rows, "--format", "json")
    assert (0, {"unchanged"}) == (again.returncode, set(by_name(again.stdout).values()))
    assert (before, asked) == (mine.state_path.read_bytes(), len(server.requests()))
    assert ["accounts.yaml", "adopted.yaml"] == files(mine.folder / "manifests")
    assert [] == pending(mine)
    assert_no_secret(server, mine, done.stdout, done.stderr, again.stdout, again.stderr)


def test_a_run_that_died_before_it_wrote_the_manifest(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    url = f"https://h.example.com/?t={OTHER_TOKEN}"
    logins = {
        name: elsewhere(server, name, None, callbacks={"callback_url_for_visits": url}) for name in ("anna", "otto")
    }
    rows = table(mine, *logins.items())
    assert 0 == mine.run("adopt", "--from", rows).returncode
    path = mine.folder / "manifests" / "adopted.yaml"
    kept, state = path.read_bytes(), mine.state_path.read_bytes()
    path.unlink()
    done = mine.run("adopt", "--from", rows)
    assert (0, kept, state) == (done.returncode, path.read_bytes(), mine.state_path.read_bytes())
    assert "OTTO_CALLBACK_URL_FOR_VISITS" in done.stderr


def test_whichever_manifests_are_named_nobody_is_written_twice(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    rows = table(mine, ("anna", elsewhere(server, "Anna", None)))
    for _ in range(2):
        assert 0 == mine.run("adopt", "--from", rows, "manifests/accounts.yaml").returncode
    assert ["accounts.yaml", "adopted.yaml"] == files(mine.folder / "manifests")
    (mine.folder / "manifests" / "adopted.yaml").write_text("accounts: [")
    done = mine.run("adopt", "--from", rows, "manifests/accounts.yaml")
    assert 3 == done.returncode


def test_a_project_that_has_no_manifest_yet(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    manifest_of(mine).unlink()
    login = elsewhere(server, "Anna", None)
    assert 0 == mine.run("adopt", "anna", login).returncode
    assert ["anna"] == [*written(mine)]


def test_every_problem_in_the_table_is_reported_first(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris")
    rows = table(
        mine, ("paris", login), ("Rome", "a b@example.com"), ("paris", login.upper()), ("oslo", ".."), ("", "")
    )
    asked = len(server.requests())
    done = mine.run("adopt", "--from", rows)
    assert 3 == done.returncode
    for place in ("logins.csv:3", "logins.csv:4", "logins.csv:5"):
        assert place in done.stderr
    assert login not in done.stderr.lower()
    assert (None, asked) == (mine.state(), len(server.requests()))
    assert 3 == mine.run("adopt", "--from", "nowhere.csv").returncode


def test_a_refused_key_stops_the_run(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris", "rome"))
    rows = table(mine, ("paris", made_for(server, mine, "paris")), ("rome", made_for(server, mine, "rome")))
    done = having(mine, OCTOPUSH_API_KEY="wrong").run("adopt", "--from", rows, "--format", "json")
    assert (10, {"paris": "failed", "rome": "not_attempted"}) == (done.returncode, by_name(done.stdout))
    assert None is mine.state()


def test_one_account_that_cannot_be_read_does_not_stop_the_others(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "500@1:read")
    mine = project(server, ("paris", "rome"))
    rows = table(mine, ("paris", made_for(server, mine, "paris")), ("rome", made_for(server, mine, "rome")))
    done = mine.run("adopt", "--from", rows, "--format", "json", "--attempts", "1")
    assert (7, {"paris": "failed", "rome": "adopted"}) == (done.returncode, by_name(done.stdout))


def test_an_interrupt_ends_it_between_two(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=0.5@1-2:read")
    mine = project(server, ("paris",))
    names = ("anna", "emil", "otto")
    rows = table(mine, *((name, elsewhere(server, name, None)) for name in names))
    with mine.start("adopt", "--from", rows, "--format", "json") as running:
        eventually(lambda: len(mine.statuses()) == 1)
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=PATIENCE)
    done = subprocess.CompletedProcess((), running.returncode, out)
    statuses = by_name(done.stdout)
    adopted = [name for name in names if statuses[name] == "adopted"]
    assert (143, "not_attempted") == (done.returncode, statuses["otto"])
    assert (adopted, adopted) == ([*mine.statuses()], [*written(mine)])
    assert 0 == mine.run("adopt", "--from", rows).returncode
    files = (mine.folder / "manifests").glob("adopted*.yaml")
    assert [*names] == sorted(name for file in files for name in written(mine, file.name))


def test_a_stored_seal_for_somebody_else_is_reported(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1")
    mine = project(server, ("paris", "rome"))
    _, stranger = new_identity()
    assert 8 == having(mine, PROVISIONER_RECIPIENTS=stranger).run("apply", "--yes").returncode
    before = mine.state_path.read_bytes()
    paris, rome = server.accounts()[0]["api_login"], made_for(server, mine, "rome")
    mine = having(mine, PROVISIONER_RECIPIENTS=f"{stranger} {mine.environ['PROVISIONER_RECIPIENTS']}")
    done = mine.run("adopt", "paris", paris)
    assert (10, before) == (done.returncode, mine.state_path.read_bytes())
    done = mine.run("adopt", "--from", table(mine, ("paris", paris), ("rome", rome)), "--format", "json")
    assert (7, {"paris": "failed", "rome": "adopted"}) == (done.returncode, by_name(done.stdout))


def sent_of(project: Project, name: str) -> Attributes | None:
    content: SealedContent = project.opened(name)
    return content.sent


def test_what_was_found_is_what_a_new_password_is_sent_with(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    login = made_for(server, mine, "paris")
    assert 0 == mine.run("adopt", "paris", login).returncode
    found = sent_of(mine, "paris")
    assert found is not None
    assert HOOK == found.callbacks.callback_url_for_deliveries
    assert 0 == without(mine, "HOOK_TOKEN").run("rotate-password", "paris", "--yes").returncode
    assert {"callback_url_for_deliveries": HOOK} == server.accounts()[-1]["callbacks"]
    assert password_of(mine.opened("paris")) == server.accounts()[-1]["password"]
    assert Path(mine.state_path).read_text().count(HOOK_TOKEN) == 0
