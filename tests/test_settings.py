from __future__ import annotations

import json
import os
import pwd
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import certifi
import pytest

from provisioner import schemas
from provisioner.errors import SettingInvalid
from provisioner.placeholders.reading import Reader
from provisioner.settings import Settings, connection, loading, secrets
from provisioner.settings.readers import IDENTITY_FILE
from provisioner.state.stores.opening import Place, open_store

ENVIRON = {"OCTOPUSH_API_LOGIN": "parent@example.com", "OCTOPUSH_API_KEY": "key-1"}


def load(tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, **flags: object) -> Settings:
    path = tmp_path / "provisioner.yaml"
    path.write_text(text, encoding="utf-8")
    return loading.load(path, environ or {}, flags)


def refused(tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, **flags: object) -> SettingInvalid:
    with pytest.raises(SettingInvalid) as caught:
        load(tmp_path, text, environ, **flags)
    return caught.value


def test_without_any_setting_the_defaults_of_the_schema_hold(tmp_path: Path) -> None:
    settings = loading.load(None, {}, {})
    known: dict[str, Any] = schemas.load("config.v1")
    for name, schema in known["properties"].items():
        if hasattr(settings, name) and name not in {"parents", "recipients"}:
            assert schema.get("default") == getattr(settings, name)
    assert (20, 0) == (settings.parent("default").limit, settings.parent("default").reserved)
    assert "state/default.json" == settings.state_address("default")
    del tmp_path


def test_a_flag_is_stronger_than_a_variable_and_that_than_the_file(tmp_path: Path) -> None:
    text = "timeout: 1\nattempts: 1\nlimit: 1\nretry_on_503: true\n"
    environ = {"PROVISIONER_TIMEOUT": "2.5", "PROVISIONER_ATTEMPTS": "2", "PROVISIONER_LIMIT": "2"}
    settings = load(tmp_path, text, environ, attempts=3, limit=3, keep_going=None)
    assert (2.5, 3, True, False) == (
        settings.timeout,
        settings.attempts,
        settings.retry_on_503,
        settings.keep_going,
    )
    assert 3 == settings.parent("default").limit


def test_an_encoding_that_no_table_can_have_is_refused_wherever_it_comes_from(tmp_path: Path) -> None:
    assert load(tmp_path, "encoding: cp850\n", {"PROVISIONER_ENCODING": "Macintosh"}).encoding == "Macintosh"
    for refusal in (
        refused(tmp_path, "encoding: rot13\n"),
        refused(tmp_path, environ={"PROVISIONER_ENCODING": "rot13"}),
        refused(tmp_path, encoding="rot13"),
    ):
        assert refusal.message == "The setting encoding names an encoding that a table cannot have: 'rot13'."


@pytest.mark.parametrize(
    ("text", "expected"), [("1", True), ("TRUE", True), ("yes", True), ("off", False), ("0", False)]
)
def test_a_boolean_variable(tmp_path: Path, text: str, *, expected: bool) -> None:
    assert expected is load(tmp_path, environ={"PROVISIONER_KEEP_GOING": text}).keep_going


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PROVISIONER_LIMIT", "many", "PROVISIONER_LIMIT must be a whole number."),
        ("PROVISIONER_LIMIT", "1.5", "PROVISIONER_LIMIT must be a whole number."),
        ("PROVISIONER_TIMEOUT", "soon", "PROVISIONER_TIMEOUT must be a number."),
        ("PROVISIONER_KEEP_GOING", "maybe", "PROVISIONER_KEEP_GOING must be true or false."),
        ("PROVISIONER_LIMIT", "-1", "The setting limit in PROVISIONER_LIMIT must be at least 0."),
    ],
)
def test_a_variable_of_the_wrong_kind(tmp_path: Path, variable: str, value: str, message: str) -> None:
    assert message == refused(tmp_path, environ={variable: value}).message


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_valid(tmp_path: Path, value: str) -> None:
    assert "PROVISIONER_TIMEOUT" in refused(tmp_path, environ={"PROVISIONER_TIMEOUT": value}).message


def test_a_flag_out_of_bounds(tmp_path: Path) -> None:
    assert "The setting attempts on the command line must be at least 1." == refused(tmp_path, attempts=0).message


def test_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "limit: 20\nlimits: 5\n")
    assert f"{tmp_path}/provisioner.yaml:2: limits is not a known field." == error.message
    assert "Did you mean limit?" == error.hint
    assert "(1 more)" in refused(tmp_path, "limits: 5\nresrved: 5\n").message


