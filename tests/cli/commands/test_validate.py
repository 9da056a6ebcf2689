"""``validate``: every problem of a manifest, with its place."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.steps import run
from tests.conftest import NewProject, StartSandbox


def test_validate_reports_everything_and_exits_with_3(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\naccounts:\n  - {name: Paris, first_nam: Leo, last_name: V}\n")
    done = run(tmp_path, "validate", "bad.yaml", "--format", "json")
    document = json.loads(done.stdout)
    assert (3, False, 1) == (done.returncode, document["valid"], document["version"])
    assert {"file", "line", "column", "row", "path", "message", "hint"} == set(document["problems"][0])
    assert {"accounts[0].name", "accounts[0].first_nam"} == {each["path"] for each in document["problems"]}
    text = run(tmp_path, "validate", "bad.yaml")
    assert (3, "bad.yaml:3:12: error:") == (text.returncode, text.stdout[:21])
    for command in (["plan"], ["apply", "--yes"]):
        failed = run(tmp_path, *command, "bad.yaml", "--format", "json")
        error = json.loads(failed.stdout)
        assert (3, "ManifestInvalid") == (error["error"]["code"], error["error"]["name"])
        assert document["problems"] == error["problems"]
        assert "bad.yaml:3:12: error:" in failed.stderr


def test_warnings_do_not_make_a_manifest_invalid(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "version: 1\naccounts:\n  - {name: a, first_name: b, last_name: c, password: s3cretpw}\n"
    )
    done = run(tmp_path, "validate", "m.yaml", "--format", "json")
    document = json.loads(done.stdout)
    assert (0, True, [], 1) == (done.returncode, document["valid"], document["problems"], len(document["warnings"]))
    text = run(tmp_path, "validate", "m.yaml").stdout
    assert "Valid: 1 account, 1 warning." in text
    assert "s3cretpw" not in text + done.stdout


def test_problems_are_shown_next_to_their_lines(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox(), ("athens",))
    (mine.folder / "manifests" / "bad.yaml").write_text("version: 1\naccounts:\n  - name: Oslo\n")
    github = mine.run("validate", "--format", "github")
    gitlab = mine.run("validate", "--format", "gitlab")
    assert (3, 3) == (github.returncode, gitlab.returncode)
    assert "::error file=manifests/bad.yaml,line=3," in github.stdout
    places = [each["location"] for each in json.loads(gitlab.stdout)]
    assert {"path": "manifests/bad.yaml", "lines": {"begin": 3}} in places
