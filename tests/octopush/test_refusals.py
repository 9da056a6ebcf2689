"""The table of refusals: what each status means, and that every call uses it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import pytest

from provisioner.errors import ExitCode
from provisioner.model.codes import CODES
from provisioner.model.exchange import Failed, Missing
from provisioner.model.verdict import NotCreated, Then
from provisioner.octopush.idempotent import judge_balance, judge_edit, judge_read
from provisioner.octopush.refusals import (
    DISTRUSTED,
    EXPOSED,
    INTERRUPTED,
    MISPLACED,
    RETRIED,
    UNANSWERED,
    UNREACHED,
    Caller,
    Refusal,
    refused,
    unanswered,
)
from provisioner.octopush.transport import Failure, Reply
from provisioner.octopush.verdict import judge

NOW: Final = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)
MINE: Final = Caller("my credentials", unaccepted="Check them.", unpaid="Pay.")
Judge = Callable[..., object]
CREATE: Final[Judge] = judge
EVERY: Final[tuple[Judge, ...]] = (CREATE, judge_edit, judge_read, judge_balance)


def judged(by: Judge, outcome: Reply | Failure, **names: str) -> object:
    return by(outcome, now=NOW, **names, **({"retry_on_503": False} if by is CREATE else {}))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *(
            (status, Refusal(f"the API asked to try later (HTTP {status}, Hm)", Then.RETRY, 3.0))
            for status in (408, 421, 425, 429)
        ),
        *(
            (
                status,
                Refusal(
                    f"the API did not accept my credentials (HTTP {status}, Hm)",
                    Then.STOP,
                    exit_code=ExitCode.SETTING_INVALID,
                    hint="Check them.",
                ),
            )
            for status in (401, 403)
        ),
        (402, Refusal("the API asks for payment (HTTP 402, Hm)", Then.STOP, hint="Pay.")),
        *(
            (status, Refusal(f"the API refused it (HTTP {status}, Hm)", Then.GO_ON))
            for status in (400, 409, 410, 413, 415, 418, 422, 460, 499)
        ),
        *(
            (
                status,
                Refusal(
                    f"the API has no such call at this address (HTTP {status}, Hm)",
                    Then.STOP,
                    exit_code=ExitCode.SETTING_INVALID,
                    hint=MISPLACED,
                ),
            )
            for status in (404, 405)
        ),
    ],
)
def test_the_status_decides(status: int, expected: Refusal) -> None:
    assert expected == refused(Reply(status, {"Retry-After": "3"}, b""), ", Hm", NOW, MINE)


def test_only_what_was_not_processed_is_tried_again() -> None:
    assert {408, 421, 425, 429} == RETRIED
    again = {each for each in range(400, 500) if refused(Reply(each, {}, b""), "", NOW, MINE).then is Then.RETRY}
    assert RETRIED == again


def test_whoever_asks_need_not_be_told_how_to_pay() -> None:
    assert refused(Reply(402, {}, b""), "", NOW, Caller("mine", unaccepted="Check them.")).hint == ""


@pytest.mark.parametrize("sent", [False, True])
def test_without_an_answer_it_may_be_tried_again_but_never_where_the_certificate_is_wrong(*, sent: bool) -> None:
    hint = UNANSWERED if sent else UNREACHED
    assert Refusal("reset", Then.RETRY, hint=hint) == unanswered(Failure(sent, "reset"))
    wrong = Failure(sent, "not valid", certificate=True)
    assert Refusal("not valid", Then.STOP, hint=DISTRUSTED) == unanswered(wrong)


def test_a_request_that_would_leave_this_machine_in_clear_is_not_tried_again() -> None:
    refusal = Refusal("plain", Then.STOP, exit_code=ExitCode.SETTING_INVALID, hint=EXPOSED)
    assert refusal == unanswered(Failure(sent=False, reason="plain", exposed=True))


@pytest.mark.parametrize(("status", "own"), [(401, "Check them."), (403, "Check them."), (402, "Pay.")])
def test_a_code_that_is_known_is_explained_where_it_stops_the_run(status: int, own: str) -> None:
    reply = Reply(status, {}, b'{"code": 113}')
    assert f"{own} {CODES[113].todo}" == refused(reply, "", NOW, MINE).hint


@pytest.mark.parametrize("by", EVERY)
def test_a_request_that_waited_for_its_turn_when_the_run_was_interrupted_was_not_sent(by: Judge) -> None:
    failure = Failure(sent=False, reason=INTERRUPTED, interrupted=True)
    assert Refusal(INTERRUPTED, Then.STOP) == unanswered(failure)
    kind = NotCreated if by is CREATE else Failed
    assert kind("the run was interrupted before it was sent", Then.STOP) == judged(by, failure)


@pytest.mark.parametrize("by", EVERY)
@pytest.mark.parametrize("status", range(400, 500))
def test_every_call_goes_by_the_table(by: Judge, status: int) -> None:
    reply = Reply(status, {"Retry-After": "3"}, b'{"code": 7, "message": "Hm."}')
    refusal = refused(reply, ", code 7: Hm", NOW, MINE)
    verdict = judged(by, reply)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED} and by in {judge_edit, judge_read}:
        assert isinstance(verdict, Missing if status == HTTPStatus.NOT_FOUND else Failed)
        return
    assert isinstance(verdict, NotCreated | Failed)
    expected = (refusal.then, refusal.retry_after, refusal.exit_code)
    assert expected == (verdict.then, verdict.retry_after, verdict.exit_code)


@pytest.mark.parametrize("by", EVERY)
@pytest.mark.parametrize("code", CODES)
def test_a_refusal_of_one_account_says_what_to_do_about_a_known_code(by: Judge, code: int) -> None:
    verdict = judged(by, Reply(400, {}, b'{"code": %d, "message": "No."}' % code))
    assert isinstance(verdict, NotCreated | Failed)
    known = CODES[code]
    todo = f"{known.todo[0].lower()}{known.todo[1:-1]}"
    assert f"the API refused it (HTTP 400, code {code} ({known.meaning}): No); {todo}" == verdict.reason


@pytest.mark.parametrize("by", EVERY[:3])
@pytest.mark.parametrize("status", [401, 403])
def test_a_hint_names_the_variables_of_the_parent_concerned(by: Judge, status: int) -> None:
    verdict = judged(by, Reply(status, {}, b""), credential_names="ACME_LOGIN and ACME_KEY")
    assert isinstance(verdict, NotCreated | Failed)
    assert verdict.hint.startswith("Check ACME_LOGIN and ACME_KEY, and that they ")
    assert "OCTOPUSH" not in verdict.hint


@pytest.mark.parametrize("status", [401, 403])
def test_a_balance_is_not_the_parents_affair(status: int) -> None:
    verdict = judged(judge_balance, Reply(status, {}, b""))
    assert isinstance(verdict, Failed)
    assert "the sub-account's own key" in verdict.hint
    assert "API_" not in verdict.hint
