"""Saved plans: what ``plan --out`` writes, and the comparison before one is applied.

A saved plan is the document of ``plan --format json``, its digest, and what it was made
from: manifests, address, recipients, the address of each state and, in the plan itself, all
settings that differ from their defaults, and the terms, lineage and serial of each parent.
It contains no secret. To apply it, the program plans again and refuses unless the new plan
is the same: what was reviewed is what happens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from provisioner import document as checking
from provisioner import files, schemas
from provisioner.errors import CommandInvalid, PlanStale, ProvisionerError
from provisioner.immutable import immutable
from provisioner.model.account import AUTO_PARENT, MASK
from provisioner.model.terms import Setting
from provisioner.project.plans import Plans, loaded, plans_of
from provisioner.render import documents
from provisioner.render.lines import printable
from provisioner.settings import OUTLETS
from provisioner.state import codec

if TYPE_CHECKING:
    from provisioner.project.running import Jobs, RunContext
    from provisioner.project.workspace import Workspace
    from provisioner.settings import Settings

_SCHEMA: Final = "plan.v1"
_MAX_BYTES: Final = 100_000_000
_HINT: Final = "Plan again, and have the new plan reviewed. Nothing was sent."
_SLOT_WORDS: Final = {"limit": "the limit of", "reserved": "the number of reserved slots of"}
_TERM_WORDS: Final = {"login": "the login of", "key": "the key of"}
_OWN_WORDS: Final = frozenset({"api_url", "recipients"})
"""Settings that have their own messages."""


@immutable
class SavedPlan:
    """A saved plan that has not been changed since."""

    path: Path
    plans: Mapping[str, documents.Document]
    """By parent, each as in ``plan --format json``."""
    manifests: tuple[Path, ...]
    """The files and folders of manifests that were given."""
    owner: str
    """The parent of accounts that do not name one."""
    files: Mapping[str, str]
    """The SHA-256 of each manifest that was read, by its path."""
    endpoint: str
    recipients: tuple[str, ...]
    states: Mapping[str, str]
    """The address of each parent's state."""
    settings: Mapping[str, Setting]
    """The settings that differed from their defaults, by name."""
    refreshed: bool


def document(plans: Plans, settings: Settings) -> documents.Document:
    """Return the document to save for ``plans``: their content, what they were made from, and the digest of both.

    A reviewer sees the digest in every format of the plan.
    """
    source = {
        "manifests": [str(path) for path in plans.manifests],
        "files": [{"path": str(source.path), "sha256": _sha256(source.raw)} for source in plans.sources],
        "parent": plans.owner,
        "endpoint": settings.api_url,
        "recipients": sorted(settings.recipients),
        "states": {name: settings.state_address(name) for name in _states(plans)},
        "refreshed": plans.refresh,
    }
    # Without plans, the document still needs a list of settings.
    content = {"settings": [], **documents.plans(plans.plans), "source": source}
    return {**content, "digest": documents.digest(content)}


def _states(plans: Plans) -> tuple[str, ...]:
    """Return the names of the states that the plans depend on, including the record of placements."""
    return (*plans.parents, *(() if plans.placement is None else (AUTO_PARENT,)))


def again(saved: SavedPlan, workspace: Workspace, run: RunContext, jobs: Jobs) -> Plans:
    """Plan again, and return the plans if they match ``saved``; see :meth:`Project.reviewed`.

    Raises:
        PlanStale: manifests, address, recipients or addresses of states have changed, or the plans of all parents.

    """
    found = loaded(workspace, saved.manifests, run.reporter)
    files = {str(source.path): _sha256(source.raw) for source in found.sources}
    if not saved.plans:
        # A plan of a shard without parents: below, an empty list would mean all parents.
        _require_unchanged(saved, _moved_files(saved, files))
        return Plans({}, {}, saved.manifests, found.sources, saved.owner, saved.refreshed)
    _require_unchanged(saved, (*_moved_files(saved, files), *_moved_settings(saved, workspace)))
    only = {name for plan in saved.plans.values() for name in plan.get("only", ())}
    made = plans_of(
        workspace,
        saved.manifests,
        found,
        sorted(saved.plans),
        run,
        only=only,
        refresh=saved.refreshed,
        wait=True,
        jobs=jobs,
    )
    parents, failures = dict(made.parents), dict(made.failures)
    for name in sorted(saved.plans.keys() | made.parents.keys()):
        now = None if name not in made.parents else documents.plans([made.parents[name].plan])["plans"][0]
        try:
            if name not in failures:
                _require_unchanged(saved, _moved(name, saved.plans.get(name), now))
        except PlanStale as error:
            parents.pop(name, None)
            failures[name] = error
    if not parents:
        raise _together(saved, failures)
    return replace(made, parents=parents, failures=failures)


