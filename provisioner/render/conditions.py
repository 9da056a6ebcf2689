"""On what terms a plan is carried out, in words: where, with which settings, for whom, and what is read for it.

Refuses to make markup, as ``words`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from provisioner import placeholders
from provisioner.model.account import MASK
from provisioner.model.plan import Change, Create, Plan, Update
from provisioner.render.words import Code, Sentence, View, listed

if TYPE_CHECKING:
    from provisioner.model.terms import Setting, Terms
    from provisioner.placeholders import Read

# What follows from a setting that is not as it usually is; what is not here is said by its name.
_SETTINGS: Final = {
    "api_url": "sends to {value}{usually}",
    "ca_file": "trusts the authorities in {value} (SHA-256 {sha256}), and no others",
    "heartbeat_url": "calls {value} when a run ends",
    "identity_file": "opens what is sealed with the identity in {value}",
    "keep_going": "continues after an unknown outcome",
    "metrics_file": "writes metrics to {value}",
    "proxy": "sends through the proxy {value}",
    "recipients": "seals to {value}",
    "retry_on_429": "counts a create as unknown where HTTP 408, 421, 425 or 429 answers it",
    "retry_on_503": "tries a create again after HTTP 503: that makes a second account wherever the first was made",
}
_READ: Final = 12
"""Variables and files that the head of a plan names for one receiver."""
_RECEIVERS: Final = 40
"""Receivers that it names."""
_READERS: Final = 3
"""Accounts that it names for one; of more, it says how many."""
_USUAL_KEY: Final = "${env:OCTOPUSH_API_KEY}"
_CLEAR: Final = 3
"""Characters of a login that are published."""


def place(this: Terms, view: View, *, begun: bool | None = None) -> dict[str, str]:
    """Return where a plan is carried out: the address, whose login and key, and the place of the state.

    ``begun`` says, once it was carried out, whether the state that it was to begin is there.
    """
    found = {"address": this.endpoint, "login": login(this, view)}
    if this.key != _USUAL_KEY:
        found["key"] = f"from {source(this.key)}"
    state = this.state
    if this.begins:
        ending = {None: "", True: ", begun by this run", False: ", which this run was to begin"}[begun]
        state = f"{state}{ending}" if ending else f"none yet at {state}: this begins one"
    return found | {"state": state}


def login(this: Terms, view: View) -> str:
    """Return the login of a parent, where it is known, and what it comes from."""
    known = this.account if this.account is None or view.private else masked_login(this.account)
    if not placeholders.names(this.login):
        return known or masked_login(this.login)
    origin = f"from {source(this.login)}"
    return origin if known is None else f"{known} ({origin})"


def masked_login(text: str) -> str:
    """Return the beginning of a login; what is no e-mail address could be a key, and shows nothing of itself."""
    user, at, _ = text.partition("@")
    return f"{user[:_CLEAR] if at else ''}{MASK}"


def source(text: str) -> str:
    """Return what a login or a key comes from; what is more than one placeholder stays as it was written."""
    match placeholders.names(text):
        case [one] if text == f"${{{one}}}":
            kind, _, name = one.partition(":")
            return name if kind == "env" else f"the file {name}"
        case _:
            return text


def settings(these: Iterable[Setting]) -> Iterator[str]:
    """Yield what follows from each setting that is not as it usually is."""
    for each in these:
        usually = "" if each.usual is None else f", not {each.usual}"
        said = _SETTINGS.get(each.name, "sets {name} to {value}{usually}")
        yield said.format(name=each.name, value=each.value, usually=usually, sha256=each.sha256)


def reads(change: Change) -> tuple[Read, ...]:
    """Return what an apply would read for a change, and to whom each value goes besides Octopush."""
    match change:
        case Create():
            return placeholders.reads(change.account)
        case Update() if change.sends:
            return placeholders.reads(change.account, password=change.renews_password or change.unfinished)
        case _:
            return ()


def readers(plan: Plan) -> dict[tuple[str, str, str | None], list[str]]:
    """Return the accounts for which each variable or file would be read: by its kind, its name, and where it goes."""
    found: dict[tuple[str, str, str | None], list[str]] = {}
    for change in plan.changes:
        for key in dict.fromkeys((each.kind, each.name, _receiver(each)) for each in reads(change)):
            found.setdefault(key, []).append(change.name)
    return found


def _receiver(this: Read) -> str | None:
    return "the password" if this.path == "password" else this.to


def _read(kind: str, name: str) -> str:
    return name if kind == "env" else f"the file {name}"


def _gathered(found: Iterable[tuple[str, str, str | None]]) -> dict[str, list[str]]:
    """Return what is read, by whom it is for."""
    gathered: dict[str, list[str]] = {}
    for kind, name, to in found:
        gathered.setdefault(to or "Octopush", []).append(_read(kind, name))
    return gathered


def reading(change: Change) -> str:
    """Return what is read for a change in one phrase; nothing where nothing is."""
    found = dict.fromkeys((each.kind, each.name, _receiver(each)) for each in reads(change))
    said = "; ".join(f"{', '.join(these)} for {to}" for to, these in _gathered(found).items())
    return f"reads {said}" if said else ""


def all_reading(plan: Plan) -> Iterator[Sentence]:
    """Yield what is read for all of a plan, one sentence for each that it is for, those with the fewest accounts first.

    Each account has its own below.
    """
    found = readers(plan)
    accounts: dict[str, dict[str, None]] = {}
    for (_, _, to), names in found.items():
        accounts.setdefault(to or "Octopush", {}).update(dict.fromkeys(names))
    gathered = sorted(_gathered(found).items(), key=lambda each: len(accounts[each[0]]))
    for to, these in gathered[:_RECEIVERS]:
        more = f" and {len(these) - _READ} more" if len(these) > _READ else ""
        names = list(accounts[to])
        whose = (f"{len(names)} accounts",) if len(names) > _READERS else listed(names, _READERS)
        yield (f"reads {', '.join(these[:_READ])}{more} for {to} (", *whose, ")")
    if len(gathered) > _RECEIVERS:
        yield (f"reads more for {len(gathered) - _RECEIVERS} other hosts: each account names its own",)


def recipients(this: Terms) -> Iterator[Sentence]:
    """Yield how those who can open what is sealed change with an apply; nothing where they stay."""
    if this.added:
        yield (f"seals to {', '.join(this.added)}, which the state does not list",)
    if this.removed:
        yield (f"does not seal to {', '.join(this.removed)}, which only the state lists",)
    if this.shuts_out:
        yield ("seals to none of those that the state lists: ", Code("apply"), " wants --new-recipients for that")
    elif this.added or this.removed:
        yield ("if that is right, ", Code("provisioner rekey"), " seals what exists to the same recipients")


# ── A freeze ─────────────────────────────────────────────────────────────────


def freeze(this: Terms | None) -> Sentence | None:
    """Return until when and why nothing is done for a parent, or None while it is not frozen."""
    if this is None or not this.is_frozen:
        return None
    return (f"{_until(this)}. ", Code("apply"), " and ", Code("reconcile"), " do nothing for this parent")


def past_freeze(this: Terms | None) -> Sentence | None:
    """Return that a freeze of the settings is over, or None where none is."""
    if this is None or this.frozen is None or this.is_frozen:
        return None
    return (f"was frozen {_until(this)}. That is over: ", Code("frozen"), " can be deleted from the settings")


def _until(this: Terms) -> str:
    assert this.frozen is not None  # noqa: S101  # whoever asks has seen that it is
    return f"until {this.frozen.until} (UTC, that day included): {this.frozen.reason.rstrip('.')}"
