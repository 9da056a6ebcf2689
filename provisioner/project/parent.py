"""One parent of a project, with everything that an operation needs, each part resolved once.

Owns the settings, store, credentials, sealer, opener and client of one parent, and the
check that its state belongs to its account. Refuses to decide what is done with them.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import CommandInvalid, Refused, SettingInvalid, StateConflict, StateError, StateForeign
from provisioner.model.state import Active, Pending, Record, State, without_comment
from provisioner.model.terms import Terms
from provisioner.project.places import require_harmless
from provisioner.settings import ParentSettings, Settings
from provisioner.settings.paths import is_address
from provisioner.state.reading import Snapshot, read
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
"""Seconds between two looks at whether another run has ended."""
_POLL_ELSEWHERE: Final = 2.0
"""The same where each look asks a server."""
_NAMED: Final = 5
"""Places of states that one error names; of more, it says how many."""


class Keys:
    """To whom a project seals, and with what it opens: found out once, however many parents and threads ask."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], default: Path) -> None:
        self._settings = settings
        self.environ = environ
        self._default = default
        self._lock = threading.Lock()
        self._sealer: AgeSealer | None = None
        self._opener: AgeOpener | SettingInvalid | None = None
        self._checked = False

    def sealer(self) -> AgeSealer:
        """Return what seals to the recipients of the settings; raises SettingInvalid where there is none."""
        from provisioner.state.sealing import AgeSealer  # a plan seals nothing

        with self._lock:
            if self._sealer is None:
                self._sealer = AgeSealer(self._settings.recipients)
            return self._sealer

    @property
    def files(self) -> tuple[Path, ...]:
        """Where an identity may be kept."""
        from provisioner.settings.readers import identity_file  # only who writes a file asks

        named = (identity_file(self._settings, self.environ), self._settings.identity_file, self._default)
        return tuple(Path(each) for each in named if each)

    def has_identity(self) -> bool:
        """Whether an identity was given anywhere; whether it is the right one is another matter."""
        from provisioner.settings import secrets  # a plan opens nothing

        return secrets.has_identity(self._settings, self.environ, self._default)

    def opener(self, said: Callable[[str], None] | None) -> AgeOpener:
        """Return what opens seals; raises SettingInvalid where there is no identity, or it is malformed.

        A command that prints the identity, which may ask a person, is run once.
        """
        from provisioner.settings import secrets  # a plan opens nothing
        from provisioner.state.sealing import AgeOpener, parse_identities

        with self._lock:
            if self._opener is None:
                try:
                    text, source = secrets.identity(self._settings, self.environ, self._default, said)
                    self._opener = AgeOpener(parse_identities(text, source), source)
                except SettingInvalid as error:
                    self._opener = error
            if isinstance(self._opener, SettingInvalid):
                raise self._opener
            return self._opener

    def require_own(self, opener: Opener) -> None:
        """Refuse recipients that do not include the identity in use; raises Refused.

        What is changed is sealed to them: nobody here could open it again.
        """
        from provisioner.state.sealing import require_opens  # a plan seals nothing

        sealer = self.sealer()
        with self._lock:
            if not self._checked:
                require_opens(opener, sealer)
                self._checked = True


class _OpensOnce:
    """Opens each seal once, however often it is asked for."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._opened: dict[tuple[str, ...], SealedContent] = {}

    def open(self, sealed: str, *, lineage: str, parent: str, name: str, operation: str) -> SealedContent:
        """Return what ``sealed`` holds; raises IdentityRejected, StateInvalid or StateConflict."""
        key = (sealed, lineage, parent, name, operation)
        if key not in self._opened:
            self._opened[key] = self._opener.open(
                sealed, lineage=lineage, parent=parent, name=name, operation=operation
            )
        return self._opened[key]


class LoginOwners:
    """Which parents of the settings have which login: read once, so far as they can be read here."""

    def __init__(self, settings: Settings, readers: Readers) -> None:
        self._settings = settings
        self._readers = readers
        self._lock = threading.Lock()
        self._owners: dict[str, list[str]] | None = None

    def owners(self, login: str) -> Sequence[str]:
        """Return the names of the parents with this login; not those whose variables are not set here."""
        from provisioner.settings import secrets  # a plan needs none

        with self._lock:
            if self._owners is None:
                self._owners = {}
                for name, own in self._settings.parents.items():
                    # A parent that is not at work needs no credentials.
                    with suppress(SettingInvalid):
                        theirs = secrets.credentials(own, self._readers.parents, self._settings.base).api_login
                        self._owners.setdefault(theirs.casefold(), []).append(name)
            return self._owners.get(login.casefold(), ())


@dataclass(frozen=True, slots=True)
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
    """The project's."""
    machine: Path
    """For what this machine keeps of states that are elsewhere."""
    interactive: bool
    """Whether a command that prints the identity may ask a person on standard error."""
    steering: Callable[[], tuple[Setting, ...]]
    """Returns the settings that are not as they usually are, found out once; raises SettingInvalid."""


