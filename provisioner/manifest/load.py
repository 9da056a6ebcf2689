"""Loading: the manifests of every file, merged by parent.

Owns what can only be seen across files: that a name is used once. Refuses to return
half a manifest: with one problem anywhere there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner.document import shown
from provisioner.errors import ManifestInvalid
from provisioner.manifest import yaml_manifest
from provisioner.manifest.sources import YAML_SUFFIXES, Source, sources
from provisioner.model.account import (
    DEFAULT_PARENT,
    Attributes,
    Callbacks,
    DesiredAccount,
    Manifest,
    Problem,
    Secret,
    Severity,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provisioner.document import Value
    from provisioner.manifest.entries import Entry, Part


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files hold, and what is to be said about them."""

    manifests: tuple[Manifest, ...]
    """One for each parent, sorted by parent, its accounts by name; none if there is an error."""
    problems: tuple[Problem, ...]
    """Of every severity: file by file as given, each by line."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems for which the manifests are refused."""
        return tuple(each for each in self.problems if each.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The other problems, notes included."""
        return tuple(each for each in self.problems if each.severity is not Severity.ERROR)

    def require(self) -> tuple[Manifest, ...]:
        """Return the manifests.

        :raises ManifestInvalid: there is an error.
        """
        if errors := len(self.errors):
            raise ManifestInvalid(
                f"{errors} problem{'' if errors == 1 else 's'} in the manifest.", hint="Correct each; nothing was sent."
            )
        return self.manifests


def load(paths: Sequence[Path], *, parent: str = DEFAULT_PARENT) -> Loaded:
    """Read the manifests at ``paths``: files, or folders with manifests directly inside.

    :param parent: owns the accounts of the files that name no parent.
    """
    problems: list[Problem] = []
    entries: dict[str, dict[str, Entry]] = {}
    for source in sources(paths):
        if isinstance(source, Problem):
            problems.append(source)
            continue
        part = _read(source)
        repeated = _add(entries.setdefault(part.parent or parent, {}), part)
        problems += sorted((*part.problems, *repeated), key=_by_place)
    if any(each.severity is Severity.ERROR for each in problems):
        return Loaded((), tuple(problems))
    manifests = (
        Manifest(name, tuple(_desired(key, each) for key, each in sorted(entries[name].items())))
        for name in sorted(entries)
    )
    return Loaded(tuple(manifests), tuple(problems))


def _read(source: Source) -> Part:
    file = str(source.path)
    if source.path.suffix.lower() in YAML_SUFFIXES:
        return yaml_manifest.read(source.raw, file)
    # Here and not above: pandas takes longer to import than all the rest together.
    from provisioner.manifest import table  # noqa: PLC0415

    return table.read(source.raw, file)


def _add(known: dict[str, Entry], part: Part) -> list[Problem]:
    """Add the entries of ``part`` to those ``known``, and return what is wrong with their names."""
    problems: list[Problem] = []
    for entry in part.entries:
        name = entry.fields.get("name")
        if not isinstance(name, str) or not name:
            continue
        first = known.get(name) or known.get(name.casefold())
        if first:
            problems.append(_repeated(name, entry, first))
        # Under both spellings, which are one in every manifest that is valid.
        known.setdefault(name, entry)
        known.setdefault(name.casefold(), entry)
    return problems


def _repeated(name: str, entry: Entry, first: Entry) -> Problem:
    same = name == first.fields["name"]
    how = "is used already" if same else "differs only in capitals from one that is used already"
    place = f"line {first.name_origin.line}" + (f", row {first.name_origin.row}" if first.name_origin.row else "")
    if first.name_origin.file != entry.name_origin.file:
        place = f"{first.name_origin.file}, {place}"
    return Problem(
        origin=entry.name_origin,
        path=entry.name_path,
        message=f"The name {shown(name) or 'here'} {how}: {place}.",
        hint="Give each account a name of its own, or delete one of the two.",
    )


def _by_place(problem: Problem) -> tuple[int, int]:
    return problem.origin.line or 0, problem.origin.column or 0


def _desired(name: str, entry: Entry) -> DesiredAccount:
    fields = _texts(entry.fields)
    callbacks = entry.fields.get("callbacks")
    password = fields.get("password")
    return DesiredAccount(
        name=name,
        attributes=Attributes(
            first_name=fields["first_name"],
            last_name=fields["last_name"],
            company_name=fields.get("company_name"),
            callbacks=Callbacks(**_texts(callbacks)) if isinstance(callbacks, dict) else Callbacks(),
        ),
        password=None if password is None else Secret(password),
        origin=entry.origin,
    )


def _texts(fields: Mapping[str, Value]) -> dict[str, str]:
    return {key: value for key, value in fields.items() if isinstance(value, str)}
