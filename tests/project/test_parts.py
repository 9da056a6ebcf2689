"""The default parts of a project."""

from __future__ import annotations

import re

from provisioner.project.parts import new_password


def test_a_new_password_is_strong_and_needs_no_quotes() -> None:
    passwords = {new_password().reveal() for _ in range(500)}
    assert 500 == len(passwords)
    for password in passwords:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{31}", password)
        assert all(re.search(kind, password) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[-_]"))
