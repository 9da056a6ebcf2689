"""Takes over accounts that exist: a login is known, and the API tells its key.

Owns whether one may be adopted, and what it is then: each is in the state before the
next is asked for. Refuses to give one login to two names, and to know how a manifest
is written: what may stand in one, and what fits, is asked of the caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never
from unicodedata import normalize

from provisioner.errors import Advice, IdentityRejected, Refused, Remedy, StateConflict, StateInvalid
from provisioner.executor import seals
from provisioner.executor.decide import active
from provisioner.executor.ports import Opener, Ports
from provisioner.executor.run import Run
from provisioner.executor.seals import credentials_of
from provisioner.model.account import (
    FIELDS,
    MASK,
    Attributes,
    Credentials,
    DesiredAccount,
    Problem,
    Secret,
    has_placeholder,
)
from provisioner.model.exchange import Failed, Missing, Observed, unreported
from provisioner.model.plan import FieldChange
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import Active, Drift, State
from provisioner.model.verdict import SealedContent

NAMES: Final = ("first_name", "last_name", "company_name")
"""By what a person knows an account again."""

NamedLogin: TypeAlias = tuple[str, str]
"""A name and the login that is to be adopted under it."""
Fits: TypeAlias = Callable[[str, str], bool]
"""Whether a value may be what a text of a manifest stands for."""
Writable: TypeAlias = Callable[[str, Attributes], Attributes | Problem]
"""Attributes as a manifest may have them, by the account's name and what was found; or why no manifest may."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an adoption has come to."""

    report: Report
    state: State
    """As it was saved last."""
    unwritten: Mapping[str, Attributes]
    """By name, what is in the state and in no manifest, as a manifest may have it."""
    without_password: tuple[str, ...]
    """The names of those whose password is not kept: it cannot be read."""


def adopt(  # noqa: PLR0913  # what an apply is given, and how manifests write what is found
    rows: Sequence[NamedLogin],
    state: State,
    desired: Mapping[str, DesiredAccount],
    ports: Ports,
    opener: Opener,
    *,
    alone: bool,
    different: bool = False,
    fits: Fits,
    writable: Writable,
) -> Adopted:
    """Take over the account of each of ``rows``, and return what became of it.

    ``desired`` holds by name what the manifests ask of the parent. ``alone`` is whether
    a person named the one account: what stands against it is raised, and where it was
    adopted before, its key is compared. Of a table, each account has its outcome.
    ``different`` is whether a person says that an account is the right one even though
    it has other names than were sent, or than the manifest has.

    Raises:
        IdentityRejected: the identity does not open what is sealed; nothing was asked for.
        StateInvalid: what is sealed is damaged; nothing was asked for.
        StateConflict: what is sealed was replaced; nothing was asked for.
        Refused: ``alone`` may not be adopted; nothing was changed.

    """
    adoption = _Adoption(Run(state, ports), desired, opener, fits, writable)
    for name, login in rows:
        adoption.take(name, login, alone=alone, different=different)
    return adoption.done()


