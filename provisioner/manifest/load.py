"""Loading: the accounts of every file, merged by parent.

Checks what only all files together show: which parent has which account, that each parent
uses a name once, and that a previous name is neither still in use nor claimed twice. Never
returns half a manifest: with one error anywhere there is none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from provisioner.document import shown
from provisioner.immutable import immutable
from provisioner.manifest import yaml_manifest
from provisioner.manifest.problems import ProblemLog, errors, refuse_any, to_report
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
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from provisioner.document import Value
    from provisioner.manifest.entries import Entry, FileContent
    from provisioner.placeholders.reading import Reader


@immutable
class Loaded:
    """The manifests in the files, and their problems."""

    manifests: tuple[Manifest, ...]
    """One per parent, sorted by parent, accounts sorted by name; empty if there is an error."""
    problems: tuple[Problem, ...]
    """Of every severity, in the order of the files, and by line within each."""
    sources: tuple[Source, ...] = ()
    """The files that were read, in that order."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that make the manifests invalid."""
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
    parents: Collection[str] = (),
) -> Loaded:
    """Read the manifests at ``paths``: files, or folders with manifests directly inside.

    :param owner: the parent of accounts that name none, in a file that names none.
    :param reader: refuses the placeholders that it could not read later; None: nobody will read them.
    :param encoding: the encoding of tables that are not UTF-8; None: Windows-1252, if nothing else is plausible.
    :param parents: the parents in the settings, to compare with those of the accounts; empty: nothing is compared.
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
        file_parent = part.parent or owner
        files.append(ProblemLog(part.problems, part.more))
        files[-1].extend(_add(entries, file_parent, part))
        if len(parents) == 1:
            files[-1].extend(_unplaced(file_parent, part))
        if parents:
            files[-1].extend(_without_parent(file_parent, part, parents))
        read.append((file_parent, part, files[-1]))
    # Only after every file is read: the previous name may be in any of them.
    claimed: dict[str, dict[str, Entry]] = {}
    for file_parent, part, found in read:
        found.extend(_moved(claimed, entries, file_parent, part))
    if not any(errors(each.kept) for each in files):
        for entry, found in _twins(read):
            found.append(entry)
    problems = to_report(files)
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
    # Imported here: pandas takes longer to import than everything else together.
    from provisioner.manifest import table  # noqa: PLC0415

    return table.read(source.raw, file, encoding, refused)


def _add(entries: dict[str, dict[str, Entry]], file_parent: str, part: FileContent) -> Iterator[Problem]:
    """Add the entries of ``part`` to ``entries``, by parent, and yield the problems of their names.

    :param file_parent: the parent of the entries that name none.
    """
    for entry in part.entries:
        name = entry.fields.get("name")
        owner = entry.owner(file_parent)
        if not isinstance(name, str) or not name or owner is None:
            continue
        first = _among(entries, owner, name, name.casefold())
        if first:
            yield _repeated(name, entry, first)
        known = entries.setdefault(owner, {})
        # Under both spellings, which are the same in every valid manifest.
        known.setdefault(name, entry)
        known.setdefault(name.casefold(), entry)


def _unplaced(file_parent: str, part: FileContent) -> Iterator[Problem]:
    """Yield the problem of an account that cannot be placed; one per file is enough."""
    for entry in part.entries:
        if entry.owner(file_parent) == AUTO_PARENT:
            message = (
                f"`parent: {AUTO_PARENT}` places an account on one of several parents, but the settings have only one."
            )
            hint = f"Name several under `parents` in provisioner.yaml, or delete `parent: {AUTO_PARENT}`."
            yield Problem(entry.name_origin, entry.name_path, message, hint)
            return


def _without_parent(file_parent: str, part: FileContent, parents: Collection[str]) -> Iterator[Problem]:
    """Yield a warning for each parent that is not in the settings, at the first of its accounts."""
    found: dict[str, list[Entry]] = {}
    known = {*parents, AUTO_PARENT, None}
    for entry in part.entries:
        owner = entry.owner(file_parent)
        if owner not in known and owner is not None:
            found.setdefault(owner, []).append(entry)
    for owner, (first, *others) in found.items():
        name = first.fields.get("name")
        whose = (shown(name) if isinstance(name, str) else None) or "This account"
        have = f" and {len(others)} more have" if others else " has"
        message = f"{whose}{have} the parent {shown(owner) or 'here'}, which is not in the settings."
        hint = "Correct the parent, or name it under `parents` in provisioner.yaml: without it, a plan exits with 10."
        yield Problem(first.name_origin, first.name_path, message, hint, Severity.WARNING)


def _among(entries: Mapping[str, Mapping[str, Entry]], owner: str, *names: str) -> Entry | None:
    """Return the entry with one of ``names`` that has the parent ``owner``, or may get the same parent."""
    rivals = list(entries.values()) if owner == AUTO_PARENT else [entries.get(owner, {}), entries.get(AUTO_PARENT, {})]
    return next((each[name] for each in rivals for name in names if name in each), None)


def _repeated(name: str, entry: Entry, first: Entry) -> Problem:
    same = name == first.fields["name"]
    how = "is already used" if same else "differs only in capitals from one that is already used"
    place = _place(first.name_origin, entry.name_origin.file)
    return Problem(
        origin=entry.name_origin,
        path=entry.name_path,
        message=f"The name {shown(name) or 'here'} {how}: {place}.",
        hint="Give each account its own name, or delete one of the two.",
    )


def _moved(
    claimed: dict[str, dict[str, Entry]],
    entries: Mapping[str, Mapping[str, Entry]],
    file_parent: str,
    part: FileContent,
) -> Iterator[Problem]:
    """Add the previous names in ``part`` to ``claimed``, and yield their problems.

    :param file_parent: the parent of the entries that name none.
    """

    def problem(entry: Entry, message: str, hint: str) -> Problem:
        return Problem(entry.previously_origin, entry.previously_path, message, hint)

    for entry in part.entries:
        previously, name = entry.fields.get("previously"), entry.fields.get("name")
        owner = entry.owner(file_parent)
        if not isinstance(previously, str) or not previously or owner is None:
            continue
        what, file = shown(previously) or "The name here", entry.previously_origin.file
        folded = previously.casefold()
        if isinstance(name, str) and name.casefold() == folded:
            hint = "Delete `previously`, or write the old name."
            yield problem(entry, f"{what} is the current name of the account.", hint)
            continue
        if still := _among(entries, owner, previously, folded):
            place = _place(still.name_origin, file)
            hint = "Delete `previously` here, or that account."
            yield problem(entry, f"{what} is still in the manifest ({place}): its record cannot move.", hint)
        if first := _among(claimed, owner, folded):
            place = _place(first.previously_origin, file)
            hint = "Delete `previously` in one of the two: a record can move to only one account."
            yield problem(entry, f"{what} is already the old name of another account: {place}.", hint)
        claimed.setdefault(owner, {}).setdefault(folded, entry)


def _twins(read: list[tuple[str, FileContent, ProblemLog]]) -> Iterator[tuple[Problem, ProblemLog]]:
    """Yield a warning for each group of accounts that differ only in their names, with the log that it belongs in."""
    groups: dict[tuple[str | None, Attributes], list[tuple[Entry, ProblemLog]]] = {}
    for file_parent, part, found in read:
        for entry in part.entries:
            groups.setdefault((entry.owner(file_parent), _attributes(entry)), []).append((entry, found))
    for group in groups.values():
        (first, _), *others = group
        if others:
            entry, found = others[0]
            names = f"{first.fields['name']}{', ' if others[1:] else ' and '}{entry.fields['name']}"
            more = f" and {len(others) - 1} more" if others[1:] else ""
            message = f"{names}{more} differ only in their names"
            place = _place(first.name_origin, entry.name_origin.file)
            hint = "Delete any that is there by mistake: a created account cannot be deleted."
            yield Problem(entry.name_origin, entry.name_path, f"{message}: {place}.", hint, Severity.WARNING), found


def _place(origin: Origin, file: str) -> str:
    """Return ``origin`` in words, for a reader of ``file``."""
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
