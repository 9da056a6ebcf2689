"""Logins: the table ``name,login`` of existing accounts to take over.

Decides what a login may be. Never returns half a table, and never repeats a login in a
problem: with its key, it is a credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from provisioner.document import character, text_fault, violations
from provisioner.immutable import immutable
from provisioner.manifest.cells import Table, UnreadableTable
from provisioner.manifest.columns import cell, fitting, header_problems, open_table, positions
from provisioner.manifest.entries import SCHEMA
from provisioner.manifest.formats import CHECKS
from provisioner.manifest.problems import ProblemLog, errors, refuse_any, to_report
from provisioner.manifest.sources import TABLE_SUFFIXES, FileKind, content
from provisioner.model.account import Attributes, Origin, Problem, is_login

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provisioner.document import Value

MAX_LOGIN: Final = 254
"""No e-mail address is longer."""

_COLUMNS: Final = ("name", "login")
_KIND: Final = FileKind("table", TABLE_SUFFIXES, "Split it into several files, and pass one after the other.")
_STAND_IN: Final = "x"
_REST: Final = cast("dict[str, Value]", Attributes(_STAND_IN, _STAND_IN).document())
"""The other required fields, so that the schema complains about the name alone."""


@immutable
class Login:
    """One existing account: its name here, and its login at Octopush."""

    name: str
    api_login: str
    origin: Origin


@immutable
class LoginTable:
    """The rows of a table of logins, and its problems."""

    rows: tuple[Login, ...]
    """In the order of the table; empty if there is an error."""
    problems: tuple[Problem, ...]
    """Of every severity, by line."""

    def require(self) -> tuple[Login, ...]:
        """Return the rows.

        :raises ManifestInvalid: there is an error.
        """
        refuse_any(self.problems, "table of logins")
        return self.rows


def read(path: Path, encoding: str | None = None) -> LoginTable:
    """Read the table of logins at ``path``; ``encoding`` as in :func:`open_table`."""
    source = content(path, _KIND)
    if isinstance(source, Problem):
        return LoginTable((), (source,))
    try:
        table = open_table(source.raw, str(path), _COLUMNS, encoding)
    except UnreadableTable as error:
        return LoginTable((), (error.problem,))
    problems = ProblemLog((*table.notes, *header_problems(table, _COLUMNS, _COLUMNS)))
    at = positions(table, _COLUMNS)
    origins: list[Origin] = []
    texts: dict[str, list[str]] = {column: [] for column in at}
    for row in fitting(table, problems):
        origins.append(row.origin)
        for column, position in at.items():
            texts[column].append(row.cells[position] or "")
    for column, cells in texts.items():
        problems.extend(_empty_or_repeated(column, cells, origins))
    problems.extend(_name_problems(texts.get("name", []), origins, table))
    problems.extend(_login_problems(texts.get("login", []), origins))
    reported = tuple(table.placed(to_report([problems])))
    if errors(reported):
        return LoginTable((), reported)
    rows = zip(texts["name"], texts["login"], origins, strict=True)
    return LoginTable(tuple(Login(*row) for row in rows), reported)


def fault(name: str, api_login: str) -> tuple[str, str] | None:
    """Return the fault and a hint for the name or login of one account that is not in a table, or None."""
    for what, text in (("name", name), ("login", api_login)):
        if not text:
            return f"The {what} is empty.", "Every account needs it."
    account: Value = {**_REST, "name": name}
    for violation in violations({"version": 1, "accounts": [account]}, SCHEMA, CHECKS):
        return f"The name {violation.predicate}.", violation.hint
    if found := _login_fault(api_login):
        return f"The login {found[0]}.", found[1]
    return None


def _empty_or_repeated(column: str, cells: list[str], origins: list[Origin]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, (text, origin) in enumerate(zip(cells, origins, strict=True)):
        if not text:
            yield cell(origin, column, "is empty", "Every account needs it.")
            continue
        # Both names and e-mail addresses are the same in other capitals.
        earlier = first.setdefault(text.casefold(), index)
        if earlier != index:
            how = (
                "is already used"
                if cells[earlier] == text
                else "differs only in capitals from one that is already used"
            )
            place = f"line {origins[earlier].line}, row {origins[earlier].row}"
            yield cell(origin, column, f"{how}: {place}", "Correct one of the two rows, or delete it.")


def _name_problems(names: list[str], origins: list[Origin], table: Table) -> Iterator[Problem]:
    """Yield the problems that the manifest's schema finds in the names."""
    accounts: list[Value] = [{**_REST, "name": name or _STAND_IN} for name in names]
    for violation in violations({"version": 1, "accounts": accounts}, SCHEMA, CHECKS) if accounts else ():
        match violation.path:
            case (_, int(index), _):
                yield cell(origins[index], "name", violation.predicate, violation.hint)
            case _:
                # There are more than are reported one by one.
                yield Problem(table.origin, "", f"The table {violation.predicate}.", violation.hint)


def _login_problems(logins: list[str], origins: list[Origin]) -> Iterator[Problem]:
    for text, origin in zip(logins, origins, strict=False):
        if fault := _login_fault(text):
            yield cell(origin, "login", *fault)


def _login_fault(text: str) -> tuple[str, str] | None:
    """Return the fault of a login and a hint, or None; an empty login is reported elsewhere."""
    if fault := text_fault(text):
        return fault
    if " " in text:
        return "contains a space", "Delete it; a login has none."
    if odd := next((one for one in text if not one.isascii()), ""):
        return f"contains {character(odd)}", "Copy the login from Octopush's dashboard."
    if text in {".", ".."}:
        return "is a folder's name and not a login", "Copy the login from Octopush's dashboard."
    if len(text) > MAX_LOGIN:
        return f"is too long: {len(text):,} characters, and at most {MAX_LOGIN} are possible", "Shorten it."
    if text and not is_login(text):
        return "contains a character that a login cannot have", "Copy the login from Octopush's dashboard."
    return None
