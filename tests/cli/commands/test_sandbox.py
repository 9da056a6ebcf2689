"""``sandbox``: whom it serves, and which keys it never prints."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from provisioner.errors import ExitCode
from tests import forks
from tests.conftest import PARENT, environment, headers
from tests.forks import COMMAND, PATIENCE

ACCOUNT = {"first_name": "Ada", "last_name": "Lovelace", "password": "Secret-1"}


@contextmanager
def serving(folder: Path, *options: str, without: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a sandbox, and what it says to a person; the last line names the dashboard."""
    environ = {name: value for name, value in environment(folder).items() if name not in without}
    with subprocess.Popen(
        [*COMMAND, "sandbox", *options],
        env=environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = process.stdout.readline().strip()
            said: list[str] = []
            while not said or "dashboard" not in said[-1]:
                said.append(process.stderr.readline())
                assert said[-1], said
            yield url, said
        finally:
            process.terminate()


def test_the_parent_of_the_environment_is_served_and_its_key_not_printed(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, said):
        assert [f"  export OCTOPUSH_API_URL={url}\n"] == [each for each in said if "API_URL" in each]
        assert f"  export OCTOPUSH_API_LOGIN={PARENT.api_login}\n" in said
        assert "The key: the one that is set already.\n" in said
        assert PARENT.api_key.reveal() not in "".join(said)
        assert requests.get(f"{url}/wallet/check-balance", headers=headers(PARENT), timeout=PATIENCE).ok


def create(url: str, login: str, key: str) -> int:
    credentials = {"api-login": login, "api-key": key}
    return requests.post(f"{url}/subaccount/create", json=ACCOUNT, headers=credentials, timeout=PATIENCE).status_code


def test_without_one_its_parent_and_key_are_made_up_and_printed(tmp_path: Path) -> None:
    with serving(tmp_path, "--limit", "0", without=("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY")) as (url, said):
        assert "  export OCTOPUSH_API_LOGIN=parent@example.com OCTOPUSH_API_KEY=sandbox\n" in said
        assert 400 == create(url, "parent@example.com", "sandbox")


def test_the_parents_given_are_served_and_no_key_is_printed(tmp_path: Path) -> None:
    given = ("--parent-account", "acme@example.com:acme-key:2", "--parent-account", "a;b:b-key", "--limit", "1")
    with serving(tmp_path, *given) as (url, said):
        exports = [each for each in said if "API_LOGIN" in each]
        assert [
            "  export OCTOPUSH_API_LOGIN=acme@example.com\n",
            "  export OCTOPUSH_API_LOGIN='a;b'\n",
        ] == exports
        assert not any(key in "".join(said) for key in ("acme-key", "b-key", PARENT.api_key.reveal()))
        assert [201, 201, 400] == [create(url, "acme@example.com", "acme-key") for _ in range(3)]
        assert [201, 400] == [create(url, "a;b", "b-key") for _ in range(2)]
        assert 401 == create(url, PARENT.api_login, PARENT.api_key.reveal())


def test_of_many_parents_some_are_printed(tmp_path: Path) -> None:
    given = (each for number in range(1000) for each in ("--parent-account", f"parent-{number}:key-{number}"))
    with serving(tmp_path, *given) as (url, said):
        assert "  and 990 more\n" in said
        assert 201 == create(url, "parent-999", "key-999")


@pytest.mark.parametrize("given", [("acme-key-without-login",), ("acme:key:many",), ("acme:key", "acme:other")])
def test_a_parent_that_cannot_be_understood_is_a_wrong_command_line(tmp_path: Path, given: tuple[str, ...]) -> None:
    options = (each for spec in given for each in ("--parent-account", spec))
    done = forks.command(["sandbox", *options], tmp_path, environment(tmp_path))
    assert (ExitCode.USAGE, "") == (done.returncode, done.stdout)
    assert "parent account" in done.stderr
    assert "key-without" not in done.stderr
