"""Saved plans: what ``plan --out`` writes, and what ``apply --plan`` compares before it does anything.

A saved plan is the document of ``plan --format json``, its digest, and what it was
made from: manifests, address, recipients, where each state is and, in the plan itself,
lineage and serial of each state. It holds no secret. To apply it is to make the plan anew and to refuse unless
it comes out the same: what was reviewed is what happens.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from provisioner import document as checking
from provisioner import schemas
from provisioner.cli import outfile, terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, PlanStale
from provisioner.manifest.sources import Source
from provisioner.model.plan import Plan
from provisioner.model.state import State
from provisioner.render import documents
from provisioner.render.lines import printable

_SCHEMA: Final = "plan.v1"
_MAX_BYTES: Final = 100_000_000
_HINT: Final = "Plan again, and have the new plan reviewed. Nothing was sent."
_SLOT_WORDS: Final = {"limit": "the limit of", "reserved": "what is reserved of"}


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan that was saved, and is known to be as it was written."""

    path: Path
    plans: Mapping[str, documents.Document]
    """By parent, as ``plan --format json`` has each."""
    manifests: tuple[Path, ...]
    """The files and folders that were named."""
    parent: str
    """Of manifests that name none."""
    files: Mapping[str, str]
    """The SHA-256 of each manifest that was read, by its path."""
    endpoint: str
    recipients: tuple[str, ...]
    states: Mapping[str, str]
    """Where each parent's state is."""
    refreshed: bool

    def require_sources(self, sources: Iterable[Source], settings: Settings) -> None:
        """Return if manifests and address are what they were when the plan was made; raises PlanStale."""
        self._refuse(self._moved_sources({str(each.path): _sha256(each.raw) for each in sources}, settings))

    def require_same(self, found: Mapping[str, State | None], plans: Iterable[Plan]) -> None:
        """Return if ``plans``, made anew from the states that were ``found``, are what was saved; raises PlanStale.

        ``found`` holds each parent's state as it was before this run touched it.
        """
        again = {each["parent"]: each for each in documents.plans(plans)["plans"]}
        for parent, state in found.items():
            again[parent]["lineage"] = state.lineage if state else None
            again[parent]["serial"] = state.serial if state else 0
        self._refuse(
            reason
            for parent in sorted(self.plans.keys() | again.keys())
            for reason in _moved(parent, _lasting(self.plans.get(parent)), _lasting(again.get(parent)))
        )

    def _moved_sources(self, files: Mapping[str, str], settings: Settings) -> Iterator[str]:
        for path in sorted(self.files.keys() | files.keys()):
            if path not in files:
                yield f"the manifest {path} cannot be read any more"
            elif path not in self.files:
                yield f"the manifest {path} is new"
            elif files[path] != self.files[path]:
                yield f"the manifest {path} has changed"
        if (endpoint := settings.api_url.rstrip("/")) != self.endpoint:
            yield f"the address of the API is {endpoint}, and was {self.endpoint}"
        if tuple(sorted(settings.recipients)) != self.recipients:
            yield "the recipients to seal to are others"
        for parent, place in self.states.items():
            if parent in settings.parents and (now := str(settings.state_path(parent))) != place:
                yield f"the state of the parent {parent} is kept at {now}, and was at {place}"

    def _refuse(self, reasons: Iterable[str]) -> None:
        if told := tuple(reasons):
            raise PlanStale("\n".join((f"The plan in {self.path} is stale:", *told)), hint=_HINT)


def document(
    options: Options, sources: Iterable[Source], settings: Settings, plans: Sequence[Plan]
) -> documents.Document:
    """Return what is saved of ``plans``: what they say, what they were made from, and the digest of both.

    The digest is what a reviewer sees under every face of the plan.
    """
    source = {
        "manifests": [str(each) for each in wiring.manifest_paths(options)],
        "files": [{"path": str(each.path), "sha256": _sha256(each.raw)} for each in sources],
        "parent": options["parent"],
        "endpoint": settings.api_url.rstrip("/"),
        "recipients": sorted(settings.recipients),
        "states": _states(plans, settings),
        "refreshed": options["refresh"],
    }
    told = {**documents.plans(plans), "source": source}
    return {**told, "digest": documents.digest(told)}


