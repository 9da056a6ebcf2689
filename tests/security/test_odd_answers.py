"""The API's odd days: whatever it answers, no account is created twice or called gone, and no secret is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

import provisioner
from provisioner.errors import ExitCode, ProvisionerError, SettingInvalid
from provisioner.model.account import Secret
from provisioner.sandbox import Sandbox, SandboxParent, SandboxSettings, parse_fault
from tests.octopush.servers import Wire, answer, scripted
from tests.project.opened import Heard, having, key_of, many, opened, results

TWO: Final = ("paris", "rome")
LOGIN: Final = "abc_1f2@sub-accounts.com"
KEY: Final = "sub-key-77"
MADE: Final = json.dumps({"api_login": LOGIN, "api_key": KEY}).encode()


@contextmanager
def octopush(*faults: str) -> Iterator[Sandbox]:
    parent = SandboxParent("default@example.com", Secret(key_of("default")))
    with Sandbox(SandboxSettings(parents=(parent,), faults=tuple(map(parse_fault, faults)))) as sandbox:
        yield sandbox


def applied(project: provisioner.Project, **options: Any) -> provisioner.project.reports.Reports:  # noqa: ANN401  # apply's own
    return project.apply(project.plan(), approve=lambda _: True, **options)


@pytest.mark.parametrize("status", [409, 429])
def test_an_answer_with_credentials_causes_no_second_create_whatever_its_status(tmp_path: Path, status: int) -> None:
    with octopush(f"{status}-body@*") as server:
        project = opened(many(server, tmp_path, {"default": TWO}))
        assert ExitCode.OUTCOME_UNKNOWN is applied(project).exit_code
        assert ExitCode.OUTCOME_UNKNOWN is applied(project).exit_code
        (first, second) = server.accounts
        assert ["paris", "rome"] == [each.first_name for each in (first, second)]
        (sealed,) = project.open_credentials(["paris"])
        assert sealed.content.answer is not None
        assert first.api_key.reveal().encode() in sealed.content.answer.body


def test_a_429_to_a_create_is_trusted_only_if_the_settings_allow_it(tmp_path: Path) -> None:
    with octopush("429-after@1") as server:
        mine = having(many(server, tmp_path, {"default": ["paris"]}), PROVISIONER_RETRY_ON_429="false")
        assert ExitCode.OUTCOME_UNKNOWN is applied(opened(mine)).exit_code
        assert 1 == len(server.accounts)


def test_a_wrong_address_costs_one_request_and_is_named(tmp_path: Path) -> None:
    with octopush() as server:
        mine = having(many(server, tmp_path, {"default": TWO}), OCTOPUSH_API_URL=server.url.removesuffix("/v1/public"))
        reports = applied(opened(mine))
        assert {"default": {"paris": "failed", "rome": "not_attempted"}} == results(reports)
        (report,) = reports.reports
        assert report.stop is not None
        assert "OCTOPUSH_API_URL" in report.stop.hint
        assert "/v1/public" in report.stop.hint
        assert ExitCode.SETTING_INVALID is report.stop.exit_code
        assert 1 == len(server.requests)


@pytest.mark.parametrize("page", [b"<html><h1>404 Not Found</h1></html>", b"404 page not found"])
def test_a_web_page_that_says_not_found_does_not_make_an_account_gone(tmp_path: Path, page: bytes) -> None:
    def script(wire: Wire) -> None:
        wire.send(answer() if wire.request().startswith(b"POST") else answer("404 Not Found", page))

    with scripted(script) as server:
        project = opened(many(server, tmp_path, {"default": ["paris"]}))
        applied(project)
        reports = project.refresh()
        assert {"default": {"paris": "unchecked"}} == results(reports)
        with pytest.raises(ProvisionerError):
            project.forget("paris")


@pytest.mark.parametrize("reading", ["refresh", "verify"])
def test_the_log_of_a_read_contains_no_login_and_no_key(tmp_path: Path, reading: str) -> None:
    echo = f"{LOGIN} with {KEY} of default@example.com ({key_of('default')[:9]})"

    def script(wire: Wire) -> None:
        if wire.request().startswith(b"POST"):
            wire.send(answer("201 Created", MADE))
        else:
            wire.send(answer("400 Bad", json.dumps({"code": KEY, "message": f"Not for {echo}."}).encode()))

    with scripted(script) as server:
        project, heard = opened(many(server, tmp_path, {"default": ["paris"]})), Heard()
        applied(project)
        call: Callable[..., Any] = getattr(project, reading)
        shown = repr((call(reporter=heard), heard.outcomes, heard.requests, heard.warnings))
    assert "Not for" in shown
    assert [] == [each for each in (LOGIN, KEY, "default@example.com", key_of("default")[:9]) if each in shown]


@pytest.mark.parametrize(
    "address",
    [
        r"http://192.0.2.1:8080\[::1]/v1/public",
        r"http://192.0.2.1\@127.0.0.1/v1/public",
        "http://127.0.0.1@192.0.2.1/v1/public",
        "http://192.0.2.1#@127.0.0.1/",
        "http://localhost.example.com/v1/public",
        "http://192.0.2.1\t@localhost/",
    ],
)
def test_the_key_never_leaves_this_machine_in_clear_whatever_the_address(tmp_path: Path, address: str) -> None:
    with octopush() as server:
        mine = having(many(server, tmp_path, {"default": ["paris"]}), OCTOPUSH_API_URL=address)
        with pytest.raises(SettingInvalid, match="OCTOPUSH_API_URL"):
            applied(opened(mine))


def test_a_create_that_is_answered_with_an_unusable_key_is_unknown(tmp_path: Path) -> None:
    odd = json.dumps({"api_login": LOGIN, "api_key": "sub\r\nkey"}).encode()
    with scripted(lambda wire: wire.send(answer("201 Created", odd)) if wire.request() else None) as server:
        project = opened(many(server, tmp_path, {"default": ["paris"]}))
        assert {"default": {"paris": "unknown"}} == results(applied(project))
        assert 1 == len(server.requests)


def test_a_repeated_answer_is_not_recorded_for_a_second_account(tmp_path: Path) -> None:
    with scripted(lambda wire: wire.send(answer("201 Created", MADE)) if wire.request() else None) as server:
        project = opened(many(server, tmp_path, {"default": TWO}))
        reports = applied(project)
        assert {"default": {"paris": "created", "rome": "unknown"}} == results(reports)
        assert "the login of paris" in str(reports.reports[0].outcomes[1].reason)
        (sealed,) = project.open_credentials(["rome"])
        assert sealed.content.credentials is None
        assert sealed.content.password is not None
        assert ["paris"] == [*project.resolve("rome", abandon=False).accounts]


@pytest.mark.parametrize(("status", "body"), [("200 OK", b"<html>Sign in</html>"), ("429 Busy", b"")])
def test_no_password_is_dropped_until_an_answer_proves_the_change(tmp_path: Path, status: str, body: bytes) -> None:
    def script(wire: Wire) -> None:
        wire.send(answer("201 Created", MADE) if wire.request().startswith(b"POST") else answer(status, body))

    with scripted(script) as server:
        mine = having(many(server, tmp_path, {"default": ["paris"]}), PROVISIONER_RETRY_ON_429="false")
        project = opened(mine, flags={"attempts": 1})
        applied(project)
        (before,) = project.open_credentials(["paris"])
        project.rotate_passwords(["paris"])
        (after,) = project.open_credentials(["paris"])
        assert before.content.password == after.content.password
        assert 1 == len(after.unfinished_passwords)
