from __future__ import annotations

import base64
from pathlib import Path

from provisioner.cli.main import COMMANDS
from tests.proof.canary import ACTS, KEY, TOKEN, Search, forms, processes

SECRET = 'a+key/that "nobody" may see'


def test_every_command_is_tried() -> None:
    tried = {act.arguments.split()[0] for act in ACTS}
    assert tried == set(COMMANDS)


def test_a_secret_is_found_however_it_is_encoded() -> None:
    for shift in range(3):
        assert any(form in base64.b64encode(b"x" * shift + SECRET.encode() + b"tail") for form in forms(SECRET))
        assert any(form in base64.urlsafe_b64encode(b"x" * shift + SECRET.encode() + b"y") for form in forms(SECRET))
    for text in (
        SECRET,
        SECRET.encode().hex(),
        "a%2Bkey%2Fthat%20%22nobody%22%20may%20see",
        SECRET.replace('"', '\\"'),
    ):
        search = Search({SECRET: KEY, "another": TOKEN})
        search.look("a place", f"before {text} after".encode())
        assert search.leaks == [f"{KEY} in a place"]
    assert not any(form in base64.b64encode(b"nothing of that kind") for form in forms(SECRET))


def test_a_secret_may_stand_where_somebody_asked_for_it() -> None:
    search = Search({SECRET: KEY})
    search.look("a place", SECRET.encode(), allowed={KEY})
    assert search.leaks == []


def test_the_processes_of_a_trace_are_read(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(
        '11  execve("/bin/python", ["python", "-m", "it"], ["A=1", "B=\\"x\\""]) = 0\n'
        '12  execve("/none/git", ["git"], ["A=1"]) = -1 ENOENT (No such file or directory)\n'
        '12  execve("/bin/git", ["git", "remote"], []) = 0\n'
    )
    assert list(processes(trace)) == [
        (b'"python", "-m", "it"', b'"A=1", "B=\\"x\\""'),
        (b'"git", "remote"', b""),
    ]
