"""Problems as GitHub's workflow commands and as GitLab's Code Quality report."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.account import Origin, Problem, Severity
from provisioner.render import annotations

PROBLEM = Problem(Origin("./manifests/a.yaml", 3, 7), "accounts[0].name", "The name is 50%, too long: cut it.", "Cut.")


def test_github_shows_an_error_at_its_line_and_column() -> None:
    place = "file=manifests/a.yaml,line=3,col=7,title=provisioner validate"
    assert f"::error {place}::The name is 50%25, too long: cut it. Cut.\n" == annotations.github([PROBLEM])


def test_github_knows_warnings_and_notes_and_places_without_a_line() -> None:
    warning = Problem(Origin("a,b:c.csv", row=2), "name", "Hm.", "", Severity.WARNING)
    note = Problem(Origin("a.csv", 1), "", "Read as Windows-1252.", "", Severity.NOTE)
    told = annotations.github([warning, note]).splitlines()
    assert "::warning file=a%2Cb%3Ac.csv,title=provisioner validate::Row 2: Hm." == told[0]
    assert "::notice file=a.csv,line=1,title=provisioner validate::Read as Windows-1252." == told[1]


@given(st.text(), st.text(), st.text())
def test_no_text_begins_a_command_of_its_own_or_changes_a_place(file: str, message: str, hint: str) -> None:
    (line,) = annotations.github([Problem(Origin(file or "a", 1), "", message, hint)]).splitlines()
    found = re.fullmatch(r"::error file=([^,:]*),line=1,title=provisioner validate::(.*)", line)
    assert found
    assert annotations.one_line(Problem(Origin(file or "a", 1), "", message, hint)) == unquote(found[2])


def test_gitlab_gets_one_issue_each_with_a_fingerprint_that_does_not_depend_on_the_line() -> None:
    moved = Problem(Origin(PROBLEM.origin.file, 9, 7), PROBLEM.path, PROBLEM.message, PROBLEM.hint)
    (first, again) = json.loads(annotations.gitlab([PROBLEM, PROBLEM]))
    (later,) = json.loads(annotations.gitlab([moved]))
    assert {
        "description": "The name is 50%, too long: cut it. Cut.",
        "check_name": "provisioner validate",
        "fingerprint": first["fingerprint"],
        "severity": "major",
        "location": {"path": "manifests/a.yaml", "lines": {"begin": 3}},
    } == first
    assert first["fingerprint"] != again["fingerprint"]
    assert first["fingerprint"] == later["fingerprint"]


def test_gitlab_wants_a_line_where_there_is_none() -> None:
    (issue,) = json.loads(annotations.gitlab([Problem(Origin("missing.yaml"), "", "There is no such file.", "")]))
    assert {"path": "missing.yaml", "lines": {"begin": 1}} == issue["location"]
