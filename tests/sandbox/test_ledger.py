"""What a sandbox still knows after a restart."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from provisioner.errors import SettingInvalid
from provisioner.sandbox import Sandbox, SandboxSettings
from tests.sandbox.calls import (
    ACME,
    AS_ACME,
    AS_UMBRELLA,
    OLD,
    UMBRELLA,
    URLS,
    balance,
    by_hand,
    connected,
    create,
    create_bytes,
    credentials_of,
    edit,
    eventually,
    holds,
    read,
    running,
)


def test_a_sandbox_started_again_knows_its_accounts(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        first = create(sandbox, company_name="Italy", callbacks=URLS).json()["api_login"]
        create(sandbox)
        edit(sandbox, first, last_name="Fibonacci")
        before = sandbox.accounts
    assert [json.loads(line)["event"] for line in ledger.read_text().splitlines()] == ["created", "created", "edited"]
    with running(ledger=ledger, limit=2) as sandbox:
        assert sandbox.accounts == before
        assert read(sandbox, first).json()["last_name"] == "Fibonacci"
        assert create(sandbox).status_code == 400


def test_a_sandbox_started_again_knows_what_was_done_by_hand(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        gone, kept = (create(sandbox, **OLD).json()["api_login"] for _ in range(2))
        given = {"last_name": "<b>", "company_name": "", "api_key": "\ud800", "callbacks": {"email_for_inbounds": "?"}}
        by_hand(sandbox, "PATCH", f"accounts/{kept}", given)
        by_hand(sandbox, "PATCH", f"accounts/{kept}", {"last_name": None})
        by_hand(sandbox, "DELETE", f"accounts/{gone}")
        by_hand(sandbox, "DELETE", f"accounts/{gone}")
        before = sandbox.accounts
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [("created", gone), ("created", kept), ("edited", kept), ("deleted", gone)] == [
        (each["event"], each["api_login"]) for each in events
    ]
    with running(ledger=ledger, limit=2) as sandbox:
        assert before == sandbox.accounts
        assert "\ud800" == read(sandbox, kept).json()["api_key"]
        assert 404 == read(sandbox, gone).status_code
        assert [201, 400] == [create(sandbox).status_code for _ in range(2)]


@pytest.mark.parametrize("number", [1, 2])
def test_nothing_follows_a_deletion(ledger: Path, number: int) -> None:
    with running(ledger=ledger) as sandbox:
        login = create(sandbox).json()["api_login"]
        edit(sandbox, login, first_name="Lisa")
        by_hand(sandbox, "DELETE", f"accounts/{login}")
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join((*lines, lines[number])))
    with pytest.raises(SettingInvalid, match="damaged at line 4: it does not follow"):
        Sandbox(SandboxSettings(ledger=ledger))


def test_a_deletion_follows_a_creation(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        by_hand(sandbox, "DELETE", f"accounts/{create(sandbox).json()['api_login']}")
    created, deleted = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(deleted + created)
    with pytest.raises(SettingInvalid, match="damaged at line 1: it does not follow"):
        Sandbox(SandboxSettings(ledger=ledger))


def test_a_ledger_with_callbacks_that_no_account_has_is_damaged(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        create(sandbox, **OLD)
        create(sandbox)
    ledger.write_text(ledger.read_text().replace('"email_for_inbounds"', '"email"'))
    with pytest.raises(SettingInvalid, match="damaged at line 1: in callbacks, email"):
        Sandbox(SandboxSettings(ledger=ledger))


def test_the_ledger_is_for_its_owner_alone(ledger: Path) -> None:
    ledger.touch(0o644)
    with running(ledger=ledger):
        assert ledger.stat().st_mode & 0o777 == 0o600


def test_an_event_is_in_the_ledger_before_its_answer_is_sent(ledger: Path) -> None:
    with running("delay=30@1", ledger=ledger) as sandbox, connected(sandbox) as connection:
        connection.sendall(create_bytes())
        eventually(partial(holds, sandbox, 1))
        assert json.loads(ledger.read_bytes())["api_login"] == sandbox.accounts[0].api_login
        assert sandbox.requests[0].status is None


@pytest.mark.parametrize("tail", [b'{"event": "crea', b"\0\0\0\0\n", b'{"event": "created"}\n', b"[" * 100_000 + b"\n"])
def test_a_damaged_last_line_is_dropped_with_a_note(
    ledger: Path, tail: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(ledger=ledger) as sandbox:
        create(sandbox)
    sound = ledger.read_bytes()
    ledger.write_bytes(sound + tail)
    with running(ledger=ledger) as sandbox:
        assert len(sandbox.accounts) == 1
        create(sandbox)
    assert "the last line" in capfd.readouterr().err
    assert ledger.read_bytes().startswith(sound)
    with running(ledger=ledger) as sandbox:
        assert len(sandbox.accounts) == 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "damage", [lambda line: line[:9] + b"\n" + line, lambda line: line * 2, lambda line: b"\n" + line]
)
def test_any_other_damage_is_a_clear_error(ledger: Path, damage: Callable[[bytes], bytes]) -> None:
    with running(ledger=ledger) as sandbox:
        create(sandbox)
    damaged = damage(ledger.read_bytes())
    ledger.write_bytes(damaged)
    with pytest.raises(SettingInvalid, match=r"damaged at line \d") as raised:
        Sandbox(SandboxSettings(ledger=ledger))
    assert raised.value.hint
    assert ledger.read_bytes() == damaged


@pytest.mark.parametrize("content", [b"AGE-SECRET-KEY-1", b"AGE-SECRET-KEY-1\n", b"{}\n"])
def test_a_file_that_is_not_a_ledger_is_left_as_it_is(ledger: Path, content: bytes) -> None:
    ledger.write_bytes(content)
    ledger.chmod(0o644)
    with pytest.raises(SettingInvalid, match="damaged at line 1"):
        Sandbox(SandboxSettings(ledger=ledger))
    assert (content, 0o644) == (ledger.read_bytes(), ledger.stat().st_mode & 0o777)


def test_a_ledger_is_never_followed_through_a_link(ledger: Path, tmp_path: Path) -> None:
    ledger.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingInvalid, match="cannot be opened"):
        Sandbox(SandboxSettings(ledger=ledger))
    assert not (tmp_path / "elsewhere").exists()


def test_a_ledger_is_a_file_in_a_folder_that_exists(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "absent" / "ledger", tmp_path / "pipe"):
        with pytest.raises(SettingInvalid, match="ledger"):
            Sandbox(SandboxSettings(ledger=path))


def test_a_ledger_has_one_sandbox(ledger: Path) -> None:
    with running(ledger=ledger), pytest.raises(SettingInvalid, match="another sandbox"):
        Sandbox(SandboxSettings(ledger=ledger))


def test_a_ledger_says_whose_each_account_is(ledger: Path) -> None:
    with running(ledger=ledger, parents=(ACME, UMBRELLA)) as sandbox:
        logins = [create(sandbox, headers).json()["api_login"] for headers in (AS_ACME, AS_UMBRELLA)]
        before = sandbox.accounts
    with running(ledger=ledger, parents=(UMBRELLA, ACME)) as sandbox:
        assert before == sandbox.accounts
        assert [404, 200] == [read(sandbox, login, AS_UMBRELLA).status_code for login in logins]
        assert [201, 400] == [create(sandbox, AS_ACME).status_code for _ in range(2)]
        assert 400 == create(sandbox, AS_UMBRELLA).status_code


def test_an_old_ledger_is_the_first_parents(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        first, second, third = (create(sandbox).json()["api_login"] for _ in range(3))
        edit(sandbox, first, last_name="Fibonacci")
        by_hand(sandbox, "DELETE", f"accounts/{second}")
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    for each in events:
        del each["parent"]
    ledger.write_text("".join(f"{json.dumps(each)}\n" for each in events))
    with running(ledger=ledger, parents=(ACME, UMBRELLA)) as sandbox:
        assert [(first, ACME.api_login), (third, ACME.api_login)] == [
            (each.api_login, each.parent) for each in sandbox.accounts
        ]
        assert 400 == create(sandbox, AS_ACME).status_code
        edit(sandbox, first, AS_ACME, last_name="Bonacci")
    with running(ledger=ledger, parents=(ACME,)) as again:
        assert [ACME.api_login, ACME.api_login] == [each.parent for each in again.accounts]


def test_accounts_of_a_parent_that_is_not_served_are_kept_with_a_note(
    ledger: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(ledger=ledger, parents=(ACME,)) as sandbox:
        own = credentials_of(create(sandbox, AS_ACME))
    with running(ledger=ledger, parents=(UMBRELLA,)) as sandbox:
        assert ["acme@example.com"] == [each.parent for each in sandbox.accounts]
        assert (404, 200) == (
            read(sandbox, own["api-login"], AS_UMBRELLA).status_code,
            balance(sandbox, own).status_code,
        )
        assert 201 == create(sandbox, AS_UMBRELLA).status_code
    assert "accounts of acme@example.com, which is not a parent here" in capfd.readouterr().err


def test_a_parent_that_is_not_text_is_damage(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        create(sandbox)
        create(sandbox)
    ledger.write_text(ledger.read_text().replace('"parent": "parent@example.com"', '"parent": null'))
    with pytest.raises(SettingInvalid, match="damaged at line 1"):
        Sandbox(SandboxSettings(ledger=ledger))
