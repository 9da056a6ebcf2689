"""The commands about accounts that exist: what is known, what is sealed, and what a person decides."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from provisioner import config, executor
from provisioner.cli import holding, terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.errors import CommandInvalid, ExitCode, StateConflict
from provisioner.model.state import Active, State
from provisioner.model.verdict import SealedContent
from provisioner.render import credentials as faces
from provisioner.render import documents, text
from provisioner.state import rescue
from provisioner.state.disk import Disk, write_atomically
from provisioner.state.sealing import AgeOpener, parse_identities


def status(options: Options) -> int:
    """Print the accounts of every parent's state."""
    settings = wiring.settings(options)
    found = [(parent, wiring.stored(settings, parent)) for parent in sorted(settings.parents)]
    if options["output"] == "json":
        terminal.document(documents.states(found))
    else:
        for parent, state in found:
            terminal.lines(text.status(parent, state, str(settings.state_path(parent))))
    return ExitCode.DONE


def show(options: Options) -> int:
    """Print one account's credentials, or what little is kept of one whose outcome is unknown."""
    (content,) = _opened(options, [options["name"]])
    if options["output"] == "json":
        terminal.data(faces.as_json([content]))
    else:
        # Never wrapped at a terminal's edge: these are there to be copied.
        terminal.data("".join(f"{line.text}\n" for line in faces.as_text(content)))
    if content.credentials is None:
        terminal.warn(
            f"the outcome of {options['name']} is unknown: this is what was kept of it, not credentials that are known"
            " to work."
        )
    return ExitCode.DONE


def list_masked(options: Options) -> int:
    """Print the logins of all active accounts."""
    terminal.lines(faces.masked(_opened(options, ())))
    return ExitCode.DONE


def export(options: Options) -> int:
    """Write credentials in clear, to standard output or to a file of the user's alone."""
    opened = _opened(options, options["names"])
    doubtful = [each.name for each in opened if each.credentials is None]
    if doubtful:
        raise StateConflict(
            f"There are no credentials of {', '.join(doubtful)}: nobody knows how its creation ended.",
            hint="`provisioner credentials show NAME` shows what was kept. Nothing was exported.",
        )
    face = {"env": faces.as_env, "json": faces.as_json, "csv": faces.as_csv}[options["output"]]
    content = face(opened)
    if options["output"] == "csv" and (altered := faces.altered_by_csv(opened)):
        terminal.warn(f"an apostrophe stands before a value of {', '.join(altered)}, so that it is no formula.")
    _deliver(content, options["out"])
    return ExitCode.DONE


def resolve(options: Options) -> int:
    """End one unknown outcome as a person decides."""
    name, abandon = options["name"], options["abandon"]
    if abandon == options["not_created"]:
        raise CommandInvalid(
            "Say how it ended with one of --not-created and --abandon.",
            hint="Look in Octopush's dashboard first: --not-created frees the slot, and the next apply creates it.",
        )
    settings = wiring.settings(options)
    with holding.held(settings, options["parent"]) as session:
        state = _existing(session.state, options["parent"])
        after = executor.resolve(state, name, abandon=abandon)
        if abandon:
            _confirm(f"Give {name} up for good? It keeps its slot.", yes=options["yes"])
        else:
            _confirm(f"Are you sure that {name} does not exist? Its slot will be free again.", yes=options["yes"])
        session.save(after)
    if abandon:
        terminal.talk(f"{name} is given up; it keeps its slot.")
    else:
        terminal.talk(f"{name} does not exist; its slot is free, and the next apply creates it.")
    return ExitCode.DONE


def recover(options: Options) -> int:
    """Put back what was rescued; opening the session does it for what lies beside the state."""
    settings = wiring.settings(options)
    parent = options["parent"]
    if options["accept_state"]:
        _confirm("This state is the right one, whatever this machine has seen before?", yes=options["yes"])
    entries: tuple[rescue.Entry, ...] = ()
    if options["log"] is not None:
        entries = rescue.found_in(options["log"].read(), options["log"].name)
        if not entries:
            raise CommandInvalid(
                f"There is no rescued outcome in {options['log'].name}.",
                hint=f"It is a line that holds {rescue.MARK}, as the run printed it.",
            )
    with holding.held(settings, parent, accept=options["accept_state"]) as session:
        session.put_back(entries)
        state = session.state
    for entry in entries:
        terminal.talk(f"{entry.name} is back in the state.")
    terminal.lines(text.status(parent, state, str(settings.state_path(parent))))
    return ExitCode.DONE


def _opened(options: Options, names: Sequence[str]) -> list[SealedContent]:
    """Open the records of ``names``, or of all active accounts where none is named."""
    settings = wiring.settings(options)
    state = _existing(wiring.stored(settings, options["parent"]), options["parent"])
    missing = [name for name in names if name not in state.accounts]
    if missing:
        raise CommandInvalid(
            f"The state has no account {', '.join(missing)}.", hint="`provisioner status` lists those that it has."
        )
    wanted = names or [name for name, record in sorted(state.accounts.items()) if isinstance(record, Active)]
    text, source = config.identity(settings, os.environ, wiring.default_identity())
    opener = AgeOpener(parse_identities(text, source))
    opened = []
    for name in wanted:
        sealed = state.accounts[name].sealed
        if sealed is None:
            raise StateConflict(f"Nothing is kept of {name}.", hint="Its outcome is unknown: see `provisioner status`.")
        opened.append(opener.open(sealed, lineage=state.lineage, parent=state.parent, name=name))
    return opened


def _existing(state: State | None, parent: str) -> State:
    if state is None:
        raise StateConflict(
            f"There is no state of the parent {parent} yet.", hint="Check --state, or run `provisioner apply` first."
        )
    return state


def _deliver(content: str, out: Path | None) -> None:
    if out is None:
        terminal.data(content)
        return
    try:
        write_atomically(out, content.encode(), Disk())
    except OSError as error:
        raise CommandInvalid(
            f"{out} cannot be written: {error.strerror or error}.", hint="Name a file in a folder that is writable."
        ) from error
    terminal.talk(f"Written to {out}, readable by you alone.")


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not terminal.is_interactive():
        raise CommandInvalid("There is no terminal to ask on.", hint="Add --yes once you are sure.")
    click.confirm(question, abort=True, err=True)
