"""An account's later life: manifests that change, and what must hold of the state and of the server meanwhile."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, TypeAlias

from provisioner import executor
from provisioner.model.account import Attributes, Secret
from provisioner.model.state import Active, State
from provisioner.model.verdict import SealedContent
from provisioner.state.sealing import AgeOpener, parse_identities
from tests.conftest import HOOK_TOKEN, NewProject, Project, SandboxProcess, assert_no_secret
from tests.crash import runs

Entry: TypeAlias = dict[str, Any]
"""An account as in a manifest."""

_PLACEHOLDER: Final = "${env:HOOK_TOKEN}"
_HOOK: Final = f"https://hooks.example.com/?t={_PLACEHOLDER}"
ROME: Final[Entry] = {"name": "rome", "first_name": "rome", "last_name": "Bystander"}
PARIS: Final[Entry] = {
    "name": "paris",
    "first_name": "paris",
    "last_name": "Before",
    "callbacks": {"callback_url_for_deliveries": _HOOK, "email_for_inbounds": "before@example.com"},
}
EDITED: Final[Entry] = {"last_name": "After", "callbacks": {"callback_url_for_inbounds": _HOOK}}
"""Two callbacks are cleared, and another is set."""
RENAMED: Final[Entry] = {"name": "lutetia", "previously": "paris"}
ROTATED: Final[Entry] = {"password_version": 2}


def created(server: SandboxProcess, project: NewProject, *entries: Entry) -> Project:
    """Return a project whose accounts exist."""
    mine = project(server, ())
    ask_for(mine, *entries)
    assert 0 == runs.run(mine)
    return mine


def ask_for(mine: Project, *entries: Entry) -> None:
    """Write these accounts into the project's manifest; the company names the project, to find them on the server."""
    document = {"version": 1, "defaults": {"company_name": mine.root.name}, "accounts": entries}
    _manifest(mine).write_text(json.dumps(document))


def ledger(server: SandboxProcess, mine: Project) -> dict[str, dict[str, Any]]:
    """Return the project's accounts by login, as the server has them now; its ledger lists every change."""
    return {each["api_login"]: each for each in server.accounts() if each["company_name"] == mine.root.name}


def seals(state: State) -> dict[str, str]:
    """Return all sealed content by account name; that of an unfinished edit by the name and a plus."""
    found = {name: record.sealed for name, record in state.accounts.items() if record.sealed is not None}
    for name, record in state.accounts.items():
        if isinstance(record, Active) and record.edit is not None and record.edit.sealed is not None:
            found[f"{name}+"] = record.edit.sealed
    return found


def opened(mine: Project, state: State) -> dict[str, SealedContent]:
    """Return the same in clear."""
    opener = AgeOpener(parse_identities(Secret(mine.identity_path.read_text()), "the test"))
    found = {name: executor.open_record(state, name, opener) for name in state.accounts}
    found |= {f"{name}+": executor.open_edit(state, name, opener) for name in state.accounts}
    return {place: content for place, content in found.items() if content is not None}


def assert_nothing_lost(server: SandboxProcess, mine: Project, *, adopting: Collection[str] = ()) -> None:
    """Check that every account of the server is in the state under one name, with its login, key and password.

    What the server holds of it is what the record says or what its begun edit says, and
    no secret is in clear. Of the logins that are ``adopting`` only the key is compared,
    and they may be in no record yet.
    """
    assert_no_secret_at_all(server, mine)
    state = mine.state()
    assert state is not None
    there, contents = ledger(server, mine), opened(mine, state)
    held = []
    for name, record in state.accounts.items():
        if not isinstance(record, Active):
            continue
        credentials = contents[name].credentials
        assert credentials is not None
        account = there[credentials.api_login]
        held.append(credentials.api_login)
        assert account["api_key"] == credentials.api_key.reveal()
        if credentials.api_login in adopting:
            continue
        kept = [contents[place] for place in (name, f"{name}+") if place in contents]
        passwords = [password for each in kept for password in (each.password, *each.others)]
        assert Secret(account["password"]) in passwords
        possible = [record.attributes] if record.edit is None else [record.attributes, record.edit.attributes]
        assert _told(account) in [_sent(each) for each in possible]
    missing = adopting if set(adopting).isdisjoint(held) else ()
    assert sorted(there.keys() - set(missing)) == sorted(held)


def assert_settled(server: SandboxProcess, mine: Project, *, adopting: Collection[str] = ()) -> None:
    """Check that nothing is lost or unfinished, and that the server has what the manifest asks for.

    Then that one more run sends nothing and does not write the state.
    """
    assert_nothing_lost(server, mine, adopting=adopting)
    state = mine.state()
    assert state is not None
    records = {name: record for name, record in state.accounts.items() if isinstance(record, Active)}
    contents, there = opened(mine, state), ledger(server, mine)
    wanted = json.loads(_manifest(mine).read_text())["accounts"]
    at_server = {
        name: _told(there[content.credentials.api_login])
        for name, content in contents.items()
        if content.credentials is not None
    }
    assert {each["name"]: _desired(mine, each) for each in wanted} == at_server
    assert dict.fromkeys(at_server) == {name: record.edit for name, record in records.items()}

    before = len(server.requests()), mine.state_path.stat().st_mtime_ns, mine.state_path.read_bytes()
    assert 0 == runs.run(mine)
    assert before == (len(server.requests()), mine.state_path.stat().st_mtime_ns, mine.state_path.read_bytes())


def assert_settles(server: SandboxProcess, mine: Project, *, adopting: Collection[str] = ()) -> None:
    """Run once more and check that everything is as it should be."""
    assert 0 == runs.run(mine)
    assert_settled(server, mine, adopting=adopting)


def assert_no_secret_at_all(server: SandboxProcess, mine: Project) -> None:
    """Check that no file holds a secret in clear, nor a password that was never sent, nor any identity."""
    assert_no_secret(server, mine)
    marks = (runs.PASSWORD_MARK.encode(), b"AGE-SECRET-KEY-")
    assert [] == [each for each in mine.files() if any(mark in each.read_bytes() for mark in marks)]


def _manifest(mine: Project) -> Path:
    return mine.folder / "manifests" / "accounts.yaml"


def _told(account: Entry) -> Entry:
    """Return what the ledger says about an account, without its credentials."""
    return {key: account[key] for key in ("first_name", "last_name", "company_name", "callbacks")}


def _desired(mine: Project, entry: Entry) -> Entry:
    return _filled({"company_name": mine.root.name} | {k: v for k, v in entry.items() if k in Attributes.__slots__})


def _sent(attributes: Attributes) -> Entry:
    return _filled(attributes.document())


def _filled(document: Entry) -> Entry:
    """Return ``document`` with its placeholders filled in."""
    filled: Entry = json.loads(json.dumps({"callbacks": {}} | document).replace(_PLACEHOLDER, HOOK_TOKEN))
    return filled
