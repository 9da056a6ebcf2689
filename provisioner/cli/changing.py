"""The commands that change what is kept of an account, or for whom: ``forget``, ``rotate-password``, ``rekey``.

Owns what must be certain before each, and what is said to the person afterwards. Refuses
to let anybody lock themselves out of what is sealed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from provisioner import config, executor
from provisioner.cli import applying, connection, holding, opening, planning, terminal, wiring
from provisioner.cli.applying import Job
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, SettingInvalid, StateConflict
from provisioner.executor import Work
from provisioner.executor.ports import credentials_of
from provisioner.manifest import expansion
from provisioner.model.account import DesiredAccount, Origin, Secret
from provisioner.model.exchange import EditRequest, Reading
from provisioner.model.plan import FieldChange, Plan, Update
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import Active, State, without_comment
from provisioner.model.verdict import SealedContent
from provisioner.render.lines import counted, printable
from provisioner.state import forgotten
from provisioner.state.disk import Disk
from provisioner.state.rescue import Entry
from provisioner.state.sealing import AgeOpener, AgeSealer

_APPLY_FIRST: Final = "Run `provisioner apply` first: it finishes or undoes that. Nothing was sent."


# ── Forget ───────────────────────────────────────────────────────────────────


def forget(options: Options) -> int:
    """Take an account out of the state once Octopush no longer knows it, or where a person forces it."""
    name, parent, force = options["name"], options["parent"], options["force"]
    terminal.require_answer(yes=options["yes"])
    settings = wiring.settings(options)
    with holding.held(settings, parent) as session:
        state = wiring.existing(session.state, parent)
        wiring.require_known(state, [name])
        after = executor.forget(state, name, reading=None if force else _read(state, name, settings))
        unasked = " Octopush is not asked whether it is still there." if force else ""
        terminal.confirm(f"Forget {name}, its login, key and password?{unasked}", yes=options["yes"])
        record, kept = state.accounts[name], _beside(settings, parent, "forgotten")
        forgotten.keep(kept, Entry(state.lineage, parent, name, record.operation.id, record), holding.now(), Disk())
        session.save(after)
    terminal.talk(
        f"Its slot is free; while a manifest names it, the next apply creates it anew. What was known of it is kept,"
        f" sealed, in {kept}: `provisioner recover {kept} --only {name}` puts it back."
    )
    reason = "forced: Octopush was not asked" if force else None
    return applying.told([Report(parent, (Outcome(name, "forget", Result.FORGOTTEN, reason),))], options)


def _beside(settings: Settings, parent: str, kind: str) -> Path:
    return Path(f"{settings.state_path(parent)}.{kind}")


def _read(state: State, name: str, settings: Settings) -> Reading:
    """Return what Octopush says of an account; that another Octopush does not know it would mean nothing."""
    record = executor.active(state, name)
    config.require_connection(settings)
    credentials = config.credentials(settings.parent(state.parent), os.environ, settings.base)
    applying.bound(state, state.parent, credentials, settings)
    content = opening.content(opening.opener(settings), state, name, record.sealed)
    client = connection.client(credentials, settings, lambda words: terminal.talk(f"waiting: {printable(words)}"))
    return client.read(credentials_of(content).api_login)


# ── Rotate a password ────────────────────────────────────────────────────────


def rotate_password(options: Options) -> int:
    """Give an account a new password, and send nothing else that it does not have already."""
    name, parent = options["name"], options["parent"]
    terminal.require_answer(yes=options["yes"])
    desired = planning.accounts(options).get(name)
    settings = wiring.settings(options)
    config.require_connection(settings)
    sealer, opener = AgeSealer(settings.recipients), opening.opener(settings)
    with holding.held(settings, parent) as session:
        state = wiring.existing(session.state, parent)
        wiring.require_known(state, [name])
        update = _rotation(state, name, settings)
        credentials = config.credentials(settings.parent(parent), os.environ, settings.base)
        state = applying.bound(state, parent, credentials, settings)
        work = _work(state, name, opener, desired)
        opening.require_opens(opener, sealer, state)
        planning.warn_of_recipients(state, settings)
        terminal.confirm(f"Set a new password for {name}?", yes=options["yes"])
        job = Job(session, state, _plan(update, state, settings), credentials, work)
        reports = applying.carried_out([job], settings, sealer)
    return applying.told(reports, options)


def _rotation(state: State, name: str, settings: Settings) -> Update:
    """Return the change that a new password is, and nothing else."""
    record = executor.active(state, name)
    _require_settled(name, record)
    account = DesiredAccount(
        name,
        record.attributes,
        None,
        Origin(str(settings.state_path(state.parent))),
        # An unfinished edit that asked for a version is finished as it was begun.
        password_version=(record.edit or record).password_version,
    )
    return Update(account, (FieldChange("password", None, None),), unfinished=record.edit is not None)


def _work(state: State, name: str, opener: AgeOpener, desired: DesiredAccount | None) -> Work:
    """Return the account as it was sent, and the password to send with it."""
    record = executor.active(state, name)
    content = opening.content(opener, state, name, record.sealed)
    credentials_of(content)
    if content.sent is None:
        raise StateConflict(
            f"What was sent for {name} is not kept, and a new password is sent with the whole account.",
            hint="Raise its `password_version` in the manifest, and run `provisioner apply`. Nothing was sent.",
        )
    begun = None
    if record.edit is not None and record.edit.sealed is not None:
        begun = opening.content(opener, state, name, record.edit.sealed)
    # What a placeholder filled in is sent again, and no message may repeat it.
    written = record.attributes.flat()
    hidden = tuple(value for path, value in content.sent.flat().items() if value != written.get(path))
    request = EditRequest(content.sent, _password(content, begun, desired), hidden)
    return Work({}, {name: request}, {name: content}, {} if begun is None else {name: begun})


def _plan(update: Update, state: State, settings: Settings) -> Plan:
    parent = settings.parent(state.parent)
    slots = state.slots(limit=parent.limit, reserved=parent.reserved, planned=0)
    return Plan(state.parent, state.lineage, state.serial, slots, (update,))


def _require_settled(name: str, record: Active) -> None:
    """Refuse where sending an account as it was last sent would undo something, or come to nothing."""
    if record.drift.gone:
        raise StateConflict(
            f"Octopush no longer knows {name}.",
            hint=f"If it was deleted, `provisioner forget {name}` frees its slot. Nothing was sent.",
        )
    if record.drift.changed:
        raise StateConflict(
            f"{name} is not at Octopush what it should be: {', '.join(record.drift.changed)}.", hint=_APPLY_FIRST
        )
    if record.edit is not None and record.edit.attributes != record.attributes:
        raise StateConflict(f"An earlier run began to change {name}, and did not finish.", hint=_APPLY_FIRST)


def _password(content: SealedContent, begun: SealedContent | None, desired: DesiredAccount | None) -> Secret:
    """Return the password to set: that of a rotation which was begun, the manifest's, or a new one."""
    if begun is not None and begun.password is not None:
        # Octopush may have it already.
        return begun.password
    given = None if desired is None else expansion.password(desired, os.environ)
    if given is None:
        return applying.new_password()
    if given == content.password:
        raise SettingInvalid(
            f"The password that the manifest gives {content.name} is the one that it has.",
            hint="Change what its placeholder stands for, or delete `password` to get one. Nothing was sent.",
        )
    return given


