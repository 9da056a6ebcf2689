"""Seals secrets to age recipients, and opens them with identities.

Owns the content of a sealed blob and the check that it belongs to its record. Leaves
all cryptography to age (pyrage); the standard ``age -d -i identity.txt`` opens every blob.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from provisioner.errors import IdentityRejected, Refused, SettingInvalid, StateConflict, StateInvalid
from provisioner.model.account import Attributes, Credentials, Secret, is_key, is_login
from provisioner.model.state import require_recipients
from provisioner.model.verdict import Answer, SealedContent
from provisioner.native import undisturbed

with undisturbed():
    import pyrage
    from pyrage import ssh, x25519

_SSH_PREFIX: Final = "ssh-"
_PRIVATE: Final = r"(?i)AGE-SECRET-KEY-|PRIVATE KEY"
_NO_KEY: Final = "No matching keys found"
"""age's message when no identity matches a recipient; all its other messages are about damage."""
_RESTORE: Final = "Restore the state from version control."
_CONTROL: Final = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"
_PASSWORD_BYTES: Final = 256
"""Every password is padded to the length of the longest usual one."""
_BLOCK_BYTES: Final = 1024
_HEADER_BYTES: Final = 64 * 1024
"""Enough, in base64, for the most recipients; see :func:`provisioner.model.state.require_recipients`."""
_LAST_LINE: Final = 100
"""More than the last line of an armour, which is not base64."""
_NO_ARMOUR: Final = "Armour is invalid"
_LONG_HEADER: Final = "Header is too long"
_ARMOUR: Final = re.compile(rb"\s*-----BEGIN AGE ENCRYPTED FILE-----\s")
Recipient: TypeAlias = x25519.Recipient | ssh.Recipient
Identity: TypeAlias = x25519.Identity | ssh.Identity


def new_identity() -> tuple[Secret, str]:
    """Return a new X25519 identity and its recipient."""
    identity = x25519.Identity.generate()
    return Secret(str(identity)), str(identity.to_public())


class ContentOpener(Protocol):
    """Opens sealed blobs."""

    def open(self, sealed: str, *, lineage: str, parent: str, name: str, operation: str) -> SealedContent:
        """Return the content of ``sealed``; raises IdentityRejected, StateInvalid or StateConflict."""


class AgeSealer:
    """Seals to recipients; cannot open anything."""

    def __init__(self, recipients: Sequence[str]) -> None:
        """Raise SettingInvalid if a recipient is malformed or public, or there is none."""
        require_recipients(recipients)
        self.recipients = tuple(recipients)
        self._parsed = [_recipient(text) for text in recipients]

    def seal(self, content: SealedContent) -> str:
        """Return ``content`` as one ASCII-armoured age file."""
        armoured: bytes = pyrage.encrypt(_encode(content), self._parsed, armored=True)
        return armoured.decode("ascii")


class AgeOpener:
    """Opens whatever was sealed to one of its identities."""

    def __init__(self, identities: Iterable[Identity], source: str | None = None) -> None:
        """Take the identities and their ``source``, for messages about the wrong ones."""
        self._identities = list(identities)
        self._source = source

    def open(self, sealed: str, *, lineage: str, parent: str, name: str, operation: str) -> SealedContent:
        """Return the content of ``sealed``.

        Raises:
            IdentityRejected: none of the identities opens it; age cannot distinguish a
                damaged header from another recipient.
            StateInvalid: it is damaged.
            StateConflict: it was sealed for another state, parent or account, so
                somebody moved it between records; or by another operation, so
                somebody put back an older one or replaced it.

        """
        try:
            _require_short_header(sealed)
            plain = pyrage.decrypt(sealed.encode("ascii"), self._identities)
        except (pyrage.DecryptError, UnicodeEncodeError) as error:
            if str(error) != _NO_KEY:
                raise StateInvalid(f"The sealed content of {name} is damaged.", hint=_RESTORE) from None
            rejected = IdentityRejected(
                f"The identity does not open the sealed record of {name}.",
                hint=(f"It came from {self._source}. " if self._source else "")
                + "Use the identity of one of the recipients that it was sealed to.",
            )
            own = (each for each in self._identities if isinstance(each, x25519.Identity))
            rejected.recipients = frozenset(str(each.to_public()) for each in own)
            raise rejected from None
        content = _decode(plain, name)
        if (content.lineage, content.parent, content.name) != (lineage, parent, name):
            raise StateConflict(
                f"The sealed content of {name} was sealed for {content.parent}/{content.name}"
                f" of lineage {content.lineage}.",
                hint=f"Somebody moved a sealed value between records. {_RESTORE}",
            )
        if content.operation != operation:
            raise StateConflict(
                f"The sealed content of {name} is from another operation than its record: somebody put back an older"
                " one, or replaced it.",
                hint=_RESTORE,
            )
        return content


