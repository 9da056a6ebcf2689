"""The forms in which an API may echo a secret, and the parts of a message that stay readable."""

from __future__ import annotations

import base64
import html
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.account import MASK
from provisioner.octopush.masking import masked

SECRET: Final = "Gioconda/1503+Été"
KEY: Final = "parent-key-3f9c1b7e5d"
LOGIN: Final = "abc_1f2@sub-accounts.com"


@pytest.mark.parametrize(
    "echo",
    [
        *(SECRET, SECRET.upper(), SECRET.lower(), SECRET.swapcase(), f"x{SECRET}y", f'"{SECRET}"', f"({SECRET})."),
        *(SECRET[:8], SECRET[:5], SECRET[-8:], SECRET[4:12], SECRET[:-1]),
        *(quote(SECRET), quote(quote(SECRET, safe=""), safe=""), "".join(f"%{each:02x}" for each in SECRET.encode())),
        *("".join(f"\\u{ord(each):04x}" for each in SECRET), "".join(f"&#{ord(each)};" for each in SECRET)),
        *(html.escape(SECRET), SECRET.encode().hex(), SECRET.encode("unicode_escape").decode()),
        *(base64.b64encode(SECRET.encode()).decode(), base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")),
        *(base64.b64encode(f"{'u' * shift}:{SECRET}".encode()).decode() for shift in range(4)),
        f"password={base64.b64encode(SECRET.encode()).decode()}",
        quote(base64.b64encode(SECRET.encode()).decode()),
        " ".join(SECRET),
        "\u200b".join(SECRET),
        "\n".join(SECRET),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(echo: str) -> None:
    shown = masked(f"The value {echo} is wrong", (SECRET,))
    assert MASK in shown
    assert "ocond" not in shown.casefold()
    assert echo not in shown


@pytest.mark.parametrize(
    ("secret", "echo"),
    [
        *(("pa=ss=WordLetters", each) for each in ("ss=WordLett", "WordLetters", "pa=ss=W")),
        *(("UGFyZW50S2V5Rm9y=", each) for each in ("UGFyZW", "ParentKeyFor")),
        *(("Correct Horse Battery", each) for each in ("Horse", "ct Horse Ba", "BATTERY")),
        ("hello%20worlds%21", "hello worlds!"),
    ],
)
def test_no_sign_in_a_secret_gives_its_parts_away(secret: str, echo: str) -> None:
    shown = masked(f"For {echo}, no.", (secret,))
    assert MASK in shown
    assert not any(len(each) >= 4 and each in shown for each in echo.split())


@pytest.mark.parametrize("word", [LOGIN, "sms@example.com", "3f9c1b7e5d", "sub-key-77", "u1:k2345678"])
def test_whatever_may_be_a_login_or_a_key_is_hidden_though_nobody_named_it(word: str) -> None:
    assert f"For {MASK}, no." == masked(f"For {word}, no.", ())


@pytest.mark.parametrize(
    "text",
    [
        "The field first_name is too long: 30 characters at most.",
        "callbacks.callback_url_for_visits must be an address, as in hooks.example.com/dlr.",
        "La limite de sous-comptes est atteinte (20/20), depuis le 2025-06-01.",
        "This sub-account is unknown.",
    ],
)
def test_what_is_not_a_secret_stays_readable(text: str) -> None:
    assert text == masked(text, (SECRET, KEY, "parent@example.com", "?v=1&t=2", "", "x" * 40))


@given(
    st.text(st.characters(codec=None), max_size=40),
    st.lists(st.text(st.characters(codec=None), max_size=12), max_size=3),
)
def test_any_text_can_be_shown_and_holds_no_secret_of_some_length(text: str, hidden: list[str]) -> None:
    shown = masked(f"{text}{''.join(hidden)}", hidden)
    assert shown.isprintable()
    assert not any(len(each) > len(MASK) and each in shown for each in hidden)


def test_a_long_text_takes_no_long_time_and_no_word_of_it_is_cut() -> None:
    assert len(masked("ab " * 30_000, ("secret-77",))) <= 4000
    assert MASK == masked("x" * 60_000, ("secret-77",))