def test_an_empty_file_and_one_of_comments_give_no_settings(tmp_path: Path) -> None:
    assert 30 == load(tmp_path, "").timeout
    assert 30 == load(tmp_path, "# nothing\n\n  # yet\n").timeout


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(SettingInvalid, match=r"There is no .*missing\.yaml"):
        loading.load(missing, {}, {})
    with pytest.raises(SettingInvalid, match=r"There is no .*missing\.yaml"):
        loading.load(None, {"PROVISIONER_CONFIG": str(missing)}, {})
    with pytest.raises(SettingInvalid, match="cannot be read: it is a folder, and not a file"):
        loading.load(tmp_path, {}, {})


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("timeout: 7\n")
    assert 7 == loading.load(None, {"PROVISIONER_CONFIG": str(tmp_path / "other.yaml")}, {}).timeout


def test_paths_of_the_file_are_relative_to_it_and_no_others(tmp_path: Path) -> None:
    text = "state: here/{parent}.json\nidentity_file: id.txt\nca_file: ca.pem\n"
    settings = load(tmp_path, text)
    assert str(tmp_path / "here" / "default.json") == settings.state_address("default")
    assert (str(tmp_path / "id.txt"), str(tmp_path / "ca.pem")) == (settings.identity_file, settings.ca_file)
    assert "there.json" == load(tmp_path, text, {"PROVISIONER_STATE": "there.json"}).state_address("default")


@pytest.mark.parametrize("name", ["state", "identity_file", "ca_file", "metrics_file"])
def test_a_path_may_begin_in_a_home_folder_wherever_it_is_given(tmp_path: Path, name: str) -> None:
    environ = {"HOME": "/home/paris"}
    given = [
        load(tmp_path, f"{name}: ~/octo/{{parent}}.json\n", environ),
        load(tmp_path, "", environ, **{name: "~/octo/{parent}.json"}),
    ]
    if name != "identity_file":
        given.append(load(tmp_path, "", {**environ, f"PROVISIONER_{name.upper()}": "~/octo/{parent}.json"}))
    assert {"/home/paris/octo/{parent}.json"} == {getattr(each, name) for each in given}


def test_other_home_folders(tmp_path: Path) -> None:
    root = pwd.getpwnam("root").pw_dir
    assert f"{root}/ca.pem" == load(tmp_path, "", {"HOME": "/home/paris"}, ca_file="~root/ca.pem").ca_file
    assert "begins with ~nobody-of-that-name" in refused(tmp_path, "state: ~nobody-of-that-name/x\n").message
    for text in ("$HOME/x", "a/$USER.json", "%APPDATA%/x"):
        assert "only a shell would expand" in refused(tmp_path, f"state: '{text}'\n").message
    (tmp_path / "other.yaml").write_text("timeout: 7\n")
    environ = {"HOME": str(tmp_path), "PROVISIONER_CONFIG": "~/other.yaml"}
    assert 7 == loading.load(None, environ, {}).timeout == loading.load(Path("~/other.yaml"), environ, {}).timeout
    assert Path(f"{tmp_path}/key") == secrets.identity_file(load(tmp_path), {**environ, IDENTITY_FILE: "~/key"})


@pytest.mark.parametrize(
    "name", ["state", "identity_file", "ca_file", "metrics_file", "api_url", "proxy", "recipients"]
)
def test_a_placeholder_where_none_is_filled_in_is_refused_by_the_settings_name(tmp_path: Path, name: str) -> None:
    text, hint = "https://h/${env:HOME}/x", "Write the value itself"
    value = [text] if name == "recipients" else text
    error = refused(tmp_path, json.dumps({name: value}))
    assert f"The setting {name} in {tmp_path}/provisioner.yaml takes no placeholder" in error.message
    assert hint in error.hint
    assert f"The setting {name} on the command line takes" in refused(tmp_path, **{name: value}).message
    variable = {"api_url": "OCTOPUSH_API_URL"}.get(name, f"PROVISIONER_{name.upper()}")
    if name != "identity_file":
        assert f"The setting {name} in the environment takes" in refused(tmp_path, "", {variable: text}).message


@pytest.mark.parametrize("name", ["proxy", "ca_file", "metrics_file", "heartbeat_url"])
def test_an_empty_variable_means_none_and_not_that_of_the_file(tmp_path: Path, name: str) -> None:
    text = f"{name}: http://127.0.0.1/x\n"
    assert getattr(load(tmp_path, text), name) is not None
    assert getattr(load(tmp_path, text, {f"PROVISIONER_{name.upper()}": ""}), name) is None


