"""What commands print as JSON, checked against the schema of its kind: real commands, real states, real failures."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from provisioner import errors, schemas
from provisioner.errors import ExitCode, ProvisionerError
from tests.cli.steps import TWO, conforming, run
from tests.conftest import NewProject, Project, StartSandbox, eventually, finished

PRINTED = ("plan", "report", "status", "problems", "credentials", "credentials-list", "history", "doctor", "error")


def test_every_schema_is_one_names_itself_and_fits_its_own_examples() -> None:
    for path in (Path(schemas.__file__).parents[1] / "schemas").iterdir():
        schema = json.loads(path.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        assert schema["$id"].replace(":v1", ".v1").rpartition(":")[2] == path.name.removesuffix(".schema.json")
        assert schema["title"]
        for example in schema.get("examples", ()):
            Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize("name", PRINTED)
def test_no_document_of_one_kind_passes_for_another(name: str) -> None:
    for other in {*PRINTED} - {name, "plan", "report"}:
        for example in schemas.load(f"{other}.v1")["examples"]:
            with pytest.raises(ValidationError):
                Draft202012Validator(schemas.load(f"{name}.v1")).validate(example)


# ── status ───────────────────────────────────────────────────────────────────


def accounts(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    (state,) = conforming(done.stdout, "status.v1")["states"]
    return {each["name"]: each for each in state["accounts"]}


def test_a_status_of_every_kind_of_record_conforms(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1-2", "--fault", "reset-after@1:edit", "--fault", "drop=company_name@4")
    mine = project(server, ("bergen", "oslo", "paris", "rome"))
    assert {} == accounts(mine.run("status", "--format", "json"))
    assert 8 == mine.run("apply", "--yes", "--keep-going").returncode
    assert 0 == mine.run("resolve", "bergen", "--abandon", "--yes").returncode
    path = mine.folder / "manifests" / "accounts.yaml"
    path.write_text(path.read_text().replace("first_name: paris", "first_name: Paris"))
    assert 8 == mine.run("apply", "--yes", "--attempts", "1").returncode
    for more in ((), ("--balances",)):
        told = accounts(mine.run("status", "--format", "json", *more))
        assert ["abandoned", "unknown", "active", "active"] == [each["status"] for each in told.values()]
        assert "an edit was started at 20" in told["paris"]["reason"]
        assert "Octopush altered company_name" == told["rome"]["reason"]
        assert bool(more) == all("balance" in each for each in told.values())
    assert (None, {"amount": 0.0, "unit": "euros"}) == (told["oslo"]["balance"], told["rome"]["balance"])


def test_a_status_while_a_create_is_in_flight_and_without_its_balance(
    sandbox: StartSandbox, project: NewProject
) -> None:
    server = sandbox("--fault", "delay=60@2", "--fault", "500@*:balance")
    mine = project(server, TWO)
    with mine.start("apply", "--yes", "--timeout", "60") as running:
        eventually(lambda: mine.statuses() == {"paris": "active", "rome": "pending"})
        told = accounts(mine.run("status", "--format", "json", "--balances", "--attempts", "1"))
        running.kill()
    assert ("pending", None, None) == (told["rome"]["status"], told["rome"]["created_at"], told["rome"]["balance"])
    assert (None, True) == (told["paris"]["balance"], "its balance could not be read" in told["paris"]["reason"])


# ── validate ─────────────────────────────────────────────────────────────────


def test_problems_of_yaml_tables_and_files_conform(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("version: 1\naccounts: [{name: oslo, first_name: A, last_name: B}]\n")
    done = run(tmp_path, "validate", "good.yaml", "--format", "json")
    assert (0, True) == (done.returncode, conforming(done.stdout, "problems.v1")["valid"])
    (tmp_path / "warned.yaml").write_text(
        "version: 1\naccounts: [{name: oslo, first_name: A, last_name: B, password: In-clear-1}]\n"
    )
    done = run(tmp_path, "validate", "warned.yaml", "--format", "json")
    document = conforming(done.stdout, "problems.v1")
    assert (0, True, 1) == (done.returncode, document["valid"], len(document["warnings"]))
    (tmp_path / "bad.yaml").write_text("version: 1\naccounts: [{name: Oslo}, 7]\n")
    (tmp_path / "bad.csv").write_text("name,first_name,last_name\nx,,b\ny y,a,b\n")
    (tmp_path / "broken.yaml").write_bytes(b"\xff\xfe\x00 [")
    done = run(tmp_path, "validate", "bad.yaml", "bad.csv", "broken.yaml", "missing.yaml", "--format", "json")
    document = conforming(done.stdout, "problems.v1")
    assert (3, False) == (done.returncode, document["valid"])
    assert {"bad.yaml", "bad.csv", "broken.yaml", "missing.yaml"} == {each["file"] for each in document["problems"]}


# ── credentials ──────────────────────────────────────────────────────────────


def test_credentials_conform_whatever_is_kept(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "lost@2", "--fault", "lost@1:edit"), TWO)
    assert 8 == mine.run("apply", "--yes").returncode
    done = mine.run("credentials", "export", "--format", "json")
    assert ["paris"] == [*conforming(done.stdout, "credentials.v1")]
    assert {} == conforming(
        mine.run("credentials", "export", "--format", "json", "--since", "2999-01-01").stdout, "credentials.v1"
    )
    unknown = conforming(mine.run("credentials", "show", "rome", "--format", "json").stdout, "credentials.v1")["rome"]
    assert (None, None, True) == (unknown["api_login"], unknown["api_key"], bool(unknown["password"]))
    assert 7 == mine.run("rotate-password", "paris", "--yes", "--attempts", "1").returncode
    shown = conforming(mine.run("credentials", "show", "paris", "--format", "json").stdout, "credentials.v1")
    assert 1 == len(shown["paris"]["passwords_begun"])
    done = mine.run("credentials", "list", "--format", "json")
    (listed,) = conforming(done.stdout, "credentials-list.v1")["accounts"]
    assert {"name": "paris", "has_password": True, "password_unconfirmed": True} == {
        key: listed[key] for key in ("name", "has_password", "password_unconfirmed")
    }
    assert shown["paris"]["api_login"] == listed["api_login"]
    assert [] == [secret for key in ("api_key", "password") if (secret := shown["paris"][key]) in done.stdout]


# ── Errors ───────────────────────────────────────────────────────────────────


def test_the_schema_knows_every_exit_code_that_an_error_has() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ProvisionerError)]
    codes = {int(each.exit_code) for each in kinds} | {ExitCode.INTERRUPTED, ExitCode.TERMINATED}
    assert codes == {*schemas.load("error.v1")["properties"]["error"]["properties"]["code"]["enum"]}


def one_more(project: Project) -> None:
    path = project.folder / "manifests" / "more.yaml"
    path.write_text("version: 1\naccounts: [{name: oslo, first_name: A, last_name: B}]\n")


def damaged(project: Project) -> None:
    project.state_path.write_text("{")


def invalid(project: Project) -> None:
    (project.folder / "manifests" / "bad.yaml").write_text("version: 1\naccounts: 7\n")


def nothing(_: Project) -> None:
    """Leave everything as it is."""


@pytest.mark.parametrize(
    ("kind", "spoil", "arguments"),
    [
        (errors.ManifestInvalid, invalid, ["plan"]),
        (errors.OverLimit, one_more, ["apply", "--yes", "--limit", "2"]),
        (errors.StateInvalid, damaged, ["apply", "--yes"]),
        (errors.StateConflict, nothing, ["forget", "paris", "--yes"]),
        (errors.Unverified, nothing, ["credentials", "export", "--verified", "--attempts", "1"]),
        (errors.SettingInvalid, nothing, ["plan", "--limit", "-1"]),
        (errors.SettingInvalid, nothing, ["verify", "--parent", "nobody"]),
        (errors.CommandInvalid, nothing, ["apply"]),
        (errors.CommandInvalid, nothing, ["refresh", "--nonsense"]),
        (errors.CommandInvalid, nothing, ["credentials", "show", "nobody"]),
    ],
)
def test_an_error_of_each_kind_conforms(
    sandbox: StartSandbox,
    project: NewProject,
    kind: type[ProvisionerError],
    spoil: Callable[[Project], None],
    arguments: list[str],
) -> None:
    mine = project(sandbox("--fault", "400@4:read"), TWO)
    assert 0 == mine.run("apply", "--yes").returncode
    spoil(mine)
    done = mine.run(*arguments, "--format", "json")
    document = conforming(done.stdout, "error.v1")
    error = document["error"]
    assert (kind.exit_code, kind.exit_code, kind.__name__) == (done.returncode, error["code"], error["name"])
    assert error["message"].splitlines()[0] in done.stderr
    # Of manifests, each problem; and no plan has a digest where there is none.
    assert ("problems" in document) is (kind is errors.ManifestInvalid)
    assert ("Plan digest: " in done.stderr) is (kind is errors.OverLimit)


def test_an_error_of_a_run_that_was_ended_and_of_a_state_that_is_held_conforms(
    sandbox: StartSandbox, project: NewProject
) -> None:
    mine = project(sandbox("--fault", "delay=60@3:read"), TWO)
    assert 0 == mine.run("apply", "--yes").returncode
    with mine.start("refresh", "--format", "json", "--timeout", "60") as running:
        eventually(lambda: (mine.folder / "state" / "default.json.lock").stat().st_size > 0)
        done = mine.run("refresh", "--format", "json")
        error = conforming(done.stdout, "error.v1")["error"]
        assert (6, 6, "StateLocked") == (done.returncode, error["code"], error["name"])
        running.send_signal(signal.SIGTERM)
        ended = finished(running)
    error = conforming(ended.stdout, "error.v1")["error"]
    assert (143, 143) == (ended.returncode, error["code"])
