"""The commands that only read: ``validate`` and ``plan``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provisioner import manifest
from provisioner.cli import terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, ExitCode, OverLimit
from provisioner.manifest.load import Loaded
from provisioner.manifest.sources import holds_any
from provisioner.model.account import DesiredAccount, Manifest
from provisioner.model.plan import Plan, raise_if_over
from provisioner.model.state import State, without_comment
from provisioner.planner import NOTHING_FOUND, Found
from provisioner.planner import plan as planned
from provisioner.render import documents, text
from provisioner.render.lines import printable


def validate(options: Options) -> int:
    """Print every problem; exit 3 where one of them is an error."""
    settings = wiring.settings(options)
    loaded = manifest.load(_named(options), parent=options["parent"])
    for each in loaded.manifests:
        if each.parent not in settings.parents:
            terminal.warn(f"the settings know no parent {each.parent}: a plan of its accounts exits with 10.")
    if options["output"] == "json":
        terminal.document(documents.problems(loaded.problems))
    elif options["output"] in {"github", "gitlab"}:
        from provisioner.render import annotations  # noqa: PLC0415  # only CI asks for them

        face = annotations.github if options["output"] == "github" else annotations.gitlab
        terminal.data(face(loaded.problems))
    else:
        for problem in loaded.problems:
            terminal.lines(text.problem(problem))
        terminal.lines([text.verdict(loaded.problems, sum(len(each.accounts) for each in loaded.manifests))])
    return ExitCode.MANIFEST_INVALID if loaded.errors else ExitCode.DONE


def _named(options: Options) -> tuple[Path, ...]:
    """Return the manifests to validate; where there is nothing, a report for a program is one all the same."""
    try:
        return wiring.manifest_paths(options)
    except CommandInvalid as error:
        if options["output"] == "gitlab":
            terminal.data("[]\n")
        elif options["output"] == "github":
            terminal.data(f"::error::{error.message} {error.hint}\n")
        raise


def plan(options: Options) -> int:
    """Print what apply would do, and save it where it is asked to.

    Exits with 4 where it does not fit, and with 7 where what it refreshes could not be checked.
    """
    loaded = tell(wiring.manifest_paths(options), options["parent"])
    manifests = loaded.require()
    settings = wiring.settings(options)
    if options["refresh"]:
        from provisioner.cli import inspecting  # noqa: PLC0415  # a plain plan loads nothing that sends or opens

        plans, unchecked = inspecting.plans(manifests, settings)
    else:
        plans = [plan_for(each, wiring.stored(settings, each.parent), settings) for each in manifests]
        unchecked = ExitCode.DONE
    _show(plans, loaded, options, settings)
    try:
        for each in plans:
            raise_if_over(each)
    except OverLimit as error:
        terminal.failure(error)
        return unchecked or error.exit_code
    if unchecked:
        return unchecked
    pending = any(each.pending or (options["refresh"] and each.drifted) for each in plans)
    return ExitCode.CHANGES_PENDING if pending and options["detailed_exitcode"] else ExitCode.DONE


def _show(plans: Sequence[Plan], loaded: Loaded, options: Options, settings: Settings) -> None:
    """Save the plans where that is asked for, and print them."""
    output, out = options["output"], options["out"]
    if out is not None or output in {"markdown", "html"}:
        # A plain plan has no use for what is saved, nor for faces for a reviewer, and they take their time to load.
        from provisioner.cli import saved_plans  # noqa: PLC0415

        saved = saved_plans.document(options, loaded.sources, settings, plans)
        if out is not None:
            saved_plans.save(out, saved, options, settings)
        if output in {"markdown", "html"}:
            if output == "markdown":
                from provisioner.render import markdown  # noqa: PLC0415

                terminal.data(markdown.plans(plans, saved["digest"]))
            else:
                from provisioner.render import html  # noqa: PLC0415

                terminal.data(html.page(plans, saved["digest"]))
            return
    if output == "json":
        terminal.document(documents.plans(plans))
        return
    for each in plans:
        terminal.lines(text.plan(each))


def load(options: Options) -> tuple[Manifest, ...]:
    """Return the manifests, having told every problem; raises ManifestInvalid where one is an error."""
    return tell(wiring.manifest_paths(options), options["parent"]).require()


def accounts(options: Options, *more: Path) -> dict[str, DesiredAccount]:
    """Return by name what the manifests and ``more`` of them ask of the parent; there may be none. Raises as load."""
    paths = [*options["manifests"]] or ([wiring.MANIFESTS] if holds_any(wiring.MANIFESTS) else [])
    manifests = tell([*paths, *more], options["parent"]).require()
    return {each.name: each for this in manifests if this.parent == options["parent"] for each in this.accounts}


def tell(paths: Sequence[Path], parent: str) -> Loaded:
    """Return what the files at ``paths`` hold, having told every problem."""
    loaded = manifest.load(paths, parent=parent)
    for problem in loaded.problems:
        terminal.problem(problem)
    return loaded


def plan_for(this: Manifest, state: State | None, settings: Settings, found: Found = NOTHING_FOUND) -> Plan:
    """Return the plan of one parent, having said where the state is sealed to others than the settings say."""
    parent = settings.parent(this.parent)
    warn_of_recipients(state, settings)
    return planned(this, state, limit=parent.limit, reserved=parent.reserved, found=found)


def warn_of_recipients(state: State | None, settings: Settings) -> None:
    """Say where the state is sealed to others than the settings say."""
    if state is None or not settings.recipients:
        return
    wanted, sealed = ({without_comment(each) for each in these} for these in (settings.recipients, state.recipients))
    told = [
        f"only {where} name{'s' if where == 'the state' else ''} {printable(', '.join(sorted(these)))}"
        for where, these in (("the settings", wanted - sealed), ("the state", sealed - wanted))
        if these
    ]
    if told:
        # Somebody who was just removed from the state must not be let in again without a look.
        terminal.warn(
            f"the settings seal to other recipients than the state of {state.parent} is sealed to: {'; '.join(told)}."
            " Edit `recipients` in provisioner.yaml (or PROVISIONER_RECIPIENTS), or run `provisioner rekey` if the"
            " settings are right: it seals all that exists to theirs."
        )
