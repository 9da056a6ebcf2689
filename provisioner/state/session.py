"""A session: one run's hold on a state, locked, checked, and with rescued outcomes put back.

Owns the order in which that happens. Everything that changes a state uses a session;
``reading`` is for everything else.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Final, Self, TypeAlias

from provisioner.errors import ProvisionerError, StateError, StateForeign, StateInvalid, StateNotSaved
from provisioner.model.history import Author
from provisioner.model.state import Active, Record, State
from provisioner.state import codec, history
from provisioner.state import rescue as rescuing
from provisioner.state.holder import Holder
from provisioner.state.reading import Snapshot, check, check_endpoint, load
from provisioner.state.rescue import RescueEntry
from provisioner.state.seen import Seen, Warn
from provisioner.state.stores import Note, Store

KnownLogin: TypeAlias = Callable[[], tuple[str, str] | None]
"""Returns the API's address and the login of the state's Octopush account, once they are known."""

_TAG_DIGITS: Final = 4
_MOST_NAMED: Final = 3
_ID_BYTES: Final = 8
_PUTS_BACK: Final = "`provisioner recover LOG` puts it back"


class Session:
    """A state that only this run may change."""

    def __init__(
        self,
        store: Store,
        memory: Memory,
        warn: Warn,
        last_resort: Callable[[str], bool],
        author: Callable[[], Author] | None = None,
    ) -> None:
        self.found: Snapshot = load(store, held=True)
        """The state from before this run."""
        self._store = store
        self._memory = memory
        self._warn = warn
        self._last_resort = last_resort
        self._author = author
        self._records = True
        """Whether the history has taken what was done so far."""
        self._state, self._version = self.found.state, self.found.version

    @property
    def state(self) -> State | None:
        """The state as last loaded or saved; None if there is none yet."""
        return self._state

    def save(self, state: State, operation: str | None = None) -> None:
        """Make ``state`` durable. Raises StateNotSaved, StateMoved or StateForeign.

        ``operation`` names it in the history, where the states before and after do not tell.
        This machine remembers it before anything is sent: if the run dies, the state from
        before must not pass for the newest one. Nothing is saved if another copy of it was
        saved here meanwhile, or if its account has another state.
        """
        self._memory.admit(self._state, state)
        lines = self._lines(state, operation)
        note = Note(state.lineage, state.serial, changes(self._state, state), lines)
        self._version = self._store.save(codec.encode(state, secrets.token_hex(_ID_BYTES)), self._version, note)
        self._state = state
        # At once: what a run did that is killed in between would be missing in the history.
        if lines:
            self._record(note)
        self.note()

    def _lines(self, state: State, operation: str | None) -> tuple[str, ...]:
        """Return what the save of ``state`` adds to the history."""
        if self._author is None:
            return ()
        try:
            found = history.entries(self._state, state, self._author(), operation, self.found.state)
            return tuple(map(history.encode, found))
        except Exception as error:  # noqa: BLE001  # no save depends on it
            self._lack(error)
            return ()

    def _record(self, note: Note) -> None:
        """Record what was done; the state is already saved, so a failure here is only a warning."""
        try:
            self._store.record(note)
        except Exception as error:  # noqa: BLE001  # what is saved must not be taken for unsaved
            self._lack(error)

    def _lack(self, error: Exception) -> None:
        """Warn once that the history is incomplete."""
        reason = error.message if isinstance(error, ProvisionerError) else f"It failed ({type(error).__name__})."
        if self._records:
            self._warn_safely(f"The history lacks what this run does. {reason}")
        self._records = False

    def note(self) -> None:
        """Remember the serial of the state."""
        if self._state is not None:
            self._memory.note(self._state)

    def reserve(self, size: int) -> None:
        """Reserve the space that a rescue of ``size`` bytes would need. Raises StateNotSaved."""
        self._store.reserve(size)

    def rescue(self, state: State, name: str, operation: str, record: Record | None) -> str:
        """Keep an outcome that ``save`` could not save, and return where."""
        line = rescuing.encode(RescueEntry(state.lineage, state.parent, name, operation, record))
        try:
            self._store.rescue(f"{line}\n".encode())
        except StateNotSaved as error:
            refused = error.message
        except Exception as error:  # noqa: BLE001  # whatever happens, the line must not be lost
            refused = f"{self._store.rescue_address} could not be written either ({type(error).__name__})."
        else:
            here = self._store.rescue_address
            # If the state is elsewhere, the rescue file may disappear with this machine.
            return here if self._store.is_here or not self._is_kept(line) else f"{here}, and in the log"
        is_kept = self._is_kept(line)
        self._warn_safely(refused)
        if is_kept:
            return f"standard error, in a line of its own ({_PUTS_BACK})"
        return (
            f"only the following text ({_PUTS_BACK}, from a file that contains nothing else): {line[line.index('{') :]}"
        )

    def _is_kept(self, line: str) -> bool:
        try:
            return self._last_resort(line)
        except Exception as error:  # noqa: BLE001  # the line must not be lost: then it goes into the report
            self._warn_safely(f"The outcome could not be logged either ({type(error).__name__}).")
            return False

    def _warn_safely(self, message: str) -> None:
        """Warn, and ignore a failure to do so: what is being saved matters more."""
        with suppress(Exception):
            self._warn(message)

    def put_back(self, entries: tuple[RescueEntry, ...]) -> None:
        """Save the state with ``entries`` put back; see :func:`rescue.put_back`."""
        state = rescuing.put_back(self._state, entries)
        if state is not None and state != self._state:
            self.save(replace(state, serial=state.serial + 1), "recover")

    def keep_forgotten(self, entry: RescueEntry, moment: str) -> str:
        """Keep a record that the state is about to forget, and return where; ``recover`` can put it back.

        Raises:
            StateNotSaved: it was not saved.

        """
        return self._store.keep_forgotten(f"{moment} {rescuing.encode(entry)}\n".encode())


class Memory:
    """What this machine remembers about a state that is held; a memory that fails is reported and stops nothing."""

    def __init__(
        self,
        store: Store,
        seen: Seen,
        warn: Warn,
        account: KnownLogin,
        hold: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._store = store
        self._account = account
        self._seen = seen
        self._warn = warn
        self._hold = hold
        self._holds = ExitStack()
        self._lineage: str | None = None
        self._claimed: bool | None = None
        """Whether the state is recorded as its account's; None until this run has checked."""
        self._forgetful = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._holds.close()

    def hold(self, lineage: str) -> None:
        """Hold all copies of the state on this machine; raises StateLocked."""
        if self._lineage == lineage:
            return
        self._lineage = lineage
        try:
            self._holds.enter_context(self._hold(lineage))
        except OSError as error:
            self._cannot(f"remember the state: {error.strerror or error}")
        except StateInvalid:
            raise
        except StateError as error:
            self._cannot(f"remember the state: {error.message.removesuffix('.')}")

    def admit(self, before: State | None, after: State) -> None:
        """Raise StateMoved, StateForeign or StateLocked unless ``after`` may be saved over ``before``."""
        self.hold(after.lineage)
        if before is not None:
            self._seen.require_newest(self._store.key, before, self._warn)
        self._claim(after)

    def note(self, state: State) -> None:
        """Remember the state's serial and its account. Raises StateForeign if the account has another state."""
        try:
            self._seen.note(self._store.key, state)
        except OSError as error:
            self._cannot(f"remember the state: {error.strerror or error}")
        self._claim(state)

    def _claim(self, state: State) -> None:
        if self._claimed is bool(state.accounts) or (account := self._account()) is None:
            return
        try:
            if state.accounts:
                self._seen.claim(*account, self._store.key, state.lineage, self._warn)
            else:
                # An attempt with a wrong login does not show whose state it is.
                self._seen.release(*account, state.lineage, self._warn)
        except OSError as error:
            self._cannot(f"remember the state: {error.strerror or error}")
        self._claimed = bool(state.accounts)

    def accept(self, state: State | None) -> None:
        """Accept the state, or that there is none, because a person said so."""
        self._seen.look_again()
        try:
            if state is None:
                self._seen.forget(self._store.key)
            if (account := self._account()) is not None:
                lineage = None if state is None else state.lineage
                self._seen.accept(*account, self._store.key, lineage, self._warn)
        except OSError as error:
            self._cannot(f"forget the old state: {error.strerror or error}")

    def _cannot(self, what: str) -> None:
        if not self._forgetful:
            self._warn(f"This machine cannot {what}.")
        self._forgetful = True