class Parent:
    """One parent; used by one thread at a time."""

    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self.settings = shared.settings
        self.environ = shared.environ
        self.keys = shared.keys
        self.readers = shared.readers
        self.parts = shared.parts
        self._seen = shared.seen
        self._folder, self._machine = shared.folder, shared.machine
        self._interactive = shared.interactive
        self._steering = shared.steering
        self._account: tuple[str, str] | None = None
        """Address and login, once it is certain that no other parent has them, and no other state is known of them."""
        self._logins = shared.logins
        self._opener: Opener | None = None
        self._waited = 0.0
        """Seconds of the lock's timeout that a plan has spent already."""

    # ── Its state ────────────────────────────────────────────────────────────

    @cached_property
    def store(self) -> Store:
        """Where its state is kept; raises SettingInvalid for a place that cannot be one."""
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
        """Return on what terms a plan is carried out that was made from ``state``, or that ``begins`` one.

        Raises:
            SettingInvalid: a file whose content counts cannot be read.

        """
        wanted = {without_comment(each): each for each in self.settings.recipients}
        # A state without accounts has nothing sealed: it takes its recipients with its first record.
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

    def placed(self, report: Report) -> Report:
        """Return ``report``, which says where it was done: by hand or by a schedule, nobody may have seen a plan."""
        return replace(report, terms=self.terms())

    def warn_of_recipients(self, state: State | None, reporter: Reporter) -> None:
        """Warn where ``state`` is sealed to other recipients than those of the settings: no plan was shown."""
        from provisioner.render import conditions, text  # a plan says so itself

        for sentence in conditions.recipients(self.terms(state)):
            self.warn(reporter, f"this {text.plain(sentence)}.")

    def require_readers(self, state: State | None) -> None:
        """Refuse to seal to nobody who can open ``state``; raises Refused."""
        if self.terms(state).shuts_out:
            raise Refused(
                f"The settings name none of those who can open the state of the parent {self.name}: whatever is sealed"
                " now, they could not open.",
                hint="If `recipients` is right, run `provisioner rekey` first, or `provisioner apply --new-recipients`."
                " Nothing was sent.",
            )

    def look(self, reporter: Reporter) -> Snapshot:
        """Return its state without holding it, and warn of what an earlier run left unfinished.

        Raises:
            StateError: it cannot be read, or is not the one that this machine knows.

        """
        snapshot = read(self.store, parent=self.name, seen=self._seen, warn=partial(self.warn, reporter))
        if snapshot.state is not None and any(map(_is_unfinished, snapshot.state.accounts.values())):
            if holder := self.store.holder():
                busy = "what it is working on shows as unknown or unfinished until it ends"
                self.warn(reporter, f"the state is held by {holder}: {busy}.")
            elif snapshot.rescued:
                todo = "the next apply, or `provisioner recover`, puts it back"
                self.warn(reporter, f"an outcome is kept in {self.store.rescue_address}: {todo}.")
        return snapshot

    def wait_for_others(self, cancel: Cancel) -> None:
        """Return once no other run holds the state, or when the setting ``lock_timeout`` has passed.

        What is planned while another run is at work is stale when that has ended.
        """
        self._waited, poll = 0.0, _POLL if self.store.is_here else _POLL_ELSEWHERE
        while self._waited < self.settings.lock_timeout and self.store.holder() is not None and cancel.code() is None:
            pause = min(poll, self.settings.lock_timeout - self._waited)
            cancel.sleep(pause)
            self._waited += pause

    @contextmanager
    def hold(self, run: RunContext, *, accept: bool = False, patience: float = 0.0) -> Iterator[Session]:
        """Hold its state for the length of a ``with``; see :func:`provisioner.state.session.opened`.

        Another run is waited for as the setting ``lock_timeout`` says, or for ``patience`` seconds if that is more.
        """
        from provisioner.project.provenance import author, holder  # a plan holds nothing
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
    def holds(self, run: RunContext, store: Store | None = None) -> Iterator[Store]:
        """Hold the store of its state, or another ``store``, for the length of a ``with``, whatever is in it."""
        from provisioner.project.provenance import holder

        store = self.store if store is None else store
        with store.hold(holder(self.environ), timeout=self.settings.lock_timeout, sleep=run.cancel.sleep):
            try:
                yield store
            finally:
                try:
                    store.let_go()
                except StateError as error:
                    # It hides neither what was saved nor why it was not.
                    self.warn(run.reporter, error.message)

    def require_seen(self, state: State, reporter: Reporter) -> None:
        """Return if this machine has seen no later state here, and none of another lineage; raises StateError."""
        self._seen.check(self.store.key, state, partial(self.warn, reporter), self.store.backup)

    def note(self, state: State, reporter: Reporter) -> None:
        """Have this machine remember ``state``, which is saved by now; that it cannot is said."""
        try:
            self._seen.note(self.store.key, state)
        except OSError as error:
            self.warn(reporter, f"This machine cannot remember the state: {error.strerror or error}.")

    def warn(self, reporter: Reporter, message: str) -> None:
        """Warn of something about this parent, which is named where there are several."""
        reporter.warning(f"{self.name}: {message}" if len(self.settings.parents) > 1 else message)

    @property
    def own(self) -> ParentSettings:
        """Its settings."""
        return self.settings.parent(self.name)

    @property
    def is_frozen(self) -> bool:
        """Whether the settings forbid to create or to change anything for it today."""
        return self.own.frozen is not None and self.own.frozen.holds_at(self.parts.now())

    def require_unfrozen(self) -> None:
        """Return if something may be created or changed for it today; raises Refused."""
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
        """Its login and key; raises SettingInvalid where one of them is missing."""
        from provisioner.settings import secrets  # a plan needs none

        return secrets.credentials(self.own, self.readers.parents, self.settings.base)

    @cached_property
    def _known_login(self) -> str | None:
        from provisioner.settings import secrets  # its key is not asked for

        return secrets.known_login(self.own, self.readers.parents, self.settings.base)

    def require_own(self, state: State | None, reporter: Reporter) -> None:
        """Return if ``state``, or None where there is none, may be that of the parent's account.

        Raises:
            StateForeign: another parent of the settings has the login, or this machine knows another state of it.
            SettingInvalid: the parent has no credentials.

        """
        login = self.credentials.api_login
        if others := [name for name in self._logins.owners(login) if name != self.name]:
            raise StateForeign(
                f"The parents {', '.join(sorted((self.name, *others)))} have the same login at Octopush.",
                hint="One account has one parent, one state and one count of its slots: keep one of them, or correct"
                " the login of the other. Nothing was sent.",
            )
        account = (self.settings.api_url, login)
        lineage = None if state is None else state.lineage
        self._seen.require_own(*account, self.store.key, lineage, partial(self.warn, reporter))
        self._account = account

    def look_up_account(self, reporter: Reporter) -> None:
        """Find out whose account it is, whatever this machine knows of it; say so where nothing here tells."""
        try:
            self._account = (self.settings.api_url, self.credentials.api_login)
        except SettingInvalid as error:
            self.warn(reporter, f"what this machine knows of the account's other states stays. {error.message}")

    def bound(self, state: State | None, reporter: Reporter) -> State:
        """Return ``state``, or a new one, bound to the parent's account at the settings' address.

        Raises:
            StateForeign: it is bound to another account or address, or the account is another's; see `require_own`.
            SettingInvalid: the parent has no credentials.

        """
        from provisioner.state.session import check_parent  # a plan binds nothing

        bound = state or State(lineage=str(uuid.uuid4()), parent=self.name)
        if not bound.accounts:
            # From its first record on it names those that it began with, so that a plan warns until a rekey.
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
        """Return what speaks to Octopush for this parent in one run."""
        return self._client(self.credentials, watch, run)

    def client_of_nobody(self, watch: Watch, run: RunContext) -> Client:
        """Return the same without the parent's credentials, for what a sub-account asks by itself."""
        from provisioner.model.account import Credentials, Secret

        return self._client(Credentials("", Secret("")), watch, run)

    def _client(self, credentials: Credentials, watch: Watch, run: RunContext) -> Client:
        from datetime import UTC, datetime  # a plan sends nothing

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
        """Return all that an operation on the held state touches; raises SettingInvalid."""
        from provisioner.executor.ports import Ports  # a plan touches nothing
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

    # ── What is sealed ───────────────────────────────────────────────────────

    def opener(self, reporter: Reporter) -> Opener:
        """Return what opens its seals, each once; raises SettingInvalid."""
        if self._opener is None:
            self._opener = _OpensOnce(self.keys.opener(None if self._interactive else reporter.identity_said))
        return self._opener


def require_state(state: State | None, *parents: Parent) -> State:
    """Return ``state``, which is one of ``parents``; raises StateConflict where there is none."""
    if state is None:
        places = ", ".join(f"{parent.name} at {parent.store.address}" for parent in parents[:_NAMED])
        more = f" and {len(parents) - _NAMED} more" if parents[_NAMED:] else ""
        raise StateConflict(
            f"There is no state of the parent{'s' if parents[1:] else ''} {places}{more}.",
            hint="Check that this is the place of the state (--state, PROVISIONER_STATE). Do not run `provisioner"
            " apply` if accounts exist: they would be created again.",
        )
    return state


def _is_unfinished(record: Record) -> bool:
    return isinstance(record, Pending) or (isinstance(record, Active) and record.edit is not None)
