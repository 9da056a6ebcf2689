"""The formats of opened credentials. Functions here return secrets in clear text, or masked if they say so.

Owns their JSON documents too, so that no other renderer reveals a secret. Owns the quoting,
so that a shell, a spreadsheet or a YAML parser cannot misread a value as code, a formula or
a number. Refuses a name that the receiver would not accept.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from provisioner.errors import ProvisionerError, StateConflict
from provisioner.model.account import DEFAULT_PARENT, MASK, Secret, has_placeholder
from provisioner.model.state import Active, Record
from provisioner.model.verdict import SealedContent
from provisioner.render import documents
from provisioner.render.lines import Line, printable, table

FIELDS: Final = ("api_login", "api_key", "password")
VARIABLES: Final = frozenset(f"OCTOPUSH_{field.upper()}" for field in FIELDS)
"""The variables that :func:`as_environment` may set."""

# Where a spreadsheet sees a formula: at the start of a value, and inside it wherever a cell begins for a
# program that splits at semicolons or tabs, such as a French Excel. Blanks and quotes before it are stripped,
# and full-width signs, as East Asian keyboards type them, count too. An apostrophe there makes the cell text.
_FORMULA: Final = re.compile(r"""(?:^|(?<=[;\t\r\n]))(?=[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])""")

_NO_TEXT: Final = re.compile("\0")
_NO_LINE: Final = re.compile(r"[\0\n\r]")
_DOTENV_ESCAPES: Final = {"\\": r"\\", '"': r"\"", "\r": r"\r"}

# What Kubernetes accepts as a Secret's name: a subdomain as in RFC 1123.
_SUBDOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_SUBDOMAIN_LENGTH: Final = 253
_EXPORTED: Final = re.compile(r"([A-Z0-9_]+_(?:API_LOGIN|API_KEY|PASSWORD))=")
_MANAGED: Final = "app.kubernetes.io/managed-by: octopush-provisioner"
_PARENT_LABEL: Final = "octopush-provisioner/parent"


def is_export(text: str) -> bool:
    """Return whether ``text`` is exactly the output of one of the functions here."""
    if text.lstrip().startswith("{"):
        return _is_export_json(text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if text.startswith("---"):
        return text.count("\n---") + 1 == sum(_MANAGED in line.replace('"', "") for line in lines)
    if lines and lines[0].split(",")[: 1 + len(FIELDS)] == ["name", *FIELDS]:
        return True
    variables = {match[1] for line in lines if (match := _EXPORTED.match(line))}
    # A parent's own credentials have names that an account's could have, but no password.
    parents = {"OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY"} & variables and "OCTOPUSH_PASSWORD" not in variables
    return bool(variables) and not parents and all(map(_EXPORTED.match, lines))


def _is_export_json(text: str) -> bool:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return all(isinstance(each, dict) and set(FIELDS) <= each.keys() for each in document.values())


def as_json(contents: Iterable[SealedContent]) -> str:
    """Return one JSON document that maps names to credentials; an absent value is null."""
    return documents.text({each.name: _values(each) for each in contents})


def shown_as_json(content: SealedContent, unconfirmed: Sequence[Secret]) -> str:
    """Return the JSON of one account, with any ``unconfirmed`` passwords, which an unfinished edit may have set."""
    more = {"passwords_begun": [each.reveal() for each in unconfirmed]} if unconfirmed else {}
    return documents.text({content.name: _values(content) | more})


def listed_as_json(
    accounts: Iterable[tuple[SealedContent, Record]],
    damaged: Mapping[tuple[str, str], ProvisionerError],
    failures: Mapping[str, ProvisionerError],
) -> documents.Document:
    """Return the document of ``credentials list --format json``, which contains no secret.

    ``damaged`` has, by parent and name, the reason why an account could not be opened; ``failures``
    has the same for whole parents.
    """
    document = {"version": documents.VERSION, "accounts": [_listed(*each) for each in accounts]}
    if damaged:
        document["damaged"] = [
            {"parent": parent, "name": name, "error": documents.error(fault)["error"]}
            for (parent, name), fault in damaged.items()
        ]
    return document | documents.failed_parents(failures)


def _listed(content: SealedContent, record: Record) -> documents.Document:
    document = {
        "parent": content.parent,
        "name": content.name,
        "api_login": None if content.credentials is None else content.credentials.api_login,
        "has_password": content.password is not None,
        "created_at": record.created_at if isinstance(record, Active) else None,
    }
    if isinstance(record, Active) and record.drift.gone:
        document["gone"] = True
    if isinstance(record, Active) and record.edit is not None and record.edit.sealed is not None:
        document["password_unconfirmed"] = True
    return document


def as_env(contents: Iterable[SealedContent]) -> str:
    """Return assignments, ``PARIS_API_LOGIN=…``, quoted for a POSIX shell; raises StateConflict."""
    return _assignments(contents, shlex.quote, _NO_TEXT, "a shell")


def as_dotenv(contents: Iterable[SealedContent]) -> str:
    """Return assignments for python-dotenv, which then reads every value unchanged; raises StateConflict."""
    return _assignments(contents, _dotenv_value, _NO_TEXT, "python-dotenv")


def as_docker(contents: Iterable[SealedContent]) -> str:
    """Return assignments for ``docker run --env-file``, which reads a value to the end of the line.

    Raises:
        StateConflict: a value has several lines, which that format cannot contain.

    """
    return _assignments(contents, str, _NO_LINE, "Docker")


def _assignments(
    contents: Iterable[SealedContent], written: Callable[[str], str], impossible: re.Pattern[str], reader: str
) -> str:
    return "".join(
        f"{_variable(each.name)}_{field.upper()}={written(value)}\n"
        for each in contents
        for field, value in _readable(each, impossible, reader).items()
        if value is not None
    )


def _readable(content: SealedContent, impossible: re.Pattern[str], reader: str) -> dict[str, str | None]:
    """Return the values if ``reader`` can read them; raises StateConflict."""
    values = _values(content)
    for field, value in values.items():
        if found := impossible.search(value or ""):
            raise StateConflict(
                f"The {field} of {content.name} contains {found.group()!a}, which {reader} cannot read from a file.",
                hint="Use --format json for this account. Nothing was exported.",
            )
    return values


def _dotenv_value(value: str) -> str:
    """Return ``value`` in double quotes, in which python-dotenv reads escapes.

    python-dotenv expands variables in every value and cannot escape a ``$``, so ``${`` is
    written as the default of a variable that is never set. It takes a backslash before the
    closing quote as an escape, so an empty variable separates the two.
    """
    escaped = "".join(_DOTENV_ESCAPES.get(character, character) for character in value).replace("${", "${:-$}{")
    return f'"{escaped}{"${:-}" if value.endswith(chr(92)) else ""}"'


def _variable(name: str) -> str:
    """Return the beginning of a variable's name, which must not begin with a digit, unlike an account's name."""
    upper = name.upper().replace("-", "_")
    return f"_{upper}" if upper[0].isdigit() else upper


def as_environment(content: SealedContent) -> dict[str, str]:
    """Return the variables of a command that acts as one account, with the names that a parent's variables have."""
    return {f"OCTOPUSH_{field.upper()}": value for field, value in _values(content).items() if value is not None}


def as_csv(contents: Iterable[SealedContent]) -> str:
    """Return a table that is safe to open in a spreadsheet: what looks like a formula gets an apostrophe.

    Raises:
        StateConflict: a value contains a NUL.

    """
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\r\n")
    writer.writerow(("name", *FIELDS))
    for each in contents:
        writer.writerow([cell(value or "") for value in (each.name, *_readable(each, _NO_TEXT, "a table").values())])
    return output.getvalue()


def as_kubernetes(contents: Iterable[SealedContent]) -> str:
    """Return a YAML document for each account: a Secret for ``kubectl apply``; empty if there are no accounts.

    Every account gets a different name, across all parents; a label names the parent. Every
    string is quoted and in ASCII, so that parsers of YAML 1.1 and 1.2 read the same.
    """
    import yaml  # noqa: PLC0415  # no other format needs it

    return yaml.safe_dump_all(
        [_secret(each) for each in contents],
        default_style='"',
        explicit_start=True,
        sort_keys=False,
        width=float("inf"),
    )


FORMATS: Final[Mapping[str, Callable[[Sequence[SealedContent]], str]]] = {
    "env": as_env,
    "dotenv": as_dotenv,
    "docker": as_docker,
    "json": as_json,
    "csv": as_csv,
    "kubernetes": as_kubernetes,
}
"""The formats of ``credentials export``, by name."""


def _secret(content: SealedContent) -> dict[str, object]:
    # The dot separates parent and account: no name contains one, but both may contain hyphens.
    owner = "" if content.parent == DEFAULT_PARENT else f"{content.parent}."
    name = f"octopush-{owner}{content.name}"
    if len(name) > _SUBDOMAIN_LENGTH or not _SUBDOMAIN.fullmatch(name):
        raise StateConflict(
            f"A Kubernetes Secret cannot be named {name}.",
            hint="A name has lower-case letters, digits and hyphens inside, and at most 253 characters. Use another"
            " format for this account.",
        )
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "octopush-provisioner", _PARENT_LABEL: content.parent},
        },
        "type": "Opaque",
        "stringData": {field: value for field, value in _values(content).items() if value is not None},
    }


