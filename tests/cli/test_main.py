"""The command line as a whole: wrong ones, help, what it loads, and what many commands have in common."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from provisioner.cli.help import Command
from provisioner.cli.main import cli
from provisioner.model.verdict import SealedContent
from provisioner.state.sealing import AgeSealer
from tests.cli.steps import TWO, edit_manifest, put, run
from tests.conftest import NewProject, Project, SandboxProcess, environment
from tests.forks import COMMAND


def test_json_is_utf8_whatever_a_file_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.csv")).write_text("name,first_name,last_name\nParis,a,b\n")
    for environ in ({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}):
        command = [*COMMAND, "validate", "--format", "json", "manifests"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path) | environ, capture_output=True, check=False
        )
        (problem,) = json.loads(done.stdout.decode())["problems"]
        assert (3, "manifests/\\xff.csv") == (done.returncode, problem["file"])


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["plan", "--nonsense"], ["apply", "--limit", "many"], ["resolve"], ["plan", "--format", "xml"]],
)
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: ")
    assert "--help" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_command_line_in_json(tmp_path: Path) -> None:
    error = json.loads(run(tmp_path, "plan", "--format", "json", "--nonsense").stdout)["error"]
    assert (64, "CommandInvalid") == (error["code"], error["name"])
    error = json.loads(run(tmp_path, "plan", "--format=json").stdout)["error"]
    assert "no folder manifests/" in error["message"]


def loaded(folder: Path, *arguments: str) -> set[str]:
    """Return the names of all modules that the command loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "provisioner", *arguments],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_load_no_library(tmp_path: Path, flag: str) -> None:
    libraries = {name.partition(".")[0] for name in loaded(tmp_path, flag)}
    heavy = {"urllib3", "jsonschema", "jsonschema_rs", "pandas", "rich", "yaml", "tenacity", "pyrage"}
    assert set() == libraries & heavy


def test_a_plan_of_what_was_never_applied_loads_only_what_it_needs(tmp_path: Path) -> None:
    """What takes long there is the making of types: a module that creeps back in costs every plan."""
    (tmp_path / "m.yaml").write_text("version: 1\naccounts:\n  - {name: a, first_name: b, last_name: c}\n")
    names = loaded(tmp_path, "plan", "m.yaml")
    assert {"jsonschema_rs", "yaml", "provisioner.planner", "provisioner.model.plan"} <= names
    assert set() == names & {
        *("jsonschema", "logging", "markupsafe", "pandas", "pyrage", "rich", "ssl"),
        *("subprocess", "tenacity", "urllib3"),
        *("provisioner.model.exchange", "provisioner.model.report", "provisioner.model.verdict"),
        *("provisioner.render.html", "provisioner.render.markdown", "provisioner.render.report"),
        *("provisioner.executor", "provisioner.manifest.table", "provisioner.octopush", "provisioner.render.status"),
        *(f"provisioner.state.{each}" for each in ("rescue", "sealing", "session")),
    }


@pytest.mark.parametrize("arguments", [[], ["credentials"]])
def test_without_a_command_the_help_is_shown_as_it_is(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Usage: provisioner")
    assert "\\n" not in done.stderr


def test_a_mistyped_name_gets_the_nearest_one_as_a_hint(applied: Project) -> None:
    for command in (
        ["credentials", "show", "pariss"],
        ["credentials", "export", "pariss"],
        ["exec", "pariss", "--", "true"],
        ["verify", "pariss"],
        ["resolve", "pariss", "--abandon", "--yes"],
        ["forget", "pariss", "--yes"],
        ["rotate-password", "pariss", "--yes"],
    ):
        done = applied.run(*command)
        assert (64, True) == (done.returncode, "The state has no account pariss." in done.stderr)
        assert "Did you mean paris?" in done.stderr


def test_there_must_be_a_state(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    for command in (["forget", "rome"], ["forget", "rome", "--force"], ["rotate-password", "rome"], ["rekey"]):
        done = mine.run(*command, "--yes")
        assert (5, True) == (done.returncode, "There is no state" in done.stderr)
    assert not mine.state_path.exists()


def test_a_seal_without_credentials_is_reported_and_does_not_crash(applied: Project, server: SandboxProcess) -> None:
    state = applied.state()
    assert state is not None
    sealer, operation = AgeSealer(state.recipients), state.accounts["paris"].operation.id
    put(applied, "paris", sealer.seal(SealedContent(state.lineage, state.parent, "paris", operation)))
    asked = len(server.requests())
    edit_manifest(applied, "last_name: Crash", "last_name: Changed")
    for command in (["rotate-password", "paris"], ["forget", "paris"], ["adopt", "oslo", "abc@example.com"]):
        done = applied.run(*command, *(["--yes"] if command[0] != "adopt" else []))
        assert (command, 5, True) == (command, done.returncode, "contains no credentials" in done.stderr)
    assert asked == len(server.requests())
    # Of several, it alone is left.
    done = applied.run("apply", "--yes")
    assert (5, True) == (done.returncode, "contains no credentials" in done.stdout)
    assert "updated        rome" in done.stdout


def test_a_command_loads_only_what_it_needs(applied: Project) -> None:
    sending = {"requests", "urllib3", "tenacity", "pyrage"}
    for command, idle in (
        (("plan",), sending),
        (("status",), sending),
        (("apply", "--yes"), {"requests", "charset_normalizer", "tenacity", "rich", "pandas", "html"}),
    ):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "provisioner", *command],
            cwd=applied.folder, env=applied.environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert set() == loaded & idle


# ── Help ─────────────────────────────────────────────────────────────────────


def commands() -> dict[str, click.Command]:
    """Return every command and group, by the words that call it."""
    found: dict[str, click.Command] = {}
    left: list[tuple[str, click.Command]] = [("provisioner", cli)]
    while left:
        words, this = left.pop()
        found[words] = this
        if isinstance(this, click.Group):
            context = click.Context(this)
            left += [
                (f"{words} {name}", each)
                for name in this.list_commands(context)
                if (each := this.get_command(context, name))
            ]
    return found


def _arguments(this: click.Command) -> list[click.Parameter]:
    return [each for each in this.params if isinstance(each, click.Argument)]


COMMANDS = commands()


@pytest.mark.parametrize("words", COMMANDS)
def test_help_breaks_no_word_and_no_line_is_too_long(words: str) -> None:
    this = COMMANDS[words]

    def at(columns: int) -> str:
        return this.get_help(this.context_class(this, info_name=words, terminal_width=columns - 2))

    for columns in (60, 80):
        shown = at(columns)
        assert shown.startswith(f"Usage: {words} ")
        assert [] == [line for line in shown.splitlines() if len(line) > columns]
        assert at(1000).split() == shown.split()
    # A mark for click that was escaped, or one that it did not take.
    assert not set("\\\b\ue000") & set(shown)


@pytest.mark.parametrize("words", [words for words, each in COMMANDS.items() if _arguments(each)])
def test_every_command_with_arguments_has_valid_examples(words: str) -> None:
    this = COMMANDS[words]
    assert isinstance(this, Command)
    assert this.examples
    for example, _ in this.examples:
        (line,) = re.findall(rf"{words}\b([^>|)]*)", example)
        this.make_context(words, shlex.split(line))


def test_advanced_options_come_last() -> None:
    this = COMMANDS["provisioner plan"]
    shown = this.get_help(this.context_class(this))
    places = [
        shown.index(f"\n{each}")
        for each in ("Examples:", "Options:", "  --out FILE", "Advanced options:", "  --timeout")
    ]
    assert sorted(places) == places
