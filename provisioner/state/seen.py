"""Remembers on this machine the newest serial of each state, and where each Octopush account's states are.

Owns small private files in the user's state folder: one per lineage and per address, whose
last complete line counts, one per account, and a lock per lineage. It notices a state that is
older than the newest one, of another lineage or gone, a second copy of it, and a second state
of one account: a plan from any of these would create accounts again.

Stores no login: an account is identified by a keyed hash, and the key never leaves this
machine. A damaged file here stops no run: it is reported and ignored.
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
    "Accounts may exist that are not in this state. Restore the newest one; if it is in git, pull or merge it. If this"
    " is the newest one left, say so with `provisioner recover --accept-state`, and adopt the accounts made since"
    " (`provisioner adopt NAME LOGIN`) before an apply, which would create them again."
)
_GONE: Final = (
    "If it is lost, or there should be none here, say so with `provisioner recover --accept-state`, and adopt the"
    " accounts that exist (`provisioner adopt NAME LOGIN`) before an apply, which would create them again."
)
_ELSEWHERE: Final = (
    "Accounts that exist would be created a second time. Use that state: set `state` to its place, bring it here with"
    " `provisioner state migrate --from PLACE`, or give the parent its old name. If that state is lost, or both are"
    " right, say so with `provisioner recover --accept-state`. Nothing was sent."
)
_LOOPBACK: Final = "127.0.0.1"
_PORTS: Final = {"http": 80, "https": 443}
_KEY: Final = "key"
_KEY_BYTES: Final = 32
_KINDS: Final[Mapping[str, type]] = {"lineage": str, "serial": int, "states": dict}

Warn = Callable[[str], None]


class Seen:
    """What one machine remembers, in ``folder``. Each file is called a mark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, bytes] = {}
        """By name, the last line of each mark that this run has written or found correct."""
        self._reported: set[str] = set()
        """The damaged marks that were already reported."""
        self._searched = False
        """Whether marks of accounts were searched, for lack of a key."""

    # ── The newest serial ────────────────────────────────────────────────────

    def check(self, address: str, state: State | None, warn: Warn, backup: str | None = None) -> None:
        """Compare ``state``, as loaded from ``address``, with what was seen; ``backup`` is the place of an older one.

        Raises:
            StateRolledBack: it is older than the newest one seen, or gone.
            StateForeign: another lineage was seen at this address.
            StateInvalid: a mark is not a regular file of ours.

        """
        # isdir raises nothing if the folder is another user's; then nothing is compared.
        if not os.path.isdir(self._folder):  # noqa: PTH112
            return
        lineage = self._read(_address_mark(address), "lineage", warn).get("lineage")
        if state is None:
            if lineage is not None:
                older = "" if backup is None else f" {backup} is the state from before an earlier run."
                last = _place(self._read(_lineage_mark(lineage), "serial", warn), address)
                moved, last = (", or set `state` to its place", f"; it was last{last[1:]}") if last else ("", "")
                raise StateRolledBack(
                    f"There is no state at {address}; this machine has seen one there{last}.",
                    hint=f"It lists accounts that exist: restore it{moved}.{older} {_GONE}",
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
        """Raise StateMoved if another copy of ``state`` was saved on this machine since it was loaded or saved."""
        newest = self._read(_lineage_mark(state.lineage), "serial", warn)
        if state.serial < newest.get("serial", 0):
            raise StateMoved(
                f"{address} has serial {state.serial}, and a copy of it has been saved since: this machine has seen"
                f" {newest['serial']}{_place(newest, address)}.",
                hint="Copies of one project, such as git worktrees, share one state: continue in the copy that has the"
                " newest. Nothing was overwritten.",
            )

    def note(self, address: str, state: State) -> None:
        """Remember ``state``; writes only what changed. Raises OSError.

        A state without accounts is not remembered by address: losing it would do no harm.
        """
        self._write(_lineage_mark(state.lineage), {"serial": state.serial, "address": address})
        if state.accounts:
            self._write(_address_mark(address), {"lineage": state.lineage})
        else:
            self.forget(address)

    def forget(self, address: str) -> None:
        """Forget what was seen at ``address``, because a person accepts what is there. Raises OSError."""
        mark = _address_mark(address)
        self._written.pop(mark, None)
        (self._folder / mark).unlink(missing_ok=True)

    def look_again(self) -> None:
        """Write in full whatever comes next: other runs may have seen something else since ours has."""
        self._written.clear()

    def hold(
        self, lineage: str, holder: Holder, *, timeout: float, sleep: Callable[[float], None]
    ) -> AbstractContextManager[None]:
        """Hold all copies of a state on this machine inside a ``with``.

        Raises:
            StateLocked: a run on another copy holds it.
            StateInvalid: the lock is not a regular file of ours.
            StateError: it cannot be held here.

        """
        from provisioner.state.lock import held  # noqa: PLC0415  # a plan holds nothing

        make_folder(self._folder, Disk())
        path = self._folder / f"lineage-{_hashed(lineage)}.lock"
        with _ours(path):
            require_own(path)
        return held(path, holder, timeout, sleep, what="Another copy of this state")

    # ── The account of a state ───────────────────────────────────────────────

    def require_own(self, endpoint: str, login: str, address: str, lineage: str | None, warn: Warn) -> None:
        """Raise StateForeign if this machine knows another state of the account ``login`` at ``endpoint``.

        ``lineage`` is that of the state at ``address``; None: there is none yet.

        """
        mark = self._account_mark(endpoint, login, warn)
        if mark is not None:
            _require_among(self._states(mark, warn), address, lineage)

    def accepts(self, endpoint: str, login: str, address: str, lineage: str | None, warn: Warn) -> bool:
        """Return whether the state at ``address`` is one of the account's, or a person allows a new one there."""
        mark = self._account_mark(endpoint, login, warn)
        return mark is not None and not {lineage, address}.isdisjoint(self._states(mark, warn))

    def claim(self, endpoint: str, login: str, address: str, lineage: str, warn: Warn) -> None:
        """Record the state ``lineage`` at ``address`` as the account's, unless it has another one.

        If two runs start a state at once, one is refused. Raises StateForeign, OSError.
        """
        make_folder(self._folder, Disk())
        with self._alone():
            mark = self._account_mark(endpoint, login, warn, make=True)
            assert mark is not None  # noqa: S101  # make=True makes it
            known = self._states(mark, warn)
            _require_among(known, address, lineage)
            if known.get(lineage) != address:
                # A state that was claimed at this address but never saved is dropped.
                states = {one: place for one, place in known.items() if place != address} | {lineage: address}
                write_atomically(self._folder / mark, _line({"states": states}), Disk())

    def release(self, endpoint: str, login: str, lineage: str, warn: Warn) -> None:
        """Forget that the state ``lineage`` is the account's, because it is empty. Raises OSError."""
        mark = self._account_mark(endpoint, login, warn)
        if mark is None:
            return
        with self._alone():
            known = self._states(mark, warn)
            if known.pop(lineage, None) is not None:
                write_atomically(self._folder / mark, _line({"states": known}), Disk())

    def accept(self, endpoint: str, login: str, address: str, lineage: str | None, warn: Warn) -> None:
        """Record the state at ``address`` as one of the account's, or allow a new one there, as a person decided.

        Raises OSError.
        """
        mark = self._account_mark(endpoint, login, warn)
        if mark is not None and (known := self._states(mark, warn)):
            # A state that does not exist yet has no lineage: its address is used instead.
            states = {**known, address if lineage is None else lineage: address}
            write_atomically(self._folder / mark, _line({"states": states}), Disk())

    def _states(self, mark: str, warn: Warn) -> dict[str, str]:
        """Return the last address of each state of an account, by lineage, or by address if it does not exist yet."""
        states: dict[object, object] = self._read(mark, "states", warn).get("states", {})
        return {one: place for one, place in states.items() if isinstance(one, str) and isinstance(place, str)}

    def _account_mark(self, endpoint: str, login: str, warn: Warn, *, make: bool = False) -> str | None:
        """Return the name of an account's mark; None if no account was ever recorded, unless ``make``."""
        key = self._key(warn, make=make)
        if key is None:
            return None
        import hmac  # noqa: PLC0415  # rarely needed

        tag = hmac.digest(key, f"{_server(endpoint)}\n{login.strip().casefold()}".encode(), "sha256")
        return f"account-{tag.hex()[:32]}.json"

    def _key(self, warn: Warn, *, make: bool) -> bytes | None:
        """Return this machine's secret key; without it, a mark would confirm a guessed login."""
        key = self._bytes(_KEY, warn)
        if key is not None and len(key) == _KEY_BYTES:
            return key
        if key is not None:
            self._report(_KEY, warn, "is damaged")
        elif not self._searched:
            # Once, since the folder has files for every parent.
            self._searched = True
            if self._folder.is_dir() and any(self._folder.glob("account-*")):
                self._report(_KEY, warn, "is missing")
        if not make:
            return None
        key = os.urandom(_KEY_BYTES)
        write_atomically(self._folder / _KEY, key, Disk())
        return key

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other runs from claiming anything inside a ``with``. Raises OSError."""
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
        """Return the last complete line of a mark, which has a ``key``; empty if there is none or it is damaged."""
        raw = self._bytes(mark, warn)
        if raw is None:
            return {}
        try:
            document = json.loads(_last_line(raw))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or type(document.get(key)) is not _KINDS[key]:
            self._report(mark, warn, "is damaged")
            return {}
        return document

    def _bytes(self, mark: str, warn: Warn) -> bytes | None:
        """Return a file's content; None if missing or unreadable. Raises StateInvalid if it is not a regular file."""
        path = self._folder / mark
        try:
            with _ours(path):
                return read_file(path)
        except NotADirectoryError:
            # Containers often have HOME=/dev/null; `note` reports that nothing is remembered.
            return None
        except OSError as error:
            self._report(mark, warn, error.strerror or str(error))
            return None

    def _report(self, mark: str, warn: Warn, what: str) -> None:
        if mark not in self._reported:
            self._reported.add(mark)
            warn(
                f"this machine's record of its states is incomplete, and was not compared: {self._folder / mark}:"
                f" {what}. Check that `provisioner plan` lists every account that exists."
            )

    def _write(self, mark: str, document: dict[str, object]) -> None:
        line = _line(document)
        # After a failure the mark may end in half a line; the next write replaces all of it.
        last = self._written.pop(mark, None)
        if last != line:
            path = self._folder / mark
            if last is not None:
                # A run saves at least once for each account, and appending takes a third of the time.
                append(path, line, Disk())
            elif read_file(path) != line:
                make_folder(self._folder, Disk())
                write_atomically(path, line, Disk())
        self._written[mark] = line


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    """Turn Unfit, for something at ``path`` that is not a regular file of ours, into StateInvalid."""
    try:
        yield
    except Unfit as error:
        raise StateInvalid(
            f"This machine's record of the state cannot be read: {path}: {error.strerror}.",
            hint="Move it away once you are sure that this state is the newest one.",
        ) from error


def _require_among(known: Mapping[str, str], address: str, lineage: str | None) -> None:
    """Raise StateForeign unless the state is among those ``known`` for its account, by lineage."""
    elsewhere = sorted({place for place in known.values() if place != address})
    if not elsewhere or not {lineage, address}.isdisjoint(known):
        return
    here = f"there is none at {address} yet" if lineage is None else f"the one at {address} is another"
    raise StateForeign(
        f"This machine knows a state of the same Octopush account at {', '.join(elsewhere)}; {here}.", hint=_ELSEWHERE
    )


def _place(newest: Mapping[str, Any], address: str) -> str:
    """Return where the newest state was seen, if that is not ``address``."""
    place = newest.get("address")
    return f", at {place}" if isinstance(place, str) and place != address else ""


def _server(endpoint: str) -> str:
    """Return host, port and path of an address in a canonical form."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415  # rarely needed

    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    host = _LOOPBACK if is_this_machine(host) else host
    return f"{host}:{parts.port or _PORTS.get(parts.scheme)}{unquote(parts.path).rstrip('/')}"


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _last_line(raw: bytes) -> bytes:
    """Return the last complete line, or nothing."""
    return raw.rpartition(b"\n")[0].rpartition(b"\n")[2]


def _address_mark(address: str) -> str:
    return f"address-{_hashed(address)}.jsonl"


def _lineage_mark(lineage: str) -> str:
    # A lineage comes from a file's content; only its hash is safe in a file name.
    return f"lineage-{_hashed(lineage)}.jsonl"


@lru_cache
def _hashed(text: str) -> str:
    import hashlib  # noqa: PLC0415  # slow to load, and not needed if nothing was ever seen

    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]