def test_an_empty_variable_of_the_identity_means_none_as_well(tmp_path: Path) -> None:
    settings = load(tmp_path, "identity_file: key.txt\n")
    assert secrets.has_identity(settings, {}, tmp_path / "none")
    assert not secrets.has_identity(settings, {IDENTITY_FILE: ""}, tmp_path / "none")


@pytest.mark.parametrize(
    "variable",
    ["OCTOPUSH_API_URL", "PROVISIONER_RECIPIENTS"]
    + [f"PROVISIONER_{name}" for name in ("STATE", "LIMIT", "RESERVED", "MAX_CREATES", "RETRY_ON_503", "TIMEOUT")],
)
def test_any_other_empty_variable_is_an_error(tmp_path: Path, variable: str) -> None:
    error = refused(tmp_path, "state: x/{parent}.json\nlimit: 50\nmax_creates: 5\n", {variable: ""})
    assert (f"{variable} is empty.", f"Give {variable} a value, or unset it.") == (error.message, error.hint)


def test_a_state_that_no_store_keeps(tmp_path: Path) -> None:
    address = load(tmp_path, "state: gopher://bucket/{parent}.json\n").state_address("default")
    with pytest.raises(SettingInvalid, match="States cannot be kept in gopher"):
        open_store(Place(address, tmp_path, tmp_path, {}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age1a age1b", ("age1a", "age1b")),
        ("age1a,age1b, age1c", ("age1a", "age1b", "age1c")),
        ("age1a\nssh-ed25519 AAAA,age1b", ("age1a", "ssh-ed25519 AAAA", "age1b")),
    ],
)
def test_recipients_of_the_environment(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    assert expected == load(tmp_path, environ={"PROVISIONER_RECIPIENTS": text}).recipients


# ── Parents ──────────────────────────────────────────────────────────────────

PARENTS = """\
limit: 30
parents:
  acme: {api_login: "${env:ACME_LOGIN}", api_key: "${env:ACME_KEY}", limit: 50, reserved: 2}
  other: {}
"""


def test_each_parent_has_its_own_limit_or_the_common_one(tmp_path: Path) -> None:
    settings = load(tmp_path, PARENTS)
    assert [("acme", 50, 2), ("other", 30, 0)] == [
        (each.name, each.limit, each.reserved) for each in settings.parents.values()
    ]
    assert 5 == load(tmp_path, PARENTS, {"PROVISIONER_LIMIT": "5"}).parent("acme").limit
    assert 6 == load(tmp_path, PARENTS, {"PROVISIONER_RESERVED": "5"}, reserved=6).parent("other").reserved


def test_a_parent_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="The settings have no parent default; they have acme and other"):
        load(tmp_path, PARENTS).parent("default")


def test_parents_cannot_share_a_state(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="share one state"):
        load(tmp_path, PARENTS + "state: one.json\n").state_address("acme")
    assert str(tmp_path / "one.json") == load(tmp_path, "state: one.json\n").state_address("default")


def test_no_parent_is_named_as_accounts_that_are_placed_are(tmp_path: Path) -> None:
    assert "a parent cannot be named auto" in refused(tmp_path, "parents: {acme: {}, auto: {}}\n").message


@pytest.mark.parametrize("place", ["//u:s3cret@h/db#{parent}", "//u@h/db?sslmode=require&password=s3cret#{parent}"])
def test_a_password_in_the_place_of_the_state_is_refused_and_not_repeated(tmp_path: Path, place: str) -> None:
    with pytest.raises(SettingInvalid, match="The setting state contains a password") as caught:
        load(tmp_path, f'state: "postgresql:{place}"\n').state_address("default")
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_key_in_clear_is_refused_and_not_repeated(tmp_path: Path) -> None:
    error = refused(tmp_path, "parents: {acme: {api_key: s3cret-key}}\n")
    assert "the api_key of the parent acme is in clear text" in error.message
    assert "s3cret" not in error.message + error.hint


def test_the_credentials_are_read_when_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key-2\n")
    text = 'parents: {acme: {api_login: "${env:ACME_LOGIN}", api_key: "${file:key}"}, plain: {}}\n'
    settings = load(tmp_path, text)
    found = secrets.credentials(settings.parent("acme"), Reader({"ACME_LOGIN": " a@example.com "}, None), settings.base)
    assert ("a@example.com", "key-2") == (found.api_login, found.api_key.reveal())
    found = secrets.credentials(settings.parent("plain"), Reader(ENVIRON, None, ()), settings.base)
    assert ("parent@example.com", "key-1") == (found.api_login, found.api_key.reveal())


