"""The content of a balance, in euros and in messages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from provisioner.sandbox.wallet import balance
from tests.sandbox import calls
from tests.sandbox.calls import PARENT

if TYPE_CHECKING:
    from provisioner.sandbox import Sandbox

PREMIUM = "country_code=FR&product_name=sms_premium"


def test_it_is_in_euros() -> None:
    assert {"amount": 12.54, "unit": "euros"} == balance(1254, "")


def test_details_have_the_documented_shape() -> None:
    pack = {"wallet_pack_id": 1, "credit": 12.54, "expiration_date": "2030-10-23T13:41:46+02:00"}
    assert {"amount": 12.54, "unit": "euros", "wallet_packs": [pack]} == balance(1254, "with_details=true")
    assert datetime.fromisoformat(pack["expiration_date"]).tzinfo is not None


def test_of_a_product_it_is_in_messages() -> None:
    answer = balance(1254, f"{PREMIUM}&with_details=true")
    pack = {"wallet_pack_id": 1, "credit": 209, "expiration_date": "2030-10-23T13:41:46+02:00"}
    assert {"amount": 209, "unit": "sms_premium", "wallet_packs": [pack]} == answer


def test_who_has_nothing_has_no_pack() -> None:
    assert {"amount": 0.0, "unit": "euros", "wallet_packs": []} == balance(0, "with_details=true")


@pytest.mark.parametrize(
    "query",
    [
        *("with_details=1", "with_details=false", "with_details=True", "with_details"),
        *(
            "country_code=FR",
            "product_name=sms_premium",
            "country_code=FR&product_name=",
            "country_code=&product_name=x",
        ),
        *("country_code=FRA&product_name=sms_premium", "country_code=FR&product_name=<b>", "other=1"),
    ],
)
def test_what_it_does_not_understand_is_ignored(query: str) -> None:
    assert {"amount": 12.54, "unit": "euros"} == balance(1254, query)


def test_it_is_asked_for_in_the_address(sandbox: Sandbox) -> None:
    answer = calls.balance(sandbox, PARENT, f"?{PREMIUM}").json()
    assert {"amount": 209, "unit": "sms_premium"} == answer
