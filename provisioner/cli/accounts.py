"""The commands about accounts that exist: what is known, what was rescued, and what a person decides."""

from __future__ import annotations

from provisioner import executor
from provisioner.cli import holding, terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, ExitCode, IdentityRejected, StateConflict
from provisioner.model.exchange import Failed
from provisioner.model.state import State
from provisioner.render import documents
from provisioner.render import status as faces
from provisioner.render.lines import counted
from provisioner.state import rescue
from provisioner.state.store import LocalStore


def status(options: Options) -> int:
    """Print the accounts of every parent's state; exit 7 where a balance that was asked for cannot be had."""
    settings = wiring.settings(options)
    found = [(parent, wiring.stored(settings, parent)) for parent in sorted(settings.parents)]
    asked = None
    if options["balances"]:
        from provisioner.cli import inspecting  # noqa: PLC0415  # only this loads what sends and opens

        asked = inspecting.balances(found, settings)
    if options["output"] == "json":
        terminal.document(documents.states(found, asked))
    else:
        for parent, state in found:
            told = None if asked is None else asked.get(parent, {})
            terminal.lines(faces.text(parent, state, str(settings.state_path(parent)), told))
    failed = any(isinstance(each, Failed) for told in (asked or {}).values() for each in told.values())
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE


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
        state = wiring.existing(session.state, options["parent"])
        wiring.require_known(state, [name])
        after = executor.resolve(state, name, abandon=abandon)
        if abandon:
            terminal.confirm(f"Give {name} up for good? It keeps its slot.", yes=options["yes"])
        else:
            terminal.confirm(
                f"Are you sure that {name} does not exist? Its slot will be free again.", yes=options["yes"]
            )
        session.save(after)
    if abandon:
        terminal.talk(f"{name} is given up; it keeps its slot.")
    else:
        terminal.talk(f"{name} does not exist; its slot is free, and the next apply creates it.")
    return ExitCode.DONE


def recover(options: Options) -> int:
    """Put back what was rescued; opening the session does it for what lies beside the state."""
    settings = wiring.settings(options)
    parent, only = options["parent"], options["only"]
    if only is not None and options["log"] is None:
        raise CommandInvalid("--only chooses from a log, and none is named.", hint="Name the file that holds it.")
    if options["accept_state"]:
        terminal.confirm(
            f"Accept {_accepted(settings, parent)}, whatever this machine has seen before? Accounts that it does not"
            " know would be created again.",
            yes=options["yes"],
        )
    entries: tuple[rescue.Entry, ...] = ()
    if options["log"] is not None:
        entries = rescue.found_in(options["log"].read(), options["log"].name)
        if not entries:
            raise CommandInvalid(
                f"There is no rescued outcome in {options['log'].name}.",
                hint=f"It is a line that holds {rescue.MARK}, as the run printed it.",
            )
        if only is not None:
            entries = tuple(each for each in entries if each.name == only)[-1:]
            if not entries:
                raise CommandInvalid(
                    f"There is no rescued outcome of {only} in {options['log'].name}.",
                    hint="Without --only, all that is there is put back.",
                )
    with holding.held(settings, parent, accept=options["accept_state"]) as session:
        before = session.state
        _require_own_logins(before, rescue.put_back(before, entries), settings)
        session.put_back(entries)
        state = session.state
    for name in dict.fromkeys(entry.name for entry in entries):
        terminal.talk(_put_back(name, before, state))
    terminal.lines(faces.text(parent, state, str(settings.state_path(parent))))
    return ExitCode.DONE


def _accepted(settings: Settings, parent: str) -> str:
    """Return what `recover --accept-state` is about to accept."""
    settings.parent(parent)
    path = settings.state_path(parent)
    state, _ = LocalStore(path).load()
    if state is None:
        return f"that there is no state at {path}"
    return f"{path} with serial {state.serial} and {counted(len(state.accounts), 'account')}"


def _put_back(name: str, before: State | None, after: State | None) -> str:
    """Return what has become of an account of which there was a rescued outcome."""
    was, record = (None if state is None else state.accounts.get(name) for state in (before, after))
    if was == record:
        return f"There was nothing to put back of {name}: the state has its outcome, under this name or another."
    return f"{name} was not created: its slot is free." if record is None else f"{name} is back in the state."


def _require_own_logins(before: State | None, after: State | None, settings: Settings) -> None:
    """Refuse to put back what has another name by now; only the login tells that for certain, and it is sealed.

    Raises StateConflict. Without an identity that opens it, a warning says what was not compared.
    """
    if before is None or after is None or before == after:
        return
    from provisioner.cli import opening  # noqa: PLC0415  # a status has no use for what opens seals

    put = {name for name, each in after.accounts.items() if before.accounts.get(name) != each}
    try:
        opener = opening.opener_if_any(settings)
        faults = None if opener is None else executor.shared_logins(after, opener)
    except IdentityRejected:
        faults = None
    if faults is None:
        terminal.warn(
            "there is no identity that opens what is put back, so that its login was not compared with those of the"
            " others; `provisioner verify` does that."
        )
        return
    for name in sorted(put & faults.keys()):
        raise StateConflict(
            f"{name} is not put back: {faults[name]}.",
            hint="It is the same account, and has that name by now: there is nothing to put back. Nothing was changed.",
        )
