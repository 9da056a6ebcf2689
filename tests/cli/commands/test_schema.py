"""``schema``: the JSON Schemas as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.steps import run


@pytest.mark.parametrize(
    "name", ["manifest", "config", "state", "plan", "report", "status", "problems", "credentials", "error"]
)
def test_a_schema_is_printed_as_it_stands_in_its_file(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, "schema", name)
    path = Path(__file__).parents[3] / "schemas" / f"{name}.v1.schema.json"
    assert (0, path.read_text(encoding="utf-8")) == (done.returncode, done.stdout)
    assert run(tmp_path, "schema").stdout == run(tmp_path, "schema", "manifest").stdout
