"""The measurements behind ``make bench``: ratios, each beside a yardstick measured in the same run.

Machines are noisy and shared. So every figure is the median of several runs, the
command's and the yardstick's taken in turn, and what is printed is how they
compare. Nothing here fails because something was slow.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = (sys.executable, "-m", "provisioner")
ACCOUNTS = 20
ROUNDS = 11
MANY = 20_000

# What a person would write without this tool: it saves nothing, and loses what is lost. It looks
# at what it made, as an apply does.
PLAIN_LOOP = """
import os, requests
session = requests.Session()
session.headers.update({"api-login": os.environ["OCTOPUSH_API_LOGIN"], "api-key": os.environ["OCTOPUSH_API_KEY"]})
for number in range(int(os.environ["ACCOUNTS"])):
    body = {"first_name": "Ada", "last_name": "Lovelace", "password": f"Secret-{number}", "callbacks": {}}
    answer = session.post(os.environ["OCTOPUSH_API_URL"] + "/subaccount/create", json=body, timeout=30)
    assert answer.status_code == 201, answer.text
    login = answer.json()["api_login"]
    answer = session.get(os.environ["OCTOPUSH_API_URL"] + "/subaccount/" + login, timeout=30)
    assert answer.json()["first_name"] == "Ada", answer.text
"""

# The same for accounts that exist, whose logins somebody has written down.
READING_LOOP = """
import os, requests
session = requests.Session()
session.headers.update({"api-login": os.environ["OCTOPUSH_API_LOGIN"], "api-key": os.environ["OCTOPUSH_API_KEY"]})
for login in os.environ["LOGINS"].split():
    answer = session.get(os.environ["OCTOPUSH_API_URL"] + "/subaccount/" + login, timeout=30)
    assert answer.json()["first_name"] == "Ada", answer.text
"""


def main() -> None:
    """Measure everything in a scratch folder, and print it."""
    with tempfile.TemporaryDirectory(prefix="provisioner-bench-") as scratch:
        folder = Path(scratch)
        environment = prepared(folder)
        print(f"{'measured':<58}{'ratio':>8}{'at most':>9}")
        plans(folder, environment)
        faces(folder, environment)
        applies(folder, environment)
        inspections(folder, environment)
        growth(folder, environment)
        lazy(environment)


def plans(folder: Path, environment: dict[str, str]) -> None:
    """Compare planning with importing the libraries that it needs."""
    for kind, libraries, bound in (
        ("yaml", "click, yaml, jsonschema_rs", 1.35),
        ("csv", "click, yaml, jsonschema_rs, pandas", 1.25),
    ):
        manifest = written(folder / f"twenty.{kind}", ACCOUNTS)
        command, yardstick = alternately(
            lambda manifest=manifest: timed([*COMMAND, "plan", str(manifest)], environment),
            lambda libraries=libraries: timed([sys.executable, "-c", f"import {libraries}"], environment),
        )
        shown(f"plan of {ACCOUNTS} accounts in {kind} / importing {libraries}", command / yardstick, bound)


def faces(folder: Path, environment: dict[str, str]) -> None:
    """Compare the faces of a plan with its text, and each for all of many accounts with that for half of them."""
    bound = 1.3

    def plan(manifest: Path, face: str) -> float:
        return timed([*COMMAND, "plan", "--limit", "30000", "--format", face, str(manifest)], environment)

    few, half, many = (written(folder / f"{count}.yaml", count) for count in (ACCOUNTS, MANY // 2, MANY))
    for face in ("markdown", "html"):
        command, yardstick = alternately(lambda face=face: plan(few, face), lambda: plan(few, "text"))
        shown(f"plan of {ACCOUNTS} accounts as {face} / as text", command / yardstick, bound)
    for face in ("markdown", "html"):
        command, yardstick = alternately(lambda face=face: plan(many, face), lambda: plan(many, "text"), rounds=3)
        shown(f"plan of {MANY:,} accounts as {face} / as text", command / yardstick, bound)
        whole, part = alternately(lambda face=face: plan(many, face), lambda face=face: plan(half, face), rounds=3)
        shown(f"plan of {MANY:,} accounts as {face} / of half of them", whole / part, 2.2)


def applies(folder: Path, environment: dict[str, str]) -> None:
    """Compare applying with a plain loop, and with the waiting for the server alone."""
    manifest = written(folder / "apply.yaml", ACCOUNTS)

    def apply() -> float:
        with sandbox(environment, "--limit", "100000") as url:
            return timed(apply_command(folder, manifest), {**environment, "OCTOPUSH_API_URL": url})

    def loop() -> float:
        with sandbox(environment, "--limit", "100000") as url:
            return timed([sys.executable, "-c", PLAIN_LOOP], {**environment, "OCTOPUSH_API_URL": url})

    command, yardstick = alternately(apply, loop)
    shown(f"apply of {ACCOUNTS} accounts / a plain requests loop", command / yardstick, 2.5)

    latency = 0.2
    with sandbox(environment, "--limit", "100000", "--latency", str(latency)) as url:
        there = {**environment, "OCTOPUSH_API_URL": url}
        slow = min(timed(apply_command(folder, manifest), there) for _ in range(2))
        # Start-up is an apply that has nothing to create: its plan is made and its state held.
        done = apply_command(folder, manifest)
        timed(done, there)
        start_up = min(timed(done, there) for _ in range(3))
    waiting = 2 * ACCOUNTS * latency  # each account is created, and read back
    shown(f"apply at {latency * 1000:.0f} ms, less start-up / the waiting alone", (slow - start_up) / waiting, 1.1)


def inspections(folder: Path, environment: dict[str, str]) -> None:
    """Compare looking at accounts that exist with the waiting for the server, and with a plain loop."""
    latency = 0.1
    manifest = written(folder / "inspected.yaml", ACCOUNTS)
    state = folder / "inspected.json"
    with sandbox(environment, "--latency", str(latency)) as url:
        there = {**environment, "OCTOPUSH_API_URL": url}
        timed([*COMMAND, "apply", "--yes", "--state", str(state), str(manifest)], there)
        export = [*COMMAND, "credentials", "export", "--format", "json", "--state", str(state)]
        exported = subprocess.run(export, env=there, capture_output=True, check=True).stdout
        there["LOGINS"] = " ".join(each["api_login"] for each in json.loads(exported).values())
        loop = statistics.median(timed([sys.executable, "-c", READING_LOOP], there) for _ in range(3))
        # Start-up is the same command with nothing to look at: the state of no account.
        empty = folder / "empty.json"
        nothing = {**json.loads(state.read_text()), "accounts": {}}
        empty.write_text(json.dumps(nothing))
        for command in ("refresh", "verify"):
            whole = statistics.median(timed([*COMMAND, command, "--state", str(state)], there) for _ in range(3))
            start_up = statistics.median(timed([*COMMAND, command, "--state", str(empty)], there) for _ in range(3))
            ratio = (whole - start_up) / (ACCOUNTS * latency)
            shown(f"{command} at {latency * 1000:.0f} ms, less start-up / the waiting alone", ratio, 1.15)
            print(f"  {command}: {whole:.2f} s; a plain requests loop that reads them: {loop:.2f} s", flush=True)


def growth(folder: Path, environment: dict[str, str]) -> None:
    """Show that validating grows with the number of accounts, and how much memory it takes."""
    for kind, count in (("csv", 100_000), ("yaml", MANY)):
        half = written(folder / f"half.{kind}", count // 2)
        whole = written(folder / f"whole.{kind}", count)
        shorter = timed([*COMMAND, "validate", str(half)], environment)
        longer = timed([*COMMAND, "validate", str(whole)], environment)
        shown(f"validate {count:,} accounts in {kind} / half of them", longer / shorter, 2.2)
        memory = peak([*COMMAND, "validate", str(whole)], environment)
        print(f"  {kind}: {longer:.1f} s, {memory} MB at the most (600 allowed)", flush=True)


def lazy(environment: dict[str, str]) -> None:
    """Show what the cheap commands load."""
    for flag in ("--help", "--version"):
        command = [sys.executable, "-X", "importtime", *COMMAND[1:], flag]
        loaded = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
        names = {line.rpartition("|")[2].strip().partition(".")[0] for line in loaded.splitlines()}
        heavy = sorted(names & {"requests", "jsonschema_rs", "pandas", "rich", "yaml", "tenacity", "pyrage"})
        print(f"{flag} loads of the libraries: {', '.join(heavy) or 'none'}")


# ── How it is measured ───────────────────────────────────────────────────────


def alternately(
    first: Callable[[], float], second: Callable[[], float], *, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Return the median of several runs of each, taken in turn, so that both see the same machine."""
    pairs = [(first(), second()) for _ in range(rounds)]
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)


