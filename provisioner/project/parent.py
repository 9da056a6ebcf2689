"""One parent of a project, with everything that an operation needs, each part loaded once.

Owns the settings, store, credentials, sealer, opener and client of one parent, and the
check that its state belongs to its account. Does not decide what to do with them.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import (
    CommandInvalid,
    ProvisionerError,
    Refused,
    SettingInvalid,
    StateConflict,
    StateError,
    StateForeign,
)
from provisioner.immutable import immutable
from provisioner.model.address import is_same
from provisioner.model.state import Active, Pending, Record, State, without_comment
from provisioner.model.terms import Terms
from provisioner.project.places import require_harmless
from provisioner.project.running import attempted
from provisioner.render.lines import counted
from provisioner.settings import USUAL_STATE, ParentSettings, Settings
from provisioner.settings.paths import is_address
from provisioner.state import codec
from provisioner.state.reading import Snapshot, check_endpoint, read
from provisioner.state.seen import Seen
from provisioner.state.stores.opening import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.executor.ports import Opener, Ports
    from provisioner.model.account import Credentials
    from provisioner.model.report import Report
    from provisioner.model.terms import Setting
    from provisioner.model.verdict import SealedContent
    from provisioner.octopush.client import Client
    from provisioner.project.cancel import Cancel
    from provisioner.project.parts import Parts
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import RunContext, Watch
    from provisioner.settings.readers import Readers
    from provisioner.state.sealing import AgeOpener, AgeSealer
    from provisioner.state.session import Session
    from provisioner.state.stores import Store


_POLL: Final = 0.1
"""Seconds between two checks whether another run has ended."""
_POLL_REMOTE: Final = 2.0
"""The same if each check is a request to a server."""
_NOTHING_SENT: Final = " Nothing was sent."
_NAMED: Final = 5
"""The number of states that one error lists; it counts the rest."""


class Keys:
    """The recipients and the identity of a project, loaded once for all parents and threads."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], default: Path) -> None:
        self._settings = settings
        self.environ = environ
        self._default = default
        self._lock = threading.Lock()
        self._sealer: AgeSealer | None = None
        self._opener: AgeOpener | SettingInvalid | None = None
        self._checked = False

    def sealer(self) -> AgeSealer:
        """Return a sealer for the recipients in the settings; raises SettingInvalid if there are none."""
        from provisioner.state.sealing import AgeSealer  # a plan does not need it

        with self._lock:
            if self._sealer is None:
                self._sealer = AgeSealer(self._settings.recipients)
            return self._sealer

    @property
    def files(self) -> tuple[Path, ...]:
        """The possible paths of an identity file."""
        from provisioner.settings.readers import identity_file  # rarely needed

        named = (identity_file(self._settings, self.environ), self._settings.identity_file, self._default)
        return tuple(Path(each) for each in named if each)

    def has_identity(self) -> bool:
        """Return whether there is an identity; it may still be the wrong one."""
        from provisioner.settings import secrets  # a plan does not need it

        return secrets.has_identity(self._settings, self.environ, self._default)

    def opener(self, on_stderr: Callable[[str], None] | None) -> AgeOpener:
        """Return an opener with the identity; raises SettingInvalid if there is none, or it is malformed.

        A command that prints the identity runs only once, since it may ask a person. ``on_stderr``
        gets what it writes to standard error; None: that goes to the terminal.
        """
        from provisioner.settings import secrets  # a plan does not need it
        from provisioner.state.sealing import AgeOpener, parse_identities

        with self._lock:
            if self._opener is None:
                try:
                    text, source = secrets.identity(self._settings, self.environ, self._default, on_stderr)
                    self._opener = AgeOpener(parse_identities(text, source), source)
                except SettingInvalid as error:
                    self._opener = error
            if isinstance(self._opener, SettingInvalid):
                raise self._opener
            return self._opener

    def require_own(self, opener: Opener) -> None:
        """Raise Refused unless the identity in use belongs to one of the recipients.

        Otherwise nobody here could open what a change seals.
        """
        from provisioner.state.sealing import require_opens  # a plan does not need it

        sealer = self.sealer()
        with self._lock:
            if not self._checked:
                require_opens(opener, sealer)
                self._checked = True


