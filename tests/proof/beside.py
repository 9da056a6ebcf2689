"""This program and what people use instead, side by side: seconds for the same accounts, in the same run.

Ansible and octoDNS live in an environment of their own, ``.tools/beside``, which ``make bench``
creates from ``locks/beside.txt``. Where one is missing, its row says so.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import ACCOUNTS, COMMAND, PLAIN_LOOP, alternately, apply_command, sandbox, timed, written
from tests.proof.page import ROOT, Table

LATENCIES: Final = (0.0, 0.05, 0.2)
"""Seconds that the sandbox waits before each answer."""
ROUNDS: Final = 3
TOOLS: Final = ROOT / ".tools" / "beside" / "bin"
MISSING: Final = "not installed"

# The keys are in the answers, so the file has them in clear. curl reads its headers from a file, because
# everyone on the machine can read a process's arguments.
CURL_LOOP = r"""
set -euo pipefail
printf 'api-login: %s\napi-key: %s\n' "$OCTOPUSH_API_LOGIN" "$OCTOPUSH_API_KEY" > headers
for ((number = 0; number < ACCOUNTS; number++)); do
  curl --silent --show-error --fail --max-time 30 --header @headers --header 'content-type: application/json' \
    --data '{"first_name": "Ada", "last_name": "Lovelace", "password": "Secret-'"$number"'", "callbacks": {}}' \
    "$OCTOPUSH_API_URL/subaccount/create" >> answers.jsonl
done
"""

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - ansible.builtin.uri:
        url: "{{ lookup('env', 'OCTOPUSH_API_URL') }}/subaccount/create"
        method: POST
        headers:
          api-login: "{{ lookup('env', 'OCTOPUSH_API_LOGIN') }}"
          api-key: "{{ lookup('env', 'OCTOPUSH_API_KEY') }}"
        body_format: json
        body: {first_name: Ada, last_name: Lovelace, password: "Secret-{{ item }}", callbacks: {}}
        status_code: 201
        timeout: 30
      loop: "{{ range(lookup('env', 'ACCOUNTS') | int) | list }}"
      register: created
"""

ZONES = """
providers:
  wanted: {class: octodns.provider.yaml.YamlProvider, directory: wanted}
  existing: {class: octodns.provider.yaml.YamlProvider, directory: existing}
zones:
  example.com.: {sources: [wanted], targets: [existing]}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to create accounts: its command, how many requests it sends for each, and what it saves."""

    name: str
    command: Callable[[], Sequence[str | Path]]
    requests: int
    saves: str


def measured(folder: Path, environment: dict[str, str]) -> list[Table | str]:
    """Measure in ``folder``, and return tables and a list of what each way saves. ``environment`` is the bench's."""
    folder.mkdir()
    ways = _ways(folder)
    here = {**environment, "LC_ALL": "C.UTF-8"}
    seconds = {latency: _applied(ways, latency, folder, here) for latency in LATENCIES}
    ours = ways[0]
    rows = [
        (
            way.name,
            way.requests * ACCOUNTS,
            *(cell for latency in LATENCIES for cell in _cells(seconds[latency], way, ours)),
        )
        for way in ways
    ]
    header = [cell for latency in LATENCIES for cell in (f"s at {latency * 1000:.0f} ms", "ratio")]
    said = (
        f"Creating {ACCOUNTS} accounts, if the server waits 0, 50 or 200 ms before each answer: the median of {ROUNDS}"
        " alternating runs, and its ratio to this program. A way with twice the requests also reads back every account"
        f" that it created. Measured with {' and '.join(_versions())}."
    )
    return [
        said,
        Table((f"creates {ACCOUNTS} accounts", "requests", *header), rows),
        "What each saves:",
        "\n".join(f"- **{way.name}**: {way.saves}" for way in ways),
        f"Planning {ACCOUNTS} creates, without a network; octoDNS compares as many DNS records in two YAML files:",
        _plans(folder, here),
    ]


