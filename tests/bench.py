"""The measurements behind ``make bench``: each is a ratio to a yardstick measured in the same run.

Machines are noisy and shared. So every figure is the median of several runs that
alternate between the command and the yardstick, and the ratio is what counts.
Nothing here fails because something was slow.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provisioner.model.account import Attributes, Callbacks, Credentials, Secret
from provisioner.model.state import Active, Operation, State
from provisioner.model.verdict import SealedContent
from provisioner.state import codec
from provisioner.state.sealing import AgeSealer
from provisioner.state.seen import Seen
from tests.state.stores.proxy import proxy_to

if TYPE_CHECKING:
    from provisioner.state.stores.bucket import Bucket

COMMAND = (sys.executable, "-m", "provisioner")
ACCOUNTS = 20
ROUNDS = 11
MANY = 20_000

# What a person would write without this tool: it saves nothing, so lost answers stay lost. It reads
# back what it created, as an apply does.
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

# The same for existing accounts with known logins.
READING_LOOP = """
import os, requests
session = requests.Session()
session.headers.update({"api-login": os.environ["OCTOPUSH_API_LOGIN"], "api-key": os.environ["OCTOPUSH_API_KEY"]})
for login in os.environ["LOGINS"].split():
    answer = session.get(os.environ["OCTOPUSH_API_URL"] + "/subaccount/" + login, timeout=30)
    assert answer.json()["first_name"] == "Ada", answer.text
