"""The Big List of Naughty Strings, from the manifest to the exported credentials: refused, or kept exactly."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from urllib.parse import quote

import dotenv
import yaml

from provisioner.manifest import load
from provisioner.model.account import Secret
from provisioner.model.characters import text_fault
from provisioner.model.verdict import SealedContent
from provisioner.render import credentials as formats
from provisioner.sandbox import Sandbox, SandboxParent, SandboxSettings
from provisioner.sandbox.account import PROHIBITED
from tests.project.opened import key_of, many, opened, results
from tests.proof.fuzz.suites import naughty_strings
from tests.proof.fuzz.targets import require_pages

FIELDS = ("first_name", "last_name", "company_name", "password")


def refused(path: Path, accounts: list[dict[str, object]]) -> set[tuple[int, str]]:
    """Return the number and the field of each value that a manifest of ``accounts`` may not have."""
    path.write_text(json.dumps({"version": 1, "accounts": accounts}), encoding="utf-8")
    paths = [each.path for each in load([path]).errors]
    return {(int(each[9:].partition("]")[0]), each.rpartition(".")[2]) for each in paths}


def test_naughty_strings_are_refused_as_values_or_reach_the_api_and_come_back_unchanged(tmp_path: Path) -> None:
    strings = [*dict.fromkeys(each.strip(" ") for each in naughty_strings())]
    path = tmp_path / "strings.yaml"
    usual = dict.fromkeys(FIELDS, "x")
    tried = [{"name": f"n-{n}", **usual, field: each} for n, each in enumerate(strings) for field in FIELDS]
    wrong = refused(path, [{**each, "name": f"n-{n}"} for n, each in enumerate(tried)])
    good = [each for n, each in enumerate(strings) if not any(number // 4 == n for number, _ in wrong)]
    # What is one line of plain text, without a placeholder and not too long, may be a name and a password.
    plain = [each for each in strings if each and text_fault(each) is None and "${" not in each and len(each) <= 100]
    assert set(plain) <= set(good)
    assert len(good) > 350
    accounts = [
        {
            "name": f"n-{n}",
            **dict(zip(FIELDS, values, strict=False)),
            "callbacks": {"callback_url_for_visits": f"https://hooks.example.com/?t={quote(values[0])}"},
        }
        for n, values in enumerate(zip(*[iter(good)] * 4, strict=False))
    ]
    parent = SandboxParent("default@example.com", Secret(key_of("default")), 1000)
    with Sandbox(SandboxSettings(parents=(parent,))) as server:
        mine = many(server, tmp_path / "it", {"default": ["x"]})
        (mine.folder / "manifests" / "accounts.csv").unlink()
        path = mine.folder / "manifests" / "accounts.yaml"
        path.write_text(json.dumps({"version": 1, "accounts": accounts}), encoding="utf-8")
        project = opened(mine, flags={"limit": 1000})
        plans = project.plan()
        require_pages([each.plan for each in plans.parents.values()])
        reports = project.apply(plans, approve=lambda _: True)
        assert {"created"} == {*results(reports)["default"].values()}
        made = {each.password.reveal(): each for each in server.accounts}
        contents = [each.content for each in project.open_credentials()]
    assert len(accounts) == len(contents) == len(made)
    for wanted in accounts:
        there = made[str(wanted["password"])]
        # The API deletes some characters from names, and the sandbox does the same.
        names = [str(wanted[each]).translate(PROHIBITED) for each in FIELDS[:3]]
        assert names == [there.first_name, there.last_name, there.company_name or ""]
        assert wanted["callbacks"] == {"callback_url_for_visits": there.callbacks.callback_url_for_visits}
    _require_exports({each.name: each.password.reveal() for each in contents if each.password}, contents)


def _require_exports(passwords: dict[str, str], contents: list[SealedContent]) -> None:
    """Require that whoever reads an export reads the passwords as they are."""
    variables = {f"{name.upper().replace('-', '_')}_PASSWORD": each for name, each in passwords.items()}

    def chosen(found: dict[str, str | None]) -> dict[str, str | None]:
        return {name: value for name, value in found.items() if name.endswith("_PASSWORD")}

    documents = json.loads(formats.as_json(contents))
    assert passwords == {name: each["password"] for name, each in documents.items()}
    read = dotenv.dotenv_values(stream=io.StringIO(formats.as_dotenv(contents)))
    assert variables == chosen(dict(read))
    assert variables == chosen(dict(each.split("=", 1) for each in shlex.split(formats.as_env(contents))))
    assert variables == chosen(dict(each.split("=", 1) for each in formats.as_docker(contents).split("\n") if each))
    secrets = yaml.safe_load_all(formats.as_kubernetes(contents))
    assert [*passwords.values()] == [each["stringData"]["password"] for each in secrets]
    rows = [*csv.reader(io.StringIO(formats.as_csv(contents), newline=""))][1:]
    assert [formats.cell(each) for each in passwords.values()] == [row[-1] for row in rows]
