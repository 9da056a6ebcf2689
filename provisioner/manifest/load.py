"""Loading: the accounts of every file, merged by parent.

Owns what can only be seen across files: which parent has which account, that each parent
uses a name once, and that an account that got another name took it from nobody. Refuses
to return half a manifest: with one problem anywhere there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from provisioner.document import shown
from provisioner.manifest import yaml_manifest
from provisioner.manifest.problems import ProblemLog, errors, refuse_any, told
from provisioner.manifest.sources import YAML_SUFFIXES, Source, sources
from provisioner.model.account import (
    AUTO_PARENT,
    DEFAULT_PARENT,
    Attributes,
    Callbacks,
    DesiredAccount,
    Manifest,
    Origin,
    Problem,
    Secret,
    Severity,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from provisioner.document import Value
    from provisioner.manifest.entries import Entry, FileContent
    from provisioner.placeholders.reading import Reader


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files hold, and what is to be said about them."""

    manifests: tuple[Manifest, ...]
    """One for each parent, sorted by parent, its accounts by name; none if there is an error."""
    problems: tuple[Problem, ...]
    """Of every severity: file by file as given, each by line."""
    sources: tuple[Source, ...] = ()
    """The files that were read, in that order."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems for which the manifests are refused."""
        return errors(self.problems)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The other problems, notes included."""
        return tuple(each for each in self.problems if each.severity is not Severity.ERROR)

    def require(self) -> tuple[Manifest, ...]:
        """Return the manifests.

        :raises ManifestInvalid: there is an error.
        """
        refuse_any(self.problems, "manifest")
        return self.manifests


def load(
    paths: Sequence[Path],
    *,
    owner: str = DEFAULT_PARENT,
    reader: Reader | None = None,
    encoding: str | None = None,
    places: bool = False,
) -> Loaded:
    """Read the manifests at ``paths``: files, or folders with manifests directly inside.

    :param owner: the parent of the accounts for which neither they nor their file name one.
    :param reader: will read the placeholders, and refuses some already; None: nobody will.
    :param encoding: that of tables which are not UTF-8; None: Windows-1252, if they can be nothing else.
    :param places: whether accounts may be placed on one of several parents.
    """
    files: list[ProblemLog] = []
    entries: dict[str, dict[str, Entry]] = {}
    read: list[tuple[str, FileContent, ProblemLog]] = []
    contents: list[Source] = []
    for source in sources(paths):
        if isinstance(source, Problem):
            files.append(ProblemLog([source]))
            continue
        contents.append(source)
        part = _read(source, reader, encoding)
        rest = part.parent or owner
        files.append(ProblemLog(part.problems, part.more))
        files[-1].extend(_add(entries, rest, part))
        if not places:
            files[-1].extend(_unplaced(rest, part))
        read.append((rest, part, files[-1]))
    # Once every file is read: the old name may be in any of them.
    claimed: dict[str, dict[str, Entry]] = {}
    for rest, part, found in read:
        found.extend(_moved(claimed, entries, rest, part))
    if not any(errors(each.kept) for each in files):
        for entry, found in _twins(read):
            found.append(entry)
    problems = told(files)
    if errors(problems):
        return Loaded((), problems, tuple(contents))
    manifests = (
        Manifest(name, tuple(_desired(key, each) for key, each in sorted(entries[name].items())))
        for name in sorted(entries)
    )
    return Loaded(tuple(manifests), problems, tuple(contents))


def _read(source: Source, reader: Reader | None, encoding: str | None) -> FileContent:
    file = str(source.path)
    refused = None if reader is None else partial(reader.refused, base=source.path.parent)
    if source.path.suffix.lower() in YAML_SUFFIXES:
        return yaml_manifest.read(source.raw, file, refused)
    # Here and not above: pandas takes longer to import than all the rest together.
    from provisioner.manifest import table  # noqa: PLC0415

    return table.read(source.raw, file, encoding, refused)


def _add(entries: dict[str, dict[str, Entry]], rest: str, part: FileContent) -> Iterator[Problem]:
    """Add what ``part`` holds to the ``entries`` of each parent, and yield what is wrong with their names.

    :param rest: the parent of the entries that name none.
    """
    for entry in part.entries:
        name = entry.fields.get("name")
        owner = entry.owner(rest)
        if not isinstance(name, str) or not name or owner is None:
            continue
        first = _among(entries, owner, name, name.casefold())
        if first:
            yield _repeated(name, entry, first)
        known = entries.setdefault(owner, {})
        # Under both spellings, which are one in every manifest that is valid.
        known.setdefault(name, entry)
        known.setdefault(name.casefold(), entry)


def _unplaced(rest: str, part: FileContent) -> Iterator[Problem]:
    """Yield what is wrong with an account that nobody can place; of those of a file, one is enough."""
    for entry in part.entries:
        if entry.owner(rest) == AUTO_PARENT:
            message = (
                f"`parent: {AUTO_PARENT}` has an account placed on one of several parents, and the settings have one."
            )
            hint = f"Name several under `parents` in provisioner.yaml, or delete `parent: {AUTO_PARENT}`."
            yield Problem(entry.name_origin, entry.name_path, message, hint)
            return


def _among(entries: Mapping[str, Mapping[str, Entry]], owner: str, *names: str) -> Entry | None:
    """Return the entry of one of ``names`` that is of the parent ``owner``, or may come to be of the same one."""
    rivals = list(entries.values()) if owner == AUTO_PARENT else [entries.get(owner, {}), entries.get(AUTO_PARENT, {})]
    return next((each[name] for each in rivals for name in names if name in each), None)


def _repeated(name: str, entry: Entry, first: Entry) -> Problem:
    same = name == first.fields["name"]
    how = "is used already" if same else "differs only in capitals from one that is used already"
    place = _place(first.name_origin, entry.name_origin.file)
    return Problem(
        origin=entry.name_origin,
        path=entry.name_path,
        message=f"The name {shown(name) or 'here'} {how}: {place}.",
        hint="Give each account a name of its own, or delete one of the two.",
    )


def _moved(
    claimed: dict[str, dict[str, Entry]], entries: Mapping[str, Mapping[str, Entry]], rest: str, part: FileContent
) -> Iterator[Problem]:
    """Add the old names of ``part`` to those ``claimed``, and yield what is wrong with them.

    :param rest: the parent of the entries that name none.
    """

    def problem(entry: Entry, message: str, hint: str) -> Problem:
        return Problem(entry.previously_origin, entry.previously_path, message, hint)

    for entry in part.entries:
        previously, name = entry.fields.get("previously"), entry.fields.get("name")
        owner = entry.owner(rest)
        if not isinstance(previously, str) or not previously or owner is None:
            continue
        what, file = shown(previously) or "The name here", entry.previously_origin.file
        folded = previously.casefold()
        if isinstance(name, str) and name.casefold() == folded:
            hint = "Delete `previously`, or write the old name."
            yield problem(entry, f"{what} is the name that the account has.", hint)
            continue
        if still := _among(entries, owner, previously, folded):
            place = _place(still.name_origin, file)
            hint = "Delete `previously` here, or that account."
            yield problem(entry, f"{what} is still in the manifest ({place}): its record cannot move.", hint)
        if first := _among(claimed, owner, folded):
            place = _place(first.previously_origin, file)
            hint = "Delete `previously` in one of the two: a record can only move to one account."
            yield problem(entry, f"{what} was another account's old name already: {place}.", hint)
        claimed.setdefault(owner, {}).setdefault(folded, entry)


def _twins(read: list[tuple[str, FileContent, ProblemLog]]) -> Iterator[tuple[Problem, ProblemLog]]:
    """Yield a warning for each group of accounts that differ in nothing but their names, and whose file it is about."""
    groups: dict[tuple[str | None, Attributes], list[tuple[Entry, ProblemLog]]] = {}
    for rest, part, found in read:
        for entry in part.entries:
            groups.setdefault((entry.owner(rest), _attributes(entry)), []).append((entry, found))
    for group in groups.values():
        (first, _), *others = group
        if others:
            entry, found = others[0]
            names = f"{first.fields['name']}{', ' if others[1:] else ' and '}{entry.fields['name']}"
            more = f" and {len(others) - 1} more" if others[1:] else ""
            message = f"{names}{more} differ in nothing but their names"
            place = _place(first.name_origin, entry.name_origin.file)
            hint = "Delete what is there by mistake: an account that is created cannot be deleted."
            yield Problem(entry.name_origin, entry.name_path, f"{message}: {place}.", hint, Severity.WARNING), found


def _place(origin: Origin, file: str) -> str:
    """Return ``origin`` in words for a reader of ``file``."""
    place = f"line {origin.line}" + (f", row {origin.row}" if origin.row else "")
    place = origin.cell or place
    return place if origin.file == file else f"{origin.file}, {place}"


def _attributes(entry: Entry) -> Attributes:
    fields = _texts(entry.fields)
    callbacks = entry.fields.get("callbacks")
    return Attributes(
        first_name=fields["first_name"],
        last_name=fields["last_name"],
        company_name=fields.get("company_name"),
        callbacks=Callbacks(**_texts(callbacks)) if isinstance(callbacks, dict) else Callbacks(),
    )


def _desired(name: str, entry: Entry) -> DesiredAccount:
    fields = _texts(entry.fields)
    password = fields.get("password")
    return DesiredAccount(
        name=name,
        attributes=_attributes(entry),
        password=None if password is None else Secret(password),
        origin=entry.origin,
        previously=fields.get("previously"),
        password_version=cast("int", entry.fields.get("password_version", 1)),
    )


def _texts(fields: Mapping[str, Value]) -> dict[str, str]:
    return {key: value for key, value in fields.items() if isinstance(value, str)}
