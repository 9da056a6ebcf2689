"""``adopt``: accounts that exist already, at Octopush, are taken over.

Owns the order: each account is in the state before the next is asked for, and the state
is saved before a manifest is written for those that have none. Refuses to put into a
manifest what may hold a token, and to write over a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final, assert_never

from provisioner import config, executor, placeholders
from provisioner.cli import applying, connection, holding, opening, planning, terminal, wiring
from provisioner.cli.interrupt import Interrupt
from provisioner.cli.progress import progress as progressing
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, IdentityRejected, StateConflict, StateError
from provisioner.executor import Ports
from provisioner.executor.inspect import stopped_by
from provisioner.executor.ports import credentials_of
from provisioner.manifest import logins, yaml_manifest
from provisioner.manifest.problems import errors
from provisioner.manifest.sources import YAML_SUFFIXES
from provisioner.manifest.writing import as_yaml, with_placeholders
from provisioner.model.account import DEFAULT_PARENT, FIELDS, MASK, Attributes, Credentials, DesiredAccount
from provisioner.model.exchange import Failed, Missing, Observed, untold
from provisioner.model.plan import FieldChange
from provisioner.model.report import Outcome, Report, Result, Stop
from provisioner.model.state import State
from provisioner.model.verdict import SealedContent
from provisioner.render import text
from provisioner.render.lines import counted
from provisioner.state.disk import Disk, write_new
from provisioner.state.sealing import AgeOpener, AgeSealer

_USUAL: Final = wiring.MANIFESTS / "adopted.yaml"

Row = tuple[str, str]
"""A name and a login."""


def adopt(options: Options) -> int:
    """Take over one account, or those of a table, and write a manifest for those that have none."""
    rows, manifests = _asked(options)
    parent, target = options["parent"], _target(options)
    desired = planning.accounts({**options, "manifests": manifests}, *_written_before(target))
    settings = wiring.settings(options)
    config.require_connection(settings)
    sealer, opener = AgeSealer(settings.recipients), opening.opener(settings)
    with holding.held(settings, parent) as session, Interrupt() as interrupt, progressing(len(rows)) as progress:
        credentials = config.credentials(settings.parent(parent), os.environ, settings.base)
        state = applying.bound(session.state, parent, credentials, settings)
        planning.warn_of_recipients(session.state, settings)
        api = connection.client(credentials, settings, progress.waiting, interrupt)
        run = _Run(state, desired, opener, applying.ports_of(session, api, sealer, progress, interrupt))
        for name, login in rows:
            run.carry_out(name, login, alone=options["table"] is None)
        if run.unwritten:
            _write(target, run.unwritten, parent)
    _remind(run, settings)
    return applying.told([Report(parent, tuple(run.outcomes), run.stop)], options)


# ── What is asked for ────────────────────────────────────────────────────────


def _asked(options: Options) -> tuple[Sequence[Row], tuple[Path, ...]]:
    """Return the rows to adopt, and the manifests that were named."""
    words: tuple[str, ...] = options["words"]
    if options["table"] is not None:
        found = logins.read(options["table"])
        for problem in found.problems:
            terminal.talk(*text.problem(problem))
        return [(each.name, each.api_login) for each in found.require()], tuple(map(Path, words))
    try:
        name, login, *manifests = words
    except ValueError:
        raise CommandInvalid(
            "Say which account is to be adopted.",
            hint="Give its name and its login at Octopush, or a table of both with --from FILE.",
        ) from None
    if fault := logins.fault(name, login):
        raise CommandInvalid(fault[0], hint=fault[1])
    return [(name, login)], tuple(map(Path, manifests))


def _target(options: Options) -> Path:
    target: Path = options["write"] or _USUAL
    if target.suffix.lower() not in YAML_SUFFIXES:
        raise CommandInvalid(
            f"{target} is not the name of a YAML file.", hint="--write makes a manifest: end its name in .yaml."
        )
    return target


def _places(target: Path) -> Iterator[Path]:
    """Yield ``target`` and, should something be there, the names to try after it."""
    yield target
    for number in count(2):
        yield target.with_stem(f"{target.stem}-{number}")


def _written_before(target: Path) -> Iterator[Path]:
    """Yield what earlier runs have written: who is in there is in a manifest, whichever were named."""
    for place in _places(target):
        if not os.path.lexists(place):
            return
        if place.is_file():
            yield place


# ── One account after the other ──────────────────────────────────────────────


class _Run:
    """The progress of one adoption: the state as it is now, and the outcomes so far."""

    def __init__(self, state: State, desired: Mapping[str, DesiredAccount], opener: AgeOpener, ports: Ports) -> None:
        self.state = state
        self.outcomes: list[Outcome] = []
        self.stop: Stop | None = None
        self.unwritten: dict[str, Attributes] = {}
        """What is to be written into a manifest, by name."""
        self.without_password: list[str] = []
        self._desired = desired
        self._renamed = {each.previously: each for each in desired.values() if each.previously is not None}
        self._opener = opener
        self._ports = ports
        self._opened = opening.active(opener, state)
        self._logins = {name: credentials_of(content).api_login for name, content in self._opened.items()}

    def carry_out(self, name: str, login: str, *, alone: bool) -> None:
        """Adopt one account unless the run was stopped; what stands against the only one is raised."""
        if self.stop is None and (code := self._ports.interrupted()) is not None:
            self.stop = Stop(code, "the run was interrupted", "Run it again to go on.")
        if self.stop is not None:
            outcome = Outcome(name, "adopt", Result.NOT_ATTEMPTED, self.stop.reason)
        else:
            try:
                outcome = self._adopt(name, login, alone=alone)
            except (StateConflict, IdentityRejected) as error:
                if alone:
                    raise
                outcome = _failed(name, error.message.removesuffix("."))
        self.outcomes.append(outcome)
        self._ports.progress.finished(outcome)

    def _adopt(self, name: str, login: str, *, alone: bool) -> Outcome:
        desired = self._desired.get(name)
        if desired is not None and desired.previously in self.state.accounts:
            raise StateConflict(
                f"{name} was previously {desired.previously}, says the manifest, and the state has that one.",
                hint=f"If this is that account, adopt it as {desired.previously}: the next apply gives it its new name."
                f" If it is another one, delete `previously` under {name}. Nothing was changed.",
            )
        known = not executor.may_adopt(self.state, name, login, self._logins)
        if known and name not in self._desired and name not in self._renamed:
            # A run that died after it had saved the state has not written it.
            self.unwritten[name] = self.state.accounts[name].attributes
        if known and not alone:
            return Outcome(name, "adopt", Result.UNCHANGED)
        kept = None if known else self._kept(name)
        self._ports.progress.started(name)
        reading = self._ports.api.read(self._logins[name] if known else login)
        match reading:
            case Observed() if known:
                return self._take_key(name, reading)
            case Observed():
                return self._take_over(name, login, reading, kept)
            case Failed():
                self.stop = stopped_by(reading)
                return _failed(name, reading.reason)
            case Missing():
                return _failed(name, reading.reason)
            case _:
                assert_never(reading)

    def _kept(self, name: str) -> SealedContent | None:
        """Return what is sealed of an outcome that was unknown until now."""
        record = self.state.accounts.get(name)
        sealed = None if record is None else record.sealed
        return None if sealed is None else opening.content(self._opener, self.state, name, sealed)

    def _take_key(self, name: str, observed: Observed) -> Outcome:
        """Keep the key of an account that was adopted or created before, should Octopush have changed it."""
        content = self._opened[name]
        if observed.api_key is None:
            return _failed(name, "the answer tells no key")
        if observed.api_key == credentials_of(content).api_key:
            return Outcome(name, "adopt", Result.UNCHANGED)
        after = executor.with_key(self.state, name, content, observed.api_key, self._ports)
        if not self._save(after):
            return _failed(name, "the state could not be saved")
        return Outcome(name, "adopt", Result.ADOPTED, "Octopush has another key for its login by now, which is kept")

    def _save(self, after: State) -> bool:
        """Save ``after``; where that fails, stop the run and return False."""
        try:
            self._ports.journal.save(after)
        except StateError as error:
            # The account can be adopted again: nothing came that cannot be asked for once more.
            self.stop = Stop(error.exit_code, error.message.removesuffix("."), error.hint)
            return False
        self.state = after
        return True

    def _take_over(self, name: str, login: str, observed: Observed, kept: SealedContent | None) -> Outcome:
        if observed.api_key is None:
            return _failed(name, "the answer tells no key")
        # Under the name that it had before, it is the account that a manifest has under its new one.
        desired = self._desired.get(name) or self._renamed.get(name)
        if desired is None:
            wanted, _ = with_placeholders(name, Attributes.of_fields(observed.fields))
            if found := errors(yaml_manifest.read(as_yaml([(name, wanted)]).encode(), name).problems):
                return _failed(
                    name,
                    f"what Octopush has of it cannot stand in a manifest: {found[0].message.removesuffix('.')};"
                    " write it into one as it should be, and adopt it then",
                )
        else:
            wanted = desired.attributes
        differ = _differing(wanted, observed)
        after, fields = executor.adopted(
            self.state,
            name,
            Credentials(login, observed.api_key),
            observed=observed,
            wanted=wanted,
            differ=differ,
            password_version=1 if desired is None else desired.password_version,
            kept=kept,
            ports=self._ports,
        )
        if not self._save(after):
            return _failed(name, "the state could not be saved")
        self._logins[name] = login
        if desired is None:
            self.unwritten[name] = wanted
        if kept is None or kept.password is None:
            self.without_password.append(name)
        reason = _compared(wanted, differ, observed, in_manifest=desired is not None)
        return Outcome(name, "adopt", Result.ADOPTED, reason, tuple(map(_shown, fields)))


def _failed(name: str, reason: str) -> Outcome:
    return Outcome(name, "adopt", Result.FAILED, reason)


def _shown(change: FieldChange) -> FieldChange:
    """Return a difference as it may be shown: what was found may hold some of what a placeholder stands for."""
    hides = change.before is not None and placeholders.names(change.before)
    return replace(change, after=change.after and MASK) if hides else change


def _differing(wanted: Attributes, observed: Observed) -> tuple[str, ...]:
    """Return the fields that are not as ``wanted``; what the answer does not tell is not known to be."""
    flat = wanted.flat()
    return tuple(path for path in FIELDS if not _matches(flat.get(path), observed.fields.get(path) or None))


def _matches(wanted: str | None, found: str | None) -> bool:
    if wanted is None or found is None:
        return wanted == found
    return placeholders.fits(wanted, found)


def _compared(wanted: Attributes, differ: tuple[str, ...], observed: Observed, *, in_manifest: bool) -> str:
    """Say in words what was found."""
    parts = []
    if not in_manifest:
        parts.append("it was in no manifest")
    elif matching := [path for path in wanted.flat() if path not in differ]:
        parts.append(f"as in the manifest: {', '.join(matching)}")
    if differ:
        parts.append(f"the next apply changes {', '.join(differ)}")
    if silent := untold(wanted.flat() if in_manifest else FIELDS, observed.fields):
        parts.append(f"the answer does not tell {', '.join(silent)}")
    return "; ".join(parts)


# ── Afterwards ───────────────────────────────────────────────────────────────


def _write(target: Path, accounts: Mapping[str, Attributes], parent: str) -> None:
    """Write one manifest of ``accounts``, and say what it needs; raises CommandInvalid."""
    content = as_yaml(accounts.items(), parent=None if parent == DEFAULT_PARENT else parent).encode()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = _first_free(target, content)
    except OSError as error:
        raise CommandInvalid(
            f"The manifest cannot be written to {target}: {error.strerror or error}.",
            hint="What was adopted is in the state. Run it again, with --write and a place that is writable.",
        ) from error
    terminal.talk(f"Written to {written}: {counted(len(accounts), 'account')} that no manifest named.")
    for name, attributes in sorted(accounts.items()):
        for path, value in attributes.flat().items():
            for variable in placeholders.names(value):
                terminal.talk(
                    f"  {variable.removeprefix('env:')} stands there for {path} of {name}: before an apply changes the"
                    f" account, set it; `provisioner credentials show {name}` shows its value."
                )


def _first_free(target: Path, content: bytes) -> Path:
    for place in _places(target):
        try:
            write_new(place, content, Disk())
        except FileExistsError:
            continue
        return place
    raise AssertionError  # the places have no end


def _remind(run: _Run, settings: Settings) -> None:
    state, parent = run.state, settings.parent(run.state.parent)
    if run.without_password:
        names = ", ".join(run.without_password)
        terminal.talk(
            f"Passwords cannot be read, so that none is kept of {names}: `provisioner rotate-password` sets one."
        )
    slots = state.slots(limit=parent.limit, reserved=parent.reserved, planned=0)
    if any(each.result is Result.ADOPTED for each in run.outcomes) and slots.left < 0:
        terminal.warn(
            f"{slots.used} slots are used and {slots.reserved} are reserved, of {slots.limit}: what was adopted is no"
            f" longer outside this project. Lower `reserved` to {max(0, slots.limit - slots.used)} or less."
        )
