"""An independent judge: compares what a provider created with what a program knows after a run.

It shares no code with the program. From the ledger of the sandbox, the document of the state
(whose format is in ``docs/design.md``) and all that the program wrote and printed, it counts:

duplicates
    accounts that were created for a name beyond the first one. That the program knows of the first
    only that it may exist is no excuse for a second.
lost credentials
    accounts that were created and of which the program has neither the credentials (in the state,
    or in a rescue line in a file or in what it printed) nor a record that says that the account may
    exist (``pending``, ``unknown`` or ``abandoned``). If the answer to a create reached a process
    that went on living and could write, such a record does not suffice: the credentials must be held.
    A record that claims credentials which are not those of an account of that name counts as well.
secrets in clear
    places in which a key, a password, a login or anything else that must be sealed can be read.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyrage

Name = tuple[str, str]
"""The name of a parent, and that of one of its accounts."""

_RESCUED: Final = "provisioner-rescue"
_DOUBT: Final = frozenset({"pending", "unknown", "abandoned"})


@dataclass(frozen=True, slots=True)
class Account:
    """One account at the provider, or what a program holds of one."""

    name: Name
    login: str
    key: str
    password: str | None
    """None: the program does not hold it."""
    others: frozenset[str] = frozenset()
    """More passwords, one of which may be the valid one: a change of it was under way."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a program knows."""

    held: tuple[Account, ...] = ()
    doubtful: frozenset[Name] = frozenset()
    """What it says may exist."""
    sealed: str = ""
    """Whatever else it keeps sealed, in clear: answers that it could not interpret."""
    problems: tuple[str, ...] = ()
    """What is not as it should be in its files."""

    def __add__(self, other: Holding) -> Holding:
        return Holding(
            (*self.held, *other.held),
            self.doubtful | other.doubtful,
            self.sealed + other.sealed,
            (*self.problems, *other.problems),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The three counts, which should be 0, and a sentence for each thing that was counted."""

    duplicates: int
    lost: int
    secrets: int
    notes: tuple[str, ...] = field(default=())

    @property
    def clean(self) -> bool:
        """Whether all three are 0."""
        return not (self.duplicates or self.lost or self.secrets)


# ── The provider ─────────────────────────────────────────────────────────────


def ledger(path: Path, parents: Mapping[str, str]) -> list[Account]:
    """Return every account that a sandbox created, in order, as it is now.

    ``path`` is what ``provisioner sandbox --ledger`` writes: a JSON object in each line, with the
    ``event`` (``created``, ``edited`` or ``deleted``), the login of the ``parent``, ``api_login``,
    ``api_key``, ``password`` and ``first_name``. ``parents`` has the name of each parent by its login.
    The first name of an account is its name in the manifest.
    """
    return ledger_of(path.read_text("utf-8") if path.exists() else "", parents)


def ledger_of(text: str, parents: Mapping[str, str]) -> list[Account]:
    """Return the same from the content of the file."""
    found: dict[str, Account] = {}
    for line in text.splitlines():
        entry = json.loads(line)
        if entry["event"] != "deleted":
            name = parents[entry["parent"]], entry["first_name"]
            found[entry["api_login"]] = Account(name, entry["api_login"], entry["api_key"], entry["password"])
    return list(found.values())


# ── What the program holds ───────────────────────────────────────────────────


def state(raw: bytes, identity: str) -> Holding:
    """Return what the document of a state says, opened with the text of an age ``identity``."""
    try:
        document = json.loads(raw)
    except ValueError as error:
        return Holding(problems=(f"the state is not a JSON document ({error})",))
    if "moved_to" in document:
        return Holding()
    found = Holding() if document["version"] == 1 else Holding(problems=("the state is not of version 1",))
    where = document["lineage"], document["parent"]
    for name, record in document["accounts"].items():
        found += _record(where, name, record, identity)
    return found


def rescued(text: str, identity: str) -> Holding:
    """Return what the rescue lines in ``text`` hold: in a file beside the state, in a log, or in an event of one."""
    found = Holding()
    for line in text.splitlines():
        if _RESCUED not in line:
            continue
        entry = _rescue_entry(line)
        # A damaged line holds nothing; whether anything is lost by that shows at its account.
        if entry is not None and entry["record"] is not None:
            found += _record((entry["lineage"], entry["parent"]), entry["name"], entry["record"], identity)
    return found


def _rescue_entry(line: str) -> dict[str, Any] | None:
    plain = re.match(rf"[^{{]*{_RESCUED} (?=\{{)", line)
    start = plain.end() if plain else line.find("{")
    try:
        entry, _ = json.JSONDecoder().raw_decode(line, start)
    except ValueError:
        return None
    found: dict[str, Any] | None = entry if plain else entry.get(_RESCUED)
    return found


def _record(where: tuple[str, str], name: str, record: Mapping[str, Any], identity: str) -> Holding:
    parent = where[1]
    status = record["status"]
    doubtful = frozenset({(parent, name)}) if status in _DOUBT else frozenset()
    if status == "active" and "sealed" not in record:
        return Holding(problems=(f"{name} is active and has nothing sealed",))
    if "sealed" not in record:
        return Holding(doubtful=doubtful)
    try:
        content = json.loads(opened(record["sealed"], identity))
    except (ValueError, pyrage.DecryptError) as error:
        return Holding(doubtful=doubtful, problems=(f"what is sealed of {name} does not open ({error})",))
    if (content["lineage"], content["parent"], content["name"]) != (*where, name):
        return Holding(doubtful=doubtful, problems=(f"what is sealed of {name} is another account's",))
    if status != "active":
        return Holding(doubtful=doubtful, sealed=json.dumps(content, ensure_ascii=False))
    others = set(content.get("others", ()))
    if sealed := record.get("edit", {}).get("sealed"):
        others.add(json.loads(opened(sealed, identity))["password"])
    held = Account((parent, name), content["api_login"], content["api_key"], content.get("password"), frozenset(others))
    return Holding(held=(held,))


def opened(sealed: str, identity: str) -> bytes:
    """Open an armoured age file; raises ``pyrage.DecryptError``."""
    return bytes(pyrage.decrypt(sealed.encode(), [pyrage.x25519.Identity.from_str(identity.strip())]))


# ── The verdict ──────────────────────────────────────────────────────────────


def judge(
    created: Collection[Account],
    holding: Holding,
    *,
    arrived: Collection[str],
    texts: Iterable[tuple[str, bytes]],
    secrets: Collection[str],
) -> Verdict:
    """Judge a run.

    Args:
        created: what the provider created, from :func:`ledger`.
        holding: what the program holds.
        arrived: the logins whose answers reached a process that went on living and could write.
        texts: everything that the program wrote or printed, and the arguments of its children, by place.
        secrets: what must be sealed, beyond the logins, keys and passwords that were created.

    """
    notes = list(holding.problems)
    count = Counter(each.name for each in created)
    duplicates = sum(number - 1 for number in count.values())
    notes += [f"{'/'.join(name)} was created {number} times" for name, number in count.items() if number > 1]
    lost = len(holding.problems)
    for account in created:
        if why := _lost(account, holding, arrived=account.login in arrived):
            lost += 1
            notes.append(f"{'/'.join(account.name)}: {why}")
    known = {(each.name, each.login, each.key) for each in created}
    for each in holding.held:
        if (each.name, each.login, each.key) not in known:
            lost += 1
            notes.append(f"{'/'.join(each.name)}: what is held is not an account of that name")
    made = {text for each in created for text in (each.login, each.key, each.password) if text}
    leaks = list(_leaks(texts, made | set(secrets)))
    return Verdict(duplicates, lost, len(leaks), (*notes, *leaks))


def _lost(account: Account, holding: Holding, *, arrived: bool) -> str | None:
    """Return how an account's credentials are lost, or None."""
    mine = [each for each in holding.held if (each.login, each.key) == (account.login, account.key)]
    if mine:
        passwords = {each.password for each in mine} - {None} | {other for each in mine for other in each.others}
        return None if not passwords or account.password in passwords else "its password is held wrongly"
    if account.name not in holding.doubtful:
        return "it exists, and nothing says so"
    if arrived and not (account.login in holding.sealed and account.key in holding.sealed):
        return "its credentials arrived, and are not held"
    return None


def _leaks(texts: Iterable[tuple[str, bytes]], secrets: Collection[str]) -> Iterator[str]:
    forms = {form.encode() for each in secrets for form in (each, quote(each, safe=""), json.dumps(each)[1:-1])}
    for place, text in texts:
        if any(form in text for form in forms):
            yield f"a secret is in clear in {place}"