def test_a_credential_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="OCTOPUSH_API_KEY is not set"):
        secrets.credentials(load(tmp_path).parent("default"), Reader({"OCTOPUSH_API_LOGIN": "a"}, None, ()), Path())


@pytest.mark.parametrize("value", ["two\nlines", "gr\u00fcn", "nul\x7f"])
def test_a_credential_that_no_header_can_hold_is_not_repeated(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingInvalid, match="an HTTP header cannot contain") as caught:
        secrets.credentials(
            load(tmp_path).parent("default"), Reader({**ENVIRON, "OCTOPUSH_API_KEY": value}, None, ()), Path()
        )
    assert value not in caught.value.message + caught.value.hint
    assert "env:OCTOPUSH_API_KEY" in caught.value.hint


# ── The address of the API ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "https://api.octopush.com/v1/public",
        "https://gateway.example.com:8443/octopush",
        "http://127.0.0.1:8080/v1/public",
        "http://127.8.9.1/v1",
        "http://[::1]:8080/v1",
        "http://localhost:1/v1",
    ],
)
def test_an_address_that_is_accepted(tmp_path: Path, url: str) -> None:
    assert url == load(tmp_path, environ={"OCTOPUSH_API_URL": url}).api_url
    odd = f" \t{url.replace('http', 'HTTP').replace('host', 'HOST').replace('.com', '.Com')}// \r\n"
    assert url == load(tmp_path, environ={"OCTOPUSH_API_URL": odd}).api_url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://api.octopush.com/v1", "http without TLS"),
        ("http://10.0.0.1/v1", "http without TLS"),
        ("http://localhost.example.com/v1", "http without TLS"),
        ("ftp://127.0.0.1/v1", "not an http"),
        ("api.octopush.com", "not an http"),
        ("https://", "not an http"),
        ("https://host:0/", "not an http"),
        ("https://host:99999/", "not an http"),
        ("https://[half/", "not an http"),
        ("https://u:secret@host/", "more than a host and a path"),
        ("https://host/?key=secret", "more than a host and a path"),
        ("https://host/#secret", "more than a host and a path"),
        ("https://host/v1#", "more than a host and a path: the part that begins with #"),
        ("https://host/v1?", "more than a host and a path: the part that begins with ?"),
        ("https://@host/v1", "more than a host and a path: the part before the @"),
        ("https://host/v1\r/public", "a carriage return (U+000D)"),
        ("https://host/v1\u200b", "U+200B, which no address may contain"),
        ("https://host/v1 /public", "a blank"),
        ("http://10.0.0.1:80\\[::1]/", "a backslash"),
        ("https://hôst/v1", "xn--"),
        ("https://host/v1/../public", "made of dots"),
        ("https://[::1%25lo]/", "not an http"),
        ("http://[::2]/", "http without TLS, to ::2"),
        ("http://127.1/", "http without TLS, to 127.1"),
        ("http://[::ffff:10.0.0.1]/", "http without TLS"),
    ],
)
def test_an_address_that_is_refused(tmp_path: Path, url: str, message: str) -> None:
    error = refused(tmp_path, environ={"OCTOPUSH_API_URL": url})
    assert message in error.message
    assert "in OCTOPUSH_API_URL" in error.message
    assert "secret" not in error.message + error.hint


def test_the_address_of_the_file(tmp_path: Path) -> None:
    assert "https://gw.example.com" == load(tmp_path, "api_url: https://gw.example.com\n").api_url
    assert "in api_url of " in refused(tmp_path, "api_url: https://gw.example.com/#\n").message


# ── The identity ─────────────────────────────────────────────────────────────


def identity(settings: Settings, environ: dict[str, str], default: Path) -> tuple[str, str]:
    secret, source = secrets.identity(settings, environ, default, None)
    return secret.reveal(), source


