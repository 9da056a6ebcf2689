"""Addresses that are connected to: what one may be, and when two are the same.

Owns the one grammar, which leaves no room for two readings: ``urllib.parse`` and what
connects disagree on a backslash, on blanks, on user-info. Refuses to look up a name.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_PORTS: Final = {"http": 80, "https": 443}
_MOST: Final = 65535
_ODD: Final = (
    (re.compile(r"\r"), "holds a carriage return (U+000D), as files with the line ends of Windows do"),
    (re.compile(r"[\x00-\x1f\x7f]"), "holds the control character U+{:04X}"),
    (re.compile(r"\s"), "holds a blank"),
    (re.compile(r"[^\w\x00-\x7f]"), "holds U+{:04X}, which stands in no address"),
    (re.compile(r"[^\x00-\x7f]"), "holds U+{:04X}: write an international name in its xn-- form"),
    (re.compile(r"\\"), "holds a backslash"),
    (re.compile(r"@"), "holds more than host and path: what stands before its @"),
    (re.compile(r"[?#]"), "holds more than host and path: what begins at its {}"),
)
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[a-z0-9._~!$&'()*+,;=:%-]*)*)",
    re.IGNORECASE,
)
_PASSWORD: Final = re.compile(r"[^/]*//[^/@]*:[^/@]*@|[^?]*\?(?:.*&)?(?:ssl)?password=", re.IGNORECASE)


class AddressError(ValueError):
    """A text is no address; its words complete a sentence of which the address is the subject, and hold none of it."""


def normal(text: str) -> str:
    """Return the http(s) address ``text`` in its one form: two are the same where these are.

    Scheme and host in lower case, no port where it is the usual one, no slash at the end.
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
        raise AddressError("is not an http(s) address: its port is none")
    return f"{scheme}://{_host(found['host'])}{'' if port == _PORTS[scheme] else f':{port}'}{path}"


def holds_password(text: str) -> bool:
    """Tell whether the address of a store has a password in it."""
    return _PASSWORD.match(text) is not None


def is_same(one: str, other: str) -> bool:
    """Tell whether two texts are one address, or, where one of them is none, the same text."""
    try:
        return normal(one) == normal(other)
    except AddressError:
        return one == other


def is_this_machine(host: str) -> bool:
    """Tell whether a host is written as this machine; whether a name is, shows once it is connected to."""
    return host == "localhost" or is_loopback(host)


def is_loopback(ip: str) -> bool:
    """Tell whether the text of an IP address is this machine's own; a name is not."""
    try:
        address = ipaddress.ip_address(ip.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _host(text: str) -> str:
    """Return a host's one form; raises AddressError where what stands in brackets is no IP address."""
    if not text.startswith("["):
        return text.lower().rstrip(".")
    try:
        return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
    except ValueError:
        raise AddressError("is not an http(s) address: what stands in its brackets is no IP address") from None
