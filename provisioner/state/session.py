"""One run's hold on a state: locked, checked, and what was rescued put back.

Owns the order in which that happens. Everything that changes a state goes
through a session; what only reads it uses ``reading``.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from provisioner.errors import StateError, StateForeign, StateNotSaved
from provisioner.model import address
from provisioner.model.state import Record, State
from provisioner.state import codec
from provisioner.state import rescue as rescuing
from provisioner.state.holder import Holder
from provisioner.state.reading import Snapshot, check, load
from provisioner.state.rescue import Entry
from provisioner.state.seen import Seen
from provisioner.state.stores import Store

_TAG_DIGITS: Final = 4
_PUTS_BACK: Final = "`provisioner recover LOG` puts it back"


class Session:
    """A state that this run alone may change."""

    def __init__(
        self, store: Store, seen: Seen, warn: Callable[[str], None], last_resort: Callable[[str], bool]
    ) -> None:
        self.found: Snapshot = load(store, held=True)
        """The state as it was before this run did anything to it."""
        self._store = store
        self._seen = seen
        self._warn = warn
        self._last_resort = last_resort
        self._forgetful = False
        self._state, self._version = self.found.state, self.found.version

    @property
    def state(self) -> State | None:
        """The state as last loaded or saved; None where there is none yet."""
        return self._state

    def save(self, state: State) -> None:
        """Make ``state`` durable. Raises StateNotSaved or StateMoved.

        This machine remembers it before anything is sent: should the run die, the state
        as it was before must not be taken for the newest one.
        """
        self._version = self._store.save(codec.encode(state), self._version)
        self._state = state
        self.note()

    def note(self) -> None:
        """Remember how far the state has come; where that fails, say so once."""
        if self._state is None:
            return
        try:
            self._seen.note(self._store.key, self._state)
        except OSError as error:
            if not self._forgetful:
                self._warn(f"This machine cannot remember the state's serial: {error.strerror or error}.")
            self._forgetful = True

    def reserve(self) -> None:
        """Take the room that a rescue would need. Raises StateNotSaved."""
        self._store.reserve(rescuing.SPACE)

    def rescue(self, state: State, name: str, operation: str, record: Record | None) -> str:
        """Keep an outcome that ``save`` did not take, and say where it is kept."""
        line = rescuing.encode(Entry(state.lineage, state.parent, name, operation, record))
        try:
            self._store.rescue(f"{line}\n".encode())
        except StateNotSaved as error:
            refused = error
        else:
            return self._store.rescue_address
        is_kept = self._is_kept(line)
        self._warn_of_rescue(refused.message)
        if is_kept:
            return f"standard error, in the line that begins with {rescuing.MARK} ({_PUTS_BACK})"
        return f"nothing but this line ({_PUTS_BACK}): {line}"

    def _is_kept(self, line: str) -> bool:
        try:
            return self._last_resort(line)
        except Exception as error:  # noqa: BLE001  # nothing may lose the line: it then stands in the report
            self._warn_of_rescue(f"The outcome could not be handed over either ({type(error).__name__}).")
            return False

    def _warn_of_rescue(self, message: str) -> None:
        """Warn; whoever hears it may fail, and then the line that is in hand matters more."""
        with suppress(Exception):
            self._warn(message)

    def put_back(self, entries: tuple[Entry, ...]) -> None:
        """Save the state with ``entries`` where they belong; see :func:`rescue.put_back`."""
        state = rescuing.put_back(self._state, entries)
        if state is not None and state != self._state:
            self.save(replace(state, serial=state.serial + 1))

    def keep_forgotten(self, entry: Entry, moment: str) -> str:
        """Keep what the state is about to forget, and return where: ``recover`` puts it back from there.

        Raises:
            StateNotSaved: it was not kept.

        """
        return self._store.keep_forgotten(f"{moment} {rescuing.encode(entry)}\n".encode())


@contextmanager
def opened(  # noqa: PLR0913  # every part of a hold is given: none of them is looked up here
    store: Store,
    *,
    parent: str,
    holder: Holder,
    lock_timeout: float,
    sleep: Callable[[float], None],
    last_resort: Callable[[str], bool],
    seen: Seen,
    warn: Callable[[str], None],
    accept: bool = False,
) -> Iterator[Session]:
    """Hold the state for the length of a ``with``.

    ``accept`` skips the comparison with what this machine has seen. ``last_resort`` takes
    a rescued line that the store did not, and returns whether it is kept. Raises
    StateLocked, StateInvalid, StateForeign, StateRolledBack, StateNotSaved; at the
    end only ``warn`` hears of what fails, so that it does not hide what the run did.
    """
    with store.hold(holder, timeout=lock_timeout, sleep=sleep):
        session = Session(store, seen, warn, last_resort)
        check(store, session.state, parent, seen, accept=accept)
        if accept and session.state is None:
            _forget(store, seen, warn)
        if entries := session.found.rescued:
            session.put_back(entries)
            warn(f"Put back from {store.rescue_address}: {', '.join(entry.name for entry in entries)}.")
        session.note()
        store.clear_rescued()
        try:
            yield session
        finally:
            _tidy(store, warn)


def check_parent(state: State, *, endpoint: str, api_login: str, login_from: str) -> State:
    """Return ``state`` bound to the parent's account at ``endpoint``, as it is from its first record on.

    ``login_from`` names where the login was found. A state without a record is bound again
    each time: a mistyped login or address must not stick.

    Raises:
        StateForeign: it is bound to another account or endpoint.

    """
    check = state.parent_check
    fits = check is not None and _fits(check, api_login)
    if state.accounts:
        check_endpoint(state, endpoint)
        if check is not None and not fits:
            raise StateForeign(
                f"The accounts of {state.parent} belong to another Octopush account than the one of {login_from}.",
                hint="Use the login that created them, or another state. Nothing was sent.",
            )
    if not fits or _is_slow(check):
        check = _tag(api_login, secrets.token_hex(16))
    return replace(state, endpoint=endpoint, parent_check=check)


def check_endpoint(state: State, endpoint: str) -> None:
    """Refuse an address at which the accounts of ``state`` do not live; raises StateForeign."""
    if state.accounts and state.endpoint is not None and not address.is_same(state.endpoint, endpoint):
        raise StateForeign(
            f"The accounts of this state live at {state.endpoint}; the settings say {endpoint}.",
            hint="Set OCTOPUSH_API_URL to the state's address, or use another state. Nothing was sent.",
        )


def _fits(check: str, api_login: str) -> bool:
    salt = check.partition("$")[0]
    return secrets.compare_digest(check, (_slow if _is_slow(check) else _tag)(api_login, salt))


def _tag(api_login: str, salt: str) -> str:
    """Return a check so short that it notices 65,535 of 65,536 wrong logins, and confirms no guess at the right one.

    A login is an e-mail address, and whoever can read a state may guess as many as they like.
    """
    return f"{salt}${hashlib.sha256(f'{salt}${api_login}'.encode()).hexdigest()[:_TAG_DIGITS]}"


def _is_slow(check: str | None) -> bool:
    """Whether ``check`` is of the earlier, whole form: the next save of what is bound replaces it."""
    return check is not None and len(check.partition("$")[2]) > _TAG_DIGITS


def _slow(api_login: str, salt: str) -> str:
    digest = hashlib.scrypt(api_login.encode(), salt=salt.encode(), n=2**11, r=8, p=1, dklen=32)
    return f"{salt}${digest.hex()}"


def _forget(store: Store, seen: Seen, warn: Callable[[str], None]) -> None:
    try:
        seen.forget(store.key)
    except OSError as error:
        warn(f"This machine cannot forget the state that it has seen: {error.strerror or error}.")


def _tidy(store: Store, warn: Callable[[str], None]) -> None:
    try:
        if not store.rescued():
            store.clear_rescued()
    except StateError as error:
        warn(error.message)