@contextmanager
def opened(  # noqa: PLR0913  # the parts of a session, all given by the caller
    store: Store,
    *,
    parent: str,
    holder: Holder,
    lock_timeout: float,
    sleep: Callable[[float], None],
    last_resort: Callable[[str], bool],
    seen: Seen,
    warn: Warn,
    accept: bool = False,
    account: KnownLogin = lambda: None,
    author: Callable[[], Author] | None = None,
) -> Iterator[Session]:
    """Hold the state, and all copies of it on this machine, inside a ``with``.

    ``accept`` skips the comparison with what this machine has seen, and records the state as
    one of ``account``'s. ``last_resort`` takes a rescue line that the store could not keep, and
    returns whether it did. ``author`` returns whom the history names. Raises StateLocked,
    StateInvalid, StateForeign, StateRolledBack and StateNotSaved; failures at the end only go to
    ``warn``, so as not to hide what the run did.
    """
    waited = 0.0

    def wait(seconds: float) -> None:
        nonlocal waited
        waited += seconds
        sleep(seconds)

    def hold(lineage: str) -> AbstractContextManager[None]:
        return seen.hold(lineage, holder, timeout=lock_timeout - waited, sleep=wait)

    with store.hold(holder, timeout=lock_timeout, sleep=wait), Memory(store, seen, warn, account, hold) as memory:
        session = Session(store, memory, warn, last_resort, author)
        if session.state is not None:
            memory.hold(session.state.lineage)
        check(store, session.state, parent)
        if accept:
            memory.accept(session.state)
        else:
            seen.check(store.key, session.state, warn, store.backup)
        session.note()
        if entries := session.found.rescued:
            before = session.state
            session.put_back(entries)
            if before != session.state:
                warn(f"Put back from {store.rescue_address}: {', '.join(entry.name for entry in entries)}.")
        store.clear_rescued()
        try:
            yield session
        finally:
            _tidy(session, store, warn)