def _require_short_header(sealed: str) -> None:
    """Raise DecryptError if the header is too long: age takes minutes for one of 100 kB, and hours for a longer one."""
    if len(sealed) <= _HEADER_BYTES:
        return
    start = sealed[: _HEADER_BYTES - _LAST_LINE].encode("ascii")
    if armoured := _ARMOUR.match(start):
        text = b"".join(start[armoured.end() :].split())
        try:
            start = base64.b64decode(text[: len(text) // 4 * 4], validate=True)
        except ValueError:
            raise pyrage.DecryptError(_NO_ARMOUR) from None
    if b"\n--- " not in start:
        raise pyrage.DecryptError(_LONG_HEADER)


def require_opens(opener: ContentOpener, sealer: AgeSealer) -> None:
    """Raise Refused if the recipients do not include the identity in use.

    Opening a seal is the only test that works for every kind of key.
    """
    probe = SealedContent("", "", "", "")
    try:
        opener.open(sealer.seal(probe), lineage="", parent="", name="", operation="")
    except IdentityRejected:
        raise Refused(
            "The identity in use could not open anything that is sealed to these recipients.",
            hint="You would lock yourself out. Keep your own recipient, and let somebody who stays remove it."
            " Nothing was changed.",
        ) from None


def parse_identities(text: Secret, source: str) -> list[Identity]:
    """Return the identities in ``text``: the lines of an age identity file, or one OpenSSH private key.

    Raises:
        SettingInvalid: there is none, or one is malformed; ``source`` names the place.

    """
    hint = "It must have AGE-SECRET-KEY-1… lines, as `provisioner keygen` writes them, or an unencrypted OpenSSH key."
    try:
        if "-----BEGIN OPENSSH PRIVATE KEY-----" in text.reveal():
            return [ssh.Identity.from_buffer(text.reveal().strip().encode() + b"\n")]
    except (pyrage.IdentityError, UnicodeEncodeError):
        raise SettingInvalid(f"The identity from {source} is malformed.", hint=hint) from None
    found: list[Identity] = []
    for number, line in enumerate(text.reveal().removeprefix("\ufeff").splitlines(), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        try:
            found.append(x25519.Identity.from_str(key))
        except (pyrage.IdentityError, UnicodeEncodeError):
            place = f"line {number} of the identity" if number > 1 else "the identity"
            raise SettingInvalid(f"{place.capitalize()} from {source} is malformed.", hint=hint) from None
    if not found:
        raise SettingInvalid(f"There is no identity in {source}.", hint=hint)
    return found


def recipient_of(identity: Identity, source: str) -> str:
    """Return the recipient of an X25519 identity; raises SettingInvalid for an SSH key: its public key is a file."""
    if isinstance(identity, x25519.Identity):
        return str(identity.to_public())
    raise SettingInvalid(
        f"The identity in {source} is an SSH key.",
        hint="Put its public key, ssh-ed25519 …, into `recipients` yourself.",
    )


def _recipient(text: str) -> Recipient:
    try:
        kind = ssh if text.startswith(_SSH_PREFIX) else x25519
        parsed: Recipient = kind.Recipient.from_str(text)
    except (pyrage.RecipientError, UnicodeEncodeError):
        if re.search(_PRIVATE, text):
            raise SettingInvalid(
                "A recipient is an identity: this is a private key where the public key belongs.",
                hint="Remove it, make a new identity, and use the age1… text that belongs to it.",
            ) from None
        # A text that does not begin like a recipient may be a secret in the wrong place.
        public = text.startswith(("age1", _SSH_PREFIX))
        raise SettingInvalid(
            f"The recipient {text[:24]}… is malformed." if public else "A recipient is malformed.",
            hint="A recipient is the age1… text that `provisioner keygen` prints, or an ssh-ed25519 public key.",
        ) from None
    return parsed


def _encode(content: SealedContent) -> bytes:
    """Encode ``content`` as JSON. Lone surrogates are escaped: no text may make this fail, it may be the only copy."""
    document: dict[str, object] = {
        "lineage": content.lineage,
        "parent": content.parent,
        "name": content.name,
        "operation": content.operation,
    }
    if content.credentials is not None:
        document["api_login"] = content.credentials.api_login
        document["api_key"] = content.credentials.api_key.reveal()
    if content.password is not None:
        document["password"] = content.password.reveal()
    if content.others:
        document["others"] = [each.reveal() for each in content.others]
    if content.answer is not None:
        document["answer"] = _encode_answer(content.answer)
    if content.sent is not None:
        document["sent"] = content.sent.document()
    if content.altered:
        document["altered"] = dict(content.altered)
    passwords = [each for each in (content.password, *content.others) if each is not None]
    return _padded(_bytes(document), sum(-len(_bytes(each.reveal())) % _PASSWORD_BYTES for each in passwords))


def _bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode(errors="backslashreplace")


def _padded(text: bytes, more: int) -> bytes:
    """Return ``text`` followed by at least ``more`` blanks, up to a multiple of the block size.

    A reader of the state may know everything but the secrets: the sealed length must not reveal their length.
    """
    length = len(text) + more
    return text.ljust(length + -length % _BLOCK_BYTES)


def _encode_answer(answer: Answer) -> dict[str, object]:
    """Keep text readable, for a person who opens it with ``age -d``."""
    try:
        return {"status": answer.status, "body": answer.body.decode()}
    except UnicodeDecodeError:
        return {"status": answer.status, "body_base64": base64.b64encode(answer.body).decode("ascii")}


def _decode(plain: bytes, name: str) -> SealedContent:
    try:
        document = json.loads(plain)
        credentials = None
        if "api_login" in document:
            credentials = _decode_credentials(_text(document["api_login"]), _text(document["api_key"]))
        return SealedContent(
            lineage=_text(document["lineage"]),
            parent=_text(document["parent"]),
            name=_text(document["name"]),
            operation=_text(document["operation"]),
            password=Secret(_line(document["password"])) if "password" in document else None,
            others=tuple(Secret(_line(each)) for each in document.get("others", ())),
            credentials=credentials,
            answer=_decode_answer(document["answer"]) if "answer" in document else None,
            sent=_decode_sent(document["sent"]) if "sent" in document else None,
            altered={path: _optional(value) for path, value in document.get("altered", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        # The message contains neither the content nor the cause: both may contain the secret.
        raise StateConflict(
            f"The sealed content of {name} opens, but was not written by provisioner.",
            hint=f"Somebody replaced it. {_RESTORE}",
        ) from None


def _decode_credentials(login: str, key: str) -> Credentials:
    """Return the credentials; raises ValueError if a request could not carry them, so that only this account fails."""
    if not (is_login(login) and is_key(key)):
        raise ValueError
    return Credentials(login, Secret(key))


def _decode_answer(document: dict[str, Any]) -> Answer:
    if "body_base64" in document:
        return Answer(int(document["status"]), base64.b64decode(_text(document["body_base64"])))
    return Answer(int(document["status"]), _text(document["body"]).encode())


def _decode_sent(document: dict[str, Any]) -> Attributes:
    attributes = Attributes.of(document)
    for value in attributes.flat().values():
        _text(value)
    return attributes


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _line(value: object) -> str:
    """Return a text without control characters, which no password contains; raises ValueError otherwise."""
    text = _text(value)
    if re.search(_CONTROL, text):
        raise ValueError
    return text
