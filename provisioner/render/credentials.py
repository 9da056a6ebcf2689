"""The formats of opened credentials. Every function here returns secrets in clear, or masked where it says so.

Owns their JSON documents too, so that nothing else that renders reveals a secret; and the
quoting, so that no value can be taken for something else: by a shell, by a spreadsheet
that sees a formula in it, or by a reader of YAML that sees a number. Refuses a name that its receiver would not take.
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
"""Those that :func:`as_environment` may set."""

# Where a spreadsheet reads a formula: at the start of a value, and inside wherever one that splits at
# semicolons or tabs, as a French Excel does, has a cell begin. Blanks and quotes before it are stripped, and
# full-width signs, which keyboards of East Asia write, are signs too. An apostrophe there makes the cell a text.
_FORMULA: Final = re.compile(r"""(?:^|(?<=[;\t\r\n]))(?=[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])""")

_NO_TEXT: Final = re.compile("\0")
_NO_LINE: Final = re.compile(r"[\0\n\r]")
_DOTENV_ESCAPES: Final = {"\\": r"\\", '"': r"\"", "\r": r"\r"}

# What Kubernetes takes for a Secret's name: a subdomain as of RFC 1123.
_SUBDOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_SUBDOMAIN_LENGTH: Final = 253
_EXPORTED: Final = re.compile(r"([A-Z0-9_]+_(?:API_LOGIN|API_KEY|PASSWORD))=")
_MANAGED: Final = "app.kubernetes.io/managed-by: octopush-provisioner"
_PARENT_LABEL: Final = "octopush-provisioner/parent"


def is_export(text: str) -> bool:
    """Tell whether ``text`` is what some function here has returned, and nothing else."""
    if text.lstrip().startswith("{"):
        return _is_export_json(text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if text.startswith("---"):
        return text.count("\n---") + 1 == sum(_MANAGED in line.replace('"', "") for line in lines)
    if lines and lines[0].split(",")[: 1 + len(FIELDS)] == ["name", *FIELDS]:
        return True
    variables = {match[1] for line in lines if (match := _EXPORTED.match(line))}
    # A parent's own credentials have names as an account's could be, and no password.
    parents = {"OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY"} & variables and "OCTOPUSH_PASSWORD" not in variables
    return bool(variables) and not parents and all(map(_EXPORTED.match, lines))


def _is_export_json(text: str) -> bool:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return all(isinstance(each, dict) and set(FIELDS) <= each.keys() for each in document.values())


def as_json(contents: Iterable[SealedContent]) -> str:
    """Return one JSON document: name to credentials; an absent value is null."""
    return documents.text({each.name: _values(each) for each in contents})


def shown_as_json(content: SealedContent, begun: Sequence[Secret]) -> str:
    """Return the same of one account, with the passwords that an unfinished edit may have set, if there are any."""
    more = {"passwords_begun": [each.reveal() for each in begun]} if begun else {}
    return documents.text({content.name: _values(content) | more})


def listed_as_json(
    accounts: Iterable[tuple[SealedContent, Record]],
    damaged: Mapping[tuple[str, str], ProvisionerError],
    failures: Mapping[str, ProvisionerError],
) -> documents.Document:
    """Return the document of ``credentials list --format json``, in which no secret is.

    ``damaged`` says, by parent and name, why an account could not be opened; ``failures`` says it
    of whole parents.
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
    """Return assignments, ``PARIS_API_LOGIN=…``, quoted as a POSIX shell reads them; raises StateConflict."""
    return _assignments(contents, shlex.quote, _NO_TEXT, "a shell")


def as_dotenv(contents: Iterable[SealedContent]) -> str:
    """Return the same as python-dotenv reads it, every value as it is; raises StateConflict."""
    return _assignments(contents, _dotenv_value, _NO_TEXT, "python-dotenv")


