"""``make canary``: every command, with secrets that are known, and a search for them wherever they must not be.

The secrets are those of a user (a parent's key, a chosen password, a token in a callback, an
identity, the credentials of a store) and those that the provider hands out (logins, keys)
or the program makes up (passwords), which the sandbox's ledger has. They are searched for, as they
are and encoded, in all that each command prints, in every file that is left, in the store, in the
arguments and variables of every process that a command starts (strace shows them), and in core dumps.

A command that is asked for secrets may print them; :data:`ACTS` says which.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tests.forks import COMMAND
from tests.proof.chaos import stores
from tests.proof.chaos.grounds import HOOK_TOKEN, PASSWORD, Ground, key_of, new_ground
from tests.proof.chaos.stores import NewStore
from tests.proof.chaos.subject import Provisioner
from tests.proof.chaos.tracing import NotSupported
from tests.proof.page import Table, publish

Kind = str
LOGIN, KEY, PASSWORDS = "logins of accounts", "keys of accounts", "passwords"
CREDENTIALS: Final = frozenset({LOGIN, KEY, PASSWORDS})
PARENT, TOKEN, IDENTITY, STORE = "keys of parents", "tokens in callbacks", "identities", "credentials of stores"
USERS: Final = frozenset({PARENT, TOKEN, PASSWORDS, STORE})
"""What a user has in the environment."""

NAMES: Final = ("oslo", "paris", "rome", "vienna")
FAULTS: Final = ("--fault", "lost@3", "--fault", "400@4", "--fault", "lost@6")
"""The answer for rome is lost, vienna is refused once, and the answer for paris, when it is created again, is lost."""

_TRACE: Final = ("strace", "-f", "-qq", "-v", "-e", "trace=execve", "-e", "signal=none", "-s", "65536", "-o")
_SECRET_VARIABLES: Final = re.compile(r"PASSWORD|SECRET|ACCOUNT_KEY")


@dataclass(frozen=True, slots=True)
class Act:
    """One command, how it ends, and which secrets its user asks it to print or to hand on."""

    arguments: str
    code: int | None = 0
    shows: frozenset[Kind] = frozenset()
    hands_on: frozenset[Kind] = frozenset()
    """What the variables of its children may hold."""


EXPORTED: Final = "exported.env"
ANOTHER: Final = "another-identity.txt"
EXPORTS: Final = ("env", "dotenv", "docker", "json", "csv", "kubernetes")
"""Formats of ``credentials export``."""

# In this order: each acts on what those before have left.
ACTS: Final = (
    Act("init ."),
    Act(f"keygen --out {ANOTHER}"),
    Act("doctor", None),
    Act("validate"),
    Act("schema manifest"),
    # It asks bash for its version, with the variables of the shell that will read what it prints.
    Act("completion bash", hands_on=USERS),
    Act("explain 8"),
    Act("sandbox --fault help"),
    *(Act(f"plan --format {each}") for each in ("text", "markdown", "json", "html")),
    Act("plan --out plan.json"),
    Act("apply --plan plan.json --yes --new-state --log-format json", 8),
    *(Act(f"status --format {each}") for each in ("text", "markdown", "json", "html")),
    Act("adopt --from taken.csv"),
    Act("apply --yes --log-format text", 7),
    Act("reconcile --page page.html --metrics-file metrics.prom --log-format json"),
    Act("refresh"),
    Act("verify"),
    Act("status --balances --format json"),
    Act("history --format json"),
    Act("credentials list", shows=frozenset({LOGIN})),
    Act("credentials show paris", shows=CREDENTIALS | {TOKEN}),
    *(Act(f"credentials export --format {each}", shows=CREDENTIALS) for each in EXPORTS),
    Act(f"credentials export --format dotenv --out {EXPORTED}"),
    # The command may need the credentials of the store for its own work.
    Act("exec paris -- env", shows=CREDENTIALS | {STORE}, hands_on=CREDENTIALS | {STORE}),
    Act("rotate-password --all --yes --format json", 10),
    Act("rekey --yes"),
    Act("forget paris --yes --force"),
    Act("recover --yes", None),
    Act("apply --yes --log-format json", 8),
    Act("resolve paris --not-created --yes"),
    Act("state history", None),
    Act("state show --serial 2", None),
    Act("state pull"),
    Act("state push pulled.json --yes", None),
    Act("state migrate", None),
    Act("unlock", None),
)
"""``code`` None: how it ends depends on the store, or on what the machine has."""


def main() -> int:
    """Act in every store; print where a secret was found, and return 1 if one was."""
    started = time.monotonic()
    rows: list[tuple[object, ...]] = []
    found: list[str] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="provisioner-canary-") as scratch:
        for opened in (stores.in_files, stores.in_git, stores.in_postgresql, stores.in_s3, stores.in_azure):
            name = opened.__name__.removeprefix("in_")
            server = Path(scratch) / f"{name}-server"
            server.mkdir()
            try:
                with opened(server) as store:
                    search = acted(Path(scratch) / name, store)
            except NotSupported as error:
                missing.append(f"The store {name} was not run: {error}")
                continue
            rows.append((name, *search.counts(), len(search.leaks)))
            found += search.leaks
        dumped = dumps(Path(scratch) / "dumps")
    table = Table(("states in", "commands", "secrets", "outputs", "files", "processes", "secrets in clear"), rows)
    print(table.text(), *missing, dumped, *found, sep="\n")
    publish("canary", [table, *missing, dumped], started=started)
    return int(bool(found))


@dataclass(slots=True)
class Search:
    """What was searched, and where a secret was."""

    secrets: Mapping[str, Kind]
    commands: int = 0
    outputs: int = 0
    files: int = 0
    processes: int = 0
    leaks: list[str] = field(default_factory=list)

    def counts(self) -> tuple[int, ...]:
        """Return how many commands were run, secrets known, outputs, files and processes searched."""
        return self.commands, len(self.secrets), self.outputs, self.files, self.processes

    def look(self, place: str, text: bytes, allowed: Collection[Kind] = ()) -> None:
        """Search a text for every secret whose kind is not ``allowed`` there."""
        self.leaks += [
            f"{kind} in {place}"
            for kind in sorted(
                {kind for secret, kind in self.secrets.items() if kind not in allowed and _in(secret, text)}
            )
        ]


def _in(secret: str, text: bytes) -> bool:
    return any(form in text for form in forms(secret))


def forms(secret: str) -> set[bytes]:
    """Return a secret as it stands in a text: plain, escaped, and in Base64 and hexadecimal wherever it begins."""
    raw = secret.encode()
    encoded = {base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)}
    plain = (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex(), raw.hex().upper())
    return {each.encode() for each in plain} | encoded | {each.translate(_URL_SAFE) for each in encoded}


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


# ── The commands ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a project, who asks for more accounts than the layers of chaos need."""

    name: str = "user"

    def prepare(self, ground: Ground) -> None:
        """Write a manifest, settings and an identity."""
        ground.names = NAMES
        Provisioner().prepare(ground)


