"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from provisioner import schemas
from provisioner.cli import completion
from provisioner.errors import CommandInvalid
from provisioner.immutable import immutable

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.model.shard import Shard
    from provisioner.project.project import Project
    from provisioner.project.spreading import Cluster

_Command = TypeVar("_Command", bound=Callable[..., Any])
_KINDS: Final = {"integer": int, "number": float, "string": str}
_METAVARS: Final = {
    "encoding": "NAME", "proxy": "URL", "heartbeat_url": "URL", "ca_file": "FILE", "metrics_file": "FILE",
}  # fmt: skip
FILE: Final = click.Path(path_type=Path)
CONNECTION: Final = ("timeout", "attempts", "retry_budget", "retry_after_cap", "proxy", "ca_file")
"""The settings of every command that sends requests to Octopush."""
CREATION: Final = ("retry_on_429", "retry_on_503", "keep_going")
"""The settings of every command that creates accounts; a plan shows them too."""
_MOST_JOBS: Final = 256


@immutable
class Context:
    """The console and environment that every command gets."""

    console: Console
    environ: Mapping[str, str]


pass_context = click.make_pass_decorator(Context)


@immutable
class Choice:
    """The project to open, and the settings that flags override."""

    config: Path | None
    flags: Mapping[str, object]

    def open(self, context: Context) -> Project:
        """Return the project; raises SettingInvalid."""
        from provisioner.project.project import Project  # noqa: PLC0415  # --help opens no project

        try:
            Path.cwd()
        except FileNotFoundError:
            raise CommandInvalid(
                "The current folder no longer exists.", hint="Change to an existing folder, and run the command again."
            ) from None
        interactive = context.console.is_interactive
        # Another settings file does not change the folder that paths are relative to.
        return Project.open(
            self.config, environ=context.environ, flags=self.flags, folder=Path(), interactive=interactive
        )


@contextmanager
def cluster_at(address: str | None, choice: Choice) -> Iterator[Cluster | None]:
    """Connect to the cluster that ``--executor`` names, if any; raises SettingInvalid."""
    if address is None:
        yield None
        return
    from provisioner.project import worker  # noqa: PLC0415  # most runs use no cluster

    with worker.opened(address, choice.config, choice.flags) as cluster:
        yield cluster


def project(*tuning: str) -> Callable[[_Command], _Command]:
    """Add the options of a command that opens a project, and those of the ``tuning`` settings that it uses.

    The command gets them as one argument, ``choice``. Their types and help come from the
    schema of the settings.
    """
    names = ("state", *tuning)

    def add(command: _Command) -> _Command:
        @functools.wraps(command)
        def called(*arguments: object, config: Path | None, **options: object) -> object:
            flags = {name: options.pop(name) for name in names}
            return command(*arguments, choice=Choice(config, flags), **options)

        with_options = cast("_Command", called)
        for name in reversed(tuning):
            with_options = _tuning(name)(with_options)
        with_options = click.option(
            "--state", metavar="PATH", shell_complete=completion.files,
            help="The place of each state; {parent} stands for the parent's name.",
        )(with_options)  # fmt: skip
        return click.option(
            "--config", type=FILE, metavar="FILE", help="The settings file [default: provisioner.yaml]."
        )(with_options)

    return add


def _tuning(name: str) -> Callable[[_Command], _Command]:
    known = schemas.load("config.v1")
    schema = known["properties"][name]
    if "$ref" in schema:
        schema = known["$defs"][schema["$ref"].rpartition("/")[2]]
    flag = "--" + name.replace("_", "-")
    words = schema["description"] + (f" [default: {schema['default']}]" if schema.get("default") else "")
    if schema["type"] == "boolean":
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=words)
    names_file = completion.files if name.endswith("_file") else None
    metavar = _METAVARS.get(name, {"integer": "N", "number": "SECONDS"}.get(schema["type"]))
    return click.option(flag, name, type=_KINDS[schema["type"]], metavar=metavar, help=words, shell_complete=names_file)


def output(*formats: str, words: str = "The format of standard output.") -> Callable[[_Command], _Command]:
    """Add ``--format``; the command gets it as ``output``."""
    return click.option(
        "--format", "output", type=click.Choice(formats), default=formats[0], show_default=True, help=words
    )


def _shard(text: str | None) -> Shard | None:
    from provisioner.model.shard import Shard  # noqa: PLC0415  # --help needs no shard

    return None if text is None else Shard.parse(text)


parents = click.option(
    "--parent", "parents", metavar="NAME", multiple=True, shell_complete=completion.parents(),
    help="Only this parent; may be repeated [default: all].",
)  # fmt: skip
shard = click.option(
    "--shard", metavar="I/N", callback=lambda _, __, text: _shard(text),
    help="Only the parents of shard I of N, to divide the work among several runs.",
)  # fmt: skip
only = click.option(
    "--only", metavar="NAME", multiple=True, shell_complete=completion.accounts(planned=True),
    help="Only this account; may be repeated [default: all]. Slots still count all accounts.",
)  # fmt: skip
jobs = click.option(
    "--jobs",
    type=click.IntRange(1, _MOST_JOBS),
    metavar="N",
    default=8,
    show_default=True,
    help="How many parents to work on in parallel.",
)
rate = click.option(
    "--rate", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True,
    help="The most requests to start per second, over all parents.",
)  # fmt: skip
apply_rate = click.option(
    "--rate", type=click.IntRange(1, 1000), metavar="N",
    help="The most requests to start per second, over all parents [default: no limit].",
)  # fmt: skip
refresh = click.option("--refresh", is_flag=True, help="Read every account at Octopush first; this needs an identity.")
log_format = click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", envvar="PROVISIONER_LOG_FORMAT",
    expose_value=False,  # it takes effect before the command line is parsed
    help="The format of standard error: text, or one JSON object per line.",
)  # fmt: skip
report = click.option("--report", type=FILE, metavar="FILE", help="Also write the JSON report, or the error, to FILE.")
cluster = click.option(
    "--executor", "cluster", metavar="dask://HOST:PORT",
    help="Apply on the workers of this cluster. Each needs a copy of the project, and its own credentials.",
)  # fmt: skip
manifests = click.argument("manifests", nargs=-1, type=FILE, metavar="[MANIFEST]...")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask; required if there is no terminal.")
new_state = click.option(
    "--new-state", is_flag=True,
    help="Begin a state if there is none. With --plan, or if nobody is asked, only this option allows that (else 5).",
)  # fmt: skip
compact = click.option(
    "--compact/--no-compact", default=None,
    help="Show each account to create on one line, in text and Markdown [default: if there are more than 20].",
)  # fmt: skip
detailed = click.option("--detailed-exitcode", "detailed", is_flag=True, help="Exit with 2 if changes are pending.")
