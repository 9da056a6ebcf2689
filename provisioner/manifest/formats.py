"""Formats: the checks behind the schema's ``format`` keywords, and why a text fails one.

Has the rules that a pattern cannot express or explain. Never repeats the text itself,
except the host of an address: a URL can contain tokens, and any text may be in the wrong
field.
"""

from __future__ import annotations

import re
import unicodedata
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from provisioner import placeholders
from provisioner.document import character, text_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.document import Check

Fault = tuple[str, str]

# Letters and dashes of other scripts that most fonts draw like Latin ones. Those that
# Unicode itself maps to Latin, such as full-width letters, need no entry.
_LOOK_ALIKES: Final = {
    "\u0430": "a", "\u0435": "e", "\u043e": "o", "\u0440": "p", "\u0441": "c", "\u0443": "y",
    "\u0445": "x", "\u0455": "s", "\u0456": "i", "\u0458": "j", "\u04bb": "h", "\u0501": "d",
    "\u051b": "q", "\u051d": "w", "\u03bf": "o", "\u03b1": "a", "\u03bd": "v", "\u03c1": "p",
    "\u03b9": "i", "\u03ba": "k", "\u03c5": "u", "\u0131": "i", "\u0251": "a", "\u0261": "g",
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
}  # fmt: skip
_URL_CHARACTERS: Final = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_PLAIN_URL: Final = re.compile(
    rf"https?://{_LABEL}(?:\.{_LABEL})*(?:[/?#]{_URL_CHARACTERS})?",
)
"""Matches nearly all addresses; parsing one takes ten times as long."""
_LOCAL_PART: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LOCAL_PART_LIMIT: Final = 64
_LOWEST_PORT: Final = 1
_LONGEST_HOST: Final = 253


def text(value: str) -> Fault | None:
    """Check a line of plain text with placeholders."""
    return text_fault(value) or placeholders.fault(value)


def key(value: str) -> Fault | None:
    """Check a key for characters that only look right; the schema's pattern covers the rest."""
    if fault := text_fault(value):
        return fault
    for one in value:
        if not one.isascii():
            twin = _LOOK_ALIKES.get(one) or unicodedata.normalize("NFKC", one)
            if twin.isascii():
                return f"contains {character(one)}, which only looks like {twin}", f"Type {twin} instead."
            return f"contains {character(one)}", "Use the letters a to z, digits and hyphens."
    return None


def callback_url(value: str) -> Fault | None:
    """Check a callback URL: http or https, a host, a valid port, and only characters that a URL may contain."""
    if fault := text(value):
        return fault
    # A placeholder at the beginning may include the scheme. Elsewhere, one is checked as a
    # digit, which is valid in a host, a port, a path and a query.
    if value.startswith("${"):
        rest = placeholders.filled(value, "\0").removeprefix("\0")
        value = rest.replace("\0", "1")
        return None if re.fullmatch(_URL_CHARACTERS, value) else _URL_CHARACTER_FAULT
    return _literal_url(placeholders.filled(value, "1"))


def _literal_url(value: str) -> Fault | None:
    if _PLAIN_URL.fullmatch(value):
        return None
    if fault := text_fault(value):
        return fault
    if not value.lower().startswith(("http://", "https://")):
        return "must begin with https://", "Octopush can only call a web address."
    authority = re.split("[/?#]", value.partition("//")[2], maxsplit=1)[0].rpartition("@")[2]
    if (fault := _international(authority.partition(":")[0])) or not re.fullmatch(_URL_CHARACTERS, value):
        return fault or _URL_CHARACTER_FAULT
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "has an invalid host or port", "Write it as in https://hooks.example.com:8443/path."
    if not host or not (":" in host or all(re.fullmatch(_LABEL, each) for each in host.removesuffix(".").split("."))):
        return "has no valid host", "Write it as in https://hooks.example.com/path."
    if port is not None and port < _LOWEST_PORT:
        return "has an invalid port", "Leave the port out, or write one from 1 to 65535."
    return None


def _international(host: str) -> Fault | None:
    """Return the fault of a host that is not ASCII, or is ASCII only by percent-encoding; the hint has its form."""
    plain = unquote(host).lower()
    if plain.isascii():
        return None
    try:
        # In the newer standard, which browsers follow, these four mean other hosts than in Python's.
        form = "" if any(one in plain for one in "\u00df\u03c2\u200c\u200d") else plain.encode("idna").decode()
    except UnicodeError:
        form = ""
    how = f"Write it as {form}." if form and len(form) <= _LONGEST_HOST else "Ask whoever runs it for its xn-- form."
    return "has a host with letters other than a to z, which needs its xn-- form", how


_URL_CHARACTER_FAULT: Final = (
    "contains a character that a web address cannot contain",
    "Write it with a percent sign and its code: a space is %20, \N{LATIN SMALL LETTER E WITH ACUTE} is %C3%A9.",
)


def email(value: str) -> Fault | None:
    """Check an e-mail address by its shape."""
    if fault := text(value):
        return fault
    filled = placeholders.filled(value, "a.a")
    return None if "@" not in filled and placeholders.names(value) else _literal_email(filled)


def _literal_email(value: str) -> Fault | None:
    if fault := text_fault(value):
        return fault
    local, _, domain = value.rpartition("@")
    if local and (fault := _international(domain)):
        return fault
    labels = domain.split(".")
    good = re.fullmatch(_LOCAL_PART, local) and len(local) <= _LOCAL_PART_LIMIT
    if not good or len(labels) == 1 or not all(re.fullmatch(_LABEL, each) for each in labels):
        return "is not an e-mail address", "Write one address, as in sms@example.com."
    return None


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "text": text,
        "key": key,
        "uri": callback_url,
        "uri-with-placeholders": callback_url,
        "email": email,
        "email-with-placeholders": email,
    },
)
LITERAL_CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "text": text_fault,
        "key": key,
        "uri": _literal_url,
        "uri-with-placeholders": _literal_url,
        "email": _literal_email,
        "email-with-placeholders": _literal_email,
    },
)
"""The same checks for a text whose placeholders are filled in."""
