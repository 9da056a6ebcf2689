"""A freeze: nothing is created or changed for the parent, plans say why and until when, and other parents continue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

import provisioner
from provisioner import Bounds, schemas
from provisioner.errors import PlanStale, Refused
from provisioner.project.parts import Parts
from provisioner.render import documents, html, markdown, text
from tests.conftest import Project, SandboxProcess, StartSandbox
from tests.project.opened import Heard, accounts_of, many, opened, results, state_of

LAST_DAY: Final = "2026-12-31T23:59:59Z"
FIRST_DAY_AFTER: Final = "2027-01-01T00:00:00Z"
REASON: Final = "the contract moves"


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox(*accounts_of("acme", "globex"))


@pytest.fixture
def mine(server: SandboxProcess, tmp_path: Path) -> Project:
    """A project with two parents and one account to create for each; acme is frozen."""
    return frozen(many(server, tmp_path / "two", {"acme": ["paris"], "globex": ["oslo"]}))


def frozen(mine: Project, **freeze: str) -> Project:
    """Freeze acme."""
    config = mine.folder / "provisioner.yaml"
    document = json.loads(config.read_text())
    document["parents"]["acme"]["frozen"] = {"until": "2026-12-31", "reason": REASON, **freeze}
    config.write_text(json.dumps(document))
    return mine


def at(mine: Project, now: str = LAST_DAY) -> provisioner.Project:
    return opened(mine, parts=Parts(now=lambda: now))


def formats(this: provisioner.Project) -> dict[str, str]:
    plans = this.plan(parents=["acme"]).plans
    return {
        "text": "\n".join(line.text for line in text.plan(plans[0])),
        "markdown": markdown.plans(plans, ""),
        "html": html.page(plans, ""),
    }


def test_a_frozen_parent_says_why_and_until_when_and_the_others_continue(mine: Project) -> None:
    this, heard = at(mine), Heard()
    # A frozen create does not count against the threshold either.
    reports = this.apply(this.plan(), bounds=Bounds(max_creates=1, new_state=True), reporter=heard)
    assert (4, {"acme": {"paris": "not_attempted"}, "globex": {"oslo": "created"}}) == (
        reports.exit_code,
        results(reports),
    )
    assert ({"globex"}, False) == ({each.parent for each in heard.requests}, state_of(mine, "acme").exists())
    assert reports.reports[0].failure is not None
    assert "The parent acme is frozen until 2026-12-31 (UTC, that day included): the contract moves." == (
        reports.reports[0].failure.message
    )
    with pytest.raises(Refused, match="acme is frozen"):
        this.apply(this.plan(parents=["acme"]))


def test_a_freeze_ends_after_its_last_day(mine: Project) -> None:
    saved = mine.root / "plan.json"
    this = at(mine)
    this.save_plan(this.plan(), saved)
    later = at(mine, FIRST_DAY_AFTER)
    # A plan from during the freeze can be applied afterwards, since it is the same.
    assert 0 == later.apply(later.reviewed(saved)).exit_code


def test_every_format_of_a_plan_shows_the_freeze(mine: Project) -> None:
    said = "until 2026-12-31 (UTC, that day included): the contract moves."
    shown = formats(at(mine))
    assert f"  frozen {said} `apply` and `reconcile` do nothing for this parent" in shown["text"].splitlines()
    assert "> **Frozen**: `apply` and `reconcile` do nothing for this parent." in shown["markdown"].splitlines()
    assert "<strong>Frozen</strong>" in shown["html"]
    over = formats(at(mine, FIRST_DAY_AFTER))
    for form in ("text", "markdown", "html"):
        assert said in shown[form]
        assert f"was frozen {said} That is over" in over[form]
        assert "do nothing for this parent" not in over[form]
    document = documents.plans(at(mine).plan().plans)
    Draft202012Validator(schemas.load("plan.v1")).validate(document)
    assert [{"until": "2026-12-31", "reason": REASON}, None] == [plan.get("frozen") for plan in document["plans"]]


def test_a_saved_plan_contains_the_freeze_and_compares_it(mine: Project) -> None:
    saved = mine.root / "plan.json"
    this = at(mine)
    this.save_plan(this.plan(), saved)
    frozen(mine, until="2026-12-30")
    failures = at(mine).reviewed(saved).failures
    assert isinstance(failures["acme"], PlanStale)
    assert (
        "the parent acme is frozen until 2026-12-30: the contract moves,"
        " and was frozen until 2026-12-31: the contract moves" in failures["acme"].message
    )


def test_a_freeze_refuses_requests_but_not_changes_to_the_state_alone(mine: Project, server: SandboxProcess) -> None:
    later, now = at(mine, FIRST_DAY_AFTER), at(mine)
    later.apply(later.plan())
    sent = len(server.requests())
    with pytest.raises(Refused, match="acme is frozen"):
        now.rotate_passwords(["paris"], parents=["acme"])
    assert sent == len(server.requests())
    assert 0 == now.refresh().exit_code
    assert 0 == now.forget("paris", force=True, parents=["acme"])[0].exit_code
    found = {each.what: each for each in now.examine(parents=["acme"], offline=True)}
    assert (None, True) == (found["freeze"].failure, "until 2026-12-31" in found["freeze"].found)


def test_an_account_with_parent_auto_avoids_a_frozen_parent(mine: Project) -> None:
    manifest: dict[str, Any] = {"version": 1, "accounts": [{"name": "rome", "first_name": "A", "last_name": "B"}]}
    manifest["accounts"][0]["parent"] = "auto"
    (mine.folder / "manifests" / "more.yaml").write_text(json.dumps(manifest))
    assert ["oslo", "rome"] == [each.name for each in at(mine).plan().parents["globex"].plan.creates]
    assert ["paris", "rome"] == [
        each.name for each in at(mine, FIRST_DAY_AFTER).plan().parents["acme"].plan.creates
    ]  # fmt: skip