def _together(saved: SavedPlan, failures: Mapping[str, ProvisionerError]) -> ProvisionerError:
    """Return one error for all parents, when none of their plans can be applied."""
    stale = [error for error in failures.values() if isinstance(error, PlanStale)]
    if len(stale) < len(failures) or not stale:
        return next(error for error in failures.values() if not isinstance(error, PlanStale))
    reasons = [line for error in stale for line in error.message.splitlines()[1:]]
    return PlanStale("\n".join((f"The plan in {saved.path} is stale:", *reasons)), hint=_HINT)


def read(path: Path, reviewed: str | None = None) -> SavedPlan:
    """Return the plan that was saved to ``path``; ``reviewed`` is the digest that it must have, or None.

    Raises:
        CommandInvalid: there is no such file, or it cannot be read; or ``reviewed`` is not a digest.
        PlanStale: the file is not a saved plan of this version, was changed since, or is not
            the plan that was reviewed.

    """
    if reviewed is not None and re.fullmatch("[0-9a-f]{64}", reviewed := reviewed.lower()) is None:
        raise CommandInvalid(
            "That is not the digest of a plan.",
            hint="Give all 64 hexadecimal digits, as at the end of the output of `provisioner plan`.",
        )
    saved = _parsed(path)
    digest, source = saved.pop("digest"), saved["source"]
    if documents.digest(saved) != digest:
        raise PlanStale(f"The plan in {path} was changed after it was saved.", hint=_HINT)
    if reviewed not in {None, digest}:
        raise PlanStale(
            f"The plan in {path} is not the reviewed one: its digest is {digest}, not {reviewed}.",
            hint="Find out who replaced it, or have it reviewed. Nothing was sent.",
        )
    if "settings" not in saved:
        raise PlanStale(
            f"The plan in {path} was saved by an earlier version, which did not record its settings.",
            hint=_HINT,
        )
    return SavedPlan(
        path,
        plans={each["parent"]: each for each in saved["plans"]},
        manifests=tuple(map(Path, source["manifests"])),
        owner=source["parent"],
        files={each["path"]: each["sha256"] for each in source["files"]},
        endpoint=source["endpoint"],
        recipients=tuple(source["recipients"]),
        states=source["states"],
        settings={each["name"]: Setting(**each) for each in saved["settings"]},
        refreshed=source["refreshed"],
    )


def _require_unchanged(saved: SavedPlan, reasons: Iterable[str]) -> None:
    """Raise PlanStale if there are ``reasons``."""
    if moved := tuple(reasons):
        raise PlanStale("\n".join((f"The plan in {saved.path} is stale:", *moved)), hint=_HINT)


def _moved_settings(saved: SavedPlan, workspace: Workspace) -> Iterator[str]:
    settings = workspace.settings
    if settings.api_url != saved.endpoint:
        yield f"the address of the API is {settings.api_url}, and was {saved.endpoint}"
    if tuple(sorted(settings.recipients)) != saved.recipients:
        yield "the recipients have changed"
    if settings.owner != saved.owner:
        yield f"accounts that name no parent belong to {settings.owner}, and belonged to {saved.owner}"
    for parent, place in saved.states.items():
        if (parent in settings.parents or parent == AUTO_PARENT) and (now := settings.state_address(parent)) != place:
            yield f"the state of the parent {parent} is kept at {now}, and was at {place}"
    now_set = {each.name: each for each in workspace.steering()}
    for name in sorted((saved.settings.keys() | now_set.keys()) - _OWN_WORDS):
        was, now_is = saved.settings.get(name), now_set.get(name)
        # Outputs of this run, set with a flag or variable, may differ.
        own = name in OUTLETS and name in settings.stronger
        if not own and (was is None or not was.is_same_as(now_is)):
            new, old = _value(now_is), _value(was)
            yield f"the setting {name} is {new}, and was {old if old != new else 'different: the value is masked'}"


