"""The conditions under which a plan is applied, in words: where, with which settings, for whom, and what it reads.

Like ``words``, does no markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from provisioner import placeholders
from provisioner.model.account import MASK
from provisioner.model.plan import Change, Create, Plan, Update
from provisioner.render.words import CodeText, Sentence, View, listed

if TYPE_CHECKING:
    from provisioner.model.terms import Freeze, Setting, Terms
    from provisioner.placeholders import Read

# The effect of each setting that differs from its default; any other setting is named.
_SETTINGS: Final = {
    "api_url": "sends to {value}{usually}",
    "ca_file": "trusts only the certificate authorities in {value} (SHA-256 {sha256})",
    "heartbeat_url": "calls {value} when a run ends",
    "identity_file": "opens sealed credentials with the identity in {value}",
    "keep_going": "continues after an unknown outcome",
    "metrics_file": "writes metrics to {value}",
    "proxy": "sends through the proxy {value}",
    "recipients": "seals to {value}",
    "retry_on_429": "treats a create as unknown after HTTP 408, 421, 425 or 429",
    "retry_on_503": "retries a create after HTTP 503: if the first was created, that makes a second account",
}
_READ: Final = 12
"""How many variables and files the head of a plan names for one receiver."""
_RECEIVERS: Final = 40
"""How many receivers it names."""
_READERS: Final = 3
"""How many accounts it names for one receiver; if there are more, it only counts them."""
_USUAL_KEY: Final = "${env:OCTOPUSH_API_KEY}"
_CLEAR: Final = 3
"""How many characters of a login are published."""


def place(this: Terms, view: View, *, begun: bool | None = None) -> dict[str, str]:
    """Return where a plan is applied: the address, the sources of login and key, and the place of the state.

    After an apply that had to begin the state, ``begun`` is whether it did.
    """
    found = {"address": this.endpoint, "login": login(this, view)}
    if this.key != _USUAL_KEY:
        found["key"] = f"from {source(this.key)}"
    state = this.state
    if this.begins:
        ending = {None: "", True: ", begun by this run", False: ", not begun by this run"}[begun]
        state = f"{state}{ending}" if ending else f"none yet at {state}: apply starts one"
    return found | {"state": state}


def login(this: Terms, view: View) -> str:
    """Return the login of a parent, if it is known, and its source."""
    known = this.account if this.account is None or view.private else masked_login(this.account)
    if not placeholders.names(this.login):
        return known or masked_login(this.login)
    origin = f"from {source(this.login)}"
    return origin if known is None else f"{known} ({origin})"


def masked_login(text: str) -> str:
    """Return the beginning of a login, and nothing of a text without an @: that could be a key."""
    user, at, _ = text.partition("@")
    return f"{user[:_CLEAR] if at else ''}{MASK}"


def source(text: str) -> str:
    """Return the source of a login or a key; anything but a single placeholder stays as it is written."""
    match placeholders.names(text):
        case [one] if text == f"${{{one}}}":
            kind, _, name = one.partition(":")
            return name if kind == "env" else f"the file {name}"
        case _:
            return text


def settings(these: Iterable[Setting]) -> Iterator[str]:
    """Yield the effect of each setting that differs from its default."""
    for each in these:
        usually = "" if each.usual is None else f", not {each.usual}"
        effect = _SETTINGS.get(each.name, "sets {name} to {value}{usually}")
        yield effect.format(name=each.name, value=each.value, usually=usually, sha256=each.sha256)


def reads(change: Change) -> tuple[Read, ...]:
    """Return what an apply would read for a change, and who gets each value besides Octopush."""
    match change:
        case Create():
            return placeholders.reads(change.account)
        case Update() if change.sends:
            return placeholders.reads(change.account, password=change.renews_password or change.unfinished)
        case _:
            return ()


def readers(plan: Plan) -> dict[tuple[str, str, str | None], list[str]]:
    """Return the accounts that each variable or file is read for, by its kind, its name, and its receiver."""
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
    """Return what is read, by receiver."""
    gathered: dict[str, list[str]] = {}
    for kind, name, to in found:
        gathered.setdefault(to or "Octopush", []).append(_read(kind, name))
    return gathered


def reading(change: Change) -> str:
    """Return in one phrase what is read for a change; empty if nothing is."""
    found = dict.fromkeys((each.kind, each.name, _receiver(each)) for each in reads(change))
    phrase = "; ".join(f"{', '.join(these)} for {to}" for to, these in _gathered(found).items())
    return f"reads {phrase}" if phrase else ""


def all_reading(plan: Plan) -> Iterator[Sentence]:
    """Yield what is read for a whole plan, one sentence per receiver, those with the fewest accounts first.

    Each account also shows its own.
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
    """Yield how an apply changes who can open sealed credentials; nothing if it changes nothing."""
    if this.added:
        yield (f"seals to {', '.join(this.added)}, which the state does not list",)
    if this.removed:
        yield (f"does not seal to {', '.join(this.removed)}, which only the state lists",)
    if this.shuts_out:
        yield ("seals to none of those that the state lists: ", CodeText("apply"), " needs --new-recipients for that")
    elif this.added or this.removed:
        yield (
            "if that is right, ",
            CodeText("provisioner rekey"),
            " seals existing credentials to the same recipients",
        )


# ── A freeze ─────────────────────────────────────────────────────────────────


def freeze(this: Terms | None) -> Sentence | None:
    """Return until when and why a parent is frozen, or None if it is not."""
    if this is None or this.frozen is None or not this.is_frozen:
        return None
    return (f"{until(this.frozen)}. ", CodeText("apply"), " and ", CodeText("reconcile"), " do nothing for this parent")


def past_freeze(this: Terms | None) -> Sentence | None:
    """Return the note that a freeze in the settings is over, or None if there is none."""
    if this is None or this.frozen is None or this.is_frozen:
        return None
    return (f"was frozen {until(this.frozen)}. That is over: delete ", CodeText("frozen"), " from the settings")


def until(this: Freeze) -> str:
    """Return until when a parent is frozen, and why."""
    return f"until {this.until} (UTC, that day included): {this.reason.rstrip('.')}"
