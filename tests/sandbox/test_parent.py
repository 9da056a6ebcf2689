"""How a parent account is written, and what messages never repeat."""

from __future__ import annotations

import pytest

from provisioner.errors import CommandInvalid
from provisioner.model.account import Secret
from provisioner.sandbox import SandboxParent, parse_parents

KEY = "key-5d1f8e"


def test_each_has_its_own_limit_or_the_usual_one() -> None:
    assert (
        SandboxParent("acme@example.com", Secret("made-up"), 7),
        SandboxParent("'!~", Secret("=/?"), 0),
    ) == parse_parents(["acme@example.com:made-up", "'!~:=/?:0"], limit=7)


def test_no_specs_give_no_parents() -> None:
    assert () == parse_parents([], limit=7)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (KEY, "it has no key"),
        ("", "it has no key"),
        (f":{KEY}", "is empty"),
        ("acme:", "is empty"),
        (f"a b:{KEY}", "a character"),
        (f"acmé:{KEY}", "a character"),
        (f"acme:{KEY}\n", "a character"),
        (f"acme\x00:{KEY}:1", "a character"),
        (f"acme:x:{KEY}", "its limit"),
        (f"acme:{KEY}:-1", "its limit"),
        (f"acme:{KEY}:", "its limit"),
        (f"acme:{KEY}:1234567890", "its limit"),
        (f"acme:{KEY}:\u0661", "its limit"),
        (f"acme:{KEY}:1:2", "too many colons"),
    ],
)
def test_one_that_cannot_be_understood_is_explained_without_its_key(spec: str, reason: str) -> None:
    with pytest.raises(CommandInvalid) as raised:
        parse_parents(["usual:made-up", spec], limit=20)
    assert "number 2 " in raised.value.message
    assert reason in raised.value.message
    assert "LOGIN:KEY:LIMIT" in raised.value.hint
    assert KEY not in raised.value.message + raised.value.hint


def test_a_login_is_given_once() -> None:
    with pytest.raises(CommandInvalid, match=r"acme is given twice") as raised:
        parse_parents([f"acme:{KEY}", "other:x", f"acme:{KEY}:1"], limit=20)
    assert KEY not in raised.value.message
