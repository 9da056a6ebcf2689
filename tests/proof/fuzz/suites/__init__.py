"""Public test suites, as far as their licences allow; ``LICENSES.md`` says where each comes from.

A compact selection: each file holds a suite's inputs and what the suite expects of them.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent
_DEEP: Final = 100_000
_LINE: Final = 64
"""Characters in a line of an armour."""


@dataclass(frozen=True, slots=True)
class YamlCase:
    """One case of the YAML Test Suite."""

    id: str
    name: str
    yaml: str
    json: str | None
    """What it means, as JSON documents one after the other; None if the suite does not say."""
    fail: bool
    """Whether it is not YAML."""


@dataclass(frozen=True, slots=True)
class AgeVector:
    """One of the age test vectors."""

    expect: str
    """``success``, ``no match``, or a kind of failure."""
    file: bytes
    armored: bool
    identities: tuple[str, ...]
    passphrases: tuple[str, ...]
    payload: str | None
    """The SHA-256 of the content; for a failure, of what may be released before it."""

    def armour(self) -> bytes:
        """Return the file in the form in which a state holds it."""
        if self.armored:
            return self.file
        text = base64.b64encode(self.file).decode()
        lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
        armour = ("-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", "")
        return "\n".join(armour).encode()


def yaml_cases() -> list[YamlCase]:
    """Return the cases of the YAML Test Suite."""
    return [
        YamlCase(each["id"], each["name"], each["yaml"], each.get("json"), each.get("fail", False))
        for each in _read("yaml")
    ]


def json_cases() -> dict[str, bytes]:
    """Return the cases of JSONTestSuite by name: y_ must be read, n_ must be refused, others may be either."""
    small = {name: text.encode("latin-1") for name, text in _read("json").items()}
    return {
        **small,
        "n_structure_100000_opening_arrays": b"[" * _DEEP,
        "n_structure_open_array_object": b'[{"":' * (_DEEP // 2),
    }


def naughty_strings() -> list[str]:
    """Return the Big List of Naughty Strings, without those that are addresses or words of people."""
    found: list[str] = _read("naughty")
    return found


@cache
def age_vectors() -> dict[str, AgeVector]:
    """Return the age test vectors by name."""
    return {
        name: AgeVector(
            each["expect"],
            _unpacked(each),
            each.get("armored") == "yes",
            tuple(each["identities"]),
            tuple(each.get("passphrases", ())),
            each.get("payload"),
        )
        for name, each in _read("age").items()
    }


def _unpacked(this: dict[str, str]) -> bytes:
    raw = base64.b64decode(this["file"])
    return zlib.decompress(raw) if this.get("compressed") == "zlib" else raw


def _read(name: str) -> Any:  # noqa: ANN401  # JSON has no closer type
    return json.loads((_HERE / f"{name}.json").read_text(encoding="utf-8"))