def as_docker(contents: Iterable[SealedContent]) -> str:
    """Return the same as ``docker run --env-file`` reads it: what follows the sign, to the end of the line.

    Raises:
        StateConflict: a value has several lines, which that format cannot hold.

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
    """Return the values, if ``reader`` can have them; raises StateConflict."""
    values = _values(content)
    for field, value in values.items():
        if found := impossible.search(value or ""):
            raise StateConflict(
                f"The {field} of {content.name} holds {found.group()!a}, which {reader} cannot read from a file.",
                hint="Use --format json for this account. Nothing was exported.",
            )
    return values


def _dotenv_value(value: str) -> str:
    """Return ``value`` in double quotes, where python-dotenv reads escapes.

    It looks for variables in every value, and has no escape for their sign: one that is
    never set has the sign for its default. Its search for the closing quote takes a
    backslash before the last one for an escape of it: an empty variable stands between.
    """
    escaped = "".join(_DOTENV_ESCAPES.get(character, character) for character in value).replace("${", "${:-$}{")
    return f'"{escaped}{"${:-}" if value.endswith(chr(92)) else ""}"'


def _variable(name: str) -> str:
    """Return the beginning of a variable's name; none may begin with a digit, as an account's may."""
    upper = name.upper().replace("-", "_")
    return f"_{upper}" if upper[0].isdigit() else upper


def as_environment(content: SealedContent) -> dict[str, str]:
    """Return the variables of a command that works as one account, with the names that a parent's have."""
    return {f"OCTOPUSH_{field.upper()}": value for field, value in _values(content).items() if value is not None}


def as_csv(contents: Iterable[SealedContent]) -> str:
    """Return a table that is safe to open in a spreadsheet: what would be a formula gets an apostrophe.

    Raises:
        StateConflict: a value holds a NUL.

    """
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\r\n")
    writer.writerow(("name", *FIELDS))
    for each in contents:
        writer.writerow([cell(value or "") for value in (each.name, *_readable(each, _NO_TEXT, "a table").values())])
    return output.getvalue()


def as_kubernetes(contents: Iterable[SealedContent]) -> str:
    """Return a YAML document for each account: a Secret, fit for ``kubectl apply``; nothing where there is none.

    No two accounts have one name, whoever their parents are; a label names the parent.
    Every text is quoted and in ASCII, so that a reader of YAML 1.1 and one of 1.2 see the same.
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
"""What ``credentials export`` writes, by the name of its format."""


def _secret(content: SealedContent) -> dict[str, object]:
    # The dot keeps them apart: neither a parent's name nor an account's has one, and hyphens are in both.
    owner = "" if content.parent == DEFAULT_PARENT else f"{content.parent}."
    name = f"octopush-{owner}{content.name}"
    if len(name) > _SUBDOMAIN_LENGTH or not _SUBDOMAIN.fullmatch(name):
        raise StateConflict(
            f"A Secret of Kubernetes cannot be named {name}.",
            hint="Lower-case letters, digits and hyphens inside, 253 at most. Use another format for this account.",
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
    """Return ``value`` as a spreadsheet's cell that is no formula, wherever the spreadsheet splits it."""
    return _FORMULA.sub("'", value)


def altered_by_csv(contents: Iterable[SealedContent]) -> list[str]:
    """Return the names of accounts of which a cell had to get an apostrophe."""
    return [
        each.name for each in contents if any(cell(value or "") != (value or "") for value in _values(each).values())
    ]


def as_text(content: SealedContent, begun: Sequence[Secret] = ()) -> list[Line]:
    """Return one account's credentials for the person who asked to see them; ``begun`` as in :func:`shown_as_json`."""
    lines = [Line(f"{field}: {printable(value)}") for field, value in _values(content).items() if value is not None]
    lines += [Line(f"password (new, not confirmed): {printable(each.reveal())}") for each in begun]
    lines += [Line(f"{path}: {printable(value)}") for path, value in _hidden(content)]
    if content.answer is not None:
        body = content.answer.body.decode(errors="backslashreplace")
        lines.append(Line(f"answer: HTTP {content.answer.status}: {printable(body)}"))
    return lines


def _hidden(content: SealedContent) -> Iterator[tuple[str, str]]:
    """Yield what a placeholder may stand for: a URL, which can hold a token, or a text that looks like one."""
    for path, value in content.sent.flat().items() if content.sent else ():
        if path.startswith("callbacks.callback_url_") or has_placeholder(value):
            yield path, value


def masked(contents: Iterable[SealedContent], *, name_parents: bool = False) -> list[Line]:
    """Return a table of the logins, with every key and password masked; a first column may name the parents."""
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
