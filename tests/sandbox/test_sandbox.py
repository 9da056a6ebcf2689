"""A sandbox as a whole: how it starts, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from provisioner.errors import SettingInvalid
from provisioner.sandbox import Sandbox, SandboxSettings
from tests.sandbox.calls import (
    LEONARDO,
    PARENT,
    TIMEOUT,
    Remote,
    by_hand,
    connected,
    create,
    create_bytes,
    eventually,
    read,
    running,
)


def test_a_port_in_use_is_a_clear_error(sandbox: Sandbox) -> None:
    with pytest.raises(SettingInvalid, match=r"^Port [0-9]+ is in use\.$"):
        Sandbox(SandboxSettings(port=int(sandbox.url.split(":")[2].split("/")[0])))


def test_a_sandbox_that_was_never_entered_can_be_shut_down_twice() -> None:
    sandbox = Sandbox(SandboxSettings())
    sandbox.shutdown()
    sandbox.shutdown()


PROGRAM = """
import resource, sys
from pathlib import Path
before = set(sys.modules)
from provisioner.sandbox import Sandbox, SandboxSettings, parse_fault
if sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
loaded = {name.partition(".")[0] for name in sys.modules.keys() - before}
settings = SandboxSettings(ledger=Path(sys.argv[1]), faults=(parse_fault("delay=60@3"),))
with Sandbox(settings) as sandbox:
    print(sandbox.url, *loaded - sys.stdlib_module_names - {"provisioner"}, flush=True)
    sandbox.serve_forever()
"""


@contextmanager
def spawned(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], Remote]]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield process, Remote(process.stdout.readline().strip())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_at_once_and_quietly(ledger: Path, number: signal.Signals) -> None:
    with spawned(ledger) as (process, sandbox):
        with requests.Session() as session, closing(connected(sandbox)) as delayed:
            for _ in range(2):
                session.post(f"{sandbox.url}/subaccount/create", json=LEONARDO, headers=PARENT, timeout=TIMEOUT)
            delayed.sendall(create_bytes())
            eventually(lambda: ledger.read_bytes().count(b"\n") == 3)
            started = time.monotonic()
            process.send_signal(number)
            assert process.wait(TIMEOUT) == 0
            assert time.monotonic() - started < 1
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_it_loads_nothing_that_does_not_come_with_python(ledger: Path) -> None:
    with spawned(ledger) as (_, sandbox):
        assert [sandbox.url] == sandbox.url.split()


def test_a_killed_sandbox_started_again_knows_its_accounts(ledger: Path) -> None:
    with spawned(ledger) as (process, sandbox):
        login = create(sandbox).json()["api_login"]
        process.kill()
    with running(ledger=ledger) as again:
        assert read(again, login).status_code == 200


def test_a_ledger_that_cannot_be_written_makes_no_account(ledger: Path) -> None:
    with spawned(ledger, 300) as (process, sandbox):
        assert [create(sandbox).status_code for _ in range(2)] == [201, 500]
        (account,) = by_hand(sandbox, "GET", "accounts").json()
        path = f"accounts/{account['api_login']}"
        assert [500, 500] == [by_hand(sandbox, method, path, {}).status_code for method in ("PATCH", "DELETE")]
        assert [account] == by_hand(sandbox, "GET", "accounts").json()
        process.terminate()
        assert process.stderr is not None
        assert "could not be written" in process.stderr.read()
    with running(ledger=ledger) as again:
        assert len(again.accounts) == 1
