"""Shell completion: names from the project, and files where an option takes a file.

Needs no secret and no network, and reports no errors while somebody is typing: the command
that they are about to run does that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from provisioner.project.project import Project

    Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_HARMLESS: Final = r"(?a)[a-zA-Z0-9][a-zA-Z0-9._-]*"
"""Names that are one plain word for any shell: it inserts a completion as if it had been typed."""


def accounts(*statuses: str, planned: bool = False) -> Complete:
    """Complete the names of accounts in one of ``statuses``, and with ``planned`` those that only a manifest has."""

    def found(this: click.Context, parameter: click.Parameter) -> Iterable[str]:
        given = {*_given(this, parameter.name)}
        names = _project(this).account_names(statuses, planned=planned, parents=this.params.get("parents") or ())
        return (name for name in names if name not in given)

    return _quiet(found)


def parents() -> Complete:
    """Complete the names of parents."""
    return _quiet(lambda this, _: _project(this).settings.parents)


def words(found: Callable[[], Iterable[str]]) -> Complete:
    """Complete the words that ``found`` returns."""
    return _quiet(lambda _, __: found())


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the name of a file."""
    return [_item(incomplete, "file")]


def folders(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the name of a folder."""
    return [_item(incomplete, "dir")]


def _quiet(found: Callable[[click.Context, click.Parameter], Iterable[str]]) -> Complete:
    def complete(this: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            names = [*found(this, parameter)]
        except Exception:  # noqa: BLE001  # a traceback would appear in the line that is being typed
            return []
        return [_item(name) for name in names if name.startswith(incomplete) and re.fullmatch(_HARMLESS, name)]

    return complete


def _item(word: str, kind: str = "plain") -> CompletionItem:
    from click.shell_completion import CompletionItem  # only a shell that completes a word needs it

    return CompletionItem(word, type=kind)


def _given(this: click.Context, name: str | None) -> Iterable[str]:
    value = this.params.get(name or "")
    return value if isinstance(value, tuple) else ()


def _project(this: click.Context) -> Project:
    from provisioner.project.project import Project  # only these completions open a project

    flags = {"state": this.params.get("state")}
    # Somebody is typing, although a shell takes what we print: names do not depend on a list of placeholders.
    return Project.open(
        this.params.get("config"), environ=this.obj.environ, flags=flags, folder=Path(), interactive=True
    )