def test_the_identity_is_looked_for_in_order(tmp_path: Path) -> None:
    for name in ("named", "set", "default"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(f"{name}-key")
    with_setting, without = load(tmp_path, f"identity_file: {tmp_path}/set\n"), load(tmp_path)
    environ = {
        "PROVISIONER_IDENTITY": "the-key",
        "PROVISIONER_IDENTITY_FILE": str(tmp_path / "named"),
        "PROVISIONER_IDENTITY_COMMAND": "echo printed-key",
    }
    default = tmp_path / "default"
    assert ("the-key", "PROVISIONER_IDENTITY") == identity(with_setting, environ, default)
    del environ["PROVISIONER_IDENTITY"]
    assert ("named-key", str(tmp_path / "named")) == identity(with_setting, environ, default)
    del environ["PROVISIONER_IDENTITY_FILE"]
    assert ("printed-key\n", "PROVISIONER_IDENTITY_COMMAND") == identity(with_setting, environ, default)
    del environ["PROVISIONER_IDENTITY_COMMAND"]
    assert ("set-key", str(tmp_path / "set")) == identity(with_setting, environ, default)
    assert ("default-key", str(default)) == identity(without, environ, default)
    with pytest.raises(SettingInvalid, match=r"There is no identity .* none at .*nowhere"):
        identity(without, {}, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("exit 3", "ended with 3"),
        (
            f"{sys.executable} -c 'import sys; sys.stdout.buffer.write(b\"\\xff\")'",
            "IDENTITY_COMMAND is not UTF-8 text",
        ),
    ],
)
def test_a_command_that_prints_no_identity(tmp_path: Path, command: str, message: str) -> None:
    with pytest.raises(SettingInvalid, match=message):
        secrets.identity(load(tmp_path), {"PROVISIONER_IDENTITY_COMMAND": command}, tmp_path / "nowhere", None)


def test_what_the_command_says_goes_to_whoever_listens(tmp_path: Path) -> None:
    said: list[str] = []
    command = "echo touch your key >&2; echo $PROVISIONER_PIN"
    environ = {"PROVISIONER_IDENTITY_COMMAND": command, "PROVISIONER_PIN": "1234", "PATH": "/usr/bin:/bin"}
    secret, _ = secrets.identity(load(tmp_path), environ, tmp_path / "nowhere", said.append)
    assert ("1234\n", ["touch your key"]) == (secret.reveal(), said)


def test_no_setting_shows_the_password_of_the_proxy(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={"PROVISIONER_PROXY": "http://u:secret@proxy:3128"})
    assert "http://u:secret@proxy:3128" == settings.proxy
    assert "secret" not in repr(settings)


def test_the_schema_is_a_schema_and_says_what_every_key_is() -> None:
    known = schemas.load("config.v1")
    assert json.loads(schemas.text("config.v1")) == known
    assert all("description" in each or "$ref" in each for each in known["properties"].values())


def test_an_identity_file_that_cannot_be_read(tmp_path: Path) -> None:
    environ = {"PROVISIONER_IDENTITY_FILE": str(tmp_path / "nowhere")}
    with pytest.raises(SettingInvalid, match=r"The identity cannot be read\. The file .*nowhere") as caught:
        secrets.identity(load(tmp_path), environ, tmp_path / "default", None)
    assert "PROVISIONER_IDENTITY_FILE" in caught.value.hint


@pytest.mark.parametrize(
    ("mode", "refused"),
    [(0o600, False), (0o400, False), (0o644, True), (0o604, True), (0o620, True), (0o460, True), (0o4610, True)],
)
def test_an_identity_file_that_others_may_use_is_refused_as_ssh_does(
    tmp_path: Path, mode: int, *, refused: bool
) -> None:
    (tmp_path / "identity.txt").write_text("key")
    (tmp_path / "identity.txt").chmod(mode)
    for environ, settings in (
        ({"PROVISIONER_IDENTITY_FILE": f"{tmp_path}/identity.txt"}, load(tmp_path)),
        ({}, load(tmp_path, f"identity_file: {tmp_path}/identity.txt\n")),
    ):
        if not refused:
            assert "key" == identity(settings, environ, tmp_path / "nowhere")[0]
            continue
        with pytest.raises(
            SettingInvalid, match=rf"contains a secret, and others may use it \(mode {mode:04o}\)"
        ) as caught:
            identity(settings, environ, tmp_path / "nowhere")
        assert "chmod 600" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give a file away")
