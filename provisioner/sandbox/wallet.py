"""The content of a balance: an amount with its unit and, on request, the packs that it consists of.

Has the made-up amounts. No credit is ever spent or moved.

- documented by Octopush: ``amount`` and ``unit``, euros unless a product is named;
  ``country_code`` with ``product_name`` gives the balance in messages of that product,
  whose name is then the unit; ``with_details=true``, and nothing else, adds
  ``wallet_packs``, each with ``wallet_pack_id``, ``credit`` and the ``expiration_date``
  after which it is lost.
- guessed: the price of a message; that a pack's credit has the unit of the amount, and
  its id is a number; that without credit there is no pack; that ``country_code`` or
  ``product_name`` alone, or an invalid one, is ignored.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs

PARENT_CENTS: Final = 1254
MESSAGE_CENTS: Final = 6
PACK: Final = 1
EXPIRATION: Final = "2030-10-23T13:41:46+02:00"


def balance(cents: int, query: str) -> dict[str, object]:
    """Return the balance of an account with ``cents``, in the form that the ``query`` of a target asks for."""
    given = parse_qs(query) if query else {}
    product = _product(given)
    amount = cents / 100 if product is None else cents // MESSAGE_CENTS
    document: dict[str, object] = {"amount": amount, "unit": product or "euros"}
    if given.get("with_details") == ["true"]:
        pack = {"wallet_pack_id": PACK, "credit": amount, "expiration_date": EXPIRATION}
        document["wallet_packs"] = [pack] if cents else []
    return document


def _product(given: dict[str, list[str]]) -> str | None:
    match given:
        case {"country_code": [country], "product_name": [product]}:
            if re.fullmatch(r"[A-Za-z]{2}", country) and re.fullmatch(r"[a-z0-9_]{1,40}", product):
                return product
    return None