def _versions() -> list[str]:
    """Return the locked tools, such as ``octodns 1.22.0``."""
    lines = (ROOT / "locks" / "beside.in").read_text(encoding="utf-8").splitlines()
    return [line.replace("==", " ") for line in lines if "==" in line]


def _ways(folder: Path) -> list[Way]:
    manifest = written(folder / "manifest.yaml", ACCOUNTS)
    (folder / "playbook.yaml").write_text(PLAYBOOK, encoding="utf-8")
    return [
        Way(
            "this program",
            lambda: apply_command(folder, manifest),
            2,
            "it saves and syncs its intent before each create, and the sealed credentials after it; a later run knows"
            " what exists, and what is in doubt.",
        ),
        Way(
            "curl in a loop",
            lambda: ["bash", "-c", CURL_LOOP],
            1,
            "each answer is appended to a file, with its key in clear; nothing is synced, a lost answer leaves no"
            " trace, and a second run creates every account again.",
        ),
        Way(
            "requests in a loop",
            lambda: [sys.executable, "-c", PLAIN_LOOP],
            2,
            "nothing: the keys are gone when the process ends, and a second run creates every account again.",
        ),
        Way(
            "Ansible's `uri` in a loop",
            lambda: [TOOLS / "ansible-playbook", "--inventory", "localhost,", "--connection", "local", "playbook.yaml"],
            1,
            "the answers stay in a variable until the playbook ends; it records no state, and a second run creates"
            " every account again.",
        ),
    ]


def _applied(ways: list[Way], latency: float, folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Return the median seconds of each way that can run here, by its name."""
    installed = [way for way in ways if shutil.which(way.command()[0])]
    with sandbox(environment, "--limit", "1000000", "--latency", str(latency)) as url:
        there = {**environment, "OCTOPUSH_API_URL": url}
        rounds = [[timed([*map(str, way.command())], there, folder) for way in installed] for _ in range(ROUNDS)]
    columns = zip(*rounds, strict=True)
    return {way.name: statistics.median(column) for way, column in zip(installed, columns, strict=True)}


def _cells(seconds: dict[str, float], way: Way, ours: Way) -> tuple[str, str]:
    if way.name not in seconds:
        return MISSING, "-"
    return f"{seconds[way.name]:.2f}", f"{seconds[way.name] / seconds[ours.name]:.2f}"


def _plans(folder: Path, environment: dict[str, str]) -> Table:
    manifest = written(folder / "planned.yaml", ACCOUNTS)
    ours = [*COMMAND, "plan", "--state", str(folder / "none.json"), str(manifest)]
    octodns = _octodns(folder / "octodns")
    header = (f"plans {ACCOUNTS} creates", "s", "ratio")
    if not shutil.which(octodns[0]):
        alone = statistics.median(timed(ours, environment, folder) for _ in range(ROUNDS))
        return Table(header, [("this program", f"{alone:.2f}", "1.00"), ("octoDNS", MISSING, "-")])
    plan, records = alternately(
        lambda: timed(ours, environment, folder),
        lambda: timed(octodns, environment, folder / "octodns"),
        rounds=2 * ROUNDS + 1,
    )
    return Table(
        header, [("this program", f"{plan:.2f}", "1.00"), ("octoDNS", f"{records:.2f}", f"{records / plan:.2f}")]
    )


def _octodns(folder: Path) -> list[str]:
    """Write a zone to create, and return the command that plans it."""
    for side in ("wanted", "existing"):
        (folder / side).mkdir(parents=True)
    (folder / "octodns.yaml").write_text(ZONES, encoding="utf-8")
    records = "".join(f"account-{n:02}:\n  type: A\n  value: 192.0.2.{n + 1}\n" for n in range(ACCOUNTS))
    (folder / "wanted" / "example.com.yaml").write_text(records, encoding="utf-8")
    (folder / "existing" / "example.com.yaml").write_text("{}\n", encoding="utf-8")
    return [str(TOOLS / "octodns-sync"), "--config-file", "octodns.yaml"]
