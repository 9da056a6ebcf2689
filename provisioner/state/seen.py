"""Remembers on this machine how far each state had come, and where the states of each Octopush account are.

Owns small files in the user's state folder, for them alone to read: one per lineage and per
address, whose last whole line counts, one per account, and a lock per lineage. A state that
is older than what was seen, of another lineage, or gone, a second copy of it, and a second
state of one account are noticed here: planned from, each would create again what exists.

Refuses to know a login: an account is known by a keyed hash of it, whose key never leaves
this machine. What is damaged here stops no run: it is said, and counts for nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from provisioner.errors import StateForeign, StateInvalid, StateMoved, StateRolledBack
from provisioner.files import Unfit, require_own
from provisioner.model.address import is_this_machine
from provisioner.model.state import State
from provisioner.state.disk import Disk, append, make_folder, open_private, read_file, write_atomically
from provisioner.state.holder import Holder

_HINT: Final = (
    "Accounts may exist that this state does not know: restore the newest one; where it is in git, pull or merge it. If"
    " this is the newest that is left, say so with `provisioner recover --accept-state`, and adopt the accounts made"
    " since (`provisioner adopt NAME LOGIN`) before an apply: it would create them again."
)
_GONE: Final = (
    "If it is lost, or none was meant to be here, say so with `provisioner recover --accept-state`, and adopt what"
    " exists (`provisioner adopt NAME LOGIN`) before an apply: it would create it again."
)
_ELSEWHERE: Final = (
    "What exists would be created a second time. Go on with that state: set `state` to its place, bring it here with"
    " `provisioner state migrate --from PLACE`, or give the parent the name that it had. If that one is lost, or both"
    " are right, say so with `provisioner recover --accept-state`. Nothing was sent."
)
_LOOPBACK: Final = "127.0.0.1"
_PORTS: Final = {"http": 80, "https": 443}
_KEY: Final = "key"
_KEY_BYTES: Final = 32
_KINDS: Final[Mapping[str, type]] = {"lineage": str, "serial": int, "states": dict}

Warn = Callable[[str], None]


class Seen:
    """The marks of one machine, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, bytes] = {}
        """By its name, the last line of each mark that this run has written or found as it should be."""
        self._told: set[str] = set()
        """The marks that were said to be damaged: once is enough."""

    # ── How far a state had come ─────────────────────────────────────────────

    def check(self, address: str, state: State | None, warn: Warn, backup: str | None = None) -> None:
        """Compare ``state``, as loaded from ``address``, with what was seen; ``backup`` is where an older one is.

        Raises:
            StateRolledBack: it is older than what was seen, or gone.
            StateForeign: another lineage was seen at this address.
            StateInvalid: something else than a file of ours stands in the place of what was seen.

        """
        # It tells nothing, and raises nothing, where the folder is another user's.
        if not os.path.isdir(self._folder):  # noqa: PTH112
            return
        lineage = self._read(_address_mark(address), "lineage", warn).get("lineage")
        if state is None:
            if lineage is not None:
                beside = "" if backup is None else f" {backup} is the state as an earlier run found it."
                last = _place(self._read(_lineage_mark(lineage), "serial", warn), address)
                moved, last = (", or set `state` to where it is", f"; it was last{last[1:]}") if last else ("", "")
                raise StateRolledBack(
                    f"There is no state at {address}; this machine has seen one there{last}.",
                    hint=f"Accounts exist that it knows: bring it back{moved}.{beside} {_GONE}",
                )
            return
        if lineage not in {None, state.lineage}:
            raise StateForeign(
                f"{address} has lineage {state.lineage}; this machine has seen {lineage} there.", hint=_HINT
            )
        newest = self._read(_lineage_mark(state.lineage), "serial", warn)
        if state.serial < newest.get("serial", 0):
            raise StateRolledBack(
                f"{address} has serial {state.serial}; this machine has already seen"
                f" {newest['serial']}{_place(newest, address)}.",
                hint=_HINT,
            )

    def require_newest(self, address: str, state: State, warn: Warn) -> None:
        """Return if nobody here has saved a copy of ``state`` since it was loaded or saved; raises StateMoved."""
        newest = self._read(_lineage_mark(state.lineage), "serial", warn)
        if state.serial < newest.get("serial", 0):
            raise StateMoved(
                f"{address} is at serial {state.serial}, and a copy of it has been saved since: this machine has seen"
                f" {newest['serial']}{_place(newest, address)}.",
                hint="Two copies of one project, such as git worktrees, have one state between them: go on in the one"
                " with the newest. Nothing of it was overwritten.",
            )

    def note(self, address: str, state: State) -> None:
        """Remember ``state``; writes only what changed. Raises OSError.

        That one without accounts is lost harms nobody: nothing would be created again.
        """
        self._write(_lineage_mark(state.lineage), {"serial": state.serial, "address": address})
        if state.accounts:
            self._write(_address_mark(address), {"lineage": state.lineage})
        else:
            self.forget(address)

    def forget(self, address: str) -> None:
        """Forget what was seen at ``address``: a person accepts what is there. Raises OSError."""
        mark = _address_mark(address)
        self._written.pop(mark, None)
        (self._folder / mark).unlink(missing_ok=True)

    def hold(
        self, lineage: str, holder: Holder, *, timeout: float, sleep: Callable[[float], None]
    ) -> AbstractContextManager[None]:
        """Hold every copy of a state on this machine for the length of a ``with``.

        Raises:
            StateLocked: a run on another copy holds it.
            StateInvalid: something else than a file of ours stands in the place of the lock.
            StateError: it cannot be held here.

        """
        from provisioner.state.lock import held  # noqa: PLC0415  # a plan holds nothing

        make_folder(self._folder, Disk())
        path = self._folder / f"lineage-{_hashed(lineage)}.lock"
        with _ours(path):
            require_own(path)
        return held(path, holder, timeout, sleep, what="Another copy of this state")

    # ── Whose a state is ─────────────────────────────────────────────────────

    def require_own(self, endpoint: str, login: str, address: str, lineage: str | None, warn: Warn) -> None:
        """Return if this machine knows no other state of the account ``login`` at ``endpoint``.

        ``lineage`` is that of the state at ``address``; None: there is none yet.

        Raises:
            StateForeign: it knows one.

        """
        mark = self._account_mark(endpoint, login, warn)
        if mark is not None:
            _require_among(self._states(mark, warn), address, lineage)

    def claim(self, endpoint: str, login: str, address: str, lineage: str, warn: Warn) -> None:
        """Remember that the state ``lineage`` at ``address`` is one of the account's, unless another is.

        Of two runs that begin a state at once, one is refused. Raises StateForeign, OSError.
        """
        make_folder(self._folder, Disk())
        with self._alone():
            mark = self._account_mark(endpoint, login, warn, make=True)
            assert mark is not None  # noqa: S101  # it was asked to be made
            known = self._states(mark, warn)
            _require_among(known, address, lineage)
            if known.get(lineage) != address:
                # What was claimed here and never came to a save makes room.
                states = {one: place for one, place in known.items() if place != address} | {lineage: address}
                write_atomically(self._folder / mark, _line({"states": states}), Disk())

    def release(self, endpoint: str, login: str, lineage: str, warn: Warn) -> None:
        """Forget that the state ``lineage`` is the account's: it has none of its accounts. Raises OSError."""
        mark = self._account_mark(endpoint, login, warn)
        if mark is None:
            return
        with self._alone():
            known = self._states(mark, warn)
            if known.pop(lineage, None) is not None:
                write_atomically(self._folder / mark, _line({"states": known}), Disk())

    def accept(self, endpoint: str, login: str, address: str, lineage: str | None, warn: Warn) -> None:
        """Take the state at ``address`` for one of the account's, or let one be begun there: a person says so.

        Raises OSError.
        """
        mark = self._account_mark(endpoint, login, warn)
        if mark is not None and (known := self._states(mark, warn)):
            # The one that is to be begun has no lineage yet: its place stands for it.
            states = {**known, address if lineage is None else lineage: address}
            write_atomically(self._folder / mark, _line({"states": states}), Disk())

    def _states(self, mark: str, warn: Warn) -> dict[str, str]:
        """Return the states of an account: where each was last, by its lineage, or by that place if none was begun."""
        states: dict[object, object] = self._read(mark, "states", warn).get("states", {})
        return {one: place for one, place in states.items() if isinstance(one, str) and isinstance(place, str)}

    def _account_mark(self, endpoint: str, login: str, warn: Warn, *, make: bool = False) -> str | None:
        """Return the name of an account's mark; None where no account was ever noted, and none is to ``make``."""
        key = self._key(warn, make=make)
        if key is None:
            return None
        import hmac  # noqa: PLC0415  # only who binds a state needs it

        tag = hmac.digest(key, f"{_server(endpoint)}\n{login.strip().casefold()}".encode(), "sha256")
        return f"account-{tag.hex()[:32]}.json"

    def _key(self, warn: Warn, *, make: bool) -> bytes | None:
        """Return this machine's own key, without which a mark would confirm a guessed login."""
        key = self._bytes(_KEY, warn)
        if key is not None and len(key) == _KEY_BYTES:
            return key
        if key is not None:
            self._tell(_KEY, warn, "is damaged")
        elif self._folder.is_dir() and any(self._folder.glob("account-*")):
            self._tell(_KEY, warn, "is missing")
        if not make:
            return None
        key = os.urandom(_KEY_BYTES)
        write_atomically(self._folder / _KEY, key, Disk())
        return key

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other run claim anything for the moment that a ``with`` takes. Raises OSError."""
        path = self._folder / "claims.lock"
        with _ours(path):
            descriptor = open_private(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    # ── Marks ────────────────────────────────────────────────────────────────

    def _read(self, mark: str, key: str, warn: Warn) -> dict[str, Any]:
        """Return the last whole line of a mark, which has a ``key``; empty where there is none, or it is damaged."""
        raw = self._bytes(mark, warn)
        if raw is None:
            return {}
        try:
            document = json.loads(_last_line(raw))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or type(document.get(key)) is not _KINDS[key]:
            self._tell(mark, warn, "is damaged")
            return {}
        return document

    def _bytes(self, mark: str, warn: Warn) -> bytes | None:
        """Return what a file holds; None where there is none that can be read. Raises StateInvalid: it is no file."""
        path = self._folder / mark
        try:
            with _ours(path):
                return read_file(path)
        except NotADirectoryError:
            # HOME=/dev/null is a habit of containers; `note` says that nothing is remembered.
            return None
        except OSError as error:
            self._tell(mark, warn, error.strerror or str(error))
            return None

    def _tell(self, mark: str, warn: Warn, what: str) -> None:
        if mark not in self._told:
            self._told.add(mark)
            warn(
                f"what this machine remembers of its states is not whole, and is not compared: {self._folder / mark}:"
                f" {what}. Look at `provisioner plan`: does it know every account that exists?"
            )

    def _write(self, mark: str, document: dict[str, object]) -> None:
        line = _line(document)
        # A mark that fails is written in full the next time: it may end in half a line.
        last = self._written.pop(mark, None)
        if last != line:
            path = self._folder / mark
            if last is not None:
                # A run saves twice for each account, and this takes a third of the time.
                append(path, line, Disk())
            elif read_file(path) != line:
                make_folder(self._folder, Disk())
                write_atomically(path, line, Disk())
        self._written[mark] = line


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    """Say that what stands at ``path`` is no file of ours; raises StateInvalid."""
    try:
        yield
    except Unfit as error:
        raise StateInvalid(
            f"What this machine has seen of the state cannot be read: {path}: {error.strerror}.",
            hint="Move it away once you are sure that the state is the newest one.",
        ) from error


def _require_among(known: Mapping[str, str], address: str, lineage: str | None) -> None:
    """Refuse a state that is not among those ``known`` of its account, by lineage; raises StateForeign."""
    elsewhere = sorted({place for place in known.values() if place != address})
    if not elsewhere or not {lineage, address}.isdisjoint(known):
        return
    here = f"there is none at {address} yet" if lineage is None else f"the one at {address} is another"
    raise StateForeign(
        f"This machine knows a state of the same Octopush account at {', '.join(elsewhere)}; {here}.", hint=_ELSEWHERE
    )


def _place(newest: Mapping[str, Any], address: str) -> str:
    """Return where the newest state was seen, if that is not where this one is."""
    place = newest.get("address")
    return f", at {place}" if isinstance(place, str) and place != address else ""


def _server(endpoint: str) -> str:
    """Return what an address leads to, however it is written."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415  # only who binds a state needs it

    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    host = _LOOPBACK if is_this_machine(host) else host
    return f"{host}:{parts.port or _PORTS.get(parts.scheme)}{unquote(parts.path).rstrip('/')}"


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _last_line(raw: bytes) -> bytes:
    """Return the last line that was written to its end, or nothing."""
    return raw.rpartition(b"\n")[0].rpartition(b"\n")[2]


def _address_mark(address: str) -> str:
    return f"address-{_hashed(address)}.jsonl"


def _lineage_mark(lineage: str) -> str:
    # A lineage is what a file says; only its hash is fit for a file's name.
    return f"lineage-{_hashed(lineage)}.jsonl"


@lru_cache
def _hashed(text: str) -> str:
    import hashlib  # noqa: PLC0415  # it takes its time to load, and a machine that has seen nothing has no use for it

    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]
