"""What is in any answer: the words of an error, ``Retry-After``, the JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.octopush import answers
from provisioner.octopush.answers import RepeatedKeyError, is_whole, retry_after, unique, words
from provisioner.octopush.transport import Reply

NOW: Final = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)


def reply(body: object = b"", **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(400, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"code": 121, "message": "Wrong!."}, ", code 121: Wrong"),
        ({"code": "E1"}, ", code E1"),
        ({"message": "Wrong "}, ", Wrong"),
        ({"code": 1.5, "message": 7}, ""),
        ({}, ""),
        ([{"code": 121}], ""),
        (b"\xff", ""),
        (b"[" * 60_000, ""),
        ({"code": "c" * 99, "message": "m" * 999}, f", code {'c' * 40}: {'m' * 300}"),
        ({"message": "half \ud800\x1b[2J"}, ", half   [2J"),
        ({"code": 210, "message": "No."}, ", code 210 (not one of your sub-accounts): No"),
        ({"code": 210, "message": "Not one of your sub-accounts!"}, ", code 210: Not one of your sub-accounts"),
        ({"code": "113"}, ", code 113 (the account is not validated)"),
        ({"message": "Made abc for you", "data": [{"api_login": "abc"}]}, ", Made *** for you"),
    ],
)
def test_code_and_message_alone_are_repeated(body: object, said: str) -> None:
    assert said == words(reply(body), ())


def test_what_is_hidden_is_masked_the_longest_first_and_before_anything_is_cut() -> None:
    assert ", code ***: ***, *** and" == words(reply({"code": "ab", "message": "abc, ab and"}), ("ab", "", "abc"))
    assert words(reply({"message": "x" * 298 + "s3cret"}), ("s3cret",)).endswith("x**")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("9999999999", None),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("Sun, 01 Jun 2025 12:00:30 GMT", 30.0),
        ("Sun, 01 Jun 2025 12:00:30 -0000", 30.0),
        ("Sun, 01 Jun 2025 11:00:00 GMT", 0.0),
        ("Sun, 99 Jun 2025 12:00:30 GMT", None),
    ],
)
def test_a_wish_to_be_asked_later_is_in_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert seconds == retry_after(reply(Retry_After=text), NOW)


def test_without_retry_after_there_is_no_wait() -> None:
    assert retry_after(reply(), NOW) is None


@given(st.dictionaries(st.text(), st.integers()))
def test_an_object_without_a_repeated_key_is_itself(document: dict[str, int]) -> None:
    assert document == unique(list(document.items()))


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([("api_key", 1), ("api_key", 1)], "api_key"),
        ([("api_login", 1), ("x", 1), ("api_login", 2)], "api_login"),
        ([("s3cret", 1), ("s3cret", 2)], "a key"),
    ],
)
def test_a_repeated_key_is_named_only_if_it_is_a_credential_s(pairs: list[tuple[str, int]], named: str) -> None:
    with pytest.raises(RepeatedKeyError) as caught:
        unique(pairs)
    assert named == str(caught.value)


@given(st.text(st.characters(codec=None)))
def test_half_of_a_character_is_what_cannot_be_sent(text: str) -> None:
    assert is_whole(text) == (text.encode(errors="replace").decode() == text)


def test_a_redirect_is_not_a_success() -> None:
    assert 300 == answers.ACCEPTED
