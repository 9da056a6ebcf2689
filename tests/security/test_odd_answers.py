"""The API's odd days: whatever answers, no account is made twice, none is taken for gone, and no secret is told."""

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
TOLD: Final = json.dumps({"first_name": "paris", "last_name": "default", "api_key": KEY}).encode()


@contextmanager
def octopush(*faults: str) -> Iterator[Sandbox]:
    parent = SandboxParent("default@example.com", Secret(key_of("default")))
    with Sandbox(SandboxSettings(parents=(parent,), faults=tuple(map(parse_fault, faults)))) as sandbox:
        yield sandbox


def applied(project: provisioner.Project, **options: Any) -> provisioner.project.reports.Reports:  # noqa: ANN401  # apply's own
    return project.apply(project.plan(), approve=lambda _: True, **options)


@pytest.mark.parametrize("status", [409, 429])
def test_an_answer_that_holds_credentials_makes_no_second_account_whatever_its_status(
    tmp_path: Path, status: int
) -> None:
    with octopush(f"{status}-body@*") as server:
        project = opened(many(server, tmp_path, {"default": TWO}))
        assert ExitCode.OUTCOME_UNKNOWN is applied(project).exit_code
        assert ExitCode.OUTCOME_UNKNOWN is applied(project).exit_code
        (first, second) = server.accounts
        assert ["paris", "rome"] == [each.first_name for each in (first, second)]
        (kept,) = project.open_credentials(["paris"])
        assert kept.content.answer is not None
        assert first.api_key.reveal().encode() in kept.content.answer.body


def test_a_limit_of_requests_is_believed_only_where_that_is_allowed(tmp_path: Path) -> None:
    with octopush("429-after@1") as server:
        mine = having(many(server, tmp_path, {"default": ["paris"]}), PROVISIONER_RETRY_ON_429="false")
        assert ExitCode.OUTCOME_UNKNOWN is applied(opened(mine)).exit_code
        assert 1 == len(server.accounts)


def test_a_wrong_address_is_asked_once_and_named(tmp_path: Path) -> None:
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
def test_no_account_is_taken_for_gone_because_a_page_says_not_found(tmp_path: Path, page: bytes) -> None:
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
def test_the_log_of_a_reading_holds_no_login_and_no_key(tmp_path: Path, reading: str) -> None:
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
        told = repr((call(reporter=heard), heard.outcomes, heard.requests, heard.warnings))
    assert "Not for" in told
    assert [] == [each for each in (LOGIN, KEY, "default@example.com", key_of("default")[:9]) if each in told]


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
def test_the_key_is_sent_in_clear_to_nobody_else_however_the_address_is_written(tmp_path: Path, address: str) -> None:
    with octopush() as server:
        mine = having(many(server, tmp_path, {"default": ["paris"]}), OCTOPUSH_API_URL=address)
        with pytest.raises(SettingInvalid, match="OCTOPUSH_API_URL"):
            applied(opened(mine))


def test_a_key_that_no_request_could_carry_is_kept_as_unknown(tmp_path: Path) -> None:
    odd = json.dumps({"api_login": LOGIN, "api_key": "sub\r\nkey"}).encode()
    with scripted(lambda wire: wire.send(answer("201 Created", odd)) if wire.request() else None) as server:
        project = opened(many(server, tmp_path, {"default": ["paris"]}))
        assert {"default": {"paris": "unknown"}} == results(applied(project))
        assert 1 == len(server.requests)


def test_an_answer_that_comes_twice_makes_no_second_account(tmp_path: Path) -> None:
    with scripted(lambda wire: wire.send(answer("201 Created", MADE)) if wire.request() else None) as server:
        project = opened(many(server, tmp_path, {"default": TWO}))
        reports = applied(project)
        assert {"default": {"paris": "created", "rome": "unknown"}} == results(reports)
        assert "the login of paris" in str(reports.reports[0].outcomes[1].reason)
        (kept,) = project.open_credentials(["rome"])
        assert kept.content.credentials is None
        assert kept.content.password is not None
        assert ["paris"] == [*project.resolve("rome", abandon=False).accounts]


@pytest.mark.parametrize(("status", "body"), [("200 OK", b"<html>Sign in</html>"), ("429 Busy", b"")])
def test_no_password_is_let_go_of_for_an_answer_that_proves_no_change(tmp_path: Path, status: str, body: bytes) -> None:
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
