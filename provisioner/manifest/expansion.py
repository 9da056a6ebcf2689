"""Expansion: from accounts with placeholders to what is sent to the API.

All secrets are read here, before the first request. Refuses a value that the manifest
itself could not contain, except one that looks like a placeholder, which can come in no
other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from provisioner import placeholders
from provisioner.document import Value, spelled, text_fault, violations
from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable
from provisioner.manifest.entries import SCHEMA
from provisioner.manifest.formats import LITERAL_CHECKS
from provisioner.model.account import Attributes, DesiredAccount, Secret
from provisioner.model.exchange import EditRequest
from provisioner.model.plan import Create, Update
from provisioner.model.verdict import CreateRequest

if TYPE_CHECKING:
    from provisioner.placeholders.reading import Reader

_SHORTEST_HIDDEN: Final = 3
"""A shorter value is not worth hiding, and masking it would leave holes all over a message."""


def requests(creates: Iterable[Create], reader: Reader, new_password: Callable[[], Secret]) -> dict[str, CreateRequest]:
    """Return what to send for each of ``creates``, by name.

    A file that a placeholder names is relative to the manifest's folder. An account
    without a password gets one from ``new_password``.

    :raises SettingInvalid: what a placeholder names is missing, or its value is not valid
        in a manifest; the message names the account, never the value.
    """
    found: dict[str, CreateRequest] = {}
    missing: list[SettingInvalid] = []
    for each in creates:
        try:
            account = _expanded(each.account, reader)
        except SettingInvalid as error:
            missing.append(error)
        else:
            password = account.password or new_password()
            found[each.name] = CreateRequest(account.attributes, password, account.hidden)
    if missing:
        raise placeholders.together(missing)
    return found


def edits(updates: Iterable[Update], reader: Reader, new_password: Callable[[], Secret]) -> dict[str, EditRequest]:
    """Return what to send for each of ``updates``, by name.

    A password that an unfinished run began to set is not reused: anyone who can write the state could have sealed it.

    :raises SettingInvalid: as :func:`requests` does.
    """
    found: dict[str, EditRequest] = {}
    missing: list[SettingInvalid] = []
    for each in updates:
        # The password is neither read nor sent unless a new one is wanted.
        desired = each.account if each.renews_password else replace(each.account, password=None)
        try:
            account = _expanded(desired, reader)
        except SettingInvalid as error:
            missing.append(error)
            continue
        password = (account.password or new_password()) if each.renews_password else None
        found[each.name] = EditRequest(account.attributes, password, account.hidden)
    if missing:
        raise placeholders.together(missing)
    return found


def password(account: DesiredAccount, reader: Reader) -> Secret | None:
    """Return the password in the manifest, with placeholders filled in; None if it has none.

    :raises SettingInvalid: as :func:`requests` does.
    """
    if account.password is None:
        return None
    text = account.password.reveal()
    return _password(account, placeholders.fill(text, _values(account, text, reader)))


@immutable
class _Expanded:
    """An account with its placeholders filled in."""

    attributes: Attributes
    password: Secret | None
    hidden: tuple[str, ...]
    """The values of the placeholders, to be masked."""


def _expanded(account: DesiredAccount, reader: Reader) -> _Expanded:
    texts: dict[str, str] = account.texts()
    hidden: list[str] = []
    for path, text in texts.items():
        values = _values(account, text, reader)
        texts[path] = placeholders.fill(text, values)
        hidden += values
    password = _password(account, texts.pop("password", None))
    attributes = Attributes.of_fields(texts)
    _require(account, attributes)
    return _Expanded(attributes, password, tuple(each for each in hidden if len(each) >= _SHORTEST_HIDDEN))


def _values(account: DesiredAccount, text: str, reader: Reader) -> tuple[str, ...]:
    try:
        return reader.values(text, Path(account.origin.file).parent)
    except SettingInvalid as error:
        raise SettingInvalid(f"{_place(account)}: {error.message}", hint=error.hint) from None


def _password(account: DesiredAccount, text: str | None) -> Secret | None:
    if text is not None and (fault := text_fault(text)):
        raise SettingInvalid(f"{_place(account)}: the password {fault[0]}.", hint=fault[1])
    return None if text is None else Secret(text)


def _require(account: DesiredAccount, attributes: Attributes) -> None:
    if attributes != account.attributes:
        whole = {"version": 1, "accounts": [{"name": account.name, **attributes.document()}]}
        # A value that was filled in is not a placeholder, even if it looks like one.
        for found in violations(cast("Value", whole), SCHEMA, LITERAL_CHECKS):
            raise SettingInvalid(
                f"{_place(account)}: {spelled(found.path[2:])} {found.predicate}, once its placeholder is filled in.",
                hint=found.hint,
            )


def _place(account: DesiredAccount) -> str:
    if account.origin.cell:
        return f"{account.origin.file} {account.origin.cell}: {account.name}"
    line = f":{account.origin.line}" if account.origin.line else ""
    return f"{account.origin.file}{line}: {account.name}"
