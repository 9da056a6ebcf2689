"""``status``: records and balances, while nothing runs and while something does."""

from __future__ import annotations

import json
from typing import Any

from provisioner.errors import ExitCode
from tests.cli.steps import TWO, change, login_of, without
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_no_secret, eventually


def test_a_live_run_is_not_called_dead(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "delay=1@1:create", "--fault", "delay=1@1:edit"), TWO)
    with mine.start("apply", "--yes") as running:
        eventually(lambda: "pending" in mine.statuses().values())
        done = mine.run("status")
        assert f"the state is held by process {running.pid} of" in done.stderr
        assert "it is still running, or it died" in done.stdout
        running.communicate()
    assert "held by" not in mine.run("status").stderr
    # The same of an edit.
    manifest = mine.folder / "manifests" / "accounts.yaml"
    manifest.write_text(manifest.read_text().replace("last_name: Crash", "last_name: Changed"))
    with mine.start("apply", "--yes") as running:
        eventually(lambda: '"edit": {' in mine.state_path.read_text())
        done = mine.run("plan")
        assert f"the state is held by process {running.pid} of" in done.stderr
        running.communicate()
    assert "held by" not in mine.run("plan").stderr


def accounts_of(text: str) -> list[dict[str, Any]]:
    (state,) = json.loads(text)["states"]
    accounts: list[dict[str, Any]] = state["accounts"]
    return accounts


def test_every_account_is_asked_for_its_own_balance(applied: Project, server: SandboxProcess) -> None:
    assert all("balance" not in each for each in accounts_of(applied.run("status", "--format", "json").stdout))
    # Each asks as itself: the parent's key is not needed.
    mine = without(applied, "OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY")
    done = mine.run("status", "--balances", "--format", "json")
    assert 0 == done.returncode
    assert [{"amount": 0.0, "unit": "euros"}] * 2 == [each["balance"] for each in accounts_of(done.stdout)]
    text = mine.run("status", "--balances").stdout
    assert ["NAME", "STATUS", "SINCE", "BALANCE", "REASON"] == text.splitlines()[1].split()
    assert 2 == text.count("0.00 euros")
    assert "BALANCE" not in mine.run("status").stdout
    for output, balance in (("markdown", "0.00 euros in 2 accounts |"), ("html", "<summary>default: 0.00 euros in")):
        page = mine.run("status", "--balances", "--format", output).stdout
        assert (True, True) == ("Sub-accounts of " in page, balance in page)
    assert ["/v1/public/wallet/check-balance?with_details=true"] * 8 == [each["path"] for each in server.requests()[4:]]
    assert_no_secret(server, applied, done.stdout, done.stderr, text)


def test_a_balance_that_cannot_be_read_is_shown_with_its_reason(applied: Project, server: SandboxProcess) -> None:
    change(server, login_of(applied, "paris"), api_key="key-made-by-hand-7f3a")
    done = applied.run("status", "--balances", "--format", "json")
    paris, rome = accounts_of(done.stdout)
    assert (7, None, {"amount": 0.0, "unit": "euros"}) == (done.returncode, paris["balance"], rome["balance"])
    refused = "its balance could not be read: the API did not accept the credentials (127.0.0.1:"
    assert (True, True) == (refused in paris["reason"], ", HTTP 401" in paris["reason"])
    text = applied.run("status", "--balances")
    assert (7, True) == (text.returncode, "  ?           its balance could not be read: " in text.stdout)


def test_a_balance_is_asked_for_where_there_is_an_account(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "not-json@1"), TWO)
    assert (0, True) == ((done := mine.run("status", "--balances")).returncode, "no state" in done.stdout)
    assert ExitCode.OUTCOME_UNKNOWN == mine.run("apply", "--yes").returncode
    done = mine.run("status", "--balances", "--format", "json")
    assert (0, None) == (done.returncode, accounts_of(done.stdout)[0]["balance"])
    assert "web page" in accounts_of(done.stdout)[0]["reason"]