def acted(folder: Path, store: NewStore) -> Search:
    """Run every command in one project, and search wherever something was left."""
    with new_ground(folder, User(), store=store, options=FAULTS) as ground:
        placeholders = {"PROVISIONER_PLACEHOLDERS": "CHOSEN_PASSWORD HOOK_TOKEN"}
        variables = {**ground.environ, **placeholders, **ground.store.settings(ground)}
        harness = ground.root / "harness"
        harness.mkdir()
        traces = []
        printed: list[tuple[Act, bytes]] = []
        for number, act in enumerate(ACTS):
            if "taken.csv" in act.arguments:
                write_logins(ground)
            if "pulled.json" in act.arguments:
                (ground.folder / "pulled.json").write_bytes(printed[-2][1])
            trace = harness / f"{number}.trace"
            command = [*_TRACE, str(trace), *COMMAND, *act.arguments.split()]
            done = subprocess.run(
                command, cwd=ground.folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
            assert act.code in {None, done.returncode}, (act.arguments, done.returncode, done.stdout + done.stderr)
            printed += [(act, done.stdout), (act, done.stderr)]
            traces.append((act, trace))
        return searched(ground, variables, printed, traces)


def write_logins(ground: Ground) -> None:
    """Write what a user reads off the dashboard: the login of the account with the lost answer."""
    (login,) = (each.login for each in ground.created() if each.name == ("default", "rome"))
    (ground.folder / "taken.csv").write_text(f"name,login\nrome,{login}\n", encoding="utf-8")


def searched(
    ground: Ground,
    variables: Mapping[str, str],
    printed: list[tuple[Act, bytes]],
    traces: list[tuple[Act, Path]],
) -> Search:
    """Search everything that the commands left."""
    search = Search(known(ground, variables), commands=len(traces))
    for act, text in printed:
        search.outputs += 1
        search.look(f"what `{act.arguments}` printed", text, act.shows)
    # What the user wrote, or asked for in clear.
    wanted = {
        ground.folder / "taken.csv": {LOGIN},
        ground.folder / EXPORTED: CREDENTIALS,
        ground.folder / ANOTHER: {IDENTITY},
    }
    for path in ground.files():
        search.files += 1
        search.look(f"the file {path.relative_to(ground.root)}", path.read_bytes(), wanted.get(path, ()))
    for place, text in ground.store.texts(ground):
        search.files += 1
        search.look(f"the store, {place}", text)
    for act, trace in traces:
        for number, (arguments, environment) in enumerate(processes(trace)):
            search.processes += 1
            search.look(f"an argument of a process of `{act.arguments}`", arguments)
            # The first process is the command itself: its variables are those that its user gave it.
            if number:
                search.look(f"a variable of a process of `{act.arguments}`", environment, act.hands_on)
    return search


def known(ground: Ground, variables: Mapping[str, str]) -> dict[str, Kind]:
    """Return every secret, with its kind."""
    secrets = {key_of("default"): PARENT, HOOK_TOKEN: TOKEN, PASSWORD: PASSWORDS}
    for path in (*ground.kept, ground.folder / ANOTHER):
        secrets |= dict.fromkeys(re.findall(r"AGE-SECRET-KEY-\w+", path.read_text(encoding="utf-8")), IDENTITY)
    for name, value in variables.items():
        if _SECRET_VARIABLES.search(name) and value not in secrets:
            secrets[value] = STORE
    for line in ground.ledger.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        secrets |= {entry["api_login"]: LOGIN, entry["api_key"]: KEY}
        if entry["password"]:
            secrets[entry["password"]] = PASSWORDS
    return secrets


_EXECUTED: Final = re.compile(rb'execve\("(?:[^"\\]|\\.)*", \[(.*)\], \[(.*)\]\) += 0$')


def processes(trace: Path) -> Iterator[tuple[bytes, bytes]]:
    """Return the arguments and the variables of each process that was started, as strace wrote them."""
    for line in trace.read_bytes().splitlines():
        if found := _EXECUTED.search(line):
            yield found[1], found[2]


# ── Core dumps ───────────────────────────────────────────────────────────────


def dumps(folder: Path) -> str:
    """Abort an apply while it waits for an answer; return what that left; raises if it left one."""
    control = folder / "control"
    control.mkdir(parents=True)
    aborted(control, [sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), wait=1)
    if not core_dumps(control):
        return "Core dumps: this machine keeps none, so there was nothing to search."
    with new_ground(folder / "apply", User(), options=("--latency", "5")) as ground:
        variables = {**ground.environ, "PROVISIONER_PLACEHOLDERS": "*"}
        aborted(ground.folder, [*COMMAND, "apply", "--yes", "--new-state"], variables, wait=3)
        assert not core_dumps(ground.folder), "an apply that was aborted left a core dump"
    return "Core dumps: an apply that was aborted left none, where another program left one."


def aborted(folder: Path, command: list[str], variables: dict[str, str], *, wait: float) -> None:
    """Start a command without a limit on core dumps, and abort it after so many seconds."""
    start = ["sh", "-c", 'ulimit -c unlimited && exec "$@"', "sh", *command]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(start, cwd=folder, env=variables, **quiet) as process:
        time.sleep(wait)
        process.send_signal(signal.SIGABRT)
        ended = process.wait(timeout=60)
    assert ended == -signal.SIGABRT, f"{command[1:]} ended with {ended} before it was aborted"


def core_dumps(folder: Path) -> list[Path]:
    """Return the core dumps in a folder."""
    return list(folder.glob("core*"))


if __name__ == "__main__":
    raise SystemExit(main())