class _OpensOnce:
    """An opener that opens each seal only once."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._opened: dict[tuple[str, ...], SealedContent] = {}

    def open(self, sealed: str, *, lineage: str, parent: str, name: str, operation: str) -> SealedContent:
        """Return the content of ``sealed``; raises IdentityRejected, StateInvalid or StateConflict."""
        key = (sealed, lineage, parent, name, operation)
        if key not in self._opened:
            self._opened[key] = self._opener.open(
                sealed, lineage=lineage, parent=parent, name=name, operation=operation
            )
        return self._opened[key]


class LoginOwners:
    """The parents that have each login: read once, as far as they can be read here."""

    def __init__(self, settings: Settings, readers: Readers) -> None:
        self._settings = settings
        self._readers = readers
        self._lock = threading.Lock()
        self._owners: dict[str, list[str]] | None = None

    def owners(self, login: str) -> Sequence[str]:
        """Return the names of the parents with this login, without those whose variables are not set here."""
        from provisioner.settings import secrets  # a plan does not need it

        with self._lock:
            if self._owners is None:
                self._owners = {}
                for name, own in self._settings.parents.items():
                    # Other parents need no credentials in this run.
                    with suppress(SettingInvalid):
                        other = secrets.credentials(own, self._readers.parents, self._settings.base).api_login
                        self._owners.setdefault(other.casefold(), []).append(name)
            return self._owners.get(login.casefold(), ())


@immutable
class Shared:
    """What the parents of a project share."""

    settings: Settings
    environ: Mapping[str, str] = field(repr=False)
    keys: Keys
    readers: Readers
    logins: LoginOwners
    seen: Seen
    parts: Parts
    folder: Path
    """The project folder."""
    machine: Path
    """The folder for files of this machine about remote states."""
    interactive: bool
    """Whether a command that prints the identity may ask a person on standard error."""
    steering: Callable[[], tuple[Setting, ...]]
    """Returns the settings that differ from their defaults, determined once; raises SettingInvalid."""


class Parent:
    """One parent; only one thread at a time may use it."""

    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self.settings = shared.settings
        self.environ = shared.environ
        self.keys = shared.keys
        self.readers = shared.readers
        self.parts = shared.parts
        self._seen = shared.seen
        self._folder, self._machine = shared.folder, shared.machine
        self._usual_state = str(shared.folder / USUAL_STATE)
        self._interactive = shared.interactive
        self._steering = shared.steering
        self._account: tuple[str, str] | None = None
        """Address and login, after the check that no other parent and no other known state has them."""
        self._logins = shared.logins
        self._opener: Opener | None = None
        self._waited = 0.0
        """Seconds of the lock timeout that planning has already used."""

    # ── Its state ────────────────────────────────────────────────────────────

    @cached_property
    def store(self) -> Store:
        """The store of its state; raises SettingInvalid if the address cannot be used."""
        address = self.settings.state_address(self.name)
        if not is_address(address):
            try:
                require_harmless(Path(address), self._folder)
            except CommandInvalid as error:
                raise SettingInvalid(f"The setting state cannot be used. {error.message}", hint=error.hint) from None
        return self.store_at(address)

    def store_at(self, address: str) -> Store:
        """Return the store at another ``address``; raises SettingInvalid."""
        return self.parts.store(Place(address, self._folder, self._machine, self.readers.outside(self.environ)))

    def terms(self, state: State | None = None, *, begins: bool = False) -> Terms:
        """Return the terms of a plan from ``state``, or of one that ``begins`` a state.

        Raises:
            SettingInvalid: a file whose content is part of the terms cannot be read.

        """
        wanted = {without_comment(each): each for each in self.settings.recipients}
        # A state without accounts contains nothing sealed: its recipients count from the first record on.
        sealed = {without_comment(each): each for each in (state.recipients if state and state.accounts else ())}
        compares = bool(wanted and state and state.accounts)
        return Terms(
            endpoint=self.settings.api_url,
            login=self.own.api_login,
            key=self.own.api_key,
            state=self.store.address,
            begins=begins,
            recipients=tuple(wanted[key] for key in sorted(wanted)),
            added=tuple(wanted[key] for key in sorted(wanted.keys() - sealed.keys())) if compares else (),
            removed=tuple(sealed[key] for key in sorted(sealed.keys() - wanted.keys())) if compares else (),
            settings=self._steering(),
            frozen=self.own.frozen,
            is_frozen=self.is_frozen,
            account=self._known_login,
        )

    def with_terms(self, report: Report) -> Report:
        """Return ``report`` with the parent's terms, since nobody may have seen a plan that shows them."""
        terms = attempted(self.terms)
        if isinstance(terms, ProvisionerError):
            # A failure that the report has already may have the same cause.
            return replace(report, failure=report.failure or terms)
        return replace(report, terms=terms)

    def warn_of_recipients(self, state: State | None, reporter: Reporter) -> None:
        """Warn if ``state`` is sealed to other recipients than those in the settings, since no plan shows that."""
        from provisioner.render import conditions, text  # a plan does not need it

        for sentence in conditions.recipients(self.terms(state)):
            self.warn(reporter, f"this {text.plain(sentence)}.")

    def require_readers(self, state: State | None) -> None:
        """Raise Refused if nobody who can open ``state`` is among the recipients in the settings."""
        if self.terms(state).shuts_out:
            raise Refused(
                f"The settings name none of the recipients of the state of the parent {self.name}: they could not open"
                " new credentials.",
                hint="If `recipients` is right, run `provisioner rekey` first, or `provisioner apply --new-recipients`."
                " Nothing was sent.",
            )

    def look(self, reporter: Reporter) -> Snapshot:
        """Return its state without holding it, and warn about unfinished work of another run.

        Raises:
            StateError: the state cannot be read, or is not the one that this machine knows.

        """
        snapshot = read(self.store, parent=self.name, seen=self._seen, warn=partial(self.warn, reporter))
        if snapshot.state is not None and any(map(_is_unfinished, snapshot.state.accounts.values())):
            if holder := self.store.holder():
                effect = "its current account shows as unknown or unfinished until it ends"
                self.warn(reporter, f"the state is held by {holder}: {effect}.")
            elif snapshot.rescued:
                todo = "the next apply, or `provisioner recover`, puts it back"
                self.warn(reporter, f"there is a rescued outcome in {self.store.rescue_address}: {todo}.")
        return snapshot

    def wait_for_others(self, cancel: Cancel) -> None:
        """Wait until no other run holds the state, or for as long as the setting ``lock_timeout`` says.

        A plan that is made during another run would be stale at its end.
        """
        self._waited, poll = 0.0, _POLL if self.store.is_here else _POLL_REMOTE
        while self._waited < self.settings.lock_timeout and self.store.holder() is not None and cancel.code() is None:
            pause = min(poll, self.settings.lock_timeout - self._waited)
            cancel.sleep(pause)
            self._waited += pause

    @contextmanager
    def hold(self, run: RunContext, *, accept: bool = False, patience: float = 0.0) -> Iterator[Session]:
        """Hold its state inside a ``with``; see :func:`provisioner.state.session.opened`.

        Waits for another run as long as the setting ``lock_timeout`` says, or ``patience`` seconds if that is longer.
        """
        from provisioner.project.provenance import author, holder  # a plan does not need it
        from provisioner.state.session import opened

        patience, self._waited = max(patience, self.settings.lock_timeout - self._waited), 0.0
        with opened(
            self.store,
            parent=self.name,
            holder=holder(self.environ),
            lock_timeout=patience,
            sleep=run.cancel.sleep,
            last_resort=run.reporter.last_resort,
            seen=self._seen,
            warn=partial(self.warn, run.reporter),
            accept=accept,
            account=lambda: self._account,
            author=lambda: author(self.environ, run.digest, self.parts.now()),
        ) as session:
            yield session

    @contextmanager
    def hold_store(self, run: RunContext, store: Store | None = None) -> Iterator[Store]:
        """Hold the store of its state, or another ``store``, inside a ``with``, whatever its content."""
        from provisioner.project.provenance import holder

        store = self.store if store is None else store
        with store.hold(holder(self.environ), timeout=self.settings.lock_timeout, sleep=run.cancel.sleep):
            try:
                yield store
            finally:
                try:
                    store.release()
                except StateError as error:
                    # Only a warning: the save, or its failure, matters more.
                    self.warn(run.reporter, error.message)

    def require_seen(self, state: State, reporter: Reporter) -> None:
        """Raise StateError if this machine has seen a later state here, or one of another lineage."""
        self._seen.check(self.store.key, state, partial(self.warn, reporter), self.store.backup)

    def remember(self, state: State, reporter: Reporter) -> None:
        """Let this machine remember the saved ``state``; a failure is only a warning."""
        try:
            self._seen.note(self.store.key, state)
        except OSError as error:
            self.warn(reporter, f"This machine cannot remember the state: {error.strerror or error}.")

    def warn(self, reporter: Reporter, message: str) -> None:
        """Warn about this parent, with its name if there are several."""
        reporter.warning(f"{self.name}: {message}" if len(self.settings.parents) > 1 else message)

    @property
    def own(self) -> ParentSettings:
        """Its settings."""
        return self.settings.parent(self.name)

    @property
    def is_frozen(self) -> bool:
        """Whether the settings forbid creating or changing accounts for it today."""
        return self.own.frozen is not None and self.own.frozen.holds_at(self.parts.now())

    def require_unfrozen(self) -> None:
        """Raise Refused if the parent is frozen today."""
        if self.own.frozen is not None and self.is_frozen:
            raise Refused(
                f"The parent {self.name} is frozen until {self.own.frozen.until} (UTC, that day included):"
                f" {self.own.frozen.reason.rstrip('.')}.",
                hint=f"Wait, or delete `frozen` from the parent {self.name} in {self.settings.file}."
                " Nothing was created or changed for it.",
            )

    # ── Its account at Octopush ──────────────────────────────────────────────

    @cached_property
    def credentials(self) -> Credentials:
        """Its login and key; raises SettingInvalid if one of them is missing."""
        from provisioner.settings import secrets  # a plan does not need it

        return secrets.credentials(self.own, self.readers.parents, self.settings.base)

    @cached_property
    def _known_login(self) -> str | None:
        from provisioner.settings import secrets

        return secrets.known_login(self.own, self.readers.parents, self.settings.base)

    def require_own(self, state: State | None, reporter: Reporter) -> None:
        """Check that ``state``, or None if there is none, can be that of the parent's account.

        Raises:
            StateForeign: another parent in the settings has the login, or this machine knows another state for it,
                or it would begin a state while the project has one at the usual place.
            SettingInvalid: the parent has no credentials.

        """
        login = self.credentials.api_login
        if others := [name for name in self._logins.owners(login) if name != self.name]:
            raise StateForeign(
                f"The parents {', '.join(sorted((self.name, *others)))} have the same login at Octopush.",
                hint="Use one parent for each account, so that it has one state and one count of slots: remove a"
                " parent, or correct its login. Nothing was sent.",
            )
        self._require_one_state(login, state, reporter)
        self._account = (self.settings.api_url, login)

    def warn_of_refusal(self, state: State | None, reporter: Reporter) -> None:
        """Warn if an apply would refuse ``state``, as far as that is known without a secret."""
        try:
            if state is not None:
                check_endpoint(state, self.settings.api_url)
            self._require_one_state(self._known_login, state, reporter)
        except StateError as error:
            hint = error.hint.removesuffix(_NOTHING_SENT)
            self.warn(reporter, f"apply would refuse this. {error.message} {hint}")

    def _require_one_state(self, login: str | None, state: State | None, reporter: Reporter) -> None:
        """Raise StateForeign if the account has another state, as far as this machine or the project knows.

        ``login`` is None if it is not known here: then only the project is searched.
        """
        warn, lineage = partial(self.warn, reporter), None if state is None else state.lineage
        account = None if login is None else (self.settings.api_url, login, self.store.key, lineage)
        if (state is None or not state.accounts) and (left := self._left_behind()) is not None:
            usual, other = left
            if account is None or not self._seen.accepts(*account, warn):
                raise StateForeign(
                    f"There is no state with accounts at {self.store.address} yet, but {usual.address} is a state of"
                    f" the parent {self.name} with {counted(len(other.accounts), 'account')}.",
                    hint="They would be created a second time. Bring that state here with `provisioner state migrate"
                    f" --from '{self._usual_state}'`. If it is not the state of this parent, delete the file or"
                    f" move it away; to keep both, run `provisioner recover --accept-state`.{_NOTHING_SENT}",
                )
        if account is not None:
            self._seen.require_own(*account, warn)

    def _left_behind(self) -> tuple[Store, State] | None:
        """Return the store and the state at the project's usual place, if the setting names another place.

        Only a state that has accounts of this parent, at the address in the settings, counts.

        Raises StateInvalid if that state cannot be read.
        """
        place = self._usual_state.replace("{parent}", self.name)
        # Most projects have none: then this is all that is done.
        if not os.path.lexists(place):
            return None
        usual = self.store_at(place)
        base = Path(os.path.realpath(self._folder))
        if usual.key == self.store.key or not Path(usual.key).is_relative_to(base):
            return None
        raw, _ = usual.load()
        if raw is None or codec.moved_to(raw) is not None:
            return None
        left = codec.decode(raw, usual.address)
        is_there = left.endpoint is None or is_same(left.endpoint, self.settings.api_url)
        return (usual, left) if left.accounts and left.parent == self.name and is_there else None

    def look_up_account(self, reporter: Reporter) -> None:
        """Read the parent's login, without any check; warn if that is not possible.

        If the project has a state at the usual place, this machine then knows it as the account's.
        """
        try:
            self._account = account = (self.settings.api_url, self.credentials.api_login)
            if (left := self._left_behind()) is not None:
                # If others are known, the one that a person accepts is recorded along with those.
                with suppress(StateForeign):
                    self._seen.claim(*account, left[0].key, left[1].lineage, partial(self.warn, reporter))
        except SettingInvalid as error:
            self.warn(reporter, f"this machine still remembers the account's other states. {error.message}")
        except OSError as error:
            self.warn(reporter, f"This machine cannot remember the state: {error.strerror or error}.")

    def bound(self, state: State | None, reporter: Reporter) -> State:
        """Return ``state``, or a new one, bound to the parent's account at the address in the settings.

        Raises:
            StateForeign: it is bound to another account or address, or `require_own` refuses it.
            SettingInvalid: the parent has no credentials.

        """
        from provisioner.state.session import check_parent  # a plan does not need it

        bound = state or State(lineage=str(uuid.uuid4()), parent=self.name)
        if not bound.accounts:
            # The state keeps its first recipients until a rekey, so that a plan can warn about others.
            bound = replace(bound, recipients=tuple(sorted(set(self.settings.recipients))))
        bound = check_parent(
            bound,
            endpoint=self.settings.api_url,
            api_login=self.credentials.api_login,
            login_from=self.own.sources[0] if self.own.sources else "the settings",
        )
        self.require_own(state, reporter)
        return bound

    def client(self, watch: Watch, run: RunContext) -> Client:
        """Return a client of Octopush with the parent's credentials."""
        return self._client(self.credentials, watch, run)

    def client_without_credentials(self, watch: Watch, run: RunContext) -> Client:
        """Return a client without the parent's credentials, for requests with those of a sub-account."""
        from provisioner.model.account import Credentials, Secret

        return self._client(Credentials("", Secret("")), watch, run)

    def _client(self, credentials: Credentials, watch: Watch, run: RunContext) -> Client:
        from datetime import UTC, datetime  # a plan does not need it

        from provisioner.octopush.client import Client
        from provisioner.octopush.retry import RetryPolicy

        settings = self.settings
        return Client(
            base_url=settings.api_url,
            parent=credentials,
            transport=watch,
            retry=RetryPolicy(
                attempts=settings.attempts,
                budget=settings.retry_budget,
                retry_after_cap=settings.retry_after_cap,
                sleep=run.cancel.sleep,
                interrupted=lambda: run.cancel.code() is not None,
                waiting=watch.waiting,
            ),
            now=lambda: datetime.now(UTC),
            retry_on_429=settings.retry_on_429,
            retry_on_503=settings.retry_on_503,
            credential_names=" and ".join(self.own.sources),
        )

    def ports(self, session: Session, watch: Watch, run: RunContext) -> Ports:
        """Return the ports of an operation on the held state; raises SettingInvalid."""
        from provisioner.executor.ports import Ports  # a plan does not need it
        from provisioner.project import provenance

        return Ports(
            api=self.client(watch, run),
            journal=session,
            sealer=self.keys.sealer(),
            progress=watch,
            now=self.parts.now,
            new_id=lambda: str(uuid.uuid4()),
            by=provenance.by(self.environ),
            interrupted=run.cancel.code,
        )

    # ── Its sealed content ───────────────────────────────────────────────────

    def opener(self, reporter: Reporter) -> Opener:
        """Return an opener that opens each seal only once; raises SettingInvalid."""
        if self._opener is None:
            self._opener = _OpensOnce(self.keys.opener(None if self._interactive else reporter.identity_said))
        return self._opener


def require_state(state: State | None, *parents: Parent) -> State:
    """Return ``state``, of one of ``parents``; raises StateConflict if it is None."""
    if state is None:
        places = ", ".join(f"{parent.name} at {parent.store.address}" for parent in parents[:_NAMED])
        more = f" and {len(parents) - _NAMED} more" if parents[_NAMED:] else ""
        raise StateConflict(
            f"There is no state of the parent{'s' if parents[1:] else ''} {places}{more}.",
            hint="Check where the state is (--state, PROVISIONER_STATE). Do not run `provisioner apply` if accounts"
            " exist: they would be created again.",
        )
    return state


def _is_unfinished(record: Record) -> bool:
    return isinstance(record, Pending) or (isinstance(record, Active) and record.edit is not None)
