"""``only``: an urgent account is planned and applied alone, without touching the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from provisioner import schemas
from provisioner.errors import CommandInvalid, PlanStale
from provisioner.project.project import Project as Opened
from provisioner.render import documents, html, markdown, text
from tests.conftest import Project, SandboxProcess, StartSandbox
from tests.project.opened import Heard, accounts_of, many, opened, results


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox(*accounts_of("acme", "globex"))


@pytest.fixture
def mine(server: SandboxProcess, tmp_path: Path) -> Project:
    return many(server, tmp_path / "two", {"acme": ["paris", "rome", "turin"], "globex": ["oslo", "rome"]})


def hurried(mine: Project) -> Opened:
    """Return the project after an apply that created only paris."""
    this = opened(mine)
    reports = this.apply(this.plan(only=["paris"]))
    assert (0, {"acme": {"paris": "created"}}) == (reports.exit_code, results(reports))
    return this


def test_other_accounts_are_neither_planned_nor_created_until_later(mine: Project) -> None:
    this = hurried(mine)
    # A name under several parents selects all of them, or only the chosen parent's.
    assert ["acme", "globex"] == [*this.plan(only=["rome"]).parents]
    assert ["globex"] == [*this.plan(only=["rome"], parents=["globex"]).parents]
    assert {"acme": 2, "globex": 2} == {plan.parent: len(plan.creates) for plan in this.plan().plans}


def test_every_format_shows_the_selection_and_what_it_leaves_out(mine: Project) -> None:
    this = hurried(mine)
    plans = this.plan(only=["turin", "paris"]).plans
    expected = "only paris, turin; left out: 1 to create"
    assert f"  {expected}" in [line.text for line in text.plan(plans[0])]
    assert expected in markdown.plans(plans, "")
    assert "only <code>paris</code>, <code>turin</code>; left out: 1 to create" in html.page(plans, "")
    document = documents.plans(plans)
    Draft202012Validator(schemas.load("plan.v1")).validate(document)
    (plan,) = document["plans"]
    assert (["paris", "turin"], {"create": 1, "update": 0}) == (plan["only"], plan["left_out"])
    assert "left_out" not in documents.plans(this.plan().plans)["plans"][0]


@pytest.mark.parametrize(
    ("names", "parents", "words"),
    [
        (["pariss"], [], "No manifest has an account pariss."),
        (["paris", "nobody", "noone"], [], "No manifest has an account nobody, noone."),
        (["paris"], ["globex"], "No manifest has an account paris of globex."),
    ],
)
def test_a_name_in_no_manifest_is_refused(mine: Project, names: list[str], parents: list[str], words: str) -> None:
    with pytest.raises(CommandInvalid) as caught:
        opened(mine).plan(only=names, parents=parents)
    assert words == caught.value.message
    assert ("Did you mean paris? " in caught.value.hint) == (names == ["pariss"])


def test_a_saved_plan_keeps_its_selection(mine: Project) -> None:
    this, saved = opened(mine), mine.root / "plan.json"
    this.save_plan(this.plan(only=["paris", "oslo"]), saved)
    reports = this.apply(this.reviewed(saved))
    assert {"acme": {"paris": "created"}, "globex": {"oslo": "created"}} == results(reports)
    # The comparison includes what the reviewed plan leaves out.
    this.save_plan(this.plan(only=["rome"], parents=["acme"]), saved)
    document = json.loads(saved.read_text())
    del document["digest"]
    document["plans"][0]["only"] = ["rome", "turin"]
    saved.write_text(json.dumps({**document, "digest": documents.digest(document)}))
    with pytest.raises(PlanStale):
        this.reviewed(saved)


def test_a_refresh_reads_no_other_account(mine: Project) -> None:
    this, heard = hurried(mine), Heard()
    this.apply(this.plan())
    this.plan(only=["rome"], parents=["acme"], refresh=True, reporter=heard)
    assert ["rome"] == [each.account for each in heard.requests]


def test_a_selected_account_does_not_wait_for_accounts_that_cannot_be_placed(mine: Project) -> None:
    config = json.loads((mine.folder / "provisioner.yaml").read_text())
    (mine.folder / "provisioner.yaml").write_text(json.dumps({**config, "limit": 3}))
    autos = [{"name": f"auto-{n}", "first_name": "A", "last_name": str(n), "parent": "auto"} for n in range(9)]
    (mine.folder / "manifests" / "more.yaml").write_text(json.dumps({"version": 1, "accounts": autos}))
    this = opened(mine)
    assert (0, {}) == ((plans := this.plan(only=["paris"])).exit_code(), plans.failures)
    assert (4, ["auto"]) == ((plans := this.plan(only=["paris", "auto-1"])).exit_code(), [*plans.failures])
