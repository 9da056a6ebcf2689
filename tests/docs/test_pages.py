"""Every command of README and docs/ is run, in order, as it is written, and prints what the page shows."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import pytest
import yaml

from provisioner import manifest, schemas
from provisioner.manifest import logins
from provisioner.settings import loading
from tests.docs import pages, scenes
from tests.docs.pages import PAGES, ROOT, Block
from tests.docs.reader import Reader, reading

NOT_RUN: Final[dict[tuple[str, str], str]] = {
    ("docs/contributing.md", "text"): "it lists folders",
    ("docs/design.md", "text"): "it draws the life of an account, and the layers",
    ("docs/stores.md", "sh"): "they need a server or a remote: tests/state, tests/project and tests/cli have them",
    ("docs/stores.md", "sql"): "a server runs it in tests/state/stores/test_postgres.py",
    ("docs/stores.md", ""): "it lists what is in a bucket",
}
"""The kinds of blocks that no test here runs or reads, and why."""

_SETTINGS: Final = frozenset(schemas.load("config.v1")["properties"])


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(block.language == "console" for block in pages.blocks(page))], ids=pages.name
)
def test_every_command_works(page: Path, tmp_path: Path) -> None:
    with reading(tmp_path) as reader:
        if page != ROOT / "README.md":
            scenes.project(reader)
        for block in pages.blocks(page):
            follow(reader, block)


def follow(reader: Reader, block: Block) -> None:
    """Do what a block asks for, and compare what comes of it with what it shows."""
    for scene in block.scenes:
        name, *arguments = scene.split()
        getattr(scenes, name)(reader, *arguments)
    reader.writes(block)
    steps = block.steps() if block.language == "console" else []
    for number, (command, shown) in enumerate(steps, 1):
        expected = block.exit_code if number == len(steps) else 0
        code, said = reader.runs(command)
        assert (command, code, said) == (command, expected, said)
        assert_shown(command, shown, said)


def assert_shown(command: str, shown: list[str], said: str) -> None:
    """Check that a page shows, in their order, lines that the command printed; ``…`` stands for anything."""
    lines = iter([" ".join(line.split()) for line in said.splitlines()])
    for line in shown:
        pattern = re.sub(r"([*?[])", r"[\1]", " ".join(line.split())).replace("…", "*")
        assert any(fnmatchcase(each, pattern) for each in lines), f"{command}: {line}\n\n{said}"


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in pages.links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in pages.anchors(target), f"{path}#{anchor}"


def test_every_block_is_run_or_read_or_says_why_not() -> None:
    found = {
        (pages.name(page), block.language)
        for page in PAGES
        for block in pages.blocks(page)
        if block.file is None and block.language not in {"console", "yaml", "csv", "python"}
    }
    assert found == NOT_RUN.keys()


@pytest.mark.parametrize(
    "text", [block.text for page in PAGES for block in pages.blocks(page) if block.language in {"yaml", "csv"}]
)
def test_every_example_of_a_document_is_valid(text: str, tmp_path: Path) -> None:
    document = yaml.safe_load(text) if ": " in text.partition("\n")[0] or ":\n" in text else None
    if document is None or "accounts" in document:
        path = tmp_path / ("example.csv" if document is None else "example.yaml")
        path.write_text(text, encoding="utf-8")
        accepted = manifest.load([path]) if "first_name" in text else logins.read(path)
        assert accepted.problems == ()
    elif "repos" in document:
        ((named,),) = ([hook["id"] for hook in each["hooks"]] for each in document["repos"])
        (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
        assert hook["id"] == named
    else:
        (tmp_path / "provisioner.yaml").write_text(text, encoding="utf-8")
        assert document.keys() <= _SETTINGS
        assert loading.load(tmp_path / "provisioner.yaml", {}, {}).parents


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
