"""Expansion: from accounts with placeholders to what is sent to the API.

Owns the moment in which secrets come in: all of them, before the first request.
Refuses to let a value through that the manifest itself could not have held, but for
one that looks like a placeholder, which can come in no other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

from provisioner import placeholders
from provisioner.document import Value, spelled, text_fault, violations
from provisioner.errors import SettingInvalid
from provisioner.manifest.entries import SCHEMA
from provisioner.manifest.formats import LITERAL_CHECKS
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Secret
from provisioner.model.exchange import EditRequest
from provisioner.model.plan import Create, Update
from provisioner.model.verdict import CreateRequest


def requests(
    creates: Iterable[Create], environ: Mapping[str, str], new_password: Callable[[], Secret]
) -> dict[str, CreateRequest]:
    """Return what to send for each of ``creates``, by name.

    A file that a placeholder names is looked for beside the manifest. An account
    without a password gets one from ``new_password``.

    :raises SettingInvalid: what a placeholder names is missing, or makes a value that
        no manifest could hold; the message names the account, never the value.
    """
    found: dict[str, CreateRequest] = {}
    missing: list[SettingInvalid] = []
    for each in creates:
        try:
            attributes, password = _expanded(each.account, environ)
        except SettingInvalid as error:
            missing.append(error)
        else:
            found[each.name] = CreateRequest(attributes, password or new_password())
    if missing:
        raise placeholders.together(missing)
    return found


def edits(
    updates: Iterable[Update],
    environ: Mapping[str, str],
    new_password: Callable[[], Secret],
    begun: Mapping[str, Secret],
) -> dict[str, EditRequest]:
    """Return what to send for each of ``updates``, by name.

    :param begun: by the record's name, the new password of an edit that an earlier run
        began: Octopush may have it already, so that it is the one to go on with.
    :raises SettingInvalid: as :func:`requests` does.
    """
    found: dict[str, EditRequest] = {}
    missing: list[SettingInvalid] = []
    for each in updates:
        try:
            attributes, given = _expanded(each.account, environ)
        except SettingInvalid as error:
            missing.append(error)
            continue
        password = begun.get(each.record_name)
        if each.renews_password:
            password = given or password or new_password()
        found[each.name] = EditRequest(attributes, password)
    if missing:
        raise placeholders.together(missing)
    return found


def _expanded(account: DesiredAccount, environ: Mapping[str, str]) -> tuple[Attributes, Secret | None]:
    """Return the attributes and the password with their placeholders filled in."""
    base = Path(account.origin.file).parent

    def expanded(text: str) -> str:
        try:
            return placeholders.expand(text, environ=environ, read_file=placeholders.read_file, base=base)
        except SettingInvalid as error:
            raise SettingInvalid(f"{_place(account)}: {error.message}", hint=error.hint) from None

    attributes = Attributes(
        first_name=expanded(account.attributes.first_name),
        last_name=expanded(account.attributes.last_name),
        company_name=None if account.attributes.company_name is None else expanded(account.attributes.company_name),
        callbacks=Callbacks(**{name: expanded(text) for name, text in account.attributes.callbacks.given().items()}),
    )
    password = None if account.password is None else Secret(expanded(account.password.reveal()))
    _require(account, attributes, password)
    return attributes, password


def _require(account: DesiredAccount, attributes: Attributes, password: Secret | None) -> None:
    if attributes != account.attributes:
        whole = {"version": 1, "accounts": [{"name": account.name, **attributes.document()}]}
        # What came in is no placeholder, even where it looks like one.
        for found in violations(cast("Value", whole), SCHEMA, LITERAL_CHECKS):
            raise SettingInvalid(
                f"{_place(account)}: {spelled(found.path[2:])} {found.predicate}, once its placeholder is filled in.",
                hint=found.hint,
            )
    if password is not None and (fault := text_fault(password.reveal())):
        raise SettingInvalid(f"{_place(account)}: the password {fault[0]}.", hint=fault[1])


def _place(account: DesiredAccount) -> str:
    line = f":{account.origin.line}" if account.origin.line else ""
    return f"{account.origin.file}{line}: {account.name}"
