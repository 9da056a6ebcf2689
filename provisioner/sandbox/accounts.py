"""The sub-accounts of all parents in a running sandbox.

Knows which accounts there are and who owns them, enforces each parent's limit, and makes
logins and keys. Writes an event to the ledger, if there is one, before it takes effect.
Safe to share between threads. Knows no HTTP, and does not check credentials.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from http import HTTPStatus
from pathlib import Path

from provisioner.model.account import Secret
from provisioner.sandbox.account import SandboxAccount
from provisioner.sandbox.ledger import Ledger, follow
from provisioner.sandbox.parent import SandboxParent
from provisioner.sandbox.reply import LIMIT_REACHED, RefusalError, refuse


class SandboxAccounts:
    """Every account, in memory and in the ledger."""

    def __init__(self, parents: tuple[SandboxParent, ...], ledger: Path | None) -> None:
        """Read ``ledger``; raises SettingInvalid if it cannot be used."""
        self._parents = frozenset(each.api_login for each in parents)
        self._path = ledger
        self._lock = threading.Lock()
        self._accounts: dict[str, SandboxAccount] = {}
        self._ledger = Ledger(ledger) if ledger else None
        if self._ledger:
            try:
                self._accounts, cut = self._ledger.load(parents[0].api_login)
            except BaseException:
                self._ledger.close()
                raise
            if cut:
                print(f"sandbox: the last line of {ledger} was damaged; it was dropped", file=sys.stderr)
        self._held = Counter(each.parent for each in self._accounts.values())
        for parent in sorted(self._held.keys() - self._parents):
            print(f"sandbox: {ledger} has accounts of {parent}, which is not a parent here", file=sys.stderr)

    def close(self) -> None:
        """Close the ledger, once a request in flight is stored."""
        with self._lock:
            if self._ledger:
                self._ledger.close()

    def every(self) -> tuple[SandboxAccount, ...]:
        """Return every account, oldest first."""
        with self._lock:
            return tuple(self._accounts.values())

    def find(self, login: str) -> SandboxAccount | None:
        """Return the account that ``login`` names, if there is one."""
        return self._accounts.get(login)

    def known(self, login: str) -> SandboxAccount:
        """Return the account that ``login`` names, whoever owns it; raises RefusalError."""
        account = self.find(login)
        if account is None:
            refuse(HTTPStatus.NOT_FOUND, 210, "This sub-account is unknown.")
        return account

    def owned(self, parent: SandboxParent, login: str) -> SandboxAccount:
        """Return the account that ``login`` names, if ``parent`` owns it; raises RefusalError."""
        account = self.find(login)
        if account is None or account.parent != parent.api_login:
            refuse(HTTPStatus.NOT_FOUND, 210, "This is not one of your sub-accounts.")
        return account

    def create(self, parent: SandboxParent, document: Mapping[str, object], ignored: Collection[str]) -> SandboxAccount:
        """Create an account from what can be understood of ``document``; raises RefusalError."""
        with self._lock:
            if self._held[parent.api_login] >= parent.limit:
                raise RefusalError(LIMIT_REACHED)
            blank = SandboxAccount(parent.api_login, self._unused_login(), Secret(secrets.token_hex(16)), Secret(""))
            account = blank.corrected(document, ignored)
            self._store("created", account)
        return account

    def edit(self, parent: SandboxParent, login: str, document: Mapping[str, object], ignored: Collection[str]) -> None:
        """Change an account of ``parent`` to what can be understood of ``document``; raises RefusalError."""
        with self._lock:
            self._store("edited", self.owned(parent, login).corrected(document, ignored))

    def set_by_hand(self, login: str, document: Mapping[str, object]) -> SandboxAccount:
        """Change an account to exactly the values in ``document``, and return it; raises RefusalError."""
        with self._lock:
            try:
                account = self.known(login).set_by_hand(document)
            except ValueError as error:
                refuse(HTTPStatus.BAD_REQUEST, 109, f"Nothing was changed: {error}.")
            self._store("edited", account)
        return account

    def delete(self, login: str) -> None:
        """Forget an account, and free its slot; raises RefusalError."""
        with self._lock:
            self._store("deleted", self.known(login))

    def _store(self, event: str, account: SandboxAccount) -> None:
        try:
            if self._ledger:
                self._ledger.append(event, account)
        except OSError as error:
            print(f"sandbox: {self._path} could not be written: {error}", file=sys.stderr)
            refuse(HTTPStatus.INTERNAL_SERVER_ERROR, 500, "The sandbox could not write its ledger.")
        follow(self._accounts, event, account)
        self._held[account.parent] += {"created": 1, "edited": 0, "deleted": -1}[event]

    def _unused_login(self) -> str:
        while True:
            drawn = secrets.token_bytes(5)
            letters = "".join(chr(ord("a") + each % 26) for each in drawn[:3])
            login = f"{letters}_{drawn[3:].hex()[:3]}@sub-accounts.com"
            if login not in self._accounts and login not in self._parents:
                return login
