"""Options as typed parameters: the parameters of a command's function are its options, in the order of its help.

A parameter's annotation says how a person gives its value::

    @options.command("Free the slot of a deleted account.")
    def command(*, name: Annotated[str, argument()], force: Annotated[bool, "Do not check."]) -> int:

Those that several commands have stand here once. A module of a command must not postpone the
evaluation of its annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import click

from provisioner import schemas
from provisioner.cli import completion
from provisioner.cli.context import Context
from provisioner.cli.help import Command, Group, Option
from provisioner.cli.moments import since
from provisioner.immutable import immutable

if TYPE_CHECKING:
    from provisioner.model.shard import Shard

_KINDS: Final = {"integer": int, "number": float, "string": str}
_METAVARS: Final = {
    "encoding": "NAME", "proxy": "URL", "heartbeat_url": "URL", "ca_file": "FILE", "metrics_file": "FILE",
}  # fmt: skip
_PLAIN: Final = frozenset({"limit", "reserved", "max_creates", "max_updates"})
"""The settings whose options are not advanced."""
FILE: Final = click.Path(path_type=Path)
CONNECTION: Final = ("timeout", "attempts", "retry_budget", "retry_after_cap", "proxy", "ca_file")
"""The settings of every command that sends requests to Octopush."""
CREATION: Final = ("retry_on_429", "retry_on_503", "keep_going")
"""The settings of every command that creates accounts; a plan shows them too."""
APPLICATION: Final = ("encoding", *CONNECTION, *CREATION, "lock_timeout", "metrics_file", "heartbeat_url")
"""The settings of the commands that apply a plan, besides its bounds."""
WHEN: Final = "a date or time (UTC), or in the last 30m, 12h or 7d."


@immutable
class Declared:
    """An option, or an argument if it has no help; its name is that of its parameter, unless it has its own."""

    attributes: Mapping[str, Any]
    flags: tuple[str, ...] = ()
    name: str = ""

    def parameter(self, name: str, kind: object) -> click.Parameter:
        """Return what click needs to parse it."""
        name = self.name or name
        if "help" not in self.attributes:
            return click.Argument([name], **self.attributes)
        flags = self.flags or (f"--{name.replace('_', '-')}",)
        return Option([name, *flags], **{**_OF_TYPE.get(kind, {}), **self.attributes})


def command(
    words: str | None = None,
    *,
    of: Group | None = None,
    **attributes: Any,  # noqa: ANN401  # click's
) -> Callable[[Callable[..., int | None]], Command]:
    """Make a function a command, ``words`` its short help, and its docstring its help.

    In the group ``of``, it has the name of its function. It returns its exit code, or None for 0.
    """

    def made(function: Callable[..., int | None]) -> Command:
        parameters: list[click.Parameter] = []
        flags: list[str] = []
        for parameter, annotation in function.__annotations__.items():
            for metadata in () if parameter == "return" or annotation is Context else annotation.__metadata__:
                if isinstance(metadata, tuple):
                    parameters += (each.parameter("", None) for each in metadata)
                    flags += (each.name for each in metadata)
                else:
                    declared = option(metadata) if isinstance(metadata, str) else metadata
                    parameters.append(declared.parameter(parameter, annotation.__origin__))

        def run(**values: Any) -> int | None:  # noqa: ANN401  # each parameter has its own type
            own = {each: values.pop(each) for each in flags}
            context = click.get_current_context().ensure_object(Context)
            return function(context=replace(context, config=own.pop("config", None), flags=own), **values)

        name = function.__name__.rstrip("_")
        this = Command(
            name=name, callback=run, params=parameters, help=function.__doc__, short_help=words, **attributes
        )
        if of is not None:
            of.add_command(this)
        return this

    return made


def settings(*names: str) -> tuple[Declared, ...]:
    """Declare the options of a command that opens a project: where it is, and the settings in ``names``.

    Their types and help come from the schema of the settings. The command finds them in its context.
    """
    return (_CONFIG, _STATE, *map(_setting, names))


def argument(**attributes: object) -> Declared:
    """Declare an argument."""
    return Declared(attributes)


def account(*statuses: str, **attributes: object) -> Declared:
    """Declare an argument that names an account; a shell offers those in one of ``statuses``."""
    return argument(shell_complete=completion.accounts(*statuses), **attributes)


def option(words: str, *flags: str, name: str = "", **attributes: object) -> Declared:
    """Declare an option, ``words`` its help; a text alone declares an option too."""
    return Declared({"help": words, **attributes}, flags, name)


def formats(*names: str) -> Declared:
    """Declare ``--format``; the first of ``names`` is the default."""
    words = "The format of standard output."
    return option(words, "--format", type=click.Choice(names), default=names[0], show_default=True)


def _setting(name: str) -> Declared:
    known = schemas.load("config.v1")
    schema = known["properties"][name]
    if "$ref" in schema:
        schema = known["$defs"][schema["$ref"].rpartition("/")[2]]
    words = schema["description"] + (f" [default: {schema['default']}]" if schema.get("default") else "")
    advanced = name not in _PLAIN
    if schema["type"] == "boolean":
        flag = f"--{name.replace('_', '-')}"
        return option(words, f"{flag}/--no-{flag[2:]}", name=name, default=None, advanced=advanced)
    metavar = _METAVARS.get(name, {"integer": "N", "number": "SECONDS"}.get(schema["type"]))
    completed = completion.files if name.endswith("_file") else None
    return option(
        words, name=name, type=_KINDS[schema["type"]], metavar=metavar, shell_complete=completed, advanced=advanced
    )


def _shard(_: click.Context, __: click.Parameter, text: str | None) -> Shard | None:
    from provisioner.model.shard import Shard  # noqa: PLC0415  # --help needs no shard

    return None if text is None else Shard.parse(text)


_OF_TYPE: Final[Mapping[object, Mapping[str, Any]]] = {
    bool: {"is_flag": True},
    Path | None: {"type": FILE, "metavar": "FILE"},
    tuple[Path, ...]: {"type": FILE, "metavar": "FILE", "multiple": True},
    tuple[str, ...]: {"multiple": True},
}
"""What the type of a parameter says about its option."""
_CONFIG: Final = option(
    "The settings file [default: provisioner.yaml].", name="config", type=FILE, metavar="FILE", advanced=True
)
_STATE: Final = option(
    "The place of each state; {parent} stands for the parent's name.",
    name="state", metavar="PATH", shell_complete=completion.files, advanced=True,
)  # fmt: skip
_LOG_FORMAT: Final = option(
    "The format of standard error: text, or one JSON object per line.",
    name="log_format", type=click.Choice(["text", "json"]), default="text", envvar="PROVISIONER_LOG_FORMAT",
    expose_value=False,  # it takes effect before the command line is parsed
    advanced=True,
)  # fmt: skip
_IN_PARALLEL: Final = click.IntRange(1, 256)
_PER_SECOND: Final = click.IntRange(1, 1000)

Output: TypeAlias = Annotated[str, formats("text", "json")]
LoggedOutput: TypeAlias = Annotated[str, formats("text", "json"), _LOG_FORMAT]
"""The formats of standard output and of standard error."""
Manifests: TypeAlias = Annotated[tuple[Path, ...], argument(nargs=-1, type=FILE, metavar="[MANIFEST]...")]
Names: TypeAlias = Annotated[tuple[str, ...], account("active", nargs=-1, metavar="[NAME]...")]
Parents: TypeAlias = Annotated[
    tuple[str, ...],
    option(
        "Only this parent; may be repeated [default: all].", "--parent",
        metavar="NAME", shell_complete=completion.parents(),
    ),
]  # fmt: skip
Shards: TypeAlias = Annotated[
    "Shard | None",
    option(
        "Only the parents of shard I of N, to divide the work among several runs.",
        metavar="I/N", callback=_shard, advanced=True,
    ),
]  # fmt: skip
Only: TypeAlias = Annotated[
    tuple[str, ...],
    option(
        "Only this account; may be repeated [default: all]. Slots still count all accounts.",
        metavar="NAME", shell_complete=completion.accounts(planned=True),
    ),
]  # fmt: skip
Since: TypeAlias = Annotated[datetime | None, option(f"Only since {WHEN}", metavar="WHEN", callback=since)]
Created: TypeAlias = Annotated[
    datetime | None, option(f"Only accounts created since {WHEN}", metavar="WHEN", callback=since)
]
Jobs: TypeAlias = Annotated[
    int,
    option(
        "How many parents to work on in parallel.",
        type=_IN_PARALLEL, metavar="N", default=8, show_default=True, advanced=True,
    ),
]  # fmt: skip
Rate: TypeAlias = Annotated[
    int,
    option(
        "The most requests to start per second, over all parents.",
        type=_PER_SECOND, metavar="N", default=20, show_default=True, advanced=True,
    ),
]  # fmt: skip
ApplyRate: TypeAlias = Annotated[
    int | None,
    option(
        "The most requests to start per second, over all parents [default: no limit].",
        type=_PER_SECOND, metavar="N", advanced=True,
    ),
]  # fmt: skip
Cluster: TypeAlias = Annotated[
    str | None,
    option(
        "Apply on the workers of this cluster. Each needs a copy of the project, and its own credentials.",
        "--executor", metavar="dask://HOST:PORT", advanced=True,
    ),
]  # fmt: skip
Report: TypeAlias = Annotated[Path | None, option("Also write the JSON report, or the error, to FILE.", advanced=True)]
Refresh: TypeAlias = Annotated[bool, "Read every account at Octopush first; this needs an identity."]
Yes: TypeAlias = Annotated[bool, option("Do not ask; required if there is no terminal.", "--yes", "-y")]
NewState: TypeAlias = Annotated[
    bool, "Begin a state if there is none. With --plan, or if nobody is asked, only this option allows that (else 5)."
]
Compact: TypeAlias = Annotated[
    bool | None,
    option(
        "Show each account to create on one line, in text and Markdown [default: if there are more than 20].",
        "--compact/--no-compact", default=None,
    ),
]  # fmt: skip