def timed(command: list[str] | tuple[str, ...], environment: dict[str, str]) -> float:
    """Return the seconds that a process takes from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def peak(command: list[str], environment: dict[str, str]) -> int:
    """Return the largest memory of a process in MB; it is the largest child of a process of its own."""
    child = os.fork()
    if child == 0:
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        os._exit(min(255, used // (8 * 1024)))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) * 8


def apply_command(folder: Path, manifest: Path) -> list[str]:
    """Return an apply; with the first one, of a new state."""
    state = folder / f"state-{time.perf_counter_ns()}.json"
    return [*COMMAND, "apply", "--yes", "--limit", "100000", "--state", str(state), str(manifest)]


def shown(what: str, ratio: float, bound: float) -> None:
    """Print one ratio beside what it may be."""
    print(f"{what:<58}{ratio:>8.2f}{bound:>9.2f}{'' if ratio <= bound else '   over'}", flush=True)


@contextmanager
def sandbox(environment: dict[str, str], *options: str) -> Iterator[str]:
    """Serve for the length of a ``with``, as a process of its own; yields the address."""
    with subprocess.Popen(
        [*COMMAND, "sandbox", *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def prepared(folder: Path) -> dict[str, str]:
    """Make an identity in the scratch folder, and return the environment of every process."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OCTOPUSH_API_LOGIN": "parent@example.com",
        "OCTOPUSH_API_KEY": "only-for-the-sandbox",
        "ACCOUNTS": str(ACCOUNTS),
    }
    keygen = subprocess.run([*COMMAND, "keygen"], env=environment, capture_output=True, text=True, check=True)
    return {**environment, "PROVISIONER_RECIPIENTS": keygen.stdout.strip()}


def written(path: Path, count: int) -> Path:
    """Write a manifest of ``count`` accounts, and return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            table = csv.writer(file)
            table.writerow(("name", "first_name", "last_name", "company_name", "callback_url_for_deliveries"))
            for n in range(count):
                table.writerow((f"account-{n}", "Ada", f"Lovelace {n}", "Engines", f"https://hooks.example.com/{n}"))
        else:
            file.write("version: 1\ndefaults:\n  company_name: Engines\naccounts:\n")
            file.writelines(
                f"  - name: account-{n}\n    first_name: Ada\n    last_name: Lovelace {n}\n"
                f"    callbacks:\n      callback_url_for_deliveries: https://hooks.example.com/{n}\n"
                for n in range(count)
            )
    return path


if __name__ == "__main__":
    main()
