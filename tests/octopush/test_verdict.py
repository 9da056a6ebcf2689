"""The table of verdicts: what proves that an account exists, what proves that it does not, and what leaves a doubt."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import ExitCode
from provisioner.model.account import Credentials, Secret
from provisioner.model.verdict import Answer, Created, NotCreated, OutcomeUnknown, Then, Verdict
from provisioner.octopush.transport import Failure, Reply
from provisioner.octopush.verdict import judge

NOW: Final = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)
LOGIN: Final = "abc_1f2@sub-accounts.com"
BOTH: Final = {"api_key": "sub-key-77", "api_login": LOGIN}


def judged(
    status: int, body: object = b"", *hidden: str, retry_after: str | None = None, cut: str | None = None
) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return judge(Reply(status, headers, raw, cut), now=NOW, hidden=hidden)


def refused(status: int, body: object = b"", *hidden: str) -> NotCreated:
    verdict = judged(status, body, *hidden)
    assert isinstance(verdict, NotCreated)
    return verdict


def in_doubt(status: int, body: object = b"", cut: str | None = None) -> OutcomeUnknown:
    verdict = judged(status, body, cut=cut)
    assert isinstance(verdict, OutcomeUnknown)
    return verdict


UNREACHED = "Check that OCTOPUSH_API_URL and the proxy, if you use one, are right and can be reached from here."


# ── No answer ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (
            Failure(sent=False, reason="the connection was refused"),
            NotCreated("the connection was refused, before the request was sent", Then.RETRY, hint=UNREACHED),
        ),
        (
            Failure(sent=True, reason="the connection was reset"),
            OutcomeUnknown("the connection was reset, after the request was sent"),
        ),
        (
            Failure(sent=True, reason="what?", certificate=True),
            OutcomeUnknown("what?, after the request was sent"),
        ),
    ],
)
def test_how_far_the_request_came_decides(failure: Failure, expected: Verdict) -> None:
    assert expected == judge(failure, retry_on_503=True, now=NOW)


def test_a_certificate_that_is_not_valid_stops_the_run() -> None:
    verdict = judge(Failure(sent=False, reason="not valid", certificate=True), retry_on_503=True, now=NOW)
    assert isinstance(verdict, NotCreated)
    assert ("not valid", Then.STOP) == (verdict.reason, verdict.then)
    assert "ca_file" in verdict.hint


# ── 2xx ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("more", [{}, {"code": 0}, {"code": "0"}, {"code": None}, {"message": "Welcome"}])
def test_a_201_with_both_credentials_is_created(more: dict[str, object]) -> None:
    assert Created(Credentials(LOGIN, Secret("sub-key-77"))) == judged(201, BOTH | more)


@pytest.mark.parametrize("status", [200, 202, 203, 206, 299])
def test_another_2xx_with_both_credentials_is_created_with_a_warning(status: int) -> None:
    warning = f"created, though the API answered HTTP {status}"
    assert Created(Credentials(LOGIN, Secret("sub-key-77")), warning) == judged(status, BOTH)


UNUSABLE_KEYS: Final = ("a\nb", "a\r", "a\0b", "a\x7f", "a\x85b", "half \ud800", "clé", " a", "a\u200b", "x" * 5000)
UNUSABLE_LOGINS: Final = (
    *UNUSABLE_KEYS,
    *("..", ".", "...", "../create", "a/b", "a\\b", "a?b=c", "a#b", "a%2fb", "a b", "a\tb"),
)
KEY_TWICE: Final = b'{"api_key": "one", "api_key": "two", "api_login": "abc"}'
SOMETHING_TWICE: Final = b'{"api_key": "one", "api_login": "abc", "secret": 1, "secret": 2}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not JSON"),
        (b"<html>It works!</html>", "is a web page"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"[" * 60_000, "is not JSON"),
        (b"1" * 5000, "is not JSON"),
        (json.dumps(BOTH).encode()[:-1], "is not JSON"),
        ([BOTH], "is not a JSON object"),
        (None, "is not a JSON object"),
        ({}, "lacks a credential"),
        ({"api_login": LOGIN}, "lacks a credential"),
        ({"api_key": "sub-key-77"}, "lacks a credential"),
        (BOTH | {"api_key": ""}, "lacks a credential"),
        (BOTH | {"api_key": " \t\n"}, "lacks a credential"),
        (BOTH | {"api_login": " "}, "lacks a credential"),
        (BOTH | {"api_key": None}, "lacks a credential"),
        (BOTH | {"api_key": 77}, "lacks a credential"),
        (BOTH | {"api_login": [LOGIN]}, "lacks a credential"),
        *((BOTH | {"api_key": key}, "has an api_key that cannot be used") for key in UNUSABLE_KEYS),
        *((BOTH | {"api_login": login}, "has an api_login that cannot be used") for login in UNUSABLE_LOGINS),
        (json.dumps(BOTH | {"amount": float("nan")}).encode(), "is not JSON"),
        (json.dumps(BOTH | {"amount": float("-inf")}).encode(), "is not JSON"),
        ({"account": BOTH}, "lacks a credential"),
        (KEY_TWICE, "repeats api_key"),
        (KEY_TWICE.replace(b"key", b"login"), "repeats api_login"),
        (SOMETHING_TWICE, "repeats a key"),
        (BOTH | {"code": 121}, "carries an error"),
        (BOTH | {"code": "E1", "message": "No."}, "carries an error"),
        (BOTH | {"code": ""}, "carries an error"),
        (BOTH | {"code": [0]}, "carries an error"),
        (BOTH | {"code": True}, "carries an error"),
    ],
)
def test_a_2xx_that_does_not_prove_an_account_is_in_doubt_and_kept(body: object, reason: str) -> None:
    verdict = in_doubt(201, body)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert f"HTTP 201, but the answer {reason}" == verdict.reason
    assert (Answer(201, raw) if raw else None) == verdict.answer


def test_what_the_api_says_is_told_apart_from_the_reason_that_the_state_holds_in_clear() -> None:
    assert ", code E1: No" == in_doubt(201, BOTH | {"code": "E1", "message": "No."}).api_message


def test_what_the_api_says_never_repeats_what_else_its_answer_holds() -> None:
    body = BOTH | {"code": 5, "message": f"Created the key {BOTH['api_key']} for {BOTH['api_login']}, mail not sent."}
    assert ", code 5: Created the key *** for ***, mail not sent" == in_doubt(201, body).api_message


def test_a_message_of_any_length_is_judged_at_once() -> None:
    begun = time.process_time()
    assert Then.GO_ON == refused(400, {"message": "a" * 8_000}).then
    assert time.process_time() - begun < 1


def test_a_field_that_is_too_long_is_not_the_limit() -> None:
    verdict = refused(400, {"message": "Sub-account first_name exceeds the maximum length"})
    assert Then.GO_ON is verdict.then


def test_a_cut_2xx_is_in_doubt_even_where_it_can_be_read() -> None:
    verdict = in_doubt(201, BOTH, cut="it ended too early")
    assert "HTTP 201, but the answer was cut: it ended too early" == verdict.reason
    assert Answer(201, json.dumps(BOTH).encode()) == verdict.answer


# ── Everything else ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "why"),
    [
        *((status, "no final answer") for status in (100, 101, 103, 199)),
        *((status, "redirected to another address, which is not followed") for status in (300, 302, 307, 399)),
        *((status, "it may have created the account before it failed") for status in (500, 502, 503, 504, 599, 600)),
    ],
)
def test_what_proves_nothing_is_in_doubt_and_kept(status: int, why: str) -> None:
    body = {"code": 7, "message": "Hm."}
    kept = Answer(status, json.dumps(body).encode())
    assert OutcomeUnknown(f"the API answered HTTP {status}: {why}", kept, ", code 7: Hm") == judged(status, body)
    assert OutcomeUnknown(f"the API answered HTTP {status}: {why}") == judged(status)


@pytest.mark.parametrize("status", [400, 406, 409, 410, 413, 415, 418, 422, 451, 460, 499])
def test_a_refusal_goes_on(status: int) -> None:
    assert NotCreated(f"the API refused it (HTTP {status})", Then.GO_ON) == refused(status)


@pytest.mark.parametrize(
    ("status", "body", "typed", "what"),
    [
        (404, b"", "", "the API has no such call at this address"),
        (405, b'{"code": 1}', "application/json", "the API has no such call at this address"),
        (404, b"404 page not found", "text/plain", "the API has no such call at this address"),
        (404, b"<!DOCTYPE html>", "text/html", "a web page answered instead of the API"),
        (400, b"\xef\xbb\xbf \r\n<html>", "", "a web page answered instead of the API"),
        (403, b"Forbidden", "text/HTML; charset=utf-8", "a web page answered instead of the API"),
        (413, b"<?xml version='1.0'?>", "application/xml", "a web page answered instead of the API"),
    ],
)
def test_an_answer_that_is_not_the_apis_stops_the_run_and_asks_for_the_address(
    status: int, body: bytes, typed: str, what: str
) -> None:
    verdict = judge(Reply(status, {"Content-Type": typed}, body), now=NOW)
    assert isinstance(verdict, NotCreated)
    assert verdict.reason.startswith(f"{what} (HTTP {status}")
    assert (Then.STOP, ExitCode.SETTING_INVALID) == (verdict.then, verdict.exit_code)
    assert "https://api.octopush.com/v1/public" in verdict.hint


def test_json_that_calls_itself_a_page_is_an_answer_of_the_api() -> None:
    verdict = judge(Reply(400, {"Content-Type": "text/html"}, b'{"code": 7}'), now=NOW)
    assert NotCreated("the API refused it (HTTP 400, code 7)", Then.GO_ON) == verdict


def test_a_gateway_that_says_with_a_page_that_it_is_busy_is_asked_again() -> None:
    assert Then.RETRY is refused(429, b"<html>Too many</html>").then


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_not_accepted_stop_the_run(status: int) -> None:
    verdict = refused(status)
    assert f"the API did not accept the parent's credentials (HTTP {status})" == verdict.reason
    assert (Then.STOP, ExitCode.SETTING_INVALID) == (verdict.then, verdict.exit_code)
    assert "OCTOPUSH_API_KEY" in verdict.hint


def test_payment_required_stops_the_run() -> None:
    verdict = refused(402)
    assert ("the API asks for payment (HTTP 402)", Then.STOP) == (verdict.reason, verdict.then)
    assert "balance" in verdict.hint


@pytest.mark.parametrize(
    "message",
    [
        "The limit of sub-accounts of this user is reached.",
        "Maximum number of subaccounts reached",
        "SUB ACCOUNT QUOTA EXCEEDED",
        "too many\nsub_accounts",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 409, 422])
def test_a_refusal_that_speaks_of_the_limit_stops_the_run(status: int, message: str) -> None:
    verdict = refused(status, {"code": 150, "message": message})
    assert verdict.reason.startswith(f"the API refused one more sub-account (HTTP {status}, code 150: ")
    assert (Then.STOP, ExitCode.REFUSED) == (verdict.then, verdict.exit_code)
    assert "`limit`" in verdict.hint
    assert "`reserved`" in verdict.hint


@pytest.mark.parametrize("message", ["The first name is over the limit.", "This sub-account exists."])
def test_half_of_what_speaks_of_the_limit_does_not(message: str) -> None:
    assert Then.GO_ON == refused(400, {"message": message}).then


@pytest.mark.parametrize("status", [408, 421, 425, 429])
def test_what_was_not_processed_is_tried_again_even_where_it_speaks_of_a_limit(status: int) -> None:
    body = {"message": "The limit of sub-accounts per minute is reached."}
    reason = f"the API asked to try later (HTTP {status}, The limit of sub-accounts per minute is reached)"
    assert NotCreated(reason, Then.RETRY) == refused(status, body)


@pytest.mark.parametrize("status", [408, 421, 425, 429])
def test_what_a_gateway_is_not_trusted_to_have_kept_back_is_in_doubt(status: int) -> None:
    reply = Reply(status, {}, b'{"code": 7}')
    why = f"the API answered HTTP {status}: it may have created the account anyway"
    assert OutcomeUnknown(why, Answer(status, reply.body), ", code 7") == judge(reply, retry_on_429=False, now=NOW)


HELD: Final[tuple[object, ...]] = (
    BOTH,
    {"api_key": "k"},
    {"api_login": "abc"},
    {"code": 9, "message": "Slow down.", "data": [{"account": {"apiKey": "sub-key-77", "API-LOGIN": "abc"}}]},
    {"sub_account_login": LOGIN},
    {"api_key": "sub\r\nkey"},
    {"api_key": "sub*key"},
    {"message": f"The account {LOGIN} was made."},
    {"message": "Made, with api_key: 'sub-key-77'."},
    {"raw": json.dumps({"account": json.dumps(BOTH)})},
    [[[BOTH]]],
    b'{"api_key": "", "api_key": "sub-key-77"}',
    json.dumps(BOTH).encode()[:-2],
    f"<p>api_login = {LOGIN}</p>".encode(),
    b"api_key=sub-key-77&api_login=abc",
    json.dumps(BOTH).encode("utf-16"),
)
NOT_HELD: Final[tuple[object, ...]] = (
    {"code": 101, "message": "Wrong api_login or api_key."},
    {"message": "api_key: invalid"},
    {"errors": {"api_key": ["This value is missing."], "api_login": None}},
    {"api_login": "Parent@example.com", "message": "api_login: parent@example.com."},
    {"api_key": "pare***"},
    {"api_key": "", "api_login": " "},
    b"api_key missing",
    b"",
)


@pytest.mark.parametrize("status", [300, 400, 401, 404, 408, 409, 421, 425, 429, 499, 500, 503])
@pytest.mark.parametrize("body", HELD)
def test_whatever_the_status_an_answer_with_a_login_or_a_key_is_in_doubt_and_kept(status: int, body: object) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    verdict = judge(Reply(status, {}, raw), retry_on_503=True, now=NOW)
    assert OutcomeUnknown(
        f"the API answered HTTP {status}, and the answer contains a login or a key", Answer(status, raw)
    ) == (verdict)


@pytest.mark.parametrize("body", NOT_HELD)
def test_words_about_a_login_or_a_key_are_none(body: object) -> None:
    assert Then.STOP is refused(401, body, "parent@example.com", "parent-key").then


@pytest.mark.parametrize("status", [400, 401, 409, 429, 503])
def test_a_refusal_that_was_not_read_whole_proves_nothing(status: int) -> None:
    cut = Reply(status, {}, b'{"co', "it ended too early")
    reason = f"the API answered HTTP {status}: the answer was cut: it ended too early"
    assert OutcomeUnknown(reason, Answer(status, b'{"co')) == judge(cut, retry_on_503=True, now=NOW)
    packed = gzip.compress(json.dumps(BOTH).encode())
    for headers, body in (
        ({"Content-Encoding": "GZIP"}, b"\x1f"),
        ({"Transfer-Encoding": "gzip, chunked"}, b"x"),
        ({}, packed),
    ):
        verdict = judge(Reply(status, headers, body), retry_on_503=True, now=NOW)
        assert isinstance(verdict, OutcomeUnknown)
        assert "compressed" in verdict.reason


@pytest.mark.parametrize("status", [400, 401, 409, 429, 503])
@pytest.mark.parametrize(
    "body", [b'{"code": 7, "x": NaN}', b'{"code": 7, "code": 8}', b'[{"api_key": "sub-k', b'{"a": ' * 9000]
)
def test_a_refusal_in_broken_json_proves_nothing(status: int, body: bytes) -> None:
    verdict = judge(Reply(status, {}, body), retry_on_503=True, now=NOW)
    assert isinstance(verdict, OutcomeUnknown)
    assert f"the API answered HTTP {status}: the answer is broken JSON" == verdict.reason
    assert Answer(status, body) == verdict.answer


@pytest.mark.parametrize(
    "body", [b'{"message": "Pr\xe9nom"}', "{}".encode("utf-16"), b"\xef\xbb\xbf{}", b"Pr\xe9nom", b"[error] No."]
)
def test_a_refusal_in_another_encoding_or_in_plain_words_is_one(body: bytes) -> None:
    assert isinstance(judge(Reply(400, {}, body), now=NOW), NotCreated)


def test_a_page_that_is_too_long_is_still_a_page() -> None:
    assert isinstance(judge(Reply(404, {}, b"<html>", "it is larger than 65536 bytes"), now=NOW), NotCreated)


def test_a_503_is_tried_again_only_where_a_gateway_guarantees_it() -> None:
    reply = Reply(503, {"Retry-After": "3"}, b"")
    expected = NotCreated("the API is not available (HTTP 503)", Then.RETRY, 3.0)
    assert expected == judge(reply, retry_on_503=True, now=NOW)
    assert isinstance(judge(reply, now=NOW), OutcomeUnknown)
    assert isinstance(judge(Reply(502, {}, b""), retry_on_503=True, now=NOW), OutcomeUnknown)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("999999999", 999999999.0),
        ("9999999999", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("1, 2", None),
        ("Sun, 01 Jun 2025 12:00:30 GMT", 30.0),
        ("Sun, 01 Jun 2025 14:00:30 +0200", 30.0),
        ("Sun, 01 Jun 2025 12:00:30 -0000", 30.0),
        ("Sun, 01 Jun 2025 11:00:00 GMT", 0.0),
        ("Sun, 01 Jun 99999999999 12:00:30 GMT", None),
        ("Sun, 01 Jun 2025 12:00:30 +99999999999999999", None),
        ("Sun, 99 Jun 2025 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    verdict = judged(429, retry_after=text)
    assert isinstance(verdict, NotCreated)
    assert seconds == verdict.retry_after


# ── What is repeated of an answer ────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"code": 121, "message": "Wrong."}, ", code 121: Wrong"),
        ({"code": 121}, ", code 121"),
        ({"message": "Wrong."}, ", Wrong"),
        ({"code": None, "message": ["Wrong."]}, ""),
        ({"error": "Wrong."}, ""),
        (["Wrong."], ""),
        (b"Wrong.", ""),
        (b"[" * 60_000, ""),
        ({"code": "\x1b[J" + "c" * 99}, f", code  [J{'c' * 37}"),
        ({"message": "m\n\x1b];" + "m" * 999}, f", m  ];{'m' * 295}"),
    ],
)
def test_a_reason_repeats_code_and_message_alone_and_fit_for_a_terminal(body: object, said: str) -> None:
    assert f"the API refused it (HTTP 400{said})" == refused(400, body).reason


@pytest.mark.parametrize("what", ["code", "message"])
def test_what_the_request_carried_is_masked(what: str) -> None:
    hidden = ("Gioconda", "", "Gioconda-1503", "t=token")
    verdict = refused(400, {what: "Gioconda-1503, Gioconda and t=token"}, *hidden)
    assert "***, *** and ***)" == verdict.reason[-17:]


def test_a_text_is_masked_before_it_is_shortened() -> None:
    verdict = refused(400, {"message": "x" * 295 + "Gioconda-1503"}, "Gioconda-1503")
    assert "***)" == verdict.reason[-4:]


def test_the_body_that_is_kept_is_not_shown() -> None:
    assert "sub-key-77" not in repr(in_doubt(500, BOTH))
    assert "sub-key-77" not in repr(judged(201, BOTH))


# ── Totality ─────────────────────────────────────────────────────────────────

TEXTS: Final = st.text(st.characters(codec=None), max_size=8)
VALUES: Final = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.lists(TEXTS, max_size=2))
NAMES: Final = st.sampled_from(["api_key", "api_login", "code", "message", "other"])
PAIRS: Final = st.lists(st.tuples(NAMES, VALUES | st.just("plain")), max_size=5)


def document(pairs: list[tuple[str, object]]) -> bytes:
    return f"{{{', '.join(f'{json.dumps(name)}: {json.dumps(value)}' for name, value in pairs)}}}".encode()


BODIES: Final = st.one_of(
    st.binary(max_size=60),
    PAIRS.map(document),
    PAIRS.map(lambda pairs: document([*pairs, ("api_key", "key"), ("api_login", "login")])),
    VALUES.map(lambda value: json.dumps(value).encode()),
)
DATES: Final = st.from_regex(
    r"(Sun, )?[0-9]{1,20} Jun [0-9]{1,20} [0-9]{1,9}:[0-9]{1,3}:[0-9]{1,3} ([+-][0-9]{1,20}|GMT)"
)
REPLIES: Final = st.builds(
    Reply,
    st.integers(100, 999),
    st.fixed_dictionaries({}, optional={"Retry-After": TEXTS | DATES}),
    BODIES,
    st.none() | st.just("it ended too early"),
)


def is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.encode(errors="replace").decode() == value


@given(REPLIES, st.booleans(), st.lists(TEXTS, max_size=3))
def test_every_answer_has_a_verdict_and_none_is_taken_for_more_than_it_proves(
    reply: Reply,
    retry_on_503: bool,  # noqa: FBT001  # hypothesis gives it
    hidden: list[str],
) -> None:
    verdict = judge(reply, retry_on_503=retry_on_503, now=NOW, hidden=hidden)
    if isinstance(verdict, Created):
        content = json.loads(reply.body)
        assert 200 <= reply.status < 300
        assert reply.cut is None
        assert verdict.credentials == Credentials(content["api_login"], Secret(content["api_key"]))
        assert is_text(content["api_login"])
        assert is_text(content["api_key"])
        assert not content.get("code") or content["code"] == "0"
    elif isinstance(verdict, NotCreated):
        assert 400 <= reply.status < 500 or (reply.status == 503 and retry_on_503)
        assert verdict.retry_after is None or verdict.retry_after >= 0
        assert verdict.reason.isprintable()
        assert b"api_key" not in reply.body or b"plain" not in reply.body
    else:
        assert verdict.answer == (Answer(reply.status, reply.body) if reply.body else None)
        assert verdict.reason.isprintable()


@given(st.booleans(), st.text(), st.booleans(), st.booleans())
def test_every_failure_has_a_verdict(sent: bool, reason: str, certificate: bool, retry_on_503: bool) -> None:  # noqa: FBT001  # hypothesis gives them
    verdict = judge(Failure(sent, reason, certificate), retry_on_503=retry_on_503, now=NOW)
    assert isinstance(verdict, OutcomeUnknown if sent else NotCreated)
