"""Formats: keys, callback URLs and e-mail addresses, with and without placeholders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner import schemas
from provisioner.manifest.formats import CHECKS, LITERAL_CHECKS, callback_url, email, key, text


def test_every_format_of_the_schema_is_checked() -> None:
    def formats(part: object) -> set[str]:
        if isinstance(part, dict):
            own = {part["format"]} if isinstance(part.get("format"), str) else set()
            return own.union(*map(formats, part.values()))
        return set().union(*map(formats, part)) if isinstance(part, list) else set()

    assert formats(schemas.load("manifest.v1")) == set(CHECKS) == set(LITERAL_CHECKS)


@pytest.mark.parametrize("value", ["Leonardo", "${env:X}", "a ${file:x y} b", "5 $", "李"])
def test_good_texts(value: str) -> None:
    assert text(value) is None


@pytest.mark.parametrize("value", [" x", "a\u200bb", "${X}", "$(env:X)"])
def test_bad_texts(value: str) -> None:
    assert text(value) is not None


@pytest.mark.parametrize(
    ("value", "predicate", "hint"),
    [
        ("p\u0430ris", "contains U+0430 CYRILLIC SMALL LETTER A, which only looks like a", "Type a instead."),
        ("paris\u20132", "contains U+2013 EN DASH, which only looks like -", "Type - instead."),
        ("\uff41", "contains U+FF41 FULLWIDTH LATIN SMALL LETTER A, which only looks like a", "Type a instead."),
        ("\u03bf", "contains U+03BF GREEK SMALL LETTER OMICRON, which only looks like o", "Type o instead."),
        ("été", "contains U+00E9 LATIN SMALL LETTER E WITH ACUTE", "Use the letters a to z, digits and hyphens."),
        ("a\u200bb", "contains U+200B ZERO WIDTH SPACE, which cannot be seen", "Delete it, or type"),
        ("a\n", "contains a line break", "Write it in one line."),
    ],
)
def test_a_key_names_its_odd_character(value: str, predicate: str, hint: str) -> None:
    fault = key(value)
    assert fault is not None
    assert fault[0] == predicate
    assert fault[1].startswith(hint)


@pytest.mark.parametrize("value", ["paris", "Paris_2", ""])
def test_the_rest_of_a_key_is_for_the_pattern(value: str) -> None:
    assert key(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "https://hooks.example.com",
        "http://hooks.example.com/x",
        "HTTPS://hooks.example.com:8443/a/b?t=1&u=%C3%A9#f",
        "https://user:pass@example.com/",
        "https://localhost/x",
        "https://10.0.0.1:1/x",
        "https://10.0.0.1:65535/x",
        "https://[2001:db8::1]:443/x",
        "https://example.com./x",
        "https://a_b.example.com/",
        "https://example.com:/",
        "https://xn--e1afmkfd.example/",
        "${env:URL}",
        "${env:BASE}/dlr?t=${env:T}",
        "https://${env:HOST}/x",
        "https://${env:HOST}:${env:PORT}/${file:a b}?t=${env:T}",
    ],
)
def test_good_callbacks(value: str) -> None:
    assert callback_url(value) is None


@pytest.mark.parametrize(
    ("value", "predicate"),
    [
        ("ftp://example.com/?t=SECRET", "must begin with https://"),
        ("example.com/?t=SECRET", "must begin with https://"),
        ("//example.com", "must begin with https://"),
        ("javascript:SECRET", "must begin with https://"),
        ("x${env:URL}", "must begin with https://"),
        ("https:/example.com", "must begin with https://"),
        ("https://", "has no valid host"),
        ("https:///x?t=SECRET", "has no valid host"),
        ("https://user:SECRET@/x", "has no valid host"),
        ("https://a..b/x", "has no valid host"),
        ("https://-a.example/x", "has no valid host"),
        ("https://a-/x", "has no valid host"),
        ("https://a+b/x", "has no valid host"),
        ("https://example.com:0/", "has an invalid port"),
        ("https://example.com:65536/", "has an invalid host or port"),
        ("https://example.com:x/", "has an invalid host or port"),
        ("https://[::1/", "has an invalid host or port"),
        ("https://example.com/a b?t=SECRET", "contains a character that a web address cannot contain"),
        ("https://example.com/é", "contains a character that a web address cannot contain"),
        ("https://example.com/%zz", "contains a character that a web address cannot contain"),
        ("https://example.com/<x>", "contains a character that a web address cannot contain"),
        ("https://example.com/\\x", "contains a character that a web address cannot contain"),
        ("${env:BASE}/a b", "contains a character that a web address cannot contain"),
        ("${env:BASE}/%${env:X}", "contains a character that a web address cannot contain"),
        ("https://example.com/?t=${SECRET}", "contains a malformed placeholder"),
        (" https://example.com", "begins or ends with a space"),
        ("https://example.com/\u200b", "contains U+200B ZERO WIDTH SPACE, which cannot be seen"),
    ],
)
def test_bad_callbacks(value: str, predicate: str) -> None:
    fault = callback_url(value)
    assert fault is not None
    assert fault[0] == predicate
    assert fault[1]
    assert "SECRET" not in fault[1]


@pytest.mark.parametrize(
    "value",
    ["sms@example.com", "a.b+c@x-1.example.co", "x" * 64 + "@a.b", "${env:M}", "sms@${env:D}", "${env:U}@a.${env:D}"],
)
def test_good_addresses(value: str) -> None:
    assert email(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "sms",
        "sms@",
        "@example.com",
        "sms@localhost",
        "a@b@example.com",
        "a b@example.com",
        "a..b@example.com",
        ".a@example.com",
        "a@-b.com",
        "a@b..com",
        "Leo <a@example.com>",
        "a@b.com, c@d.com",
        "x" * 65 + "@a.b",
        "sms@example.com.",
        "${env:A} b@c.d",
    ],
)
def test_bad_addresses(value: str) -> None:
    assert email(value) == ("is not an e-mail address", "Write one address, as in sms@example.com.")


def test_a_bad_text_is_not_an_address_either() -> None:
    assert email("${X}@example.com") is not None
    assert email("a@b.com\n") == ("contains a line break", "Write it in one line.")


@given(st.text())
def test_no_check_ever_fails_itself_or_repeats_a_text(value: str) -> None:
    for check in (*CHECKS.values(), *LITERAL_CHECKS.values()):
        for marked in (value, f"https://SECRET{value}", f"SECRET{value}@a.b", f"${{env:X}}SECRET{value}"):
            assert "SECRET" not in " ".join(check(marked) or ())


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text", "a ${b} c"),
        ("text", "${env:X}"),
        ("email", "a${b}@example.com"),
        ("email-with-placeholders", "${c}@example.com"),
        ("uri", "https://example.com/x?t=1"),
    ],
)
def test_a_literal_may_look_like_a_placeholder(word: str, value: str) -> None:
    assert LITERAL_CHECKS[word](value) is None


@pytest.mark.parametrize(
    ("word", "value", "predicate"),
    [
        ("text", " x", "begins or ends with a space"),
        ("uri-with-placeholders", "${env:URL}", "must begin with https://"),
        ("uri-with-placeholders", "https://${env:HOST}/x", "contains a character that a web address cannot contain"),
        ("uri", "https://a b", "contains a character that a web address cannot contain"),
        ("uri", "https://example.com/\u200b", "contains U+200B ZERO WIDTH SPACE, which cannot be seen"),
        ("email-with-placeholders", "${env:MAIL}", "is not an e-mail address"),
        ("email", "a@b.co\n", "contains a line break"),
    ],
)
def test_of_a_literal_nothing_is_filled_in(word: str, value: str, predicate: str) -> None:
    fault = LITERAL_CHECKS[word](value)
    assert fault is not None
    assert fault[0] == predicate


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("münchen.example", "Write it as xn--mnchen-3ya.example."),
        ("m%C3%BCnchen.example", "Write it as xn--mnchen-3ya.example."),
        ("例え.example", "Write it as xn--r8jz45g.example."),
        # Python turns these into another host than a browser does.
        ("straße.example", "Ask whoever runs it for its xn-- form."),
        (f"{'ü' * 80}.example", "Ask whoever runs it for its xn-- form."),
    ],
)
def test_an_international_host_is_asked_for_in_its_ascii_form(host: str, hint: str) -> None:
    expected = ("has a host with letters other than a to z, which needs its xn-- form", hint)
    for url in (f"https://{host}/x", f"https://user:SECRET@{host}:8443/?t=é"):
        assert callback_url(url) == expected
    if "%" not in host:
        assert email(f"sms@{host}") == expected
    assert callback_url("https://xn--mnchen-3ya.example/x") is None
