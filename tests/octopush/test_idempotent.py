"""The outcome of a read, an edit or a balance request, and what may have been carried out anyway."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import ExitCode
from provisioner.model.account import CALLBACK_NAMES, FIELDS, Secret
from provisioner.model.exchange import Balance, Edited, Failed, Missing, Observed
from provisioner.model.verdict import Then
from provisioner.octopush import answers, refusals
from provisioner.octopush.idempotent import judge_balance, judge_edit, judge_read
from provisioner.octopush.transport import Failure, Reply

NOW: Final = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)
Judge = Callable[..., object]
JUDGES: Final[tuple[Judge, ...]] = (judge_edit, judge_read, judge_balance)
READERS: Final = JUDGES[1:]
HOOKS: Final = dict.fromkeys(CALLBACK_NAMES[:4])
WHOLE: Final[dict[str, Any]] = {
    "first_name": "Leonardo",
    "last_name": "Da Vinci",
    "company_name": "Italy",
    "api_key": "sub-key-77",
    "callback": {**HOOKS, "callback_url_for_visits": "https://x.example/?t=1", "email": "sms@example.com"},
}


def reply(status: int, body: object = b"", cut: str | None = None, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, cut)


def failed(judge: Judge, outcome: Reply | Failure, *hidden: str) -> Failed:
    verdict = judge(outcome, now=NOW, hidden=hidden)
    assert isinstance(verdict, Failed)
    return verdict


# ── What holds for all of them ───────────────────────────────────────────────


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("sent", [False, True])
def test_without_an_answer_it_is_tried_again_and_how_far_it_came_is_noted(judge: Judge, *, sent: bool) -> None:
    hint = refusals.UNANSWERED if sent else refusals.UNREACHED
    expected = Failed("reset", Then.RETRY, hint=hint, possible=sent, unanswered=True)
    assert expected == judge(Failure(sent, "reset"), now=NOW)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("sent", [False, True])
def test_a_certificate_that_is_not_valid_stops_the_run(judge: Judge, *, sent: bool) -> None:
    expected = Failed("not valid", Then.STOP, hint=refusals.DISTRUSTED, possible=sent)
    assert expected == judge(Failure(sent, "not valid", certificate=True), now=NOW)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [100, 199, 500, 502, 503, 504, 599, 600])
def test_what_tells_nothing_is_tried_again_and_may_have_been_carried_out(judge: Judge, status: int) -> None:
    body = {"code": 7, "message": "Hm."}
    reason = f"the API answered HTTP {status}, code 7: Hm"
    assert Failed(reason, Then.RETRY, possible=True) == judge(reply(status, body), now=NOW)
    waiting = reply(status, Retry_After="3")
    assert Failed(f"the API answered HTTP {status}", Then.RETRY, 3.0, possible=True) == judge(waiting, now=NOW)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [300, 302, 303, 307, 399])
def test_a_redirect_stops_the_run_and_may_have_been_carried_out(judge: Judge, status: int) -> None:
    reason = f"the API redirected it to another address (HTTP {status}), which is not followed"
    assert Failed(reason, Then.STOP, possible=True) == judge(reply(status), now=NOW)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [408, 421, 425, 429])
def test_what_was_not_processed_is_tried_again(judge: Judge, status: int) -> None:
    expected = Failed(f"the API asked to try later (HTTP {status}, Busy)", Then.RETRY, 3.0)
    assert expected == judge(reply(status, {"message": "Busy"}, Retry_After="3"), now=NOW)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_not_accepted_stop_the_run(judge: Judge, status: int) -> None:
    verdict = failed(judge, reply(status))
    assert f"the API did not accept the credentials (HTTP {status})" == verdict.reason
    assert (Then.STOP, ExitCode.SETTING_INVALID, False) == (verdict.then, verdict.exit_code, verdict.possible)
    # The sub-account itself asks for its balance.
    assert ("OCTOPUSH_API_KEY" in verdict.hint) == (judge is not judge_balance)


@pytest.mark.parametrize("judge", JUDGES)
def test_payment_required_stops_the_run(judge: Judge) -> None:
    assert Failed("the API asks for payment (HTTP 402)", Then.STOP) == judge(reply(402), now=NOW)


@pytest.mark.parametrize("judge", [judge_edit, judge_read])
def test_a_login_may_be_the_name_of_another_call(judge: Judge) -> None:
    assert Failed("the API refused it (HTTP 405)", Then.GO_ON) == judge(reply(405), now=NOW)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [400, 409, 410, 418, 422, 499])
def test_a_refusal_goes_on(judge: Judge, status: int) -> None:
    assert Failed(f"the API refused it (HTTP {status})", Then.GO_ON) == judge(reply(status), now=NOW)


@pytest.mark.parametrize("judge", [judge_edit, judge_read])
def test_a_login_that_is_not_known_is_missing(judge: Judge) -> None:
    expected = Missing("Octopush does not know its login (HTTP 404, code 9)")
    assert expected == judge(reply(404, {"code": 9}), now=NOW)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 405])
def test_a_page_is_of_no_api_and_says_nothing_about_an_account(judge: Judge, status: int) -> None:
    reason = f"a web page answered instead of the API (HTTP {status})"
    verdict = failed(judge, reply(status, b"<!doctype html><title>Not found</title>"))
    assert (reason, Then.STOP, refusals.MISPLACED) == (verdict.reason, verdict.then, verdict.hint)
    assert ExitCode.SETTING_INVALID is verdict.exit_code


@pytest.mark.parametrize(
    ("judge", "answered"),
    [
        *((judge, reply(404, b"404 page not found")) for judge in JUDGES),
        (judge_balance, reply(404)),
        (judge_balance, reply(405)),
        (judge_balance, reply(404, {"code": 9})),
    ],
)
def test_a_404_from_the_api_means_no_account(judge: Judge, answered: Reply) -> None:
    verdict = failed(judge, answered)
    assert verdict.reason.startswith("the API has no such call at this address")
    assert (Then.STOP, refusals.MISPLACED) == (verdict.then, verdict.hint)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [200, 201, 400, 401, 402, 404, 429, 500])
def test_what_the_request_carried_is_masked(judge: Judge, status: int) -> None:
    verdict = judge(reply(status, {"code": 7, "message": "-s3cret-"}), now=NOW, hidden=("s3cret",))
    assert isinstance(verdict, Failed | Missing)
    assert "-***-" in verdict.reason


# ── Edits ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b"\xff", {}, {"code": 0}, {"code": "0"}, {"code": None}])
def test_any_success_is_an_edit_whatever_its_body(status: int, body: object) -> None:
    assert Edited() == judge_edit(reply(status, body), now=NOW)


@pytest.mark.parametrize(
    ("answered", "reason", "then"),
    [
        (reply(200, b'{"co', cut="it ended too early"), "the answer was cut: it ended too early", Then.RETRY),
        (reply(200, b'{"code": 0, "code": 1}'), "the answer is broken JSON", Then.RETRY),
        (reply(200, b'{"code": NaN}'), "the answer is broken JSON", Then.RETRY),
        (reply(200, b"<html>Sign in"), "a web page answered instead of the API", Then.STOP),
        (reply(200, b"Sign in", Content_Type="text/html"), "a web page answered instead of the API", Then.STOP),
    ],
)
def test_a_success_that_is_not_clean_may_have_been_carried_out(answered: Reply, reason: str, then: Then) -> None:
    verdict = failed(judge_edit, answered)
    assert reason in verdict.reason
    assert (then, True) == (verdict.then, verdict.possible)


@pytest.mark.parametrize("status", [400, 409, 429])
def test_a_refusal_that_is_not_clean_proves_nothing_of_an_edit(status: int) -> None:
    for unclear in (reply(status, b'{"co', cut="it ended too early"), reply(status, b'{"code": NaN}')):
        assert failed(judge_edit, unclear).possible
    assert not failed(judge_edit, reply(status, {"code": 7})).possible


@pytest.mark.parametrize("status", [408, 421, 425, 429])
def test_an_edit_that_was_answered_with_429_is_not_carried_out_only_where_that_is_believed(status: int) -> None:
    assert [False, True] == [
        judge_edit(reply(status), retry_on_429=believed, now=NOW).possible for believed in (True, False)
    ]


@pytest.mark.parametrize("code", [121, "E1", "", True, [0], 1.5])
def test_a_success_that_carries_an_error_may_have_been_carried_out(code: object) -> None:
    verdict = failed(judge_edit, reply(200, {"code": code}))
    assert verdict.reason.startswith("HTTP 200, but the answer carries an error")
    assert (Then.GO_ON, True) == (verdict.then, verdict.possible)


# ── Readings ─────────────────────────────────────────────────────────────────


def test_an_account_is_read_by_the_names_that_it_is_written_with() -> None:
    for status in (200, 201, 299):
        assert Observed(
            {
                "first_name": "Leonardo",
                "last_name": "Da Vinci",
                "company_name": "Italy",
                "callbacks.callback_url_for_deliveries": None,
                "callbacks.callback_url_for_blacklisted_numbers": None,
                "callbacks.callback_url_for_visits": "https://x.example/?t=1",
                "callbacks.callback_url_for_inbounds": None,
                "callbacks.email_for_inbounds": "sms@example.com",
            },
            Secret("sub-key-77"),
        ) == judge_read(reply(status, WHOLE), now=NOW)
    assert set(FIELDS) == observed(WHOLE).fields.keys()


def observed(document: object) -> Observed:
    reading = judge_read(reply(200, document), now=NOW)
    assert isinstance(reading, Observed)
    return reading


@pytest.mark.parametrize("nothing", [None, [], {}, "", 0, False])
def test_callbacks_that_are_nothing_are_all_not_set(nothing: object) -> None:
    fields = observed({"callback": nothing}).fields
    assert {f"callbacks.{name}": None for name in CALLBACK_NAMES} == fields


@pytest.mark.parametrize("document", [{}, {"callback": "none"}, {"callback": ["x"]}, {"callbacks": WHOLE["callback"]}])
def test_callbacks_that_are_not_told_are_not_known(document: object) -> None:
    assert {} == observed(document).fields


@pytest.mark.parametrize("value", [7, 1.5, True, ["x"], {"x": 1}, "half \ud800"])
def test_a_value_that_no_field_can_have_tells_nothing(value: object) -> None:
    document = {"first_name": value, "last_name": "", "callback": {"email": value, "callback_url_for_visits": None}}
    assert {"last_name": "", "callbacks.callback_url_for_visits": None} == observed(document).fields


@pytest.mark.parametrize("key", [None, "", " \t", 7, ["sub-key-77"], "half \udfff", "a\r\nb", "a\0", "clé", "a\x85"])
def test_an_invalid_key_is_ignored(key: object) -> None:
    assert observed({"api_key": key}).api_key is None
    assert observed({}).api_key is None


def test_json_is_read_whatever_its_encoding_is_called() -> None:
    assert isinstance(judge_read(reply(200, WHOLE, Content_Encoding="UTF-8"), now=NOW), Observed)


@pytest.mark.parametrize("judge", READERS)
@pytest.mark.parametrize("body", [b"", b"OK", b"\xff", b"[" * 60_000, [WHOLE], None])
def test_an_answer_that_is_not_an_object_is_retried(judge: Judge, body: object) -> None:
    expected = Failed("HTTP 200, but the answer is not a JSON object", Then.RETRY)
    assert expected == judge(reply(200, body), now=NOW)


@pytest.mark.parametrize("judge", READERS)
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429])
def test_what_is_not_clean_is_tried_again_even_where_it_can_be_read(judge: Judge, status: int) -> None:
    cut = reply(status, WHOLE, cut="it ended too early", Retry_After="3")
    assert Failed(f"HTTP {status}, but the answer was cut: it ended too early", Then.RETRY, 3.0) == judge(cut, now=NOW)
    for body in (b'{"amount": NaN, "unit": "euros"}', b'{"amount": 1, "amount": 1}', b'{"limit": -Infinity}'):
        expected = Failed(f"HTTP {status}, but the answer is broken JSON", Then.RETRY)
        assert expected == judge(reply(status, body), now=NOW)


@pytest.mark.parametrize("judge", READERS)
def test_an_answer_with_an_error_is_not_a_success(judge: Judge) -> None:
    expected = Failed("HTTP 200, but the answer carries an error, code 121: No", Then.GO_ON)
    assert expected == judge(reply(200, {**WHOLE, "code": 121, "message": "No."}), now=NOW)


# ── Balances ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("amount", [12.54, 0, -3, 1e300])
def test_a_balance_is_an_amount_of_a_unit(status: int, amount: float) -> None:
    document = {"amount": amount, "unit": "euros", "wallet_packs": []}
    assert Balance(amount, "euros") == judge_balance(reply(status, document), now=NOW)


def test_the_packs_of_a_balance_have_their_ends_and_what_is_not_a_pack_spoils_nothing() -> None:
    packs = [
        {"wallet_pack_id": 2, "credit": 2.5, "expiration_date": "2030-10-23T13:41:46+02:00"},
        {"wallet_pack_id": 1, "credit": 10, "expiration_date": "2030-10-23T13:41:46"},
        *({"credit": 0, "expiration_date": "2030-10-23T13:41:46Z"}, {"credit": 1, "expiration_date": "soon"}),
        *({"credit": "1", "expiration_date": "2030-10-23T13:41:46Z"}, {"credit": 1}, "pack", None, 7),
    ]
    balance = judge_balance(reply(200, {"amount": 12.5, "unit": "euros", "wallet_packs": packs}), now=NOW)
    assert isinstance(balance, Balance)
    found = [(pack.credit, pack.expires.astimezone(UTC).isoformat()) for pack in balance.packs]
    assert [(10, "2030-10-22T23:41:46+00:00"), (2.5, "2030-10-23T11:41:46+00:00")] == found
    for odd in ({}, None, 7, "packs"):
        body = {"amount": 1, "unit": "euros", "wallet_packs": odd}
        assert Balance(1, "euros") == judge_balance(reply(200, body), now=NOW)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"amount": 1},
        {"unit": "euros"},
        {"amount": "1", "unit": "euros"},
        {"amount": None, "unit": "euros"},
        {"amount": True, "unit": "euros"},
        {"amount": 1, "unit": None},
        {"amount": 1, "unit": "\ud800"},
        b'{"amount": 1e999, "unit": "euros"}',
        b'{"amount": 1' + b"0" * 400 + b', "unit": "euros"}',
    ],
)
def test_without_an_amount_and_a_unit_there_is_no_balance(body: object) -> None:
    assert Failed("the answer contains no balance", Then.GO_ON) == judge_balance(reply(200, body), now=NOW)


# ── Totality ─────────────────────────────────────────────────────────────────

TEXTS: Final = st.text(st.characters(codec=None), max_size=8)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
PACKS: Final = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("credit", "expiration_date"), VALUES)))
CALLBACKS: Final = VALUES | st.dictionaries(st.sampled_from([*CALLBACK_NAMES, "email"]), VALUES)
DOCUMENTS: Final = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("first_name", "company_name", "api_key", "code", "message", "amount", "unit"), VALUES)
    | {"wallet_packs": PACKS}
    | {"callback": CALLBACKS},
)
BODIES: Final = st.binary(max_size=60) | (DOCUMENTS | VALUES).map(lambda value: json.dumps(value).encode())
REPLIES: Final = st.builds(
    Reply,
    st.integers(100, 999),
    st.fixed_dictionaries({}, optional={"Retry-After": TEXTS}),
    BODIES,
    st.none() | st.just("it ended too early"),
)


@given(st.sampled_from(JUDGES), REPLIES, st.lists(TEXTS, max_size=3))
def test_every_answer_is_judged_and_proves_no_more_than_it_says(judge: Judge, this: Reply, hidden: list[str]) -> None:
    verdict = judge(this, now=NOW, hidden=hidden)
    if isinstance(verdict, Edited | Observed | Balance):
        assert 200 <= this.status < 300
        assert this.cut is None
    elif isinstance(verdict, Missing):
        assert 404 == this.status
    else:
        assert isinstance(verdict, Failed)
        assert verdict.reason.isprintable()
        assert verdict.retry_after is None or verdict.retry_after >= 0
        # What is not proven to have been refused may have been carried out.
        clean = answers.doubt(this) is None
        assert judge is not judge_edit or verdict.possible == (not (400 <= this.status < 500 and clean))


@given(st.sampled_from(JUDGES), st.booleans(), st.text(), st.booleans())
def test_every_failure_is_judged(judge: Judge, sent: bool, reason: str, certificate: bool) -> None:  # noqa: FBT001  # hypothesis gives them
    verdict = judge(Failure(sent, reason, certificate), now=NOW)
    assert isinstance(verdict, Failed)
    assert (sent, reason) == (verdict.possible, verdict.reason)