class _Adoption:
    """The progress of one adoption: whose login is known, and what is to be said of it afterwards."""

    def __init__(
        self, run: Run, desired: Mapping[str, DesiredAccount], opener: Opener, fits: Fits, writable: Writable
    ) -> None:
        self._run = run
        self._desired = desired
        self._renamed = {each.previously: each for each in desired.values() if each.previously is not None}
        self._opener = opener
        self._fits = fits
        self._writable = writable
        self._opened = {
            name: seals.credentials(run.state, name, opener)
            for name, record in sorted(run.state.accounts.items())
            if isinstance(record, Active)
        }
        self._logins = {name: credentials_of(content).api_login for name, content in self._opened.items()}
        self._unwritten: dict[str, Attributes] = {}
        self._without_password: list[str] = []

    def done(self) -> Adopted:
        """Return what it has come to."""
        return Adopted(self._run.report(), self._run.state, self._unwritten, tuple(self._without_password))

    def take(self, name: str, login: str, *, alone: bool, different: bool) -> None:
        """Adopt one account unless the run was stopped; what stands against the only one is raised."""
        outcome = self._run.held_back(name, "adopt")
        if outcome is None:
            try:
                outcome = self._adopt(name, login, alone=alone, different=different)
            except (Refused, StateConflict, StateInvalid, IdentityRejected) as error:
                if alone:
                    raise
                outcome = _failed(name, error.message.removesuffix("."))
        self._run.finish(outcome)

    def _adopt(self, name: str, login: str, *, alone: bool, different: bool) -> Outcome:
        state, ports = self._run.state, self._run.ports
        _require_own_name(state, name, self._desired.get(name))
        known = not _may_adopt(state, name, login, self._logins)
        if known and name not in self._desired and name not in self._renamed:
            # A run that died after it had saved the state has not written it.
            self._unwritten[name] = state.accounts[name].attributes
        if known and not alone:
            return Outcome(name, "adopt", Result.UNCHANGED)
        kept = None if known else self._kept(name)
        _require_answered(name, kept, login, different=different)
        ports.progress.started(name)
        reading = ports.api.read(self._logins[name] if known else login)
        match reading:
            case Observed():
                if reading.api_key is None:
                    return _failed(name, "the answer tells no key")
                if known:
                    return self._take_key(name, reading.api_key)
                if not different and (fields := self._other_names(name, reading, kept)):
                    return _stranger(name, login, fields, alone=alone, sent=name in state.accounts)
                return self._take_over(name, Credentials(login, reading.api_key), reading, kept)
            case Failed():
                if reading.stops:
                    self._run.stop_by(reading)
                return _failed(name, reading.reason)
            case Missing():
                return _failed(name, reading.reason)
            case _:
                assert_never(reading)

    def _kept(self, name: str) -> SealedContent | None:
        """Return what is sealed of an outcome that was unknown until now."""
        return seals.kept(self._run.state, name, self._opener) if name in self._run.state.accounts else None

    def _take_key(self, name: str, api_key: Secret) -> Outcome:
        """Keep the key of an account that was adopted or created before, should Octopush have changed it."""
        content = self._opened[name]
        if api_key == credentials_of(content).api_key:
            return Outcome(name, "adopt", Result.UNCHANGED)
        after = _with_key(self._run.state, name, content, api_key, self._run.ports)
        if (unsaved := self._run.save(after)) is not None:
            return _failed(name, unsaved)
        return Outcome(
            name, "adopt", Result.ADOPTED, "Octopush has issued a new key; it now replaces the old one in the state"
        )

    def _take_over(
        self, name: str, credentials: Credentials, observed: Observed, kept: SealedContent | None
    ) -> Outcome:
        """Put an account that is in no record, or was unknown until now, into the state."""
        other = kept is not None and _is_other(kept, credentials.api_login)
        if kept is not None and kept.password is not None and (other or not self._is_as_sent(name, observed, kept)):
            # It may be that of another account, which was made by hand or by somebody else.
            kept, dropped = replace(kept, password=None), "the password that was sent is not kept: this is not as sent"
        else:
            dropped = None
        # Under the name that it had before, it is the account that a manifest has under its new one.
        desired = self._desired.get(name) or self._renamed.get(name)
        if desired is None:
            wanted = self._writable(name, Attributes.of_fields(observed.fields))
            if isinstance(wanted, Problem):
                return _failed(
                    name,
                    f"what Octopush has of it cannot stand in a manifest: {wanted.message.removesuffix('.')};"
                    " write it into one as it should be, and adopt it then",
                )
        else:
            wanted = desired.attributes
        found = _Found(observed, wanted, self._differing(wanted, observed))
        record = self._record(name, credentials, found, kept, 1 if desired is None else desired.password_version)
        if (unsaved := self._run.save(self._run.state.with_record(name, record))) is not None:
            return _failed(name, unsaved)
        self._logins[name] = credentials.api_login
        if desired is None:
            self._unwritten[name] = wanted
        if kept is None or kept.password is None:
            self._without_password.append(name)
        told = Outcome(name, "adopt", Result.ADOPTED, found.told(in_manifest=desired is not None), found.fields())
        return told.warned(dropped)

    def _other_names(self, name: str, observed: Observed, kept: SealedContent | None) -> tuple[FieldChange, ...]:
        """Return the names that are not those that were sent, or else that the manifest has; none where neither is."""
        desired = self._desired.get(name) or self._renamed.get(name)
        record = self._run.state.accounts.get(name)
        known = record or desired
        if known is None:
            return ()
        written = known.attributes.flat()
        differ = self._unlike(written, None if kept is None else kept.sent, observed, NAMES, bare=True)
        changes = (FieldChange(path, written.get(path), observed.fields[path]) for path in differ)
        return tuple(map(_maskable, changes))

    def _is_as_sent(self, name: str, observed: Observed, kept: SealedContent) -> bool:
        """Whether an account is, so far as the answer tells, to the letter what was sent with the kept password."""
        written = self._run.state.accounts[name].attributes.flat()
        told = {"first_name", "last_name"} <= observed.fields.keys()
        return told and not self._unlike(written, kept.sent, observed, FIELDS, bare=False)

    def _unlike(
        self,
        written: Mapping[str, str],
        sent: Attributes | None,
        observed: Observed,
        paths: Sequence[str],
        *,
        bare: bool,
    ) -> tuple[str, ...]:
        """Return those of ``paths`` at which what was found is not what was ``sent``, or else may not be.

        ``bare`` overlooks what Octopush may have made of a name.
        """
        flat = None if sent is None else sent.flat()

        def alike(path: str) -> bool:
            found = observed.fields[path] or None
            wanted = written.get(path) if flat is None else flat.get(path)
            if flat is None and has_placeholder(wanted or ""):
                return self._matches(wanted, found)
            return wanted == found or (bare and _bare(wanted) == _bare(found))

        return tuple(path for path in paths if path in observed.fields and not alike(path))

    def _differing(self, wanted: Attributes, observed: Observed) -> tuple[str, ...]:
        """Return the fields that are not as ``wanted``; what the answer does not tell is not known to be."""
        flat = wanted.flat()
        return tuple(path for path in FIELDS if not self._matches(flat.get(path), observed.fields.get(path) or None))

    def _matches(self, wanted: str | None, found: str | None) -> bool:
        if wanted is None or found is None:
            return wanted == found
        return self._fits(wanted, found)

    def _record(
        self, name: str, credentials: Credentials, found: _Found, kept: SealedContent | None, password_version: int
    ) -> Active:
        """Return the record of an account that is taken over; ``kept`` was sealed of its unknown outcome."""
        state, ports = self._run.state, self._run.ports
        before = state.accounts.get(name)
        operation = ports.operation()
        content = SealedContent(
            state.lineage,
            state.parent,
            name,
            operation.id,
            password=kept.password if kept else None,
            credentials=credentials,
            sent=found.sent(),
        )
        return Active(
            found.wanted,
            operation,
            ports.now(),
            ports.sealer.seal(content),
            password_version=password_version,
            drift=Drift(changed=found.differ, emptied=found.emptied()),
            # What was an unknown until now may yet turn up in the log of the run that created it.
            first_operation=None if before is None else before.operation.id,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """An account as Octopush has it, beside what it is wanted to be."""

    observed: Observed
    wanted: Attributes
    differ: tuple[str, ...]
    """The paths at which it is not as it is wanted: the next apply changes them."""

    def emptied(self) -> tuple[str, ...]:
        """Return those of the fields that differ that are empty at Octopush."""
        fields = self.observed.fields
        return tuple(path for path in self.differ if path in fields and not fields[path])

    def sent(self) -> Attributes:
        """Return what is kept as sent: where it differs, what is wanted, so that every refresh finds the drift."""
        flat = self.wanted.flat()
        return Attributes.of_fields({**self.observed.fields, **{path: flat.get(path) for path in self.differ}})

    def fields(self) -> tuple[FieldChange, ...]:
        """Return what differs as it may be shown: what was found may hold some of what a placeholder stands for."""
        flat = self.wanted.flat()
        changes = (FieldChange(path, flat.get(path), self.observed.fields.get(path)) for path in self.differ)
        return tuple(map(_maskable, changes))

    def told(self, *, in_manifest: bool) -> str:
        """Say in words what was found."""
        flat = self.wanted.flat()
        parts = []
        if not in_manifest:
            parts.append("it was in no manifest")
        elif matching := [path for path in flat if path not in self.differ]:
            parts.append(f"as in the manifest: {', '.join(matching)}")
        if self.differ:
            parts.append(f"the next apply changes {', '.join(self.differ)}")
        if silent := unreported(flat if in_manifest else FIELDS, self.observed.fields):
            parts.append(f"the answer does not tell {', '.join(silent)}")
        return "; ".join(parts)


def _maskable(change: FieldChange) -> FieldChange:
    """Return a field as it may be shown."""
    return replace(change, after=change.after and MASK) if has_placeholder(change.before or "") else change


def _require_answered(name: str, kept: SealedContent | None, login: str, *, different: bool) -> None:
    """Refuse a login that is not the one with which the create was answered; raises Refused."""
    if kept is not None and not different and _is_other(kept, login):
        raise Refused(
            f"The answer that is kept of {name} holds another login than {login}.",
            hint="Look at that answer, and adopt the login that it holds. If this one is right, say so with"
            " --different. Nothing was changed.",
        )


def _is_other(kept: SealedContent, login: str) -> bool:
    """Tell whether the answer that is kept of an outcome that was unknown holds another login."""
    found: object = None
    if kept.credentials is not None:
        found = kept.credentials.api_login
    elif kept.answer is not None:
        # An answer that is no JSON, or was cut, says nothing for certain.
        with suppress(ValueError, RecursionError):
            document = json.loads(kept.answer.body)
            found = document.get("api_login") if isinstance(document, dict) else None
    return isinstance(found, str) and found.strip().casefold() != login.casefold()


def _bare(name: str | None) -> str:
    """Return a name without what Octopush may change of it: case, accents, and the characters that it deletes."""
    letters = "".join(each for each in normalize("NFKD", name or "").casefold() if each.isalnum())
    return letters or (name or "").strip()


def _stranger(name: str, login: str, fields: tuple[FieldChange, ...], *, alone: bool, sent: bool) -> Outcome:
    """Return the outcome of a login that is not who it should be; raises Refused where it is ``alone``."""
    whose = f"sent for {name}" if sent else f"in the manifest for {name}"
    if not alone:
        return replace(_failed(name, f"its names are not those {whose}; --different takes it over"), fields=fields)
    shown = [f"{each.path}: {_quoted(each.before)} {whose}, {_quoted(each.after)} at Octopush" for each in fields]
    raise Refused(
        "\n".join((f"The names of {login} are not those {whose}:", *shown)),
        hint="Look for the login of the right account in Octopush's dashboard: the next apply would change this one."
        " If it is the right one, say so with --different. Nothing was changed.",
    )


def _quoted(name: str | None) -> str:
    return "nothing" if name is None else json.dumps(name, ensure_ascii=False)


def _failed(name: str, reason: str) -> Outcome:
    return Outcome(name, "adopt", Result.FAILED, reason)


# ── Whether it may be adopted ────────────────────────────────────────────────


def _require_own_name(state: State, name: str, desired: DesiredAccount | None) -> None:
    """Refuse a name that is the new one of an account which the state has; raises Refused."""
    if desired is not None and desired.previously in state.accounts:
        raise Refused(
            f"{name} was previously {desired.previously}, says the manifest, and the state has that one.",
            hint=f"If this is that account, adopt it as {desired.previously}: the next apply gives it its new name."
            f" If it is another one, delete `previously` under {name}. Nothing was changed.",
        )


def _may_adopt(state: State, name: str, api_login: str, logins: Mapping[str, str]) -> bool:
    """Tell whether ``name`` is still to be given ``api_login``; False: it has it already.

    ``logins`` holds, by name, the logins of all active accounts.

    Raises:
        Refused: the login is another account's, or the account has another login.

    """
    for owner, login in logins.items():
        if login.casefold() == api_login.casefold() and owner != name:
            raise Refused(
                f"The login {api_login} is that of {owner} already.",
                hint=f"One login belongs to one name: to rename {owner}, write `previously: {owner}` in the manifest.",
            )
    if not isinstance(state.accounts.get(name), Active):
        return True
    if logins[name].casefold() != api_login.casefold():
        raise Refused(
            f"{name} has another login already, and is active.",
            hint="Nothing was changed. Give the account that is to be adopted a name of its own.",
            advice=Advice(Remedy.FORGET_FIRST, name),
        )
    return False


# ── A key that Octopush changed ──────────────────────────────────────────────


def _with_key(state: State, name: str, content: SealedContent, api_key: Secret, ports: Ports) -> State:
    """Return ``state`` with another key for ``name``, an active account of which ``content`` is sealed."""
    record = active(state, name)
    operation = ports.operation()
    renewed = Credentials(credentials_of(content).api_login, api_key)
    after = replace(
        record,
        operation=operation,
        sealed=ports.sealer.seal(replace(content, operation=operation.id, credentials=renewed)),
        first_operation=record.first_operation or record.operation.id,
    )
    return state.with_record(name, after)