def save(out: Path, saved: documents.Document, options: Options, settings: Settings) -> None:
    """Write ``saved`` to ``out``, and say how it is applied; raises CommandInvalid."""
    outfile.require_free(out, wiring.own_files(settings, options))
    outfile.write(out, json.dumps(saved, indent=2) + "\n")
    terminal.talk(f"Saved to {out}: `provisioner apply --plan {shlex.quote(str(out))}` does exactly this, or nothing.")


def read(path: Path) -> SavedPlan:
    """Return the plan that was saved to ``path``.

    Raises:
        CommandInvalid: there is no such file, or it cannot be read.
        PlanStale: it is no saved plan of this version, or was changed since it was written.

    """
    saved = _parsed(path)
    digest, source = saved.pop("digest"), saved["source"]
    if documents.digest(saved) != digest:
        raise PlanStale(f"The plan in {path} was changed after it was saved.", hint=_HINT)
    return SavedPlan(
        path,
        plans={each["parent"]: each for each in saved["plans"]},
        manifests=tuple(map(Path, source["manifests"])),
        parent=source["parent"],
        files={each["path"]: each["sha256"] for each in source["files"]},
        endpoint=source["endpoint"],
        recipients=tuple(source["recipients"]),
        states=source["states"],
        refreshed=source["refreshed"],
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CommandInvalid(
            f"The plan {path} cannot be read: {error.strerror or error}.", hint="`provisioner plan --out` writes one."
        ) from error
    try:
        saved = json.loads(raw) if len(raw) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        saved = None
    hint = "`provisioner plan --out plan.json` writes one. Nothing was sent."
    if not isinstance(saved, dict):
        raise PlanStale(f"{path} holds no plan.", hint=hint)
    known = schemas.load(_SCHEMA)["properties"]["version"]["const"]
    if saved.get("version") != known:
        version = printable(json.dumps(saved.get("version"))[:20])
        raise PlanStale(
            f"The plan in {path} is of the version {version}, and this program knows {known}.",
            hint=f"Plan and apply with the same program. {_HINT}",
        )
    for found in checking.violations(cast("checking.Value", saved), _SCHEMA, {}):
        place = checking.spelled(found.path) or "it"
        raise PlanStale(f"{path} holds no plan of version {known}: {printable(place)} {found.predicate}.", hint=hint)
    if "source" not in saved:
        raise PlanStale(f"{path} was printed and not saved: it does not say what it was made from.", hint=hint)
    return saved


def _moved(parent: str, was: documents.Document | None, now: documents.Document | None) -> Iterator[str]:
    """Yield what has moved since one parent's plan was made."""
    if was == now:
        return
    if was is None or now is None:
        yield f"the manifests {'no longer ask' if now is None else 'ask now'} for accounts of the parent {parent}"
        return
    if was["lineage"] != now["lineage"]:
        yield f"the state of the parent {parent} is {_lineage(now)}, and was {_lineage(was)}"
    elif was["serial"] != now["serial"]:
        yield f"the state of the parent {parent} is at serial {now['serial']}, and was at {was['serial']}"
    for key, words in _SLOT_WORDS.items():
        if was["slots"][key] != now["slots"][key]:
            yield f"{words} the parent {parent} is {now['slots'][key]}, and was {was['slots'][key]}"
    before, after = ({each["name"]: each for each in plan["changes"]} for plan in (was, now))
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    if names:
        yield f"the plan of the parent {parent} comes out differently for {', '.join(names)}"


def _lasting(plan: documents.Document | None) -> documents.Document | None:
    """Return ``plan`` without why accounts are unknown: a run settles what a dead one left, and words it anew."""
    if plan is None:
        return None
    kept = [
        {key: value for key, value in each.items() if (each["action"], key) != ("unknown", "reason")}
        for each in plan["changes"]
    ]
    return {**plan, "changes": kept}


def _lineage(plan: documents.Document) -> str:
    return f"of lineage {plan['lineage']}" if plan["lineage"] else "none"


def _states(plans: Iterable[Plan], settings: Settings) -> dict[str, str]:
    return {each.parent: str(settings.state_path(each.parent)) for each in plans}


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
