"""What a shell offers where a word is completed: names of the project, and files where files are wanted.

It needs no secret and no network. Whoever is typing hears nothing of what is wrong: the command
that they are about to run says it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from provisioner.project.project import Project

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_HARMLESS: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*", re.ASCII)
"""What a shell takes for a word and nothing else: it gets what is completed as if it had been typed."""


def accounts(*statuses: str, planned: bool = False) -> Complete:
    """Return what completes the name of an account in one of ``statuses``.

    With ``planned``, those that only a manifest has are offered too.
    """

    def found(this: click.Context, parameter: click.Parameter) -> Iterable[str]:
        given = {*_given(this, parameter.name)}
        names = _project(this).account_names(statuses, planned=planned, parents=this.params.get("parents") or ())
        return (name for name in names if name not in given)

    return _quiet(found)


def parents() -> Complete:
    """Return what completes the name of a parent."""
    return _quiet(lambda this, _: _project(this).settings.parents)


def words(found: Callable[[], Iterable[str]]) -> Complete:
    """Return what completes one of the words that are ``found``."""
    return _quiet(lambda _, __: found())


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]


def folders(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete the name of a folder."""
    return [CompletionItem(incomplete, type="dir")]


def _quiet(found: Callable[[click.Context, click.Parameter], Iterable[str]]) -> Complete:
    def complete(this: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            names = [*found(this, parameter)]
        except Exception:  # noqa: BLE001  # a trace would stand in the middle of the line that is being typed
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete) and _HARMLESS.fullmatch(name)]

    return complete


def _given(this: click.Context, name: str | None) -> Iterable[str]:
    value = this.params.get(name or "")
    return value if isinstance(value, tuple) else ()


def _project(this: click.Context) -> Project:
    from provisioner.project.project import Project  # no other completion opens one

    flags = {"state": this.params.get("state")}
    return Project.open(this.params.get("config"), environ=this.obj.environ, flags=flags, folder=Path())