def cell(value: str) -> str:
    """Return ``value`` as a cell that is not a formula, wherever the spreadsheet splits it."""
    return _FORMULA.sub("'", value)


def altered_by_csv(contents: Iterable[SealedContent]) -> list[str]:
    """Return the names of accounts with a cell that needs an apostrophe."""
    return [
        each.name for each in contents if any(cell(value or "") != (value or "") for value in _values(each).values())
    ]


def as_text(content: SealedContent, unconfirmed: Sequence[Secret] = ()) -> list[Line]:
    """Return one account's credentials for people; ``unconfirmed`` as in :func:`shown_as_json`."""
    lines = [Line(f"{field}: {printable(value)}") for field, value in _values(content).items() if value is not None]
    lines += [Line(f"password (new, not confirmed): {printable(each.reveal())}") for each in unconfirmed]
    lines += [Line(f"{path}: {printable(value)}") for path, value in _hidden(content)]
    if content.answer is not None:
        body = content.answer.body.decode(errors="backslashreplace")
        lines.append(Line(f"answer: HTTP {content.answer.status}: {printable(body)}"))
    return lines


def _hidden(content: SealedContent) -> Iterator[tuple[str, str]]:
    """Yield the values that a placeholder may stand for: URLs, which may contain a token, and texts with ``${``."""
    for path, value in content.sent.flat().items() if content.sent else ():
        if path.startswith("callbacks.callback_url_") or has_placeholder(value):
            yield path, value


def masked(contents: Iterable[SealedContent], *, name_parents: bool = False) -> list[Line]:
    """Return a table of the logins, with every key and password masked, and optionally a column for the parents."""
    heading = ("NAME", "API LOGIN", "API KEY", "PASSWORD")
    rows = [
        [*((each.parent,) if name_parents else ()), *(printable(value or "") for value in _masked(each))]
        for each in contents
    ]
    return list(table(("PARENT", *heading) if name_parents else heading, rows))


def _masked(content: SealedContent) -> tuple[str, str | None, str, str]:
    login, key, password = _values(content).values()
    return content.name, login, MASK if key else "", MASK if password else ""


def _values(content: SealedContent) -> dict[str, str | None]:
    credentials = content.credentials
    return {
        "api_login": credentials.api_login if credentials else None,
        "api_key": credentials.api_key.reveal() if credentials else None,
        "password": content.password.reveal() if content.password else None,
    }