def _value(this: Setting | None) -> str:
    if this is None:
        return "not set"
    masked = this.sha256 is None or MASK in this.value
    return this.value if masked else f"{this.value} with the SHA-256 {this.sha256}"


def _moved_files(saved: SavedPlan, files: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(saved.files.keys() | files.keys()):
        if path not in files:
            yield f"the manifest {path} can no longer be read"
        elif path not in saved.files:
            yield f"the manifest {path} is new"
        elif files[path] != saved.files[path]:
            yield f"the manifest {path} has changed"


def _moved(parent: str, was: documents.Document | None, now: documents.Document | None) -> Iterator[str]:
    """Yield what has changed since one parent's plan was made; at least one reason if the plans differ."""
    # One parent may be planned again on its own, as on a worker of a cluster.
    was, now = (None if each is None else documents.without_moves(each) for each in (was, now))
    if was != now:
        yield from tuple(_named(parent, was, now)) or (f"the plan of the parent {parent} now differs",)


def _named(parent: str, was: documents.Document | None, now: documents.Document | None) -> Iterator[str]:
    if was is None or now is None:
        yield f"the manifests {'no longer' if now is None else 'now'} have accounts of the parent {parent}"
        return
    if was["lineage"] != now["lineage"]:
        yield f"the state of the parent {parent} is {_lineage(now)}, and was {_lineage(was)}"
    elif was["serial"] != now["serial"]:
        yield f"the state of the parent {parent} is at serial {now['serial']}, and was at {was['serial']}"
    for key, words in _SLOT_WORDS.items():
        if was["slots"][key] != now["slots"][key]:
            yield f"{words} the parent {parent} is {now['slots'][key]}, and was {was['slots'][key]}"
    for key, words in _TERM_WORDS.items():
        if was.get(key) != now.get(key):
            yield f"{words} the parent {parent} comes from {now.get(key)}, and came from {was.get(key)}"
    if was.get("frozen") != now.get("frozen"):
        yield f"the parent {parent} is {_freeze(now)}, and was {_freeze(was)}"
    before, after = ({each["name"]: each for each in plan["changes"]} for plan in (was, now))
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    if names:
        yield f"the plan of the parent {parent} now differs for {', '.join(names)}"


def _freeze(plan: documents.Document) -> str:
    return f"frozen until {plan['frozen']['until']}: {plan['frozen']['reason']}" if "frozen" in plan else "not frozen"


def _lineage(plan: documents.Document) -> str:
    return f"of lineage {plan['lineage']}" if plan["lineage"] else "none"


def _parsed(path: Path) -> dict[str, Any]:
    try:
        raw = files.read_or_pipe(path, _MAX_BYTES)
    except OSError as error:
        raise CommandInvalid(
            f"The plan {path} cannot be read: {error.strerror or error}.", hint="`provisioner plan --out` saves one."
        ) from error
    try:
        # A reader of the file might see another one of two values with the same key.
        saved = json.loads(raw, object_pairs_hook=codec.unique, parse_constant=codec.no_number)
    except (ValueError, RecursionError):
        saved = None
    hint = "`provisioner plan --out plan.json` saves one. Nothing was sent."
    if not isinstance(saved, dict):
        raise PlanStale(f"{path} is not a saved plan.", hint=hint)
    known = schemas.load(_SCHEMA)["properties"]["version"]["const"]
    if saved.get("version") != known:
        version = printable(json.dumps(saved.get("version"))[:20])
        raise PlanStale(
            f"The plan in {path} has version {version}; this program supports version {known}.",
            hint=f"Plan and apply with the same release. {_HINT}",
        )
    for found in checking.violations(cast("checking.Value", saved), _SCHEMA, {}):
        place = checking.spelled(found.path) or "it"
        raise PlanStale(f"{path} is not a plan of version {known}: {printable(place)} {found.predicate}.", hint=hint)
    if "source" not in saved:
        raise PlanStale(f"{path} was printed, not saved: it does not say what it was made from.", hint=hint)
    return saved


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
