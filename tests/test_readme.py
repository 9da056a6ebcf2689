"""The README: every command in it is run, and every table is compared with what it describes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from provisioner import manifest, project, schemas
from provisioner.cli.main import _EXITS
from provisioner.errors import ExitCode
from provisioner.settings import loading
from provisioner.state.sealing import new_identity
from tests.conftest import PARENT, PATIENCE, StartSandbox, environment, headers

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", README, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def commands() -> list[str]:
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


class Shell:
    """Runs the README's commands one after the other, as a person at a terminal would."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self.environ = environ
        self.said = ""

    def run(self, command: str) -> int:
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder /= words[1]
            return 0
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            # The sandbox of the tests has an address of its own.
            self.environ.setdefault(name, value)
            return 0
        if words[0] == "make":
            return subprocess.run([*words, "-n"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode
        if words[:3] == ["python3", "-m", "venv"] or words[0].endswith("/pip"):
            # What it would install is the package that these tests run from.
            return 0
        assert words[0] == "provisioner", command
        return self._answering_yes([sys.executable, "-m", *words])

    def _answering_yes(self, words: list[str]) -> int:
        """Give the command a terminal, and answer its question."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            words, cwd=self.folder, env=self.environ, stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            self.said = ""
            while select.select([ours], [], [], PATIENCE)[0]:
                try:
                    piece = os.read(ours, 4096)
                except OSError:
                    # The terminal ends with the last process that had it.
                    break
                if not piece:
                    break
                self.said += piece.decode(errors="replace")
                if self.said.endswith("[y/N]: "):
                    os.write(ours, b"y\n")
            os.close(ours)
        return process.returncode


COLLEAGUE = new_identity()[1]

# The accounts whose outcome is unknown when the README's reader comes to these commands.
UNKNOWN = {
    "provisioner resolve oslo --not-created": "oslo",
    "provisioner adopt nantes abc_123@sub-accounts.com": "nantes",
    "provisioner resolve bergen --abandon": "bergen",
}


def test_every_command_works(sandbox: StartSandbox, tmp_path: Path) -> None:
    # The first two creates are those of the starter project.
    environ = {**environment(tmp_path), "TERM": "dumb", "OCTOPUSH_API_URL": sandbox("--fault", "lost@3-5").url}
    credentials = {name: environ.pop(name) for name in ("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY")}
    shell = Shell(tmp_path, environ)
    # The README begins with a plan, before there is a project, to show what one looks like.
    first, *rest = commands()
    assert first == "provisioner plan"
    for command in rest:
        if name := UNKNOWN.get(command):
            lose_the_answer(shell, name)
        if command == "provisioner recover run.log":
            (shell.folder / "run.log").write_text(f"2026-01-01T00:00:00Z {rescued(shell)}\n")
        code = shell.run(as_it_is_there(shell, command))
        assert (command, code, shell.said) == (command, 0, shell.said)
        # The README has the credentials of a sandbox that a person starts; this one has its own.
        environ.update(credentials if "OCTOPUSH_API_KEY" in environ else {})


def test_the_lines_for_a_program_work(sandbox: StartSandbox, tmp_path: Path) -> None:
    (lines,) = blocks("python")
    assert textwrap.indent(lines, "    ", lambda line: line != "\n") in (project.__doc__ or "")
    server = sandbox()
    environ = {**environment(tmp_path), "OCTOPUSH_API_URL": server.url}

    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, check=False, capture_output=True, text=True)

    assert 0 == ran("-m", "provisioner", "init", "my-accounts").returncode
    first, again = ran("-c", lines), ran("-c", lines)
    assert (0, "default paris created\ndefault rome created\n", "") == (first.returncode, first.stdout, first.stderr)
    assert (0, "default paris unchanged\ndefault rome unchanged\n") == (again.returncode, again.stdout)
    assert 2 == len(server.accounts())


def lose_the_answer(shell: Shell, name: str) -> None:
    """Let the outcome of ``name`` be unknown, as the chapter tells."""
    path = shell.folder / "manifests" / "more.yaml"
    path.write_text(f"version: 1\naccounts:\n  - {{name: {name}, first_name: A, last_name: B}}\n")
    assert shell.run("provisioner apply --yes") == ExitCode.OUTCOME_UNKNOWN, shell.said
    path.unlink()


def as_it_is_there(shell: Shell, command: str) -> str:
    """Do in the dashboard what the reader has done before ``command``, and return it with the login that is there."""
    match command.split()[1:]:
        case ["rekey", flag, recipient]:
            # One that could be pasted as it stands would be somebody else's.
            assert recipient == "age1…"
            return f"provisioner rekey {flag} {COLLEAGUE}"
        case ["adopt", "--from", file]:
            rows = (f"{name},{made_by_hand(shell, name)}\n" for name in ("nice", "metz"))
            (shell.folder / file).write_text("".join(("name,login\n", *rows)))
        case ["adopt", name, _]:
            login = login_of(shell, "A") if name in UNKNOWN.values() else made_by_hand(shell, name)
            return f"provisioner adopt {name} {login}"
        case ["forget", "rome"]:
            address = f"{by_hand(shell)}/{login_of(shell, 'Artemisia')}"
            assert requests.delete(address, timeout=PATIENCE).ok
    return command


def by_hand(shell: Shell) -> str:
    return shell.environ["OCTOPUSH_API_URL"].replace("/v1/public", "/sandbox/accounts")


def login_of(shell: Shell, first_name: str) -> str:
    """Return the login of the latest account of that first name."""
    accounts = requests.get(by_hand(shell), timeout=PATIENCE).json()
    return str([each["api_login"] for each in accounts if each["first_name"] == first_name][-1])


def made_by_hand(shell: Shell, name: str) -> str:
    body = {"first_name": name, "last_name": "Elsewhere", "password": "By-hand-1-secret"}
    address = f"{shell.environ['OCTOPUSH_API_URL']}/subaccount/create"
    return str(requests.post(address, json=body, headers=headers(PARENT), timeout=PATIENCE).json()["api_login"])


def rescued(shell: Shell) -> str:
    state = json.loads((shell.folder / "state/default.json").read_text())
    name, record = next((name, each) for name, each in state["accounts"].items() if each["status"] == "active")
    entry = {"lineage": state["lineage"], "parent": state["parent"], "name": name}
    return "provisioner-rescue " + json.dumps({**entry, "operation": record["operation"]["id"], "record": record})


def test_exit_codes_are_the_same_everywhere() -> None:
    table = dict(re.findall(r"^\| ([0-9, ]+) \| (.+?) \|", README.replace("`", ""), re.MULTILINE))
    helped = dict(re.findall(r"^  ([0-9, ]+?)  +(.+)$", _EXITS, re.MULTILINE))
    assert helped == table
    assert sorted(int(code) for codes in table for code in codes.split(",")) == sorted(ExitCode)


@pytest.mark.parametrize("name", ["state", *schemas.load("config.v1")["properties"]])
def test_every_setting_is_described(name: str) -> None:
    assert f"`{name}`" in README or f"\n{name}:\n" in README


def test_defaults_are_those_of_the_schema() -> None:
    known: dict[str, Any] = schemas.load("config.v1")
    for name, schema in known["properties"].items():
        default = schema.get("default", known["$defs"].get(name, {}).get("default"))
        if isinstance(default, int | float) and f"`{name}`" in README:
            row = re.search(rf"^\| `{name}`.*?\|.*?\| (.*?) \|", README, re.MULTILINE)
            assert row is not None
            assert str(default).lower() == row.group(1)


def test_the_manifest_of_the_reference_is_valid(tmp_path: Path) -> None:
    (text,) = (block for block in blocks("yaml") if "accounts:" in block)
    (tmp_path / "reference.yaml").write_text(text, encoding="utf-8")
    (table,) = blocks("csv")
    (tmp_path / "reference.csv").write_text(table, encoding="utf-8")
    assert manifest.load([tmp_path]).problems == ()


def test_the_hook_that_is_named_exists() -> None:
    (text,) = (block for block in blocks("yaml") if "repos:" in block)
    ((named,),) = ([hook["id"] for hook in each["hooks"]] for each in yaml.safe_load(text)["repos"])
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["id"] == named


def test_every_field_of_the_manifest_is_described() -> None:
    account = schemas.load("manifest.v1")["$defs"]["account"]["properties"]
    for name in account:
        assert f"`{name}`" in README or f"`{name}." in README


def test_the_settings_of_several_parents_are_valid(tmp_path: Path) -> None:
    (text,) = (block for block in blocks("yaml") if "parents:" in block)
    (tmp_path / "provisioner.yaml").write_text(text)
    loaded = loading.load(tmp_path / "provisioner.yaml", {}, {})
    assert sorted(yaml.safe_load(text)["parents"]) == sorted(loaded.parents)
