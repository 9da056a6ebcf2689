"""``completion``: scripts for shells, and what they offer: names that suit the command, and files where files go."""

from __future__ import annotations

import sys
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from provisioner.cli.console import Console
from provisioner.cli.context import Context
from provisioner.cli.main import cli
from provisioner.model.state import Abandoned, Active, Record, Unknown
from provisioner.state import codec
from tests.cli.steps import run
from tests.conftest import environment
from tests.executor.examples import EMPTY, OPERATION, attributes

SETTINGS = "parents:\n  default: {}\n  acme: {api_login: a@example.com, api_key: '${env:ACME_KEY}'}\n"
# The list of what placeholders may read is not set here: names need no placeholder.
MANIFEST = "version: 1\naccounts:\n  - {name: new, first_name: A, last_name: B, password: '${env:NEW_PASSWORD}'}\n"
OTHER = "version: 1\nparent: acme\naccounts:\n  - {name: far, first_name: A, last_name: C}\n"
KEPT: dict[str, Record] = {
    "paris": Active(attributes("paris"), OPERATION, "2026-01-01T00:00:00Z", "sealed"),
    "oslo": Unknown(attributes("oslo"), OPERATION, "no answer"),
    "bern": Abandoned(attributes("bern"), OPERATION, "no answer"),
}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A project of two parents: one with an account in each status, one whose state is on a server."""
    files = {
        "provisioner.yaml": SETTINGS,
        "manifests/a.yaml": MANIFEST,
        "manifests/b.yaml": OTHER,
        "state/default.json": codec.encode(replace(EMPTY, serial=3, accounts=KEPT)).decode(),
        "state/acme.json": codec.encode(
            replace(EMPTY, parent="acme", serial=3, accounts={"rome": KEPT["paris"]})
        ).decode(),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def offered(folder: Path, line: str) -> list[str]:
    """Return what a shell is offered to complete the last word of ``line``, or what kind of file."""
    *words, incomplete = line.split(" ")
    console = Console(sys.stdin, sys.stdout, sys.stderr, {})
    with chdir(folder):
        completer = ShellComplete(cli, {"obj": Context(console, environment(folder))}, "provisioner", "_COMPLETE")
        return [
            each.value if each.type == "plain" else each.type for each in completer.get_completions(words, incomplete)
        ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("exec ", ["paris", "rome"]),
        ("exec --parent acme ", ["rome"]),
        ("exec --parent nobody ", []),
        ("exec paris -- ", ["file"]),
        ("verify pa", ["paris"]),
        ("verify paris ", ["rome"]),
        ("rotate-password r", ["rome"]),
        ("credentials export ", ["paris", "rome"]),
        ("credentials show ", ["oslo", "paris", "rome"]),
        ("resolve ", ["oslo"]),
        ("forget ", ["bern", "oslo", "paris", "rome"]),
        ("history ", ["bern", "oslo", "paris", "rome"]),
        ("explain Plan", ["PlanStale"]),
        ("explain g", ["gone"]),
        ("adopt ", ["far", "new", "oslo"]),
        ("adopt new ", []),
        ("adopt new LOGIN ", ["file"]),
        ("adopt --from table.csv ", ["file"]),
        ("plan --only ", ["far", "new"]),
        ("apply --only new --only ", ["far"]),
        ("status --parent ", ["acme", "default"]),
        ("status --shard 0/x --parent ac", ["acme"]),
        ("plan ", ["file"]),
        ("plan --out ", ["file"]),
        ("plan --ca-file ", ["file"]),
        ("plan --state ", ["file"]),
        ("state push ", ["file"]),
        ("init ", ["dir"]),
        ("init --ci git", ["github", "gitlab"]),
        # A state on a server is not asked for: the manifests' names stand for its own.
        ("exec --state git:origin/provisioner-state/{parent}.json ", ["far", "new"]),
        ("exec --config nowhere.yaml ", []),
    ],
)
def test_what_suits_the_command_is_offered(
    mine: Path, capfd: pytest.CaptureFixture[str], line: str, expected: list[str]
) -> None:
    assert expected == sorted(offered(mine, line))
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("name", ["provisioner.yaml", "manifests/a.yaml", "state/default.json"])
def test_completion_offers_nothing_and_stays_silent_if_files_cannot_be_read(mine: Path, name: str) -> None:
    (mine / name).write_text("- {name: $(touch here), first_name: *\n")
    asked = {"COMP_WORDS": "provisioner adopt ", "COMP_CWORD": "2", "_PROVISIONER_COMPLETE": "bash_complete"}
    done = run(mine, **asked)
    offers = {"state/default.json": ["plain,far", "plain,new"]}.get(name, [])
    assert (0, "", offers) == (done.returncode, done.stderr, done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_names_the_command(tmp_path: Path, shell: str) -> None:
    done = run(tmp_path, "completion", shell)
    assert 0 == done.returncode
    assert "_PROVISIONER_COMPLETE" in done.stdout


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    asked = {"COMP_WORDS": "provisioner re", "COMP_CWORD": "1", "_PROVISIONER_COMPLETE": "bash_complete"}
    done = run(tmp_path, **asked)
    assert (0, "") == (done.returncode, done.stderr)
    assert {"plain,reconcile", "plain,recover", "plain,refresh", "plain,rekey", "plain,resolve"} == set(
        done.stdout.split()
    )