def check_parent(state: State, *, endpoint: str, api_login: str, login_from: str) -> State:
    """Return ``state`` bound to the parent's account at ``endpoint``.

    ``login_from`` names the source of the login. An empty state is bound again each time, so
    that a mistyped login or address does not stick.

    Raises:
        StateForeign: it is bound to another account or endpoint.

    """
    check = state.parent_check
    fits = check is not None and _fits(check, api_login)
    if state.accounts:
        check_endpoint(state, endpoint)
        if check is not None and not fits:
            raise StateForeign(
                f"The accounts of {state.parent} belong to another Octopush account than the one in {login_from}.",
                hint="Use the login that created them, or another state. Nothing was sent.",
            )
    if not fits or _is_slow(check):
        check = _tag(api_login, secrets.token_hex(16))
    return replace(state, endpoint=endpoint, parent_check=check)


def _fits(check: str, api_login: str) -> bool:
    salt = check.partition("$")[0]
    return secrets.compare_digest(check, (_slow if _is_slow(check) else _tag)(api_login, salt))


def _tag(api_login: str, salt: str) -> str:
    """Return a check that notices 65,535 of 65,536 wrong logins, and is too short to confirm a guess.

    A login is an e-mail address, and anybody who can read the state can try as many as they like.
    """
    return f"{salt}${hashlib.sha256(f'{salt}${api_login}'.encode()).hexdigest()[:_TAG_DIGITS]}"


def _is_slow(check: str | None) -> bool:
    """Whether ``check`` has the earlier, long form, which the next save replaces."""
    return check is not None and len(check.partition("$")[2]) > _TAG_DIGITS


def _slow(api_login: str, salt: str) -> str:
    digest = hashlib.scrypt(api_login.encode(), salt=salt.encode(), n=2**11, r=8, p=1, dklen=32)
    return f"{salt}${digest.hex()}"


def changes(before: State | None, after: State) -> str:
    """Return what ``after`` changes, in one line: each account with its new status."""
    if before is None:
        before = replace(after, accounts={}, placements={})
    names = sorted(
        name
        for name in before.accounts.keys() | after.accounts.keys()
        if before.accounts.get(name) != after.accounts.get(name)
    )
    placed = after.placements.items() - before.placements.items()
    if placed:
        return f"{len(placed)} placed"
    shown = [f"{name}: {_kind(after.accounts.get(name))}" for name in names[:_MOST_NAMED]]
    if len(names) > _MOST_NAMED:
        shown.append(f"and {len(names) - _MOST_NAMED} more")
    return ", ".join(shown) or "Save the state"


def _kind(record: Record | None) -> str:
    match record:
        case None:
            return "removed"
        case Active(edit=None):
            return "active"
        case Active():
            return "edit started"
        case _:
            return type(record).__name__.lower()


def _tidy(session: Session, store: Store, warn: Warn) -> None:
    def clear() -> None:
        if not store.rescued():
            store.clear_rescued()

    # Whatever fails, nobody is to wait for a run that has ended.
    for step in (clear, session.note, store.release):
        try:
            step()
        except StateError as error:
            warn(error.message)
