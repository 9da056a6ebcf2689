"""The reference model: what exists, what was sent and who saw which answer, as plain data; and the rules over it.

It is told the truth by the virtual world, reads what is durable, and never asks the product what it thinks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from provisioner.model.account import Secret
from provisioner.model.state import Active, Pending, Record, State, Unknown
from provisioner.model.verdict import SealedContent
from provisioner.octopush.transport import Request
from provisioner.state import codec
from provisioner.state.rescue import RescueEntry
from provisioner.state.sealing import AgeOpener, new_identity, parse_identities
from tests.proof.model.baton import Runner, current
from tests.proof.model.world import LOST_ANSWERS, Account, Octopush

IDENTITY, RECIPIENT = new_identity()
SECOND_IDENTITY, SECOND_RECIPIENT = new_identity()
_OPENER = AgeOpener(parse_identities(IDENTITY, "the model"))


@cache
def opened(sealed: str, lineage: str, name: str, operation: str) -> SealedContent:
    return _OPENER.open(sealed, lineage=lineage, parent="default", name=name, operation=operation)


def content_of(state: State, name: str, record: Record) -> SealedContent:
    assert record.sealed is not None
    return opened(record.sealed, state.lineage, name, record.operation.id)


@dataclass
class Reference:
    """What is true, whatever the product believes."""

    octopush: Octopush
    read: Callable[[], bytes | None]
    """Returns the state as it is durable now."""
    rescued: Callable[[], Iterable[RescueEntry]]
    """Returns what lies next to the state on every machine, and in the logs."""
    reserved: int = 0
    """The slots that only accounts made by hand may have."""
    broken: list[str] = field(default_factory=list)
    """The rules that were broken."""
    serials: list[tuple[str, int]] = field(default_factory=list)
    """The lineage and the serial of every document that was saved."""
    sent: dict[str, list[str]] = field(default_factory=dict)
    """By the password in it, what happened to each sending of a create."""
    senders: dict[Runner, list[str]] = field(default_factory=dict)
    """The persons whose creates each runner has sent."""
    seen: dict[str, Runner | None] = field(default_factory=dict)
    """By login, the runner that received a complete answer with its key, and was alive then."""
    forgotten: set[str] = field(default_factory=set)
    """The logins that a person had the state forget, because the account was deleted by hand."""

    # ── What it is told ──────────────────────────────────────────────────────

    def state(self) -> State | None:
        raw = self.read()
        return None if raw is None else codec.decode(raw, "the model")

    def saved(self, raw: bytes) -> None:
        """Rule: the serial only rises, and a state never changes its lineage."""
        this = codec.decode(raw, "the model")
        if self.serials and (this.lineage != self.serials[-1][0] or this.serial <= self.serials[-1][1]):
            self.broken.append(f"{self.serials[-1]} was followed by {(this.lineage, this.serial)}")
        self.serials.append((this.lineage, this.serial))

    def sending(self, request: Request) -> None:
        """Rules for a create: its intent is durable, as are all credentials that its run has received; it has a slot.

        It is never sent twice unless it is proven undone.
        """
        if request.method != "POST":
            return
        body = json.loads(request.body or b"{}")
        password, person = body["password"], body["first_name"]
        state = self.state()
        held = {} if state is None else state.accounts
        intents = {
            content_of(state, name, each).password
            for name, each in held.items()
            if state is not None and isinstance(each, Pending | Unknown) and each.sealed is not None
        }
        if Secret(password) not in intents:
            self.broken.append(f"the create of {person} was sent before its intent was durable")
        if any(each not in {"429", "unsent"} for each in self.sent.get(password, ())):
            self.broken.append(f"the create of {person} was sent again after {self.sent[password]}")
        by_hand = {each.person for each in self.octopush.accounts.values() if each.by_hand}
        used = sum(each.attributes.first_name not in by_hand for each in held.values())
        if len(self.octopush.accounts) >= self.octopush.limit or used > self.octopush.limit - self.reserved:
            self.broken.append(f"the create of {person} was sent although no slot was left")
        if (runner := current()) is not None:
            self.senders.setdefault(runner, []).append(person)
            kept = self._kept(
                {} if state is None else {n: content_of(state, n, r) for n, r in held.items() if r.sealed}
            )
            for login in (login for login, by in self.seen.items() if by is runner and login not in kept):
                self.broken.append(f"the create of {person} was sent before the credentials of {login} were durable")

    def answered(self, request: Request, made: Account | None, fault: str) -> None:
        del made
        if request.method == "POST":
            self.sent.setdefault(json.loads(request.body or b"{}")["password"], []).append(fault)

    def delivered(self, account: Account) -> None:
        self.seen[account.login] = current()

    # ── What holds whenever nobody is at work ────────────────────────────────

    def check(self) -> None:
        self.broken += self._violations()
        assert not self.broken, "\n".join(self.broken)

    def _violations(self) -> Iterator[str]:
        state = self.state()
        records = {} if state is None else state.accounts
        persons = Counter(each.person for each in self.octopush.accounts.values())
        yield from (f"{person} has {count} accounts" for person, count in persons.items() if count > 1)
        if len(records) > self.octopush.limit:
            yield f"the state has {len(records)} accounts"
        contents = {} if state is None else {n: content_of(state, n, r) for n, r in records.items() if r.sealed}
        named = Counter(each.attributes.first_name for each in records.values())
        yield from (f"{person} is in the state {count} times" for person, count in named.items() if count > 1)
        logins = Counter(each.credentials.api_login for each in contents.values() if each.credentials is not None)
        yield from (f"{login} is in the state {count} times" for login, count in logins.items() if count > 1)
        for account in self.octopush.accounts.values():
            if not account.by_hand and account.person not in named:
                yield f"{account.person} exists and is not in the state"
        yield from self._lost(records, contents)
        yield from self._wrong(records, contents)

    def _lost(self, records: dict[str, Record], contents: dict[str, SealedContent]) -> Iterator[str]:
        """Rule: credentials that a living process saw are kept; a death loses one at most, and says so."""
        kept = self._kept(contents)
        doubtful = {each.attributes.first_name for each in records.values() if not isinstance(each, Active)}
        last = {runner: login for login, runner in self.seen.items()}
        for login, runner in list(self.seen.items()):
            account = self.octopush.accounts.get(login)
            if login in kept or login in self.forgotten or account is None:
                continue
            if runner is None or not runner.killed or last[runner] != login:
                yield f"the credentials of {account.person} were lost"
            elif account.person not in doubtful:
                yield f"{account.person}, whose answer was lost in a death, is not unknown"
            # From now on a person knows that they are lost.
            del self.seen[login]

    def _kept(self, contents: dict[str, SealedContent]) -> set[str]:
        """Return the logins whose credentials are in the state or next to it."""
        kept = {each.credentials.api_login for each in contents.values() if each.credentials is not None}
        for entry in self.rescued():
            if entry.record is not None and entry.record.sealed is not None:
                content = opened(entry.record.sealed, entry.lineage, entry.name, entry.operation)
                kept |= {content.credentials.api_login} if content.credentials is not None else set()
        return kept

    def _wrong(self, records: dict[str, Record], contents: dict[str, SealedContent]) -> Iterator[str]:
        """Rule: what is sealed in an active account is what Octopush has."""
        for name, content in contents.items():
            record, credentials = records[name], content.credentials
            if not isinstance(record, Active) or credentials is None:
                continue
            account = self.octopush.accounts.get(credentials.api_login)
            if account is None:
                continue
            if account.person != record.attributes.first_name:
                yield f"{name} has the login of {account.person}"
            if Secret(account.key) != credentials.api_key:
                yield f"{name} does not have the key of its account"
            possible = {content.password, *content.others}
            if record.edit is not None and record.edit.sealed is not None:
                unfinished = opened(record.edit.sealed, content.lineage, name, record.edit.operation.id)
                possible |= {unfinished.password, *unfinished.others}
            if content.password is not None and Secret(account.password) not in possible:
                yield f"the state does not have the password of {name}"

    def check_run(self, runner: Runner, exit_code: int | None, creates: Iterable[str]) -> None:
        """Rules for a run that has ended: it sent what was planned and nothing else, and it admits every doubt."""
        persons = self.senders.get(runner, [])
        if others := set(persons) - set(creates):
            self.broken.append(f"{runner.name} created {others}, which it had not planned")
        sent = [each for word in runner.trace if (each := word.removeprefix("POST ")) != word]
        doubts = [each for each in sent if each.removesuffix(": done") in LOST_ANSWERS]
        if doubts and not runner.killed and exit_code == 0:
            self.broken.append(f"{runner.name} ended with 0 after {doubts}")
