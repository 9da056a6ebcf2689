"""What somebody who can write the state, but has no identity, cannot do; and what one damaged record cannot do.

They may know the recipients, which are public. A former reader also knows the logins and keys.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, replace
from typing import Any, Final

import pytest

from provisioner.errors import StateConflict, StateInvalid
from provisioner.model.account import Callbacks, Secret
from provisioner.model.exchange import Failed
from provisioner.model.plan import Update
from provisioner.model.state import Active, Operation
from provisioner.model.verdict import SealedContent
from provisioner.project.credentials import Listed
from provisioner.render import text
from provisioner.state.sealing import AgeSealer, new_identity
from tests.cli.steps import change, keep, login_of, password_at, put, tamper
from tests.conftest import NewProject, Project, SandboxProcess
from tests.project.opened import Heard, opened, results

THEIRS = "Attacker-Knows-This-1"
EVIL = "https://evil.example/sms"
HOOK = "https://hooks.example.com/sms"


@pytest.fixture
def mine(server: SandboxProcess, project: NewProject) -> Project:
    """A project whose accounts, paris and rome, exist; the first has a callback."""
    this = project(server, ("paris", "rome"))
    (manifest,) = (this.folder / "manifests").iterdir()
    paris = {"name": "paris", "first_name": "A", "last_name": "B", "callbacks": {"callback_url_for_inbounds": HOOK}}
    rome = {"name": "rome", "first_name": "C", "last_name": "D"}
    manifest.unlink()
    (this.folder / "manifests" / "m.yaml").write_text(json.dumps({"version": 1, "accounts": [paris, rome]}))
    assert 0 == opened(this).apply(opened(this).plan()).exit_code
    return this


def forged_edit(mine: Project) -> Operation:
    """Write an unfinished edit into the state, with a password that the forger knows."""
    state = mine.state()
    assert state is not None
    operation = Operation("11111111-2222-4333-8444-555555555555", "2026-01-01T00:00:00Z", "ci@runner")
    content = SealedContent(state.lineage, state.parent, "paris", operation.id, password=Secret(THEIRS))
    edit = {
        "attributes": state.accounts["paris"].attributes.document(),
        "operation": asdict(operation),
        "password_version": 1,
        "sealed": AgeSealer([mine.environ["PROVISIONER_RECIPIENTS"]]).seal(content),
    }
    tamper(mine, lambda accounts: accounts["paris"].update(edit=edit))
    return operation


def damaged(sealed: str) -> str:
    """Return the seal with one bit flipped."""
    lines = sealed.splitlines()
    raw = bytearray(base64.b64decode("".join(lines[1:-1])))
    raw[-5] ^= 1
    flipped = base64.b64encode(raw).decode()
    body = (flipped[start : start + 64] for start in range(0, len(flipped), 64))
    return "\n".join((lines[0], *body, lines[-1], ""))


def sealed_of(mine: Project, name: str) -> str:
    return str(json.loads(mine.state_path.read_text())["accounts"][name]["sealed"])


# ── Passwords ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", ["apply", "rotate_passwords"])
def test_a_forged_edit_cannot_set_a_password_that_somebody_knows(
    mine: Project, server: SandboxProcess, by: str
) -> None:
    forged_edit(mine)
    this = opened(mine)
    done = this.apply(this.plan()) if by == "apply" else this.rotate_passwords(["paris"])
    assert 0 == done.exit_code
    assert THEIRS != password_at(server, login_of(mine, "paris")) == sealed_password(mine)


def test_the_plan_says_that_a_password_will_be_set_since_when_and_by_whom(mine: Project) -> None:
    forged_edit(mine)
    (plan,) = opened(mine).plan().plans
    assert isinstance(plan.changes[0], Update)
    shown = "\n".join(line.text for line in text.plan(plan))
    words = "sets a new password, because an edit that was started at 2026-01-01T00:00:00Z by ci@runner may have"
    assert words in shown


def sealed_password(mine: Project) -> str:
    password = mine.opened("paris").password
    assert password is not None
    return password.reveal()


# ── What is sealed against what is in clear ──────────────────────────────────


def test_a_replaced_seal_cannot_change_the_callbacks_that_are_sent(mine: Project, server: SandboxProcess) -> None:
    content = mine.opened("paris")
    assert content.sent is not None
    theirs = replace(content.sent, callbacks=Callbacks(callback_url_for_inbounds=EVIL))
    keep(mine, "paris", replace(content, sent=theirs))
    asked = len(server.requests())
    with pytest.raises(StateConflict, match="has a different callbacks"):
        opened(mine).rotate_passwords(["paris"])
    assert asked == len(server.requests())


def test_no_seal_hides_a_changed_callback(mine: Project, server: SandboxProcess) -> None:
    path = "callbacks.callback_url_for_inbounds"
    content = mine.opened("paris")
    keep(mine, "paris", replace(content, altered={path: EVIL, "first_name": "Z"}))
    change(server, login_of(mine, "paris"), callbacks={"callback_url_for_inbounds": EVIL})
    for forged in ({}, {"drift": {"altered": [path]}}):
        tamper(mine, lambda accounts, forged=forged: accounts["paris"].update(forged))
        assert {"default": {"paris": "drifted", "rome": "unchanged"}} == results(opened(mine).refresh())
        record = mine.state().accounts["paris"]  # type: ignore[union-attr]
        assert isinstance(record, Active)
        assert ((), (path,)) == (record.drift.altered, record.drift.changed)
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    assert HOOK == server.accounts()[-1]["callbacks"]["callback_url_for_inbounds"]


def test_everything_that_opens_seals_refuses_an_older_one(mine: Project, server: SandboxProcess) -> None:
    old = sealed_of(mine, "paris")
    assert 0 == opened(mine).rotate_passwords(["paris"]).exit_code
    put(mine, "paris", old)
    this, asked = opened(mine), len(server.requests())
    for opening in (
        lambda: this.open_credentials(["paris"]),
        this.open_credentials,
        lambda: this.rotate_passwords(["paris"]),
    ):
        with pytest.raises(StateConflict, match="from another operation than its record"):
            opening()
    (status,) = this.status(balances=True)
    assert isinstance((status.balances or {})["paris"], Failed)
    assert {"paris": "failed", "rome": "verified"} == results(this.verify())["default"]
    assert {"paris": "unchecked", "rome": "unchanged"} == results(this.refresh())["default"]
    manifest = mine.folder / "manifests" / "m.yaml"
    manifest.write_text(manifest.read_text().replace('"A"', '"Z"'))
    done = this.apply(this.plan())
    assert (5, {"paris": "not_attempted", "rome": "unchanged"}) == (done.exit_code, results(done)["default"])
    logins = {request["path"].rpartition("/")[2] for request in server.requests()[asked:]}
    assert server.accounts()[0]["api_login"] not in logins


# ── One damaged record ───────────────────────────────────────────────────────


DAMAGES: Final = {
    "a bit": damaged,
    "a bit of its first line": lambda sealed: sealed.replace("BEGIN", "CEGIN"),
    "cut": lambda sealed: sealed[:300],
    "cut to nothing": lambda _: "",
    "merged": lambda sealed: sealed.replace("\n", "\n=======\n", 2),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_named_and_does_not_stop_the_others(mine: Project, damage: Any) -> None:  # noqa: ANN401  # a function
    put(mine, "paris", damage(sealed_of(mine, "paris")))
    this = opened(mine)
    with pytest.raises(StateInvalid, match=r"The sealed content of paris is damaged\."):
        this.open_credentials(["paris"])
    assert {"paris": "unchecked", "rome": "unchanged"} == results(this.refresh())["default"]
    done = this.apply(this.plan(refresh=True))
    assert "unchanged" == results(done)["default"]["rome"]
    listed = this.list_credentials()
    assert isinstance(listed, Listed)
    assert (["rome"], [("default", "paris")]) == ([each.name for each in listed.opened], [*listed.damaged])
    (status,) = this.status(balances=True)
    assert ["rome"] == [name for name, found in (status.balances or {}).items() if not isinstance(found, Failed)]
    verified = this.verify()
    assert {"paris": "failed", "rome": "verified"} == results(verified)["default"]
    assert {5} == {each.exit_code for each in (done, listed, status, this.refresh())}
    assert (5, 7) == (this.plan(refresh=True).exit_code(), verified.exit_code)


def test_damage_is_not_blamed_on_the_identity(mine: Project) -> None:
    # One flipped bit in the recipient's name, and the seal looks like a stranger's.
    put(mine, "paris", AgeSealer([new_identity()[1]]).seal(mine.opened("paris")))
    tamper(mine, lambda accounts: accounts.pop("rome"))
    with pytest.raises(StateInvalid, match=r"damaged, or sealed to others: the identity belongs to this state"):
        opened(mine).open_credentials(["paris"])
    assert 5 == opened(mine).refresh().exit_code


def test_a_rotation_warns_if_manifest_and_state_differ(mine: Project) -> None:
    manifest = mine.folder / "manifests" / "m.yaml"
    manifest.write_text(manifest.read_text().replace('"A"', '"Z"'))
    heard = Heard()
    assert 0 == opened(mine).rotate_passwords(["paris"], reporter=heard).exit_code
    said = "The manifest also changes paris (first_name); only its password changes now, the rest with the next apply."
    assert [said] == heard.warnings