"""

# The same for many parents, on sixteen threads. It reads back only with READS, and keeps connections only with KEEPS.
PLAIN_POOL = """
import os, requests
from concurrent.futures import ThreadPoolExecutor
url, key = os.environ["OCTOPUSH_API_URL"], os.environ["FLEET_KEY"]
def parent(number):
    client = requests.Session() if "KEEPS" in os.environ else requests
    headers = {"api-login": f"parent-{number:04}@example.com", "api-key": key}
    for each in range(int(os.environ["ACCOUNTS"])):
        body = {"first_name": "Ada", "last_name": "Lovelace", "password": f"Secret-{each}", "callbacks": {}}
        answer = client.post(url + "/subaccount/create", json=body, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        if "READS" in os.environ:
            login = answer.json()["api_login"]
            answer = client.get(url + "/subaccount/" + login, headers=headers, timeout=30)
            assert answer.json()["first_name"] == "Ada", answer.text
with ThreadPoolExecutor(16) as threads:
    list(threads.map(parent, range(int(os.environ["PARENTS"]))))
"""


def main() -> None:
    """Measure everything in a temporary folder, and print it."""
    with tempfile.TemporaryDirectory(prefix="provisioner-bench-") as scratch:
        folder = Path(scratch)
        environment = prepared(folder)
        print(f"{'measured':<58}{'ratio':>8}{'at most':>9}")
        plans(folder, environment)
        formats(folder, environment)
        applies(folder, environment)
        inspections(folder, environment)
        side_by_side(folder, environment)
        many_parents(folder, environment)
        in_objects(folder, environment)
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


def formats(folder: Path, environment: dict[str, str]) -> None:
    """Compare the formats of a plan with its text, and each format for many accounts with that for half of them."""
    bound = 1.3

    def plan(manifest: Path, form: str) -> float:
        return timed([*COMMAND, "plan", "--limit", "30000", "--format", form, str(manifest)], environment)

    few, half, many = (written(folder / f"{count}.yaml", count) for count in (ACCOUNTS, MANY // 2, MANY))
    for form in ("markdown", "html"):
        command, yardstick = alternately(lambda form=form: plan(few, form), lambda: plan(few, "text"))
        shown(f"plan of {ACCOUNTS} accounts as {form} / as text", command / yardstick, bound)
    for form in ("markdown", "html"):
        command, yardstick = alternately(lambda form=form: plan(many, form), lambda: plan(many, "text"), rounds=3)
        shown(f"plan of {MANY:,} accounts as {form} / as text", command / yardstick, bound)
        whole, part = alternately(lambda form=form: plan(many, form), lambda form=form: plan(half, form), rounds=3)
        shown(f"plan of {MANY:,} accounts as {form} / of half of them", whole / part, 2.2)


def applies(folder: Path, environment: dict[str, str]) -> None:
    """Compare applying with a plain loop, and with only the time spent waiting for the server."""
    manifest = written(folder / "apply.yaml", ACCOUNTS)

    def apply() -> float:
        with sandbox(environment, "--limit", "100000") as url:
            return timed(apply_command(folder, manifest), {**environment, "OCTOPUSH_API_URL": url})

    def loop() -> float:
        with sandbox(environment, "--limit", "100000") as url:
            return timed([sys.executable, "-c", PLAIN_LOOP], {**environment, "OCTOPUSH_API_URL": url})

    command, yardstick = alternately(apply, loop)
    # Each of the 21 saves waits for three fsyncs: a disk that needs milliseconds for one exceeds the bound.
    shown(f"apply of {ACCOUNTS} accounts / a plain requests loop", command / yardstick, 2.0)

    latency = 0.2
    with sandbox(environment, "--limit", "100000", "--latency", str(latency)) as url:
        there = {**environment, "OCTOPUSH_API_URL": url}
        slow = min(timed(apply_command(folder, manifest), there) for _ in range(2))
        # Start-up is an apply with nothing to create: it plans and locks the state.
        done = apply_command(folder, manifest)
        timed(done, there)
        start_up = min(timed(done, there) for _ in range(3))
    waiting = 2 * ACCOUNTS * latency  # each account is created, and read back
    shown(f"apply at {latency * 1000:.0f} ms, less start-up / the waiting alone", (slow - start_up) / waiting, 1.1)


def inspections(folder: Path, environment: dict[str, str]) -> None:
    """Compare reading existing accounts with the time spent waiting for the server, and with a plain loop."""
    latency = 0.1
    manifest = written(folder / "inspected.yaml", ACCOUNTS)
    state = folder / "inspected.json"
    with sandbox(environment, "--latency", str(latency)) as url:
        there = {**environment, "OCTOPUSH_API_URL": url}
        timed([*COMMAND, "apply", "--yes", "--new-state", "--state", str(state), str(manifest)], there)
        export = [*COMMAND, "credentials", "export", "--format", "json", "--state", str(state)]
        exported = subprocess.run(export, env=there, capture_output=True, check=True).stdout
        there["LOGINS"] = " ".join(each["api_login"] for each in json.loads(exported).values())
        loop = statistics.median(timed([sys.executable, "-c", READING_LOOP], there) for _ in range(3))
        # Start-up is the same command with nothing to read: a state without accounts.
        empty = folder / "empty.json"
        nothing = {**json.loads(state.read_text()), "accounts": {}}
        empty.write_text(json.dumps(nothing))
        for command in ("refresh", "verify"):
            whole = statistics.median(timed([*COMMAND, command, "--state", str(state)], there) for _ in range(3))
            start_up = statistics.median(timed([*COMMAND, command, "--state", str(empty)], there) for _ in range(3))
            ratio = (whole - start_up) / (ACCOUNTS * latency)
            shown(f"{command} at {latency * 1000:.0f} ms, less start-up / the waiting alone", ratio, 1.15)
            print(f"  {command}: {whole:.2f} s; a plain requests loop that reads them: {loop:.2f} s", flush=True)


def side_by_side(folder: Path, environment: dict[str, str]) -> None:
    """Compare applying to many parents in parallel with one after the other, and with a plain pool of threads."""
    few, many, jobs, latency = 4, 100, 16, 0.05
    with fleet_sandbox(environment, few, "--latency", str(latency)) as there:
        alone = timed_fleet(folder / "alone", few, 1, there)
    with fleet_sandbox(environment, many, "--latency", str(latency)) as there:
        together = timed_fleet(folder / "together", many, jobs, there)
    scaled = alone * many / few
    shown(f"apply of {many} parents x {ACCOUNTS} at 50 ms, {jobs} jobs / 1 job", together / scaled, 1 / 12)
    times = f"{jobs} jobs: {together:.1f} s; 1 job: {scaled:.0f} s, scaled from {alone:.1f} s for {few} parents"
    print(f"  {times} ({scaled / together:.1f} times as fast, 12 wanted)", flush=True)

    def apply() -> float:
        with fleet_sandbox(environment, jobs) as there:
            return timed_fleet(folder / f"fleet-{time.perf_counter_ns()}", jobs, jobs, there)

    def pool(*options: str) -> float:
        with fleet_sandbox(environment, jobs) as there:
            chosen = {**there, "PARENTS": str(jobs), **dict.fromkeys(options, "yes")}
            return timed([sys.executable, "-c", PLAIN_POOL], chosen)

    rounds = [(apply(), pool(), pool("READS"), pool("READS", "KEEPS")) for _ in range(5)]
    applied, posts, reading, keeping = (statistics.median(column) for column in zip(*rounds, strict=True))
    shown(f"apply of {jobs} parents x {ACCOUNTS} / a plain pool that posts", applied / posts, 2.5)
    print(
        f"  apply: {applied:.2f} s; a pool that posts: {posts:.2f} s, and reads each back: {reading:.2f} s,"
        f" over kept connections: {keeping:.2f} s",
        flush=True,
    )


@contextmanager
def fleet_sandbox(environment: dict[str, str], parents: int, *options: str) -> Iterator[dict[str, str]]:
    """Serve many parents for the length of a ``with``; yield the environment to use them."""
    key = "only-for-the-sandbox"
    logins = [f"--parent-account=parent-{number:04}@example.com:{key}" for number in range(parents)]
    with sandbox(environment, *logins, *options) as url:
        yield {**environment, "OCTOPUSH_API_URL": url, "FLEET_KEY": key}


def timed_fleet(folder: Path, parents: int, jobs: int, environment: dict[str, str]) -> float:
    """Return the seconds that creating all accounts of new parents takes."""
    names = [f"parent-{number:04}" for number in range(parents)]
    write_project(folder, names, environment["PROVISIONER_RECIPIENTS"], "yaml")
    command = [*COMMAND, "apply", "--yes", "--new-state", "--jobs", str(jobs)]
    return timed(command, {**environment, "HOME": str(folder / "home")}, folder)


def many_parents(folder: Path, environment: dict[str, str]) -> None:
    """Show how long planning for many parents with a state takes, how that grows, and how much memory it needs."""
    few, many = 100, 1000
    for kind in ("csv", "yaml"):
        plans = {count: fleet_plan(folder / f"fleet-{kind}-{count}", count, kind, environment) for count in (few, many)}
        longer, shorter = alternately(plans[many].timed, plans[few].timed, rounds=3)
        what = f"plan of {many:,} parents x {ACCOUNTS} in {kind} / of {few}"
        shown(what, longer / shorter, many / few)
        memory = peak(plans[many].command, plans[many].environment, plans[many].folder)
        print(f"  {kind}: {longer:.1f} s (5 allowed), {shorter:.1f} s for {few}; {memory} MB at the most (300 allowed)")


def in_objects(folder: Path, environment: dict[str, str]) -> None:
    """Show how long many parents take if their states are in a distant object store."""
    latency, jobs, many, few = 0.02, "32", 1000, 10
    served = folder / "storage"
    served.mkdir()
    try:
        pytest.importorskip("obstore", reason="obstore is not installed here; `make bench` installs it")
        from tests.state.stores.storage import BUCKET, running_seaweed  # noqa: PLC0415  # it needs obstore

        with running_seaweed(served) as storage, proxy_to("127.0.0.1", storage.port, b"", latency) as proxy:
            far = {**storage.at(proxy.port), "PROVISIONER_STATE": f"s3://{BUCKET}/fleet/{{parent}}"}
            fleet = fleet_plan(folder / "fleet-far", many, "yaml", environment)
            bucket = storage.bucket()
            with ThreadPoolExecutor(16) as threads:
                list(threads.map(lambda path: put_state(bucket, path), (fleet.folder / "state").iterdir()))
            command = [*COMMAND, "plan", "--jobs", jobs]
            longer, shorter = alternately(
                lambda: timed(command, {**fleet.environment, **far}, fleet.folder),
                lambda: timed(command, fleet.environment, fleet.folder),
                rounds=3,
            )
            shown(f"plan of {many:,} parents in an object store at 20 ms / in files", longer / shorter, 2)
            print(f"  {longer:.1f} s (20 allowed), {shorter:.1f} s in files; {jobs} jobs", flush=True)

            def apply(parents: int) -> float:
                own = folder / f"far-{time.perf_counter_ns()}"
                place = {"PROVISIONER_STATE": f"s3://{BUCKET}/{own.name}/{{parent}}"}
                with fleet_sandbox(environment, parents) as there:
                    return timed_fleet(own, parents, int(jobs), {**there, **far, **place})

            longer, shorter = alternately(lambda: apply(4 * few), lambda: apply(few), rounds=3)
            shown(f"apply of {4 * few} parents x {ACCOUNTS} in that object store / of {few}", longer / shorter, 4)
    except pytest.skip.Exception as missing:
        print(f"many parents in an object store: not measured: {missing}", flush=True)


def put_state(bucket: Bucket, path: Path) -> None:
    """Put a state from a file into an object store, as a save does."""
    lineage = json.loads(path.read_bytes())["lineage"]
    bucket.create(f"fleet/{path.stem}/00000040.json", path.read_bytes(), {"serial": "40", "lineage": lineage})


@dataclass(frozen=True, slots=True)
class Fleet:
    """A project with many parents, each with a state, and the command that plans it."""

    folder: Path
    command: list[str]
    environment: dict[str, str]

    def timed(self) -> float:
        """Return the seconds that the command takes."""
        return timed(self.command, self.environment, self.folder)


def fleet_plan(folder: Path, count: int, kind: str, environment: dict[str, str]) -> Fleet:
    """Make a project of ``count`` parents with states that this machine has seen, and one account to change in each."""
    names = [f"parent-{number:04}" for number in range(count)]
    recipient = environment["PROVISIONER_RECIPIENTS"]
    write_project(folder, names, recipient, kind)
    known_states(folder, {name: account_names(name) for name in names}, recipient)
    there = {**environment, "HOME": str(folder / "home")}
    return Fleet(folder, [*COMMAND, "plan", "--jobs", "8"], there)


def known_states(folder: Path, accounts: dict[str, list[str]], recipient: str) -> None:
    """Write a state for the accounts of each parent, as a machine has seen it whose home is below ``folder``."""
    (folder / "state").mkdir()
    seen = Seen(folder / "home/.local/state/octopush-provisioner/seen")
    sealed = sealed_as_usual(recipient)
    for parent, names in accounts.items():
        state = State(
            str(uuid.uuid4()),
            parent,
            40,
            endpoint="https://api.octopush.com/v1/public",
            parent_check=f"{secrets.token_hex(16)}${secrets.token_hex(32)}",
            recipients=(recipient,),
            accounts={each: active(number, sealed) for number, each in enumerate(names)},
        )
        path = folder / "state" / f"{parent}.json"
        path.write_bytes(codec.encode(state))
        seen.note(str(path.resolve()), state)


def write_project(folder: Path, parents: list[str], recipient: str, kind: str) -> None:
    """Write the settings of many parents, and their manifests."""
    (folder / "manifests").mkdir(parents=True)
    settings = "".join(
        f"  {name}:\n    api_login: {name}@example.com\n    api_key: ${{env:FLEET_KEY}}\n" for name in parents
    )
    (folder / "provisioner.yaml").write_text(f"recipients: [{recipient}]\nparents:\n{settings}")
    write_manifests(folder / "manifests", parents, kind)


def account_names(parent: str) -> list[str]:
    """Return the names of a parent's accounts."""
    return [f"{parent}-{number:02}" for number in range(ACCOUNTS)]


def active(number: int, sealed: str) -> Active:
    """Return the record of a created account; the first of each parent differs from its manifest."""
    hooks = Callbacks(callback_url_for_deliveries=f"https://hooks.example.com/{number}")
    attributes = Attributes("Ada", f"Lovelace {number}", "Engines" if number else "Looms", hooks)
    operation = Operation(str(uuid.uuid4()), "2026-01-01T00:00:00Z", "ada@build-server")
    return Active(attributes, operation, "2026-01-01T00:00:01Z", sealed)


def sealed_as_usual(recipient: str) -> str:
    """Return a seal as long as that of a created account."""
    sent = Attributes("Ada", "Lovelace 0", "Engines", Callbacks("https://hooks.example.com/0"))
    content = SealedContent(
        str(uuid.uuid4()),
        "parent-0000",
        "parent-0000-00",
        str(uuid.uuid4()),
        password=Secret(secrets.token_urlsafe(24)),
        credentials=Credentials("ada.lovelace@example.com", Secret(secrets.token_hex(16))),
        sent=sent,
    )
    return AgeSealer([recipient]).seal(content)


def write_manifests(folder: Path, parents: list[str], kind: str) -> None:
    """Write one table with all accounts, or a YAML manifest per hundred parents."""
    if kind == "csv":
        with (folder / "all.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("parent", "name", "first_name", "last_name", "company_name", "callback_url_for_deliveries"))
            for parent in parents:
                for n, name in enumerate(account_names(parent)):
                    hook = f"https://hooks.example.com/{n}"
                    table.writerow((parent, name, "Ada", f"Lovelace {n}", "Engines", hook))
        return
    for begin in range(0, len(parents), 100):
        with (folder / f"{begin:04}.yaml").open("w", encoding="utf-8") as file:
            file.write("version: 1\ndefaults:\n  company_name: Engines\naccounts:\n")
            file.writelines(
                f"  - parent: {parent}\n    name: {name}\n    first_name: Ada\n    last_name: Lovelace {n}\n"
                f"    callbacks:\n      callback_url_for_deliveries: https://hooks.example.com/{n}\n"
                for parent in parents[begin : begin + 100]
                for n, name in enumerate(account_names(parent))
            )


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
    """Show which libraries the cheap commands load."""
    for flag in ("--help", "--version"):
        command = [sys.executable, "-X", "importtime", *COMMAND[1:], flag]
        loaded = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
        names = {line.rpartition("|")[2].strip().partition(".")[0] for line in loaded.splitlines()}
        heavy = sorted(names & {"urllib3", "jsonschema_rs", "pandas", "rich", "yaml", "tenacity", "pyrage"})
        print(f"{flag} loads of the libraries: {', '.join(heavy) or 'none'}")


# ── How it is measured ───────────────────────────────────────────────────────


def alternately(
    first: Callable[[], float], second: Callable[[], float], *, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Return the median of several alternating runs of each, so that both see the same machine."""
    pairs = [(first(), second()) for _ in range(rounds)]
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)


def timed(command: list[str] | tuple[str, ...], environment: dict[str, str], folder: Path | None = None) -> float:
    """Return the seconds that a process takes from its start to its end."""
    start = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def peak(command: list[str], environment: dict[str, str], folder: Path | None = None) -> int:
    """Return the peak memory of a process in MB, measured as the largest child of a separate process."""
    child = os.fork()
    if child == 0:
        subprocess.run(
            command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        os._exit(min(255, used // (8 * 1024)))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) * 8


def apply_command(folder: Path, manifest: Path) -> list[str]:
    """Return the command of an apply with a new state, on a machine that has seen no other."""
    own = folder / f"state-{time.perf_counter_ns()}"
    options = ["--yes", "--new-state", "--limit", "100000", "--state", f"{own}.json"]
    return ["env", f"XDG_STATE_HOME={own}", *COMMAND, "apply", *options, str(manifest)]


def shown(what: str, ratio: float, bound: float) -> None:
    """Print one ratio and its bound."""
    print(f"{what:<58}{ratio:>8.2f}{bound:>9.2f}{'' if ratio <= bound else '   over'}", flush=True)


@contextmanager
def sandbox(environment: dict[str, str], *options: str) -> Iterator[str]:
    """Run a sandbox in a process for the length of a ``with``; yield its address."""
    with subprocess.Popen(
        [*COMMAND, "sandbox", *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def prepared(folder: Path) -> dict[str, str]:
    """Create an identity in the temporary folder, and return the environment of every process."""
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
