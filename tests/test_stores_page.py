"""docs/stores.md: what it says of git is done, word for word and in its order."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.conftest import NewProject, Project, StartSandbox
from tests.state.stores.remotes import GIT, git, new_remote

PAGE: Final = (Path(__file__).resolve().parents[1] / "docs" / "stores.md").read_text(encoding="utf-8")


def chapter(title: str) -> str:
    """Return the text of a chapter."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


def commands(title: str) -> list[str]:
    """Return the commands of a chapter."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", chapter(title), re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("provisioner ")]


def done(mine: Project, command: str) -> subprocess.CompletedProcess[str]:
    """Do what a person types, at no terminal."""
    words = shlex.split(command)[1:]
    out = words.index(">") if ">" in words else len(words)
    asks = ["--yes"] if words[:2] == ["state", "push"] else []
    finished = mine.run(*words[:out], *asks)
    if ">" in words:
        (mine.folder / words[out + 1]).write_text(finished.stdout)
    return finished


def test_the_page_about_stores_can_be_followed_for_git(
    sandbox: StartSandbox, project: NewProject, tmp_path: Path
) -> None:
    mine = project(sandbox(), ("paris",))
    git(mine.folder, "init", "--quiet")
    git(mine.folder, "remote", "add", "origin", str(new_remote(tmp_path / "remote.git")))
    mine = replace(mine, environ={**mine.environ, **GIT})
    assert 0 == mine.run("apply", "--yes", "--new-state").returncode

    (setting,) = re.findall(r"^```yaml\n(.*?)^```", chapter("In git"), re.MULTILINE | re.DOTALL)
    (mine.folder / "provisioner.yaml").write_text(setting)
    (migrate,) = commands("Moving a state")
    moved = done(mine, migrate)
    assert (0, True) == (moved.returncode, "has moved from" in moved.stderr), moved.stderr
    assert "moved_to" in mine.state_path.read_text()

    (history,) = commands("In git")
    assert ["SERIAL", "2"] == [line.split()[0] for line in done(mine, history).stdout.splitlines()]
    show, push = commands("Putting a state back")
    assert [0, 0] == [done(mine, command).returncode for command in (show, push)]
    assert "1 unchanged" in mine.run("plan").stdout

    (unlock,) = commands("Who is at work")
    refused = done(mine, unlock)
    assert (64, True) == (refused.returncode, "No run holds git:origin/" in refused.stderr), refused.stderr