# ── Rekey ────────────────────────────────────────────────────────────────────


def rekey(options: Options) -> int:
    """Seal everything anew, to other recipients, in one save."""
    parent = options["parent"]
    terminal.require_answer(yes=options["yes"])
    settings = wiring.settings(options)
    opener = opening.opener(settings)
    with holding.held(settings, parent) as session:
        state = wiring.existing(session.state, parent)
        recipients = _recipients(state, settings, options["add"], options["remove"])
        sealer = AgeSealer(recipients)
        opening.require_opens(opener, sealer, state)
        after = executor.rekey(state, opener, sealer, recipients)
        _tell_recipients(state, recipients)
        sealed = counted(len(state.accounts), "account")
        terminal.confirm(f"Seal {sealed} anew to {counted(len(recipients), 'recipient')}?", yes=options["yes"])
        session.save(after)
    _remind(state, recipients, settings)
    outcomes = (
        Outcome(name, "rekey", Result.UNCHANGED if record.sealed is None else Result.UPDATED)
        for name, record in sorted(after.accounts.items())
    )
    return applying.told([Report(parent, tuple(outcomes))], options)


def _recipients(state: State, settings: Settings, add: Sequence[str], remove: Sequence[str]) -> tuple[str, ...]:
    """Return to whom everything is to be sealed; an SSH key is the same under any comment."""
    if not add and not remove:
        return tuple(sorted(set(settings.recipients)))
    wanted = {without_comment(each): each for each in state.recipients}
    for text in add:
        AgeSealer([text])
        wanted.setdefault(without_comment(text), " ".join(text.split()))
    for text in remove:
        if wanted.pop(without_comment(text), None) is None:
            # Only what is known to be a recipient may be repeated: it may be a private key.
            AgeSealer([text])
            raise CommandInvalid(
                f"The state is not sealed to {printable(without_comment(text))}.",
                hint=f"It is sealed to {printable(', '.join(state.recipients))}. Nothing was changed.",
            )
    if not wanted:
        raise CommandInvalid(
            "Nobody would be left who can open what is sealed.", hint="Add a recipient with --add. Nothing was changed."
        )
    return tuple(sorted(wanted.values()))


def _tell_recipients(state: State, recipients: Sequence[str]) -> None:
    before = {without_comment(each) for each in state.recipients}
    after = {without_comment(each) for each in recipients}
    for each in sorted({*state.recipients, *recipients}):
        key = without_comment(each)
        sign = "-" if key not in after else "=" if key in before else "+"
        terminal.talk(f"  {sign} {printable(each)}")


def _remind(state: State, recipients: Sequence[str], settings: Settings) -> None:
    """Say what rekeying cannot do, and what is left to do."""
    after = {without_comment(each) for each in recipients}
    if any(without_comment(each) not in after for each in state.recipients):
        beside = [_beside(settings, state.parent, "backup"), _beside(settings, state.parent, "forgotten")]
        older = ", ".join(str(each) for each in beside if each.exists())
        terminal.talk(
            "Who was removed has read what they have read, and can still open every older copy of the state:"
            f" {older}, version control, backups.",
            "To shut them out, rotate the passwords, and have Octopush change the keys.",
        )
    if after != {without_comment(each) for each in settings.recipients}:
        named = ", ".join(f'"{each}"' if " " in each else each for each in recipients)
        terminal.warn(
            "the settings name other recipients, to whom the next apply seals. Make them the same, in provisioner.yaml"
            f" or PROVISIONER_RECIPIENTS: recipients: [{printable(named)}]"
        )
