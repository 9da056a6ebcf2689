"""Adopts existing accounts by login: the API returns the key.

Decides whether an account may be adopted and what its record is; each is saved before the
next is read. Never gives one login to two names. Knows nothing about manifests: the caller
passes what a manifest accepts (``writable``) and when a value fits it (``fits``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias, assert_never
from unicodedata import normalize

from provisioner.errors import Advice, IdentityRejected, Refused, Remedy, StateConflict, StateInvalid
from provisioner.executor import seals
from provisioner.executor.decide import active
from provisioner.executor.ports import Opener, Ports
from provisioner.executor.run import Run
from provisioner.executor.seals import credentials_of
from provisioner.immutable import immutable
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
"""The fields by which a person recognizes an account."""

NamedLogin: TypeAlias = tuple[str, str]
"""A name, and the login to adopt under it."""
Fits: TypeAlias = Callable[[str, str], bool]
"""Given the text in a manifest and a value: whether the text, with its placeholders filled in, may be that value."""
Writable: TypeAlias = Callable[[str, Attributes], Attributes | Problem]
"""Given an account's name and the attributes found: the attributes for a manifest, or why no manifest accepts them."""


@immutable
class Adopted:
    """The result of an adoption."""

    report: Report
    state: State
    """As it was saved last."""
    unwritten: Mapping[str, Attributes]
    """By name, the attributes of accounts that are in the state but in no manifest, ready for a manifest."""
    without_password: tuple[str, ...]
    """The names of the accounts whose password the state does not have: the API does not return it."""


def adopt(  # noqa: PLR0913  # the inputs of an apply, and how manifests write values
    rows: Sequence[NamedLogin],
    state: State,
    desired: Mapping[str, DesiredAccount],
    ports: Ports,
    opener: Opener,
    *,
    alone: bool,
    different: bool,
    fits: Fits,
    writable: Writable,
) -> Adopted:
    """Adopt the account of each of ``rows``, and return the result.

    ``desired`` has, by name, the parent's accounts in the manifests. ``alone`` means that a
    person named this one account: a refusal is raised and, if it was adopted before, its key
    is compared. Otherwise each account gets an outcome. ``different`` means that a person
    confirms the account although its names are not those that were sent or are in the manifest.

    Raises:
        IdentityRejected: the identity does not open the sealed content; nothing was read at Octopush.
        StateInvalid: sealed content is damaged; nothing was read at Octopush.
        StateConflict: sealed content was replaced; nothing was read at Octopush.
        Refused: ``alone``, and the account may not be adopted; nothing was changed.

    """
    adoption = _Adoption(Run(state, ports), desired, opener, fits, writable)
    for name, login in rows:
        adoption.take(name, login, alone=alone, different=different)
    return adoption.done()


