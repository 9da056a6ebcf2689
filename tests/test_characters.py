"""Characters: decoding, naming, and the rule for plain text."""

import codecs
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.document import UNSEEN, character, decoded, disguise, encoding_fault, merge_mark, shown, text_fault


@pytest.mark.parametrize("name", ["windows-1252", "Macintosh", "CP850", "shift-jis", "gb18030", "utf-8", "utf-16-le"])
def test_an_encoding_that_a_table_may_have(name: str) -> None:
    assert encoding_fault(name) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [(name, "names an unknown encoding") for name in ("nope", "", "a\0b", "../os", "x" * 50)]
    + [
        (name, "names an encoding that a table cannot have")
        for name in ("utf-7", "utf-32", "cp037", "rot13", "base64", "hz", "iso2022_jp", "unicode_escape", "idna")
    ],
)
def test_an_encoding_that_no_table_has(name: str, fault: str) -> None:
    found = encoding_fault(name)
    assert found is not None
    assert found[0] == fault


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


@pytest.mark.parametrize(
    "text", ["", "https://x", "a?t=1", "a@b", "x" * 65, "a\nb", "a\u200bb", "a\u3164b", "p/q", "a:b"]
)
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
        ("a\ue000b", "contains U+E000, which is not a character of any script"),
        ("a\ud800b", "contains U+D800, which is not a character of any script"),
        ("a\u3164b", "contains U+3164 HANGUL FILLER, which cannot be seen"),
        ("a\u2800b", "contains U+2800 BRAILLE PATTERN BLANK, which cannot be seen"),
        ("a\u034fb", "contains U+034F COMBINING GRAPHEME JOINER, which cannot be seen"),
        ("a\ufe0fb", "contains U+FE0F VARIATION SELECTOR-16, which cannot be seen"),
        ("a\ufffcb", "contains U+FFFC OBJECT REPLACEMENT CHARACTER, which cannot be seen"),
        ("a\U0001d159b", "contains U+1D159 MUSICAL SYMBOL NULL NOTEHEAD, which cannot be seen"),
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


# Of people, companies and flags, in the scripts that cannot do without.
JOINED = (
    "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",  # Persian
    "\u0645\u064f\u062d\u064e\u0645\u0651\u062f\u064e\u200c\u0639\u0644\u06cc",  # Persian with vowel signs
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3 Lanka",  # Sinhala
    "\u09b0\u200d\u09cd\u09af\u09be\u09ac",  # Bengali, the joiner before the virama
    "\u0d28\u0d4d\u200d",  # Malayalam, at the end
    "\u0cac\u0ccd\u0caf\u0cbe\u0c82\u0c95\u0ccd\u200c Co",  # Kannada
    "\u182e\u1823\u1829\u182d\u1823\u182f\u180e\u1820",  # Mongolian
    "\u845b\U000e0100\u57ce",  # a Japanese name in its registered variant
    "Acme \u2764\ufe0f",
    "1\ufe0f\u20e3 Taxi",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f469\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f468\U0001f3ff",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
)


@pytest.mark.parametrize("text", JOINED)
def test_a_joiner_that_does_something_belongs_to_the_text(text: str) -> None:
    assert text_fault(text) is None
    assert disguise(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a\u200cb",
        "a\u200db",
        "\u0915\u200c\u0915",
        "\u200c\u0639\u0644",
        "\u0639\u0644\u200c",
        "\u0639\u200c\u200c\u0644",
        "\u0915\u094d\u200d\u200d",
        "\U0001f468\u200d",
        "\u200d\U0001f468",
        "\U0001f468\u200d\u200d\U0001f469",
        "\u2764\ufe0f\ufe0f",
        "\u2764\U000e0100",
        "1\ufe0f",
        "Vinci\ufe0f",
        "\u845b\U000e0100\U000e0101",
        "a\U000e0100",
        "\u1820\u180e",
        "a\u180b",
        "\U0001f3f4\U000e0067\U000e007f",
        "\U0001f3f4\U000e0066\U000e0072\U000e006a\U000e006b\U000e006c\U000e007f",
    ],
)
def test_one_that_does_nothing_where_it_stands_is_refused(text: str) -> None:
    assert text_fault(text) == disguise(text) is not None


@pytest.mark.parametrize(("text", "told"), [("a\nb", False), ("a\tb", False), ("a ", False), ("a\u00a0b", True)])
def test_a_disguise_is_what_cannot_be_told_by_looking(text: str, told: bool) -> None:  # noqa: FBT001
    assert (disguise(text) is not None) == told


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n<<<<<<< HEAD\nb", 1),
        ("=======\r\n", 0),
        ("a\nb\n>>>>>>> feature", 2),
        ("||||||| 1a2b3c\n", 0),
        (" <<<<<<< HEAD", None),
        ("<<: *a\n<<<<<<<x\n======= x", None),
    ],
)
def test_the_marks_of_a_merge_are_known(text: str, line: int | None) -> None:
    found = merge_mark(text)
    assert (found and found[0]) == line


@given(st.text())
def test_what_is_accepted_is_one_line_that_can_be_seen(text: str) -> None:
    assert (text_fault(text) is None) <= (re.sub(UNSEEN, "", text).isprintable() and text.strip() == text)