@pytest.mark.parametrize(
    ("owner", "mode", "refused"),
    [
        ((0, 0), 0o440, True),
        ((0, 10001), 0o440, True),
        ((0, 0), 0o444, True),
        ((10001, 10001), 0o644, False),
    ],
    ids=["the group of root", "another group", "a secret of Docker", "somebody else's, who alone can change it"],
)
def test_an_identity_that_a_container_is_given(
    tmp_path: Path, owner: tuple[int, int], mode: int, *, refused: bool
) -> None:
    path = tmp_path / "identity.txt"
    path.write_text("key")
    os.chown(path, *owner)
    path.chmod(mode)
    with pytest.raises(SettingInvalid, match="others may use it") if refused else nullcontext():
        identity(load(tmp_path), {"PROVISIONER_IDENTITY_FILE": str(path)}, tmp_path / "nowhere")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_identity_is_read_as_windows_saves_it(tmp_path: Path, encoding: str) -> None:
    text = "# mine\r\nAGE-SECRET-KEY-1\r\n"
    path = tmp_path / "identity.txt"
    path.touch(mode=0o600)
    path.write_bytes(text.encode(encoding))
    for environ in (
        {"PROVISIONER_IDENTITY_FILE": str(path)},
        {"PROVISIONER_IDENTITY_COMMAND": f"cat {path}"},
    ):
        assert text == identity(load(tmp_path), environ, tmp_path / "nowhere")[0]


def test_a_command_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    for command in ("cat /dev/zero", "cat /dev/zero >&2"):
        with pytest.raises(SettingInvalid, match=r"printed more than 65,536 bytes"):
            secrets.identity(
                load(tmp_path), {"PROVISIONER_IDENTITY_COMMAND": command}, tmp_path / "nowhere", lambda _: None
            )


# ── The connection ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("proxy", ["http://proxy.example.com:3128", "https://u:p@proxy.example.com"])
def test_a_proxy_that_is_accepted(tmp_path: Path, proxy: str) -> None:
    connection.require_connection(load(tmp_path, proxy=proxy))


@pytest.mark.parametrize(
    "proxy",
    [
        *("proxy:3128", "socks5://u:secret@h:1", "http://", "http://h:0", "http://[half"),
        *(r"http://h:80\[::1]", "http://h\r", "http://h ", r"http://a\b@h:80", "http://a/b@h", "http://@h"),
    ],
)
def test_a_proxy_that_is_refused_and_not_repeated(tmp_path: Path, proxy: str) -> None:
    with pytest.raises(SettingInvalid, match="not the address of a proxy") as caught:
        connection.require_connection(load(tmp_path, proxy=proxy))
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_file_that_holds_no_certificate_authorities(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    (tmp_path / "empty.pem").touch()
    for name, reason in (
        ("ca.pem", "contains no certificate authorities"),
        ("empty.pem", "contains no certificate authorities"),
        ("missing.pem", "cannot be read: No such file or directory"),
        ("/dev/zero", "cannot be read: it is a device, and not a file"),
    ):
        with pytest.raises(SettingInvalid, match=f"{name}, {reason}"):
            connection.require_connection(load(tmp_path, ca_file=str(tmp_path / name)))
    connection.require_connection(load(tmp_path, ca_file=certifi.where()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit: 3\n<<<<<<< HEAD\nreserved: 1\n", ":2: A merge was not finished"),
        ("state: &Other place\n", ":1: Nothing refers to the anchor here"),
        ('state: "C:\\Users"\n', ":1: In double quotes a backslash begins an escape"),
        ("limit: 3\nreserved:\u00a01\n", ":2: The line contains U+00A0 NO-BREAK SPACE"),
        ("limit\u200b: 3\n", "contains U+200B ZERO WIDTH SPACE"),
        ("limit: 3\u200b\n", "limit contains U+200B ZERO WIDTH SPACE"),
    ],
)
def test_broken_yaml_is_told_where_it_is(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text).message


def test_a_comment_is_not_a_fault_of_the_settings(tmp_path: Path) -> None:
    assert load(tmp_path, "limit: 3 #more\n").parent("default").limit == 3


@pytest.mark.parametrize(
    ("freeze", "words"),
    [
        ("{until: 2026-12-31}", "parents.acme.frozen.reason is missing"),
        ("{until: 31.12.2026, reason: x}", "parents.acme.frozen.until must be a date"),
        ("{until: 2026-02-30, reason: x}", "parents.acme.frozen.until must be a date"),
        ("{until: 20261231, reason: x}", "parents.acme.frozen.until must be a date"),
        ("true", "parents.acme.frozen must be a group of fields"),
    ],
)
def test_a_freeze_has_a_last_day_and_a_reason(tmp_path: Path, freeze: str, words: str) -> None:
    assert words in refused(tmp_path, f"parents: {{acme: {{frozen: {freeze}}}}}\n").message
    good = load(tmp_path, "parents: {acme: {frozen: {until: 2026-12-31, reason: x}}}\n").parent("acme").frozen
    assert good is not None
    assert [True, True, False] == [
        good.holds_at(now) for now in ("2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z")
    ]
