"""Placeholders: their syntax, and their expansion without a value in any message."""

import os
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import SettingInvalid
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin, Secret, fits
from provisioner.placeholders import Read, fault, filled, names, reads
from provisioner.placeholders.reading import MAX_FILE_BYTES, Reader


def expanded(text: str, base: Path = Path(), **environ: str) -> str:
    return Reader(environ, None).expand(text, base)


def test_names_are_given_in_order_as_they_stand() -> None:
    text = "https://${env:HOST}/x?t=${file:secrets/a b}&u=${env:_T0}"
    assert names(text) == ("env:HOST", "file:secrets/a b", "env:_T0")
    assert names("plain $ text {}") == ()


def test_what_an_account_reads_is_known_with_its_field_and_whom_it_goes_to() -> None:
    callbacks = Callbacks(
        callback_url_for_visits="https://Hooks.example.com:8443/x?t=${env:TOKEN}&u=${file:a/b}",
        email_for_inbounds="${env:USER}@Mail.example",
    )
    account = DesiredAccount(
        "paris", Attributes("Leonardo", "${env:LAST}", None, callbacks), Secret("${env:PW}"), Origin("m.yaml")
    )
    expected = (
        Read("env", "LAST", "last_name", None),
        Read("env", "TOKEN", "callbacks.callback_url_for_visits", "hooks.example.com:8443"),
        Read("file", "a/b", "callbacks.callback_url_for_visits", "hooks.example.com:8443"),
        Read("env", "USER", "callbacks.email_for_inbounds", "mail.example"),
        Read("env", "PW", "password", None),
    )
    assert expected == reads(account)
    assert expected[:-1] == reads(account, password=False)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://${env:USER}:${env:PW}@hooks.example/?x=@y", "hooks.example"),
        ("https://good.example@evil.example/${env:X}", "evil.example"),
        ("https://${env:HOST}.evil.example/", "${env:HOST}.evil.example"),
        ("https://${file:a/b@c?d#e}/path", "${file:a/b@c?d#e}"),
        ("${env:URL}/path?t=${env:TOKEN}", "${env:URL}"),
        ("${env:URL}.evil.example/path", "${env:URL}.evil.example"),
        ("${env:SCHEME}://evil.example/?t=1", "evil.example"),
        ("${env:SCHEME}//evil.example?t=1", "evil.example"),
        ("${env:URL}@evil.example?t=1", "evil.example"),
        ("HTTPS://evil.example#${env:X}", "evil.example"),
    ],
)
def test_a_host_is_told_wherever_placeholders_stand(url: str, host: str) -> None:
    account = DesiredAccount("x", Attributes("A", "B", None, Callbacks(url)), None, Origin("m.yaml"))
    assert {host} == {each.to for each in reads(account)}


@pytest.mark.parametrize(
    "text",
    [
        "${PARIS}",
        "${env:}",
        "${env: X}",
        "${env:X }",
        "${env:1X}",
        "${env:X-Y}",
        "${file:}",
        "${vault:x}",
        "${",
        "x${env:X",
        "$(env:X)",
        "$(file:x)",
        "${env:${env:X}}",
        "${file:a\nb}",
    ],
)
def test_a_malformed_placeholder_is_refused(text: str) -> None:
    wrong = fault(f"SECRET{text}")
    assert wrong is not None
    assert "SECRET" not in " ".join(wrong)
    with pytest.raises(SettingInvalid) as caught:
        expanded(f"SECRET{text}", X="1")
    assert str(caught.value) == "A value contains a malformed placeholder."
    assert "${env:NAME}" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "plain", "5 $", "$HOME", "{env:X}", "$ {env:X}", "${env:X}", "a${file:b}c", "$${env:X}{"]
)
def test_everything_else_is_text(text: str) -> None:
    assert fault(text) is None


def test_filled_keeps_the_text_around_placeholders() -> None:
    assert filled("a${env:X}b${file:y}c", "1") == "a1b1c"
    assert filled("plain", "1") == "plain"


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("plain", "plain", True),
        ("plain", "Plain", False),
        ("plain", "plain ", False),
        ("${env:X}", "anything\nat all", True),
        ("${env:X}", "", False),
        ("https://a/?t=${env:X}", "https://a/?t=1", True),
        ("https://a/?t=${env:X}", "https://a/?t=", False),
        ("https://a/?t=${env:X}", "https://b/?t=1", False),
        ("a${env:X}b${file:y}c", "a1b2c", True),
        ("a${env:X}b${file:y}c", "abb2c", True),
        ("a${env:X}b${file:y}c", "a1bc", False),
        ("a${env:X}b${file:y}c", "abc", False),
        ("${env:X}${env:Y}", "1", False),
        ("${env:X}${env:Y}", "12", True),
        ("${env:X}aa", "aa", False),
        ("aba${env:X}aba", "ababa", False),
        (".${env:X}*", "a1*", False),
    ],
)
def test_fits(text: str, value: str, *, expected: bool) -> None:
    assert expected is fits(text, value)


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "${env:X}", "${env:Y}"])),
    st.text("ab", min_size=1),
    st.text("ab", min_size=1),
)
def test_whatever_a_text_expands_to_fits_it(parts: list[str], x: str, y: str) -> None:
    text = "".join(parts)
    assert fits(text, text.replace("${env:X}", x).replace("${env:Y}", y))