class _Adoption:
    """The progress of one adoption: the known logins, and what to report at the end."""

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
            name: seals.open_active(run.state, name, opener)
            for name, record in sorted(run.state.accounts.items())
            if isinstance(record, Active)
        }
        self._logins = {name: credentials_of(content).api_login for name, content in self._opened.items()}
        self._unwritten: dict[str, Attributes] = {}
        self._without_password: list[str] = []

    def done(self) -> Adopted:
        """Return the result."""
        return Adopted(self._run.report(), self._run.state, self._unwritten, tuple(self._without_password))

    def take(self, name: str, login: str, *, alone: bool, different: bool) -> None:
        """Adopt one account unless the run was stopped; raises the refusal if it is ``alone``."""
        outcome = self._run.skipped(name, "adopt")
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
            # A run that died after saving the state did not write it to a manifest.
            self._unwritten[name] = state.accounts[name].attributes
        if known and not alone:
            return Outcome(name, "adopt", Result.UNCHANGED)
        earlier = None if known else self._earlier(name)
        _require_same_login(name, earlier, login, different=different)
        ports.progress.started(name)
        reading = ports.api.read(self._logins[name] if known else login)
        match reading:
            case Observed():
                if reading.api_key is None:
                    return _failed(name, "the answer contains no key")
                if known:
                    return self._take_key(name, reading.api_key)
                if not different and (fields := self._other_names(name, reading, earlier)):
                    return _stranger(name, login, fields, alone=alone, sent=name in state.accounts)
                return self._take_over(name, Credentials(login, reading.api_key), reading, earlier)
            case Failed():
                if reading.stops:
                    self._run.stop_by(reading)
                return _failed(name, reading.reason)
            case Missing():
                return _failed(name, reading.reason)
            case _:
                assert_never(reading)

    def _earlier(self, name: str) -> SealedContent | None:
        """Return the sealed content of an outcome that was unknown or abandoned until now, or None."""
        return seals.open_record(self._run.state, name, self._opener) if name in self._run.state.accounts else None

    def _take_key(self, name: str, api_key: Secret) -> Outcome:
        """Save the key of an account that was adopted or created before, if Octopush has changed it."""
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
        self, name: str, credentials: Credentials, observed: Observed, earlier: SealedContent | None
    ) -> Outcome:
        """Put an account into the state that has no record there, or whose outcome was unknown until now."""
        dropped = None
        if earlier is not None and earlier.password is not None:
            other = _is_other(earlier, credentials.api_login)
            if other or not self._is_as_sent(name, observed, earlier):
                # The password may belong to another account, created by hand or by somebody else.
                earlier = replace(earlier, password=None)
                dropped = "the password that was sent is discarded, because this account is not as sent"
        # A row may use the previous name of an account that a manifest has under its new name.
        desired = self._desired.get(name) or self._renamed.get(name)
        if desired is None:
            wanted = self._writable(name, Attributes.of_fields(observed.fields))
            if isinstance(wanted, Problem):
                return _failed(
                    name,
                    f"a manifest cannot contain its present values: {wanted.message.removesuffix('.')};"
                    " write it into a manifest with the right values, then adopt it",
                )
        else:
            wanted = desired.attributes
        found = _Found(observed, wanted, self._differing(wanted, observed))
        record = self._record(name, credentials, found, earlier, 1 if desired is None else desired.password_version)
        if (unsaved := self._run.save(self._run.state.with_record(name, record))) is not None:
            return _failed(name, unsaved)
        self._logins[name] = credentials.api_login
        if desired is None:
            self._unwritten[name] = wanted
        if earlier is None or earlier.password is None:
            self._without_password.append(name)
        reason = found.summary(in_manifest=desired is not None)
        return Outcome(name, "adopt", Result.ADOPTED, reason, found.fields()).warned(dropped)

    def _other_names(self, name: str, observed: Observed, earlier: SealedContent | None) -> tuple[FieldChange, ...]:
        """Return the names that differ from those that were sent or, if none were, from the manifest's."""
        desired = self._desired.get(name) or self._renamed.get(name)
        record = self._run.state.accounts.get(name)
        known = record or desired
        if known is None:
            return ()
        written = known.attributes.flat()
        differ = self._unlike(written, None if earlier is None else earlier.sent, observed, NAMES, bare=True)
        changes = (FieldChange(path, written.get(path), observed.fields[path]) for path in differ)
        return tuple(map(_maskable, changes))

    def _is_as_sent(self, name: str, observed: Observed, earlier: SealedContent) -> bool:
        """Return whether the account, as far as the answer shows, is exactly what was sent with the sealed password."""
        written = self._run.state.accounts[name].attributes.flat()
        has_names = {"first_name", "last_name"} <= observed.fields.keys()
        return has_names and not self._unlike(written, earlier.sent, observed, FIELDS, bare=False)

    def _unlike(
        self,
        written: Mapping[str, str],
        sent: Attributes | None,
        observed: Observed,
        paths: Sequence[str],
        *,
        bare: bool,
    ) -> tuple[str, ...]:
        """Return the ``paths`` whose observed value is not the one ``sent`` or, if nothing was, cannot be ``written``.

        ``bare`` ignores what Octopush may change in a name.
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
        """Return the fields that are not as ``wanted``; a field that the answer lacks has no value."""
        flat = wanted.flat()
        return tuple(path for path in FIELDS if not self._matches(flat.get(path), observed.fields.get(path) or None))

    def _matches(self, wanted: str | None, found: str | None) -> bool:
        if wanted is None or found is None:
            return wanted == found
        return self._fits(wanted, found)

    def _record(
        self, name: str, credentials: Credentials, found: _Found, earlier: SealedContent | None, password_version: int
    ) -> Active:
        """Return the record of the adopted account; ``earlier`` is the sealed content of its unknown outcome."""
        state, ports = self._run.state, self._run.ports
        before = state.accounts.get(name)
        operation = ports.operation()
        content = SealedContent(
            state.lineage,
            state.parent,
            name,
            operation.id,
            password=earlier.password if earlier else None,
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
            # The run that sent the create logged this id.
            first_operation=None if before is None else before.operation.id,
        )


@immutable
class _Found:
    """An account as Octopush has it, and as it should be."""

    observed: Observed
    wanted: Attributes
    differ: tuple[str, ...]
    """The paths at which the two differ: the next apply changes them."""

    def emptied(self) -> tuple[str, ...]:
        """Return the differing fields that are empty at Octopush."""
        fields = self.observed.fields
        return tuple(path for path in self.differ if path in fields and not fields[path])

    def sent(self) -> Attributes:
        """Return the attributes to record as sent: those wanted where they differ, so every refresh finds the drift."""
        flat = self.wanted.flat()
        return Attributes.of_fields({**self.observed.fields, **{path: flat.get(path) for path in self.differ}})

    def fields(self) -> tuple[FieldChange, ...]:
        """Return the differences, masked: a value that was found may contain a placeholder's value."""
        flat = self.wanted.flat()
        changes = (FieldChange(path, flat.get(path), self.observed.fields.get(path)) for path in self.differ)
        return tuple(map(_maskable, changes))

    def summary(self, *, in_manifest: bool) -> str:
        """Return what was found, in words."""
        flat = self.wanted.flat()
        parts = []
        if not in_manifest:
            parts.append("it was in no manifest")
        elif matching := [path for path in flat if path not in self.differ]:
            parts.append(f"as in the manifest: {', '.join(matching)}")
        if self.differ:
            parts.append(f"the next apply changes {', '.join(self.differ)}")
        if silent := unreported(flat if in_manifest else FIELDS, self.observed.fields):
            parts.append(f"the answer does not contain {', '.join(silent)}")
        return "; ".join(parts)


