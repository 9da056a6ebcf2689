"""The layout of ``--help``: lines break only at spaces, examples come first, advanced options last.

Imports only click, so that help appears at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

Rows = Sequence[tuple[str, str]]
Table = tuple[str, Rows]
"""A title and the rows below it."""

_HYPHEN: Final = "\ue000"
"""Replaces a hyphen while lines are wrapped, because a command or an option is one word."""
_NARROW: Final = 72
"""Up to this many columns, the terms get a narrower column."""
_WIDEST, _WIDEST_IF_NARROW = 26, 16
"""The widest column for terms; a wider term gets a line of its own."""
_LONGEST: Final = 500
"""Enough characters for every command's short help."""


class Option(click.Option):
    """An option; an ``advanced`` one comes last in the help."""

    def __init__(self, *declared: Any, advanced: bool = False, **attributes: Any) -> None:  # noqa: ANN401  # click's
        super().__init__(*declared, **attributes)
        self.advanced = advanced


class _Formatter(click.HelpFormatter):
    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, _whole(args), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(_whole(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = _WIDEST, col_spacing: int = 2) -> None:
        widest = min(col_max, _WIDEST_IF_NARROW if self.width < _NARROW else _WIDEST)
        super().write_dl([(first, _whole(second)) for first, second in rows], widest, col_spacing)

    def write(self, string: str) -> None:
        super().write(string.replace(_HYPHEN, "-"))


def _whole(text: str) -> str:
    return text.replace("-", _HYPHEN)


class _Context(click.Context):
    formatter_class = _Formatter


class Command(click.Command):
    """A command whose help has ``examples``, each with a description, and a ``table``."""

    context_class = _Context

    def __init__(self, *, examples: Rows = (), table: Table = ("", ()), **options: Any) -> None:  # noqa: ANN401  # click's
        super().__init__(**options)
        self.examples = examples
        self.table = table

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, the options, the commands of a group, the table, and last the advanced options."""
        if self.examples:
            with formatter.section("Examples"):
                for words, what in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{words}\n")
                    with formatter.indentation(), formatter.indentation():
                        formatter.write_text(what)
        _write_rows("Options", _options(self, ctx, advanced=False), formatter)
        _write_rows("Commands", self.subcommands(ctx), formatter)
        _write_rows(*self.table, formatter)
        _write_rows("Advanced options", _options(self, ctx, advanced=True), formatter)

    def subcommands(self, ctx: click.Context) -> Rows:
        """Return the name and the whole short help of each command of a group."""
        del ctx
        return ()


class Group(Command, click.Group):
    """A group of commands."""

    def subcommands(self, ctx: click.Context) -> Rows:
        """See :class:`Command`."""
        known = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        return [(name, each.get_short_help_str(_LONGEST)) for name, each in known if each is not None]


def _options(this: click.Command, ctx: click.Context, *, advanced: bool) -> Rows:
    options = (each for each in this.get_params(ctx) if isinstance(each, click.Option))
    chosen = (each for each in options if getattr(each, "advanced", False) is advanced)  # --help is click's own
    return [row for each in chosen if (row := each.get_help_record(ctx)) is not None]


def _write_rows(title: str, rows: Rows, formatter: click.HelpFormatter) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)
