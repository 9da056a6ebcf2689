"""Documents that people can edit: any value in one gives one of this program's own errors, or none."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.errors import InternalError, PlanStale
from provisioner.project.running import attempted
from provisioner.render import documents
from tests.conftest import Project
from tests.project.opened import Heard, opened

Step = str | int

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [0, -1, 2**63, -(10**40), 1e308, float("nan"), float("inf"), "", "\ud800", "x\x00", "~", "1", "é" * 999]
    ),
    st.text(max_size=9),
)
values = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
"""Any value that JSON can hold."""


def places(document: Any, path: tuple[Step, ...] = ()) -> list[tuple[Step, ...]]:  # noqa: ANN401  # JSON has no closer type
    """Return the path of every value in ``document``, beginning with the document itself."""
    found = [path]
    steps = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for step, inner in steps:
        found += places(inner, (*path, step))
    return found


def value_at(document: Any, path: tuple[Step, ...]) -> Any:  # noqa: ANN401  # JSON has no closer type
    """Return the value at ``path``."""
    for step in path:
        document = document[step]
    return document


def edited(document: Any, path: tuple[Step, ...], value: object) -> Any:  # noqa: ANN401  # JSON has no closer type
    """Return ``document`` with ``value`` at ``path``."""
    if not path:
        return value
    copied = copy.deepcopy(document)
    value_at(copied, path[:-1])[path[-1]] = value
    return copied


Use = Callable[[Project], object]
_KINDS: dict[str, tuple[str, Use]] = {
    "settings": ("provisioner.yaml", opened),
    "manifest": ("manifests/accounts.yaml", lambda mine: opened(mine).plan(reporter=Heard())),
    "state": ("state/default.json", lambda mine: opened(mine).status(reporter=Heard())),
    "plan": ("plan.json", lambda mine: opened(mine).reviewed(mine.folder / "plan.json", reporter=Heard())),
}


@pytest.fixture
def documents_of(applied: Project) -> Project:
    """A project with all documents in JSON, which is also YAML."""
    (applied.folder / "provisioner.yaml").write_text(
        json.dumps({"limit": 20, "reserved": 1, "timeout": 2.5, "keep_going": False, "proxy": "http://127.0.0.1:9"})
    )
    accounts = [
        {"name": "paris", "first_name": "A", "last_name": "B", "password_version": 2},
        {"name": "oslo", "first_name": "A", "last_name": "B", "callbacks": {"email_for_inbounds": "a@example.com"}},
    ]
    (applied.folder / "manifests" / "accounts.yaml").write_text(
        json.dumps({"version": 1, "defaults": {"company_name": "C"}, "accounts": accounts})
    )
    project = opened(applied)
    project.save_plan(project.plan(reporter=Heard()), applied.folder / "plan.json")
    return applied


@pytest.mark.parametrize("kind", _KINDS)
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_no_value_in_an_edited_document_causes_an_internal_error(
    documents_of: Project, kind: str, data: st.DataObject
) -> None:
    name, use = _KINDS[kind]
    path = documents_of.folder / name
    good = path.read_bytes()
    document = json.loads(good)
    wrong = edited(document, data.draw(st.sampled_from(places(document))), data.draw(values))
    if kind == "plan" and isinstance(wrong, dict):
        wrong.pop("digest", None)
        wrong["digest"] = documents.digest(wrong)
    path.write_text(json.dumps(wrong))
    try:
        raised = attempted(use, documents_of)
    finally:
        path.write_bytes(good)
    assert not isinstance(raised, InternalError)


@pytest.mark.parametrize("wrong", [None, True, -1, 1.5, "x", [], [1], {}, {"x": 1}])
def test_a_saved_plan_with_a_value_of_the_wrong_type_is_stale(documents_of: Project, wrong: object) -> None:
    path = documents_of.folder / "plan.json"
    document = json.loads(path.read_text())
    project = opened(documents_of)
    for place in places(document):
        if isinstance(value_at(document, place), type(wrong)):
            continue
        this = edited(document, place, wrong)
        if isinstance(this, dict) and place != ("digest",):
            this.pop("digest", None)
            this["digest"] = documents.digest(this)
        path.write_text(json.dumps(this))
        raised = attempted(project.reviewed, path, reporter=Heard())
        assert isinstance(raised, PlanStale), f"{place} may be {wrong!r}"