def test_many_placeholders_are_fast() -> None:
    assert not fits("${env:X}a" * 200, "a" * 20_000 + "b")


def test_expand_puts_each_value_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    assert expanded("a${env:X}b${file:token}c", tmp_path, X="1") == "a1bs3cretc"
    assert expanded(f"${{file:{tmp_path / 'token'}}}", Path("/elsewhere")) == "s3cret"
    assert expanded("nothing to do") == "nothing to do"


def test_what_comes_out_is_not_expanded_again(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("${env:X}")
    assert expanded("${env:X}|${file:f}", tmp_path, X="${env:Y}", Y="no") == "${env:Y}|${env:X}"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"x\n", "x"),
        (b"x\r\n", "x"),
        (b" x ", " x "),
        (b"\xef\xbb\xbfx\r\n", "x"),
        ("é\n".encode("utf-16"), "é"),
    ],
)
def test_one_newline_at_the_end_of_a_file_and_a_byte_order_mark_are_dropped(
    tmp_path: Path, content: bytes, value: str
) -> None:
    (tmp_path / "f").write_bytes(content)
    assert expanded("${file:f}", tmp_path) == value


@pytest.mark.parametrize("content", [b"x\n\n", b"x\r", b"SECRET\r\nSECRET", b"\xef\xbb\xbfx\ny\n"])
def test_a_file_of_more_than_one_line_holds_no_value(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(SettingInvalid, match=r"/f has more than one line\.$"):
        expanded("${file:f}", tmp_path)


def test_a_missing_variable_is_named_with_what_to_do() -> None:
    with pytest.raises(SettingInvalid) as caught:
        expanded("${env:PARIS_PASSWORD}", OTHER="SECRET")
    assert caught.value.message == "The environment variable PARIS_PASSWORD is not set."
    assert caught.value.hint == "Set PARIS_PASSWORD and run again."


def test_an_empty_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("\n")
    with pytest.raises(SettingInvalid, match="The environment variable X is empty"):
        expanded("${env:X}", X="")
    with pytest.raises(SettingInvalid, match=r"/f is empty"):
        expanded("${file:f}", tmp_path)


def test_a_nul_is_refused_without_the_value(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("SECRET\0")
    with pytest.raises(SettingInvalid, match=r"/f contains a NUL") as caught:
        expanded("${file:f}", tmp_path)
    assert "SECRET" not in caught.value.message
    with pytest.raises(SettingInvalid, match="X contains a character that is not text"):
        expanded("${env:X}", X="SECRET\0")


@given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.text(alphabet="ab c:/?=&$"))
def test_any_value_arrives_unchanged(value: str, around: str) -> None:
    text = f"{around.replace('$', '')}${{env:X}}{around}"
    assert expanded(text, X=value) == text.replace("${env:X}", value, 1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match=rf"The file {tmp_path}/none cannot be read: No such file") as caught:
        expanded("${file:none}", tmp_path)
    assert "relative to the folder" in caught.value.hint


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingInvalid, match="pipe cannot be read: it is a pipe, and not a file"):
        expanded("${file:pipe}", tmp_path)


def test_the_size_of_a_file_is_limited(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("x" * MAX_FILE_BYTES)
    (tmp_path / "big").write_text("x" * (MAX_FILE_BYTES + 1))
    assert len(expanded("${file:good}", tmp_path)) == MAX_FILE_BYTES
    with pytest.raises(SettingInvalid, match=r"big cannot be read: it is over 64 KiB"):
        expanded("${file:big}", tmp_path)


def test_a_file_that_is_not_text_does_not_reach_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"SECRET\xff")
    with pytest.raises(SettingInvalid, match="is not UTF-8 text") as caught:
        expanded("${file:f}", tmp_path)
    shown = "".join(traceback.format_exception(caught.value))
    assert "SECRET" not in shown
