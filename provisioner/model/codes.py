"""The codes in the answers of Octopush's API, and what is known about each.

Owns the facts and how certain each one is. Judges nothing: the HTTP status of an
answer decides, and its code only explains.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from provisioner.immutable import immutable


class Evidence(Enum):
    """How we know what a code means."""

    DOCUMENTED = "Octopush documents it for sending messages."
    OLD_CLIENT = "Older client programs use it for sub-accounts: that it still means this is likely, not certain."


@immutable
class Code:
    """One code of the API."""

    meaning: str
    todo: str
    source: Evidence


WRONG_CREDENTIALS: Final = 101
CODES: Final[Mapping[int, Code]] = MappingProxyType(
    {
        WRONG_CREDENTIALS: Code("wrong login or key", "Check the parent's login and key.", Evidence.DOCUMENTED),
        104: Code("no credit left", "Buy credit for the parent at Octopush.", Evidence.DOCUMENTED),
        105: Code(
            "not enough credit until an order is validated",
            "Wait until Octopush has validated your order, or ask them.",
            Evidence.DOCUMENTED,
        ),
        106: Code("wrong sender", "Correct the sender.", Evidence.DOCUMENTED),
        113: Code("the account is not validated", "Have Octopush validate the parent's account.", Evidence.DOCUMENTED),
        114: Code("the account is under investigation for fraud", "Ask Octopush's support.", Evidence.DOCUMENTED),
        120: Code(
            "this request_id was sent before",
            "This program sends none: ask whoever runs the proxy or gateway between you and Octopush.",
            Evidence.DOCUMENTED,
        ),
        201: Code(
            "sub-accounts are available on request only",
            "Ask Octopush to open them for the parent's account.",
            Evidence.OLD_CLIENT,
        ),
        202: Code("wrong e-mail address", "Correct the e-mail address.", Evidence.OLD_CLIENT),
        203: Code("a transfer token is in use", "Wait until that transfer has ended.", Evidence.OLD_CLIENT),
        204: Code("wrong transfer token", "Ask for a new token.", Evidence.OLD_CLIENT),
        205: Code("the amount is too low", "Transfer more at once.", Evidence.OLD_CLIENT),
        206: Code(
            "no campaigns during a transfer of credit", "Wait until the transfer has ended.", Evidence.OLD_CLIENT
        ),
        207: Code("no access", "Ask Octopush whether the parent's account may do this.", Evidence.OLD_CLIENT),
        210: Code(
            "not one of your sub-accounts",
            "Check the login, and whether it belongs to this parent or to another.",
            Evidence.OLD_CLIENT,
        ),
    }
)
"""What each code means. For any other, such as 121, there is only the message in the answer."""
