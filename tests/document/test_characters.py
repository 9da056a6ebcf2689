"""Characters: decoding, naming, and the rule for plain text."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.document import character, decoded, shown, text_fault


@pytest.mark.parametrize(
    "raw",
    [
        "é€".encode(),
        codecs.BOM_UTF8 + "é€".encode(),
        "é€".encode("utf-16"),
        codecs.BOM_UTF16_BE + "é€".encode("utf-16-be"),
        codecs.BOM_UTF16_LE + "é€".encode("utf-16-le"),
    ],
)
def test_utf8_and_utf16_are_read(raw: bytes) -> None:
    assert decoded(raw) == "é€"


@pytest.mark.parametrize("raw", [b"\xe9", codecs.BOM_UTF16_LE + b"a"])
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(raw)


def test_a_character_is_named() -> None:
    assert character("\u0430") == "U+0430 CYRILLIC SMALL LETTER A"
    assert character("\x07") == "U+0007"


@pytest.mark.parametrize("text", ["first_nam", "Paris 2", "été", "a.b-c", "x" * 64])
def test_what_looks_like_a_name_is_shown(text: str) -> None:
    assert shown(text) == f'"{text}"'


@pytest.mark.parametrize("text", ["", "https://x", "a?t=1", "a@b", "x" * 65, "a\nb", "a\u200bb", "p/q", "a:b"])
def test_what_could_carry_a_secret_is_not(text: str) -> None:
    assert shown(text) is None


@pytest.mark.parametrize(
    ("text", "predicate"),
    [
        ("a\nb", "contains a line break"),
        ("a\rb", "contains a line break"),
        ("a\tb", "contains a tab"),
        ("a\0b", "contains U+0000, a control character"),
        ("a\x9fb", "contains U+009F, a control character"),
        ("a\u00a0b", "contains U+00A0 NO-BREAK SPACE, which only looks like a space"),
        ("a\u200bb", "contains U+200B ZERO WIDTH SPACE, which cannot be seen"),
        ("a\u202eb", "contains U+202E RIGHT-TO-LEFT OVERRIDE, which cannot be seen"),
        ("a\ufeff", "contains U+FEFF ZERO WIDTH NO-BREAK SPACE, which cannot be seen"),
        ("a\u2028b", "contains U+2028 LINE SEPARATOR, which cannot be seen"),
        ("a\u2029b", "contains U+2029 PARAGRAPH SEPARATOR, which cannot be seen"),
        ("a\ue000b", "contains U+E000, which is no character of any script"),
        ("a\ud800b", "contains U+D800, which is no character of any script"),
        ("a\u3164b", "contains U+3164 HANGUL FILLER, which cannot be seen"),
        ("a\u2800b", "contains U+2800 BRAILLE PATTERN BLANK, which cannot be seen"),
        ("a\u034fb", "contains U+034F COMBINING GRAPHEME JOINER, which cannot be seen"),
        ("a\ufffdb", "contains U+FFFD, the trace of a wrong encoding"),
        (" a", "begins or ends with a space"),
        ("a ", "begins or ends with a space"),
    ],
)
def test_what_cannot_be_seen_is_refused_by_name(text: str, predicate: str) -> None:
    fault = text_fault(text)
    assert fault is not None
    assert fault[0] == predicate


@pytest.mark.parametrize("text", ["", "Leonardo", "Da Vinci", "d'Été", "李小龍", "Λασκαρίνα", "محمد", "🙂", "e\u0301"])
def test_people_have_names_in_any_script(text: str) -> None:
    assert text_fault(text) is None


@given(st.text())
def test_what_is_accepted_is_one_line_that_can_be_seen(text: str) -> None:
    assert (text_fault(text) is None) <= (text.isprintable() and text.strip() == text)
