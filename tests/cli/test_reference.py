"""The commands that explain, and the faces of plans and problems for a reviewer."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import click
import pytest

from provisioner import errors
from provisioner.cli.main import cli
from provisioner.errors import MEANINGS, ExitCode, ProvisionerError
from tests import forks
from tests.conftest import COMMAND, NewProject, StartSandbox, environment


def said(arguments: list[str], home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in an empty folder."""
    return forks.command(arguments, home, environment(home) | more)


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_explained(tmp_path: Path, code: ExitCode) -> None:
    done = said(["explain", str(int(code))], tmp_path)
    assert 0 == done.returncode
    assert f"Exit code {int(code)}: {MEANINGS[code][0]}." == done.stdout.splitlines()[0]


def test_every_error_is_explained_by_its_name_in_any_case(tmp_path: Path) -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ProvisionerError)]
    for kind in kinds:
        if kind is not ProvisionerError:
            done = said(["explain", kind.__name__.upper()], tmp_path)
            assert f"{kind.__name__}: " == done.stdout[: len(kind.__name__) + 2]
            assert f"exit code {int(kind.exit_code)}: " in done.stdout


@pytest.mark.parametrize(
    ("what", "hint"),
    [("StateLoked", "Did you mean StateLocked?"), ("11", "Known errors: "), ("²", "Known errors: ")],
)
def test_what_is_no_code_and_no_error_is_said_to_be_none(tmp_path: Path, what: str, hint: str) -> None:
    done = said(["explain", what], tmp_path)
    assert (64, "") == (done.returncode, done.stdout)
    assert f"{what} is not an exit code or an error of this program." in done.stderr
    assert hint in done.stderr


def test_every_help_is_text_for_people(tmp_path: Path) -> None:
    groups: list[tuple[list[str], click.Group]] = [([], cli)]
    for words, group in groups:
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                groups.append(([*words, name], command))
            done = said([*words, name, "--help"], tmp_path)
            assert (0, "Usage: provisioner") == (done.returncode, done.stdout[:18])
            # A mark for click that was escaped, or one that it did not take.
            assert not set("\\\b") & set(done.stdout)


@pytest.mark.parametrize(
    "name", ["manifest", "config", "state", "plan", "report", "status", "problems", "credentials", "error"]
)
def test_a_schema_is_printed_as_it_stands_in_its_file(tmp_path: Path, name: str) -> None:
    done = said(["schema", name], tmp_path)
    path = Path(__file__).parents[2] / "schemas" / f"{name}.v1.schema.json"
    assert (0, path.read_text(encoding="utf-8")) == (done.returncode, done.stdout)
    assert said(["schema"], tmp_path).stdout == said(["schema", "manifest"], tmp_path).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_names_the_command(tmp_path: Path, shell: str) -> None:
    done = said(["completion", shell], tmp_path)
    assert 0 == done.returncode
    assert "_PROVISIONER_COMPLETE" in done.stdout


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    asked = {"COMP_WORDS": "provisioner re", "COMP_CWORD": "1", "_PROVISIONER_COMPLETE": "bash_complete"}
    done = said([], tmp_path, **asked)
    assert {"plain,reconcile", "plain,recover", "plain,refresh", "plain,rekey", "plain,resolve"} == set(
        done.stdout.split()
    )


def test_a_reviewer_gets_the_plan_as_markdown_and_html_with_one_number(
    sandbox: StartSandbox, project: NewProject
) -> None:
    mine = project(sandbox(), ("athens", "berlin"))
    markdown = mine.run("plan", "--format", "markdown").stdout
    html = mine.run("plan", "--format", "html").stdout
    assert "## `default`: 0 of 20 slots used, 2 planned, 18 left" in markdown
    assert "| **create** | 2 | `athens`, `berlin` |" in markdown
    assert html.startswith("<!DOCTYPE html>")
    number = markdown.rpartition("Plan `")[2].partition("`")[0]
    assert len(number) == 64
    assert number in html
    assert number == mine.run("plan", "--format", "markdown").stdout.rpartition("Plan `")[2].partition("`")[0]


def test_problems_stand_beside_their_lines(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox(), ("athens",))
    (mine.folder / "manifests" / "bad.yaml").write_text("version: 1\naccounts:\n  - name: Oslo\n")
    github = mine.run("validate", "--format", "github")
    gitlab = mine.run("validate", "--format", "gitlab")
    assert (3, 3) == (github.returncode, gitlab.returncode)
    assert "::error file=manifests/bad.yaml,line=3," in github.stdout
    places = [each["location"] for each in json.loads(gitlab.stdout)]
    assert {"path": "manifests/bad.yaml", "lines": {"begin": 3}} in places


def test_the_page_is_written_whatever_the_terminal_can_spell(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox(), ("athens",))
    done = subprocess.run(
        [*COMMAND, "plan", "--format", "html"],
        cwd=mine.folder,
        env={**mine.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode
    assert done.stdout.decode().startswith("<!DOCTYPE html>")
