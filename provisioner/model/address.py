"""The addresses to connect to: which are valid, and when two are the same.

Owns one strict grammar that cannot be read in two ways: ``urllib.parse`` and the code
that connects disagree about backslashes, blanks and user-info. Never looks up a name.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_PORTS: Final = {"http": 80, "https": 443}
_MOST: Final = 65535
_ODD: Final = (
    (re.compile(r"\r"), "contains a carriage return (U+000D), as in a file with Windows line endings"),
    (re.compile(r"[\x00-\x1f\x7f]"), "contains the control character U+{:04X}"),
    (re.compile(r"\s"), "contains a blank"),
    (re.compile(r"[^\w\x00-\x7f]"), "contains U+{:04X}, which no address may contain"),
    (re.compile(r"[^\x00-\x7f]"), "contains U+{:04X}: write an international name in its xn-- form"),
    (re.compile(r"\\"), "contains a backslash"),
    (re.compile(r"@"), "contains more than a host and a path: the part before the @"),
    (re.compile(r"[?#]"), "contains more than a host and a path: the part that begins with {}"),
)
_ADDRESS: Final = re.compile(
    r"(?P<scheme>[hH][tT][tT][pP][sS]?)://"
    r"(?P<host>[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)*\.?|\[[0-9a-fA-F:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[a-zA-Z0-9._~!$&'()*+,;=:%-]*)*)"
)
_GIVES_AWAY: Final = r"(?i)[^/]*//[^/@]*:[^/@]*@|[^?]*\?(?:.*&)?(?:ssl)?password="


class AddressError(ValueError):
    """A text is not an address. Its message is a predicate ("contains a blank") and quotes none of the text."""


def normal(text: str) -> str:
    """Return the http(s) address ``text`` in its canonical form: equal forms mean the same address.

    Scheme and host are in lower case, a default port and a final slash are left out.
    Raises AddressError.
    """
    for odd, words in _ODD:
        if found := odd.search(text):
            raise AddressError(words.format(ord(found[0]) if ":04X" in words else found[0]))
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise AddressError("is not an http(s) address of a host, with or without a port and a path")
    scheme, path = found["scheme"].lower(), found["path"].rstrip("/")
    if {"", ".", ".."} & set(path.split("/")[1:]):
        raise AddressError("has a part of its path that is empty or made of dots")
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if not 0 < port <= _MOST:
        raise AddressError("is not an http(s) address: its port is not a valid one")
    return f"{scheme}://{_host(found['host'])}{'' if port == _PORTS[scheme] else f':{port}'}{path}"


def holds_password(text: str) -> bool:
    """Return whether the address of a store contains a password."""
    return re.match(_GIVES_AWAY, text) is not None


def is_same(one: str, other: str) -> bool:
    """Return whether two texts are the same address; if either is not an address, whether they are equal."""
    try:
        return normal(one) == normal(other)
    except AddressError:
        return one == other


def is_this_machine(host: str) -> bool:
    """Return whether a host is ``localhost`` or a loopback IP address; other names are not looked up."""
    return host == "localhost" or is_loopback(host)


def is_loopback(ip: str) -> bool:
    """Return whether ``ip`` is a loopback IP address; a name is not."""
    try:
        address = ipaddress.ip_address(ip.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _host(text: str) -> str:
    """Return a host's canonical form; raises AddressError if its brackets do not contain an IP address."""
    if not text.startswith("["):
        return text.lower().rstrip(".")
    try:
        return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
    except ValueError:
        raise AddressError("is not an http(s) address: its brackets do not contain an IP address") from None
