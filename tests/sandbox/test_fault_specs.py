"""How a fault is specified, and which requests it strikes."""

from __future__ import annotations

import pytest

from provisioner.errors import CommandInvalid
from provisioner.sandbox import FAULT_HELP, parse_fault
from provisioner.sandbox.faults import FIELDS, KINDS
from provisioner.sandbox.request import Endpoint


@pytest.mark.parametrize(
    ("when", "struck"),
    [("3", {3}), ("3-5", {3, 4, 5}), ("8-", {8, 9, 10}), ("*", set(range(1, 11))), ("100%", set(range(1, 11)))],
)
def test_when_counts_from_one(when: str, struck: set[int]) -> None:
    fault = parse_fault(f"500@{when}")
    assert {number for number in range(1, 11) if fault.strikes(Endpoint.CREATE, number)} == struck


def test_a_share_with_a_seed_strikes_the_same_requests_every_time() -> None:
    def struck(spec: str) -> set[int]:
        fault = parse_fault(spec)
        return {number for number in range(1, 1001) if fault.strikes(Endpoint.CREATE, number)}

    assert struck("500@10%/42") == struck("500@10%/42")
    assert struck("500@10%/42") != struck("500@10%/43")
    assert struck("500@10%") != struck("500@10%")
    assert 60 < len(struck("500@10%/42")) < 140


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "lost",
        "@1",
        "gone@1",
        "lost@",
        "lost@0",
        "lost@5-3",
        "lost@0%",
        "lost@101%",
        "lost@1:delete",
        "lost=1@1",
        "delay@1",
        "delay=@1",
        "delay=soon@1",
        "huge=-1@1",
        "1xx=200@1",
        "redirect=ftp://x.example@1",
        "429=a\r\nb@1",
        "600@1",
        "399@1",
        "204@1",
        "٤٠٠@1",
        "drop@1",
        "drop=@1",
        "drop=api_key@1",
        "drop=callback@1",
        "drop=first_name@1:read",
        "drop=first_name@1:balance",
        "ignored@1",
        "ignored@1:create",
        "ignored@1:read",
        "ignored=first_name@1:edit",
    ],
)
def test_a_fault_that_cannot_be_understood_is_explained(spec: str) -> None:
    with pytest.raises(CommandInvalid) as raised:
        parse_fault(spec)
    assert repr(spec) in raised.value.message
    assert raised.value.hint == FAULT_HELP


def test_the_help_names_every_kind() -> None:
    assert all(kind.shown in FAULT_HELP and kind.text in FAULT_HELP for kind in KINDS)
    assert all(name in FAULT_HELP for name in FIELDS)
