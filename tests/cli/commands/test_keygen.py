"""``keygen``: an identity that only its owner can read."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.steps import run
from tests.conftest import environment


def test_keygen_prints_only_the_recipient_and_never_overwrites_a_key(tmp_path: Path) -> None:
    done = run(tmp_path, "keygen", "-o", "key.txt")
    text = (tmp_path / "key.txt").read_text()
    assert (0, 0o600) == (done.returncode, stat.S_IMODE((tmp_path / "key.txt").stat().st_mode))
    assert f"# public key: {done.stdout}" in text
    assert "AGE-SECRET-KEY-" not in done.stdout + done.stderr
    again = run(tmp_path, "keygen", "-o", "key.txt")
    assert (64, text) == (again.returncode, (tmp_path / "key.txt").read_text())
    assert f"The recipient of the existing identity is {done.stdout.strip()}." in again.stderr
    (tmp_path / "notes.txt").write_text("AGE\n")
    (tmp_path / "notes.txt").chmod(0o600)
    other = run(tmp_path, "keygen", "-o", "notes.txt")
    assert (64, True) == (other.returncode, "The identity from notes.txt is malformed." in other.stderr)
    assert 64 == run(tmp_path, "keygen", "-o", "key.txt/below").returncode


@pytest.mark.parametrize("mask", ["0", "0377", "0777"])
def test_an_identity_is_its_owners_alone_whatever_the_umask(tmp_path: Path, mask: str) -> None:
    for arguments in ("", "-o new/folder/key.txt"):
        script = f'umask {mask}; exec "$0" -m provisioner keygen {arguments}'
        done = subprocess.run(
            ["sh", "-c", script, sys.executable],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            check=True,
        )
        assert done.stdout.startswith(b"age1")
    made = ("config", "config/octopush-provisioner", "new", "new/folder")
    assert [0o700] * 4 == [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in made]
    keys = ("config/octopush-provisioner/identity.txt", "new/folder/key.txt")
    assert [0o600] * 2 == [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in keys]


def test_an_identity_cannot_be_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    done = run(tmp_path, "keygen", "-o", "file/key.txt")
    assert (64, "kept") == (done.returncode, (tmp_path / "file").read_text())
    assert "error: The identity cannot be written to file/key.txt: file is not a folder." in done.stderr