def _maskable(change: FieldChange) -> FieldChange:
    """Return the change, with the value found masked if the manifest has a placeholder there."""
    return replace(change, after=change.after and MASK) if has_placeholder(change.before or "") else change


def _require_same_login(name: str, earlier: SealedContent | None, login: str, *, different: bool) -> None:
    """Refuse a login that is not the one in the answer to the create; raises Refused."""
    if earlier is not None and not different and _is_other(earlier, login):
        raise Refused(
            f"The login in the saved answer for {name} is not {login}.",
            hint="Look at that answer, and adopt the login in it. If yours is right, confirm it with --different."
            " Nothing was changed.",
        )


def _is_other(earlier: SealedContent, login: str) -> bool:
    """Return whether the sealed credentials or the saved answer of an unknown outcome contain a different login."""
    found: object = None
    if earlier.credentials is not None:
        found = earlier.credentials.api_login
    elif earlier.answer is not None:
        # An answer that is not JSON, or was cut off, proves nothing.
        with suppress(ValueError, RecursionError):
            document = json.loads(earlier.answer.body)
            found = document.get("api_login") if isinstance(document, dict) else None
    return isinstance(found, str) and found.strip().casefold() != login.casefold()


def _bare(name: str | None) -> str:
    """Return a name without what Octopush may change in it: case, accents, and characters that it deletes."""
    letters = "".join(each for each in normalize("NFKD", name or "").casefold() if each.isalnum())
    return letters or (name or "").strip()


def _stranger(name: str, login: str, fields: tuple[FieldChange, ...], *, alone: bool, sent: bool) -> Outcome:
    """Return the outcome for a login whose account has the wrong names; raises Refused if it is ``alone``."""
    whose = f"sent for {name}" if sent else f"in the manifest for {name}"
    if not alone:
        return replace(_failed(name, f"its names are not those {whose}; --different adopts it anyway"), fields=fields)
    shown = [f"{each.path}: {_quoted(each.before)} {whose}, {_quoted(each.after)} at Octopush" for each in fields]
    raise Refused(
        "\n".join((f"The names of {login} are not those {whose}:", *shown)),
        hint="Look up the login of the right account in Octopush's dashboard: the next apply would change this one."
        " If it is the right one, confirm it with --different. Nothing was changed.",
    )


def _quoted(name: str | None) -> str:
    return "nothing" if name is None else json.dumps(name, ensure_ascii=False)


def _failed(name: str, reason: str) -> Outcome:
    return Outcome(name, "adopt", Result.FAILED, reason)


# ── Who may be adopted ───────────────────────────────────────────────────────


def _require_own_name(state: State, name: str, desired: DesiredAccount | None) -> None:
    """Refuse the new name of an account that the state has under its previous name; raises Refused."""
    if desired is not None and desired.previously in state.accounts:
        raise Refused(
            f"The manifest says that {name} was previously {desired.previously}, which is in the state.",
            hint=f"If this is the same account, adopt it as {desired.previously}: the next apply renames it."
            f" If not, delete `previously` under {name} in the manifest. Nothing was changed.",
        )


def _may_adopt(state: State, name: str, api_login: str, logins: Mapping[str, str]) -> bool:
    """Return whether ``name`` can adopt ``api_login``; False: it has that login already.

    ``logins`` has the logins of all active accounts by name.

    Raises:
        Refused: another account has the login, or the account has another login.

    """
    for owner, login in logins.items():
        if login.casefold() == api_login.casefold() and owner != name:
            raise Refused(
                f"The login {api_login} already belongs to {owner}.",
                hint=f"To rename {owner}, write `previously: {owner}` in the manifest: a login has only one name.",
            )
    if not isinstance(state.accounts.get(name), Active):
        return True
    if logins[name].casefold() != api_login.casefold():
        raise Refused(
            f"{name} is active and already has another login.",
            hint="Adopt this login under a name of its own. Nothing was changed.",
            advice=Advice(Remedy.FORGET_FIRST, name),
        )
    return False


# ── A new key ────────────────────────────────────────────────────────────────


def _with_key(state: State, name: str, content: SealedContent, api_key: Secret, ports: Ports) -> State:
    """Return ``state`` with a new key for ``name``, an active account whose sealed content is ``content``."""
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
