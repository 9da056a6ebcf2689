"""Sealed content: what opens it, what does not, and that no message repeats a secret."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrage import x25519

from provisioner.errors import (
    ExitCode,
    IdentityRejected,
    ProvisionerError,
    Refused,
    SettingInvalid,
    StateConflict,
    StateInvalid,
)
from provisioner.model.account import FIELDS, Attributes, Callbacks, Credentials, Secret
from provisioner.model.state import MAX_RECIPIENTS, Active
from provisioner.model.verdict import Answer, SealedContent
from provisioner.state import codec
from provisioner.state.sealing import (
    AgeOpener,
    AgeSealer,
    new_identity,
    parse_identities,
    recipient_of,
    require_opens,
)
from tests.state import LEONARDO, OPERATION, STATE

API_KEY = "apikey-6f1d9a"
PASSWORD = "pässwörd-77c0"
CONTENT = SealedContent(
    "lineage-1", "default", "paris", "op-1", Secret(PASSWORD), Credentials("paris@example.com", Secret(API_KEY))
)
PLACE = {"lineage": "lineage-1", "parent": "default", "name": "paris", "operation": "op-1"}
IDENTITY, RECIPIENT = new_identity()
OTHER_IDENTITY, OTHER_RECIPIENT = new_identity()
SEALED = AgeSealer([RECIPIENT]).seal(CONTENT)


def opener(*identities: Secret) -> AgeOpener:
    return AgeOpener(parsed for each in identities for parsed in parse_identities(each, "the test"))


def assert_silent(error: ProvisionerError, *secrets: str) -> None:
    """Check that no printed form of ``error`` contains a secret."""
    said = "".join(traceback.format_exception(error)) + repr(error) + error.message + error.hint
    assert [] == [each for each in (API_KEY, PASSWORD, IDENTITY.reveal(), *secrets) if each in said]


# ── Round trip ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        CONTENT,
        SealedContent("lineage-1", "default", "paris", "op-1"),
        SealedContent("lineage-1", "default", "paris", "op-1", password=Secret("")),
        SealedContent("lineage-1", "default", "paris", "op-1", password=Secret("half \udcff")),
        SealedContent("lineage-1", "default", "paris", "op-1", others=(Secret("one"), Secret("two"))),
        SealedContent("lineage-1", "default", "paris", "op-1", answer=Answer(200, b'{"api_key": "cut')),
        SealedContent("lineage-1", "default", "paris", "op-1", answer=Answer(500, b"\xff\x00garbage")),
        replace(CONTENT, sent=LEONARDO),
        replace(CONTENT, sent=Attributes("", ""), altered={"first_name": None, "last_name": ""}),
        replace(CONTENT, sent=LEONARDO, altered={"first_name": "half \udcff"}),
    ],
)
def test_what_was_sealed_opens(content: SealedContent) -> None:
    assert content == opener(IDENTITY).open(AgeSealer([RECIPIENT]).seal(content), **PLACE)


TEXTS = st.text(max_size=9)
SENT = st.builds(Attributes, TEXTS, TEXTS, st.none() | TEXTS, st.builds(Callbacks, *[st.none() | TEXTS] * 5))
ALTERED = st.dictionaries(st.sampled_from(FIELDS), st.none() | TEXTS)


@given(st.none() | SENT, ALTERED)
def test_what_was_sent_and_what_became_of_it_survive(sent: Attributes | None, altered: dict[str, str | None]) -> None:
    content = replace(CONTENT, sent=sent, altered=altered)
    assert content == opener(IDENTITY).open(AgeSealer([RECIPIENT]).seal(content), **PLACE)


def test_what_was_sent_is_written_as_the_manifest_writes_it() -> None:
    content = replace(CONTENT, sent=LEONARDO, altered={"first_name": None})
    plain = json.loads(pyrage.decrypt(AgeSealer([RECIPIENT]).seal(content).encode(), parse_identities(IDENTITY, "it")))
    assert (LEONARDO.document(), {"first_name": None}) == (plain["sent"], plain["altered"])
    bare = json.loads(pyrage.decrypt(SEALED.encode(), parse_identities(IDENTITY, "it")))
    assert {"sent", "altered"}.isdisjoint(bare)


LINES = st.text(st.characters(exclude_categories=("Cc", "Zl", "Zp")))


@given(
    st.from_regex(r"[a-z0-9_]+@[a-z]{1,20}", fullmatch=True),
    st.from_regex("[!-~]+", fullmatch=True),
    LINES,
    st.binary(),
)
def test_any_text_survives(login: str, key: str, password: str, body: bytes) -> None:
    content = SealedContent(
        "lineage-1", "default", "paris", "op-1", Secret(password), Credentials(login, Secret(key)), Answer(201, body)
    )
    assert content == opener(IDENTITY).open(AgeSealer([RECIPIENT]).seal(content), **PLACE)


def test_the_same_content_is_never_sealed_to_the_same_text() -> None:
    assert AgeSealer([RECIPIENT]).seal(CONTENT) != SEALED


def test_a_sealed_text_is_plain_ascii_and_shows_nothing() -> None:
    assert SEALED.startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert SEALED.isascii()
    assert [] == [each for each in (API_KEY, PASSWORD, "paris") if each in SEALED]


def test_every_recipient_opens_it() -> None:
    sealer = AgeSealer([RECIPIENT, OTHER_RECIPIENT])
    sealed = sealer.seal(CONTENT)
    assert (RECIPIENT, OTHER_RECIPIENT) == sealer.recipients
    assert CONTENT == opener(IDENTITY).open(sealed, **PLACE)
    assert CONTENT == opener(OTHER_IDENTITY).open(sealed, **PLACE)


def test_one_of_several_identities_is_enough() -> None:
    assert CONTENT == opener(OTHER_IDENTITY, IDENTITY).open(SEALED, **PLACE)


def test_the_standard_tool_opens_what_stands_in_a_state_file(tmp_path: Path) -> None:
    age = shutil.which("age")
    if age is None:
        pytest.skip("age is not installed")
    state = STATE.with_record("paris", Active(LEONARDO, OPERATION, "t", SEALED))
    sealed = json.loads(codec.encode(state))["accounts"]["paris"]["sealed"]
    identity = tmp_path / "identity.txt"
    identity.write_text(f"# made by the test\n{IDENTITY.reveal()}\n")
    done = subprocess.run([age, "-d", "-i", identity], input=sealed.encode(), capture_output=True, check=True)
    assert {
        "lineage": "lineage-1",
        "parent": "default",
        "name": "paris",
        "operation": "op-1",
        "api_login": "paris@example.com",
        "api_key": API_KEY,
        "password": PASSWORD,
    } == json.loads(done.stdout)
    assert PASSWORD in done.stdout.decode()


@pytest.mark.parametrize("known", ["", "x" * 430, "x" * 900], ids=["little", "nearly a block", "more"])
def test_the_length_of_a_seal_says_nothing_about_the_password(known: str) -> None:
    sealer = AgeSealer([RECIPIENT])
    sent = Attributes("Leonardo", "Da Vinci", known)

    def lengths(*passwords: Secret) -> set[int]:
        contents = (replace(CONTENT, password=each, others=(each,), sent=sent) for each in passwords)
        raw = (pyrage.decrypt(sealer.seal(each).encode(), parse_identities(IDENTITY, "it")) for each in contents)
        return set(map(len, raw))

    (length,) = lengths(Secret(""), Secret("a" * 8), Secret("é" * 13), Secret('"' * 40), Secret("e" * 200))
    assert 0 == length % 1024
    assert {0} == {each % 1024 for each in lengths(Secret("e" * 300), Secret("e" * 700))}


def test_an_answer_is_kept_as_the_text_that_it_is() -> None:
    sealed = AgeSealer([RECIPIENT]).seal(SealedContent("l", "p", "n", "o", answer=Answer(200, "é".encode())))
    plain = pyrage.decrypt(sealed.encode(), parse_identities(IDENTITY, "it"))
    assert {"status": 200, "body": "é"} == json.loads(plain)["answer"]
    assert "é".encode() in plain  # a person who opens it with age can read it


# ── What does not open ───────────────────────────────────────────────────────


def test_what_the_identity_does_not_open_is_refused() -> None:
    with pytest.raises(IdentityRejected) as caught:
        opener(OTHER_IDENTITY).open(SEALED, **PLACE)
    assert "The identity does not open the sealed record of paris." == caught.value.message
    what_to_do = "Use the identity of one of the recipients that it was sealed to."
    assert what_to_do == caught.value.hint
    with pytest.raises(IdentityRejected) as caught:
        AgeOpener(parse_identities(OTHER_IDENTITY, "it"), "the vault").open(SEALED, **PLACE)
    assert f"It came from the vault. {what_to_do}" == caught.value.hint
    assert ExitCode.SETTING_INVALID == caught.value.exit_code
    assert_silent(caught.value, OTHER_IDENTITY.reveal())


def test_recipients_without_the_identity_in_use_are_refused() -> None:
    require_opens(opener(IDENTITY), AgeSealer([OTHER_RECIPIENT, RECIPIENT]))
    with pytest.raises(Refused, match="could not open anything that is sealed to these recipients"):
        require_opens(opener(IDENTITY), AgeSealer([OTHER_RECIPIENT]))


def armoured(raw: bytes) -> str:
    """Return bytes as age writes them in ASCII."""
    text = base64.b64encode(raw).decode()
    lines = (text[start : start + 64] for start in range(0, len(text), 64))
    return "\n".join(("-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""))


RAW = base64.b64decode("".join(SEALED.splitlines()[1:-1]))
MAC = RAW.index(b"\n--- ") + 5


@pytest.mark.parametrize(
    "sealed",
    [
        *(armoured(RAW[:place] + bytes([RAW[place] ^ 1]) + RAW[place + 1 :]) for place in (0, MAC, MAC + 60, -2)),
        *(armoured(RAW[:length]) for length in (0, 30, MAC, MAC + 60, len(RAW) - 1)),
        *(SEALED[:length] for length in (35, 200, len(SEALED) - 40)),
        *("", "é", SEALED.replace("BEGIN", "BEGÏN"), f"{SEALED}{SEALED}"),
        *(SEALED.replace("\n", f"\n{mark}\n", 3) for mark in ("!", "=======", "<<<<<<< HEAD", "\0")),
    ],
)
def test_what_is_damaged_is_not_blamed_on_the_identity(sealed: str) -> None:
    with pytest.raises(StateInvalid) as caught:
        opener(IDENTITY).open(sealed, **PLACE)
    assert "The sealed content of paris is damaged." == caught.value.message
    assert "Restore the state from version control." == caught.value.hint
    assert_silent(caught.value)


@given(st.integers(0, len(RAW) - 1), st.integers(0, 7))
def test_no_bit_that_flips_is_without_its_error(place: int, bit: int) -> None:
    """Only damage to the recipients in the header makes age call it sealed to others."""
    flipped = bytearray(RAW)
    flipped[place] ^= 1 << bit
    with pytest.raises((StateInvalid, IdentityRejected)) as caught:
        opener(IDENTITY).open(armoured(bytes(flipped)), **PLACE)
    assert isinstance(caught.value, StateInvalid) or place < MAC


def test_without_an_identity_nothing_opens() -> None:
    with pytest.raises(IdentityRejected):
        AgeOpener([]).open(SEALED, **PLACE)


@pytest.mark.parametrize("held", ["credentials", "password", "others"])
@pytest.mark.parametrize("control", ["\x1b]52;c;cm0\x07", "\r\n", "\0", "\x9b2J", "\u2028"])
def test_credentials_with_control_characters_do_not_count(held: str, control: str) -> None:
    odd = Secret(f"x{control}")
    values = {"credentials": Credentials("paris@example.com", odd), "password": odd, "others": (odd,)}
    sealed = AgeSealer([RECIPIENT]).seal(replace(CONTENT, **{held: values[held]}))
    with pytest.raises(StateConflict, match="opens, but was not written by provisioner"):
        opener(IDENTITY).open(sealed, **PLACE)


@pytest.mark.parametrize("login", ["", "..", "a/../b", "a?b", "a b", "\u00e9@x", "\udc80", "a" * 255])
def test_a_login_that_no_address_could_hold_is_none(login: str) -> None:
    sealed = AgeSealer([RECIPIENT]).seal(replace(CONTENT, credentials=Credentials(login, Secret(API_KEY))))
    with pytest.raises(StateConflict, match="opens, but was not written by provisioner"):
        opener(IDENTITY).open(sealed, **PLACE)


@pytest.mark.parametrize("operation", ["op-0", "op-2"])  # one sorts before that of the seal, one after
def test_a_seal_of_another_operation_is_an_older_one_put_back(operation: str) -> None:
    with pytest.raises(
        StateConflict, match="is from another operation than its record: somebody put back an older"
    ) as caught:
        opener(IDENTITY).open(SEALED, **(PLACE | {"operation": operation}))
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert_silent(caught.value)


@pytest.mark.parametrize("moved", [{"lineage": "lineage-2"}, {"parent": "acme"}, {"name": "rome"}])
def test_a_seal_that_was_moved_between_records_is_noticed(moved: dict[str, str]) -> None:
    with pytest.raises(StateConflict) as caught:
        opener(IDENTITY).open(SEALED, **(PLACE | moved))
    assert "was sealed for default/paris of lineage lineage-1." in caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert_silent(caught.value)


WHOLE: dict[str, Any] = {**PLACE, "api_login": "l", "api_key": API_KEY, "password": PASSWORD}


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        PASSWORD.encode(),
        b"\xff" + PASSWORD.encode(),
        b"[" * 100_000,
        json.dumps([PASSWORD]),
        json.dumps(PASSWORD),
        "1",
        "{}",
        *(json.dumps({key: value for key, value in WHOLE.items() if key != gone}) for gone in (*PLACE, "api_key")),
        *(json.dumps(WHOLE | {key: [API_KEY]}) for key in WHOLE),
        *(
            json.dumps(WHOLE | {"answer": answer})
            for answer in (
                None,
                PASSWORD,
                [PASSWORD],
                {},
                {"status": PASSWORD, "body": "b"},
                {"status": float("inf"), "body": "b"},
                {"status": 200},
                {"status": 200, "body": 5},
                {"status": 200, "body_base64": 5},
                {"status": 200, "body_base64": "A"},
            )
        ),
        *(
            json.dumps(WHOLE | {"sent": sent})
            for sent in (
                None,
                PASSWORD,
                [PASSWORD],
                {},
                {"first_name": PASSWORD},
                {"first_name": PASSWORD, "last_name": None},
                {"first_name": PASSWORD, "last_name": "b", "company_name": 5},
                {"first_name": PASSWORD, "last_name": "b", "other": "c"},
                {"first_name": PASSWORD, "last_name": "b", "callbacks": PASSWORD},
                {"first_name": PASSWORD, "last_name": "b", "callbacks": {"other": PASSWORD}},
                {"first_name": PASSWORD, "last_name": "b", "callbacks": {"email_for_inbounds": [PASSWORD]}},
            )
        ),
        *(json.dumps(WHOLE | {"altered": altered}) for altered in (None, PASSWORD, [PASSWORD], {"first_name": 5})),
    ],
)
def test_a_seal_that_opens_but_holds_something_else_is_noticed(plain: bytes | str) -> None:
    raw = plain if isinstance(plain, bytes) else plain.encode()
    forged = pyrage.encrypt(raw, [x25519.Recipient.from_str(RECIPIENT)], armored=True).decode()
    with pytest.raises(StateConflict) as caught:
        opener(IDENTITY).open(forged, **PLACE)
    assert "The sealed content of paris opens, but was not written by provisioner." == caught.value.message
    assert_silent(caught.value)


# ── Recipients ───────────────────────────────────────────────────────────────


def test_without_a_recipient_nothing_is_sealed() -> None:
    with pytest.raises(SettingInvalid) as caught:
        AgeSealer([])
    assert "keygen" in caught.value.hint


@pytest.mark.parametrize(
    "typed",
    [RECIPIENT[:-1], RECIPIENT[:-1] + "b" * 2, "age1", f"{RECIPIENT} ", "ssh-ed25519 AAAA"],
    ids=["short", "long", "prefix", "space", "ssh"],
)
def test_a_mistyped_recipient_is_shown(typed: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        AgeSealer([RECIPIENT, typed])
    assert f"The recipient {typed[:24]}… is malformed." == caught.value.message
    assert "age1… text" in caught.value.hint


@pytest.mark.parametrize(
    "typed",
    ["", API_KEY, f" {RECIPIENT}", "\udcff", "AGE-PLUGIN-YUBIKEY-1QQQQ"],
    ids=["empty", "another secret", "space before", "half a character", "plugin"],
)
def test_what_is_nothing_like_a_recipient_is_not_repeated(typed: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        AgeSealer([typed])
    assert "A recipient is malformed." == caught.value.message


@pytest.mark.parametrize(
    "typed",
    [
        IDENTITY.reveal(),
        IDENTITY.reveal().lower(),
        f'  "{IDENTITY.reveal()}"',
        f"age1 {IDENTITY.reveal()}",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n",
    ],
    ids=["identity", "lower case", "quoted", "both", "ssh"],
)
def test_an_identity_among_the_recipients_is_reported_and_not_repeated(typed: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        AgeSealer([typed])
    assert "A recipient is an identity: this is a private key where the public key belongs." == caught.value.message
    assert_silent(caught.value, IDENTITY.reveal()[16:28], IDENTITY.reveal().lower()[16:28], "b3BlbnNzaC1rZXk")


@pytest.mark.parametrize(
    "published",
    [
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
        "AGE-SECRET-KEY-184JMZMVQH3E6U0PSL869004Y3U2NYV7R30EU99CSEDNPH02YUVFSZW44VU",
        "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0",
    ],
)
def test_nothing_is_sealed_to_a_recipient_whose_identity_is_published(published: str) -> None:
    public = str(x25519.Identity.from_str(published).to_public())
    for typed in (public, public.upper()):
        with pytest.raises(SettingInvalid, match="its private key is public"):
            AgeSealer([RECIPIENT, typed])


# ── Identities ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_identity_file_is_read_as_age_reads_it(end: str) -> None:
    lines = ("# created: today", f"# public key: {RECIPIENT}", IDENTITY.reveal(), "", f"  {OTHER_IDENTITY.reveal()} ")
    found = parse_identities(Secret(end.join(lines)), "it")
    assert [RECIPIENT, OTHER_RECIPIENT] == [recipient_of(each, "it") for each in found]


@pytest.mark.parametrize("text", ["", "\n\n", f"# {RECIPIENT}\n"], ids=["empty", "blank", "comments"])
def test_a_file_without_an_identity_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        parse_identities(Secret(text), "keys/identity.txt")
    assert "There is no identity in keys/identity.txt." == caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        IDENTITY.reveal()[:-1],
        f"{OTHER_IDENTITY.reveal()}\n{IDENTITY.reveal()[:-2]}\n",
        RECIPIENT,
        PASSWORD,
        f"{IDENTITY.reveal()}\udcff",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{API_KEY}\n-----END OPENSSH PRIVATE KEY-----\n",
    ],
    ids=["short", "second of two", "recipient", "password", "half a character", "ssh"],
)
def test_a_malformed_identity_is_refused_by_its_place_and_not_repeated(text: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        parse_identities(Secret(text), "PROVISIONER_IDENTITY")
    place = "Line 2 of the" if text.startswith(OTHER_IDENTITY.reveal()) else "The"
    assert f"{place} identity from PROVISIONER_IDENTITY is malformed." == caught.value.message
    assert "keygen" in caught.value.hint
    assert_silent(caught.value, IDENTITY.reveal()[:-2])


def test_a_new_identity_is_another_one_each_time() -> None:
    assert (IDENTITY, RECIPIENT) != new_identity()
    assert "***" == repr(IDENTITY)


# ── SSH keys ─────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an ed25519 key pair; the public half is next to it as ``.pub``."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    path = tmp_path_factory.mktemp("ssh") / "id_ed25519"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_ssh_key_opens_what_was_sealed_to_it(ssh_key: Path, end: bytes) -> None:
    public = ssh_key.with_suffix(".pub").read_text().strip()
    sealed = AgeSealer([RECIPIENT, public]).seal(CONTENT)
    private = b"\n" + ssh_key.read_bytes().replace(b"\n", end)
    assert CONTENT == opener(Secret(private.decode())).open(sealed, **PLACE)


def test_the_public_half_of_an_ssh_key_is_not_made_up(ssh_key: Path) -> None:
    (identity,) = parse_identities(Secret(ssh_key.read_text()), "it")
    with pytest.raises(SettingInvalid) as caught:
        recipient_of(identity, "~/.ssh/id_ed25519")
    assert "The identity in ~/.ssh/id_ed25519 is an SSH key." == caught.value.message
    assert "ssh-ed25519" in caught.value.hint


def test_an_ssh_key_with_a_passphrase_is_refused(ssh_key: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    shutil.copy(ssh_key, locked)
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSWORD, "-f", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(SettingInvalid) as caught:
        parse_identities(Secret(locked.read_text()), "it")
    assert "unencrypted" in caught.value.hint


# ── Bounds ───────────────────────────────────────────────────────────────────

STANZAS = b"age-encryption.org/v1\n" + b"-> X25519 a\nYQ\n" * 60_000
"""A header of a megabyte: age would take hours for it."""


@pytest.mark.parametrize("long", [STANZAS, b"x" * 100_000])
@pytest.mark.parametrize("armoured", [False, True])
def test_a_header_that_would_take_hours_is_damage(long: bytes, armoured: bool) -> None:  # noqa: FBT001
    text = long.decode()
    if armoured:
        text = (
            f"-----BEGIN AGE ENCRYPTED FILE-----\n{base64.encodebytes(long).decode()}-----END AGE ENCRYPTED FILE-----\n"
        )
    with pytest.raises(StateInvalid, match="The sealed content of paris is damaged"):
        opener(IDENTITY).open(text, **PLACE)


def test_what_is_sealed_to_the_most_recipients_is_opened_however_long_it_is() -> None:
    sealer = AgeSealer([RECIPIENT, *(new_identity()[1] for _ in range(MAX_RECIPIENTS - 1))])
    content = replace(CONTENT, answer=Answer(500, b"x" * 200_000))
    assert content == opener(IDENTITY).open(sealer.seal(content), **PLACE)
    with pytest.raises(SettingInvalid, match="at most 64 are possible"):
        AgeSealer([*sealer.recipients, RECIPIENT])
