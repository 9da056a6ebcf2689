"""Public suites for YAML, JSON and age, and our own for CSV: what is read means what it should; the rest is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from provisioner.document import parse_yaml
from provisioner.errors import IdentityRejected, ProvisionerError, StateConflict, StateInvalid
from provisioner.manifest import load
from provisioner.model.account import Secret, Severity
from provisioner.model.verdict import Created
from provisioner.octopush import answers
from provisioner.octopush.transport import Reply
from provisioner.octopush.verdict import judge
from provisioner.state import codec
from provisioner.state.sealing import AgeOpener, new_identity, parse_identities
from tests.proof.fuzz import suites

# ── YAML ─────────────────────────────────────────────────────────────────────


def decoded(text: str) -> list[object]:
    """Return the JSON documents in ``text``, one after the other."""
    found, at = [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = json.JSONDecoder().raw_decode(text, at)
        found.append(value)
    return found


def as_text(value: object) -> object:
    """Return ``value`` as a reader sees it who takes every scalar for text."""
    if isinstance(value, dict):
        return {as_text(key): as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_text(each) for each in value]
    return None if value is None else str(value)


LENIENT = {
    **dict.fromkeys(("9C9N", "QB6E"), "a line that should be indented"),
    **dict.fromkeys(("DK95-1", "DK95-2", "DK95-5", "DK95-8", "Y79Y-2", "Y79Y-3"), "a tab between words or lines"),
    **dict.fromkeys(("G5U8", "YJV2"), "a dash that is a text in brackets"),
    **dict.fromkeys(("CVW2", "X4QW"), "no space before the # of a comment where no text could go on"),
    **dict.fromkeys(("2G84-2", "2G84-3", "S98Z"), "signs of an empty text in several lines"),
}
"""What is not YAML and is still read: each can mean only one thing."""
SHORTER = {"JEF9-2": [""], "L24T-1": {"foo": "x\n "}}
"""What is read with fewer blanks at the end of a text in several lines; no schema allows such a text."""


def test_yaml_is_read_as_it_is_meant_or_refused() -> None:
    cases = suites.yaml_cases()
    read = {each.id: found for each in cases if (found := _read_yaml(each)) is not None}
    assert set(LENIENT) == {each.id for each in cases if each.fail and each.id in read}
    for case in cases:
        if case.id in read and case.json is not None:
            means = [SHORTER[case.id]] if case.id in SHORTER else decoded(case.json)
            assert [as_text(each) for each in means] == [as_text(read[case.id])], case.name
    assert len(read) > 180  # of those that have no tags, no documents in a row and no unused anchors


def _read_yaml(case: suites.YamlCase) -> object:
    """Return what the program reads, or None if it refuses it with an error that says where and what to do."""
    document = parse_yaml(case.yaml.encode("utf-8", "surrogatepass"), "m.yaml", "manifest.v1")
    assert all(each.message and each.hint and each.origin.line for each in document.problems), case.name
    return None if any(each.severity is Severity.ERROR for each in document.problems) else document.value


# ── CSV, with cases of our own ───────────────────────────────────────────────

CSV: dict[str, tuple[str, list[tuple[str, str, str]] | None]] = {
    "simple": ("a,b,c\n", [("a", "b", "c")]),
    "no line break at the end": ("a,b,c", [("a", "b", "c")]),
    "carriage returns": ("a,b,c\r\nd,e,f\r\n", [("a", "b", "c"), ("d", "e", "f")]),
    "old line breaks": ("a,b,c\rd,e,f\r", [("a", "b", "c"), ("d", "e", "f")]),
    "a separator in quotes": ('a,"b,b",c\n', [("a", "b,b", "c")]),
    "doubled quotes": ('a,"say ""hi""",c\n', [("a", 'say "hi"', "c")]),
    "only quotes": ('a,"""""",c\n', [("a", '""', "c")]),
    "JSON in a cell": (
        'a,"{""type"": ""Point"", ""at"": [102.0, 0.5]}",c\n',
        [("a", '{"type": "Point", "at": [102.0, 0.5]}', "c")],
    ),
    "a backslash is a backslash": ("a,b\\,c\n", [("a", "b\\", "c")]),
    "an apostrophe": ("a,d'Arc,c\n", [("a", "d'Arc", "c")]),
    "other letters": ("a,ʤ,é\n", [("a", "ʤ", "é")]),
    "numbers stay text": ("a,007,1e5\n", [("a", "007", "1e5")]),
    "words stay text": ("a,NA,null\n", [("a", "NA", "null")]),
    "blank lines": ("\na,b,c\n\n,,\nd,e,f\n", [("a", "b", "c"), ("d", "e", "f")]),
    "more separators at the end": ("a,b,c,,\n", [("a", "b", "c")]),
    "one cell too many": ("a,b,c,d\n", None),
    "one cell too few": ("a,b\n", None),
    "a line break in quotes": ('a,"b\nb",c\n', None),
    "text after a quote": ('a,"b"b,c\n', None),
    "a quote in a text": ('a,b"b",c\n', [("a", 'b"b"', "c")]),
    "an open quote": ('a,"b,c\n', None),
    "a space at the end": ("a,b ,c\n", None),
    "a NUL": ("a,b\0,c\n", None),
    "half a character": ("a,\udcff,c\n", None),
    "an empty cell": ('a,"",c\n', None),
}
"""By what it shows: the rows, and the accounts; None: they are refused."""


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_is_read_as_it_is_meant_or_refused(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "m.csv"
    for case, (rows, accounts) in CSV.items():
        text = f"name,first_name,last_name\n{rows}"
        if separator != "," and '"' not in text and accounts is not None:
            text = text.replace(",", separator)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        found = [account for each in load([path]).manifests for account in each.accounts]
        assert (accounts or []) == [(each.name, *each.attributes.flat().values()) for each in found], case


# ── JSON ─────────────────────────────────────────────────────────────────────

REPEATED = {"y_object_duplicated_key", "y_object_duplicated_key_and_value"}
"""A key that is repeated is JSON, but which value would be meant?"""


def test_json_is_read_strictly_in_states_and_answers() -> None:
    for case, raw in suites.json_cases().items():
        found = [parsed(codec.parse, raw, "it"), parsed(answers.parsed, raw)]
        if case in REPEATED or case.startswith("n_"):
            assert [None, None] == found, case
        elif case.startswith("y_"):
            assert [(json.loads(raw),)] * 2 == found, case
        assert parsed(codec.decode, raw, "it") is None
        for status in (201, 400, 500):
            assert not isinstance(judge(Reply(status, {}, raw), now=datetime.now(UTC)), Created)


def parsed(parse: Callable[..., object], *arguments: object) -> tuple[object] | None:
    """Return what ``parse`` reads, or None if it refuses."""
    try:
        return (parse(*arguments),)
    except (StateInvalid, ValueError):
        return None


# ── age ──────────────────────────────────────────────────────────────────────

OPENED = {"stanza_missing_body", "stanza_missing_final_line"}
"""Old forms of a header that rage, the library, still opens."""
REFUSED = {"armor_whitespace_outside"}
"""A blank line above the armour: rage refuses it."""


def test_what_age_must_open_is_opened_and_what_it_must_not_is_refused() -> None:
    own = new_identity()[0].reveal()
    for case, vector in suites.age_vectors().items():
        # Passphrases and post-quantum keys are not identities here, so nothing that is sealed to them is opened.
        known = [each for each in vector.identities if not each.startswith("AGE-SECRET-KEY-PQ-")]
        identities = parse_identities(Secret("\n".join(known or [own])), "the vector")
        sealed = vector.armour().decode("latin-1")
        with pytest.raises(ProvisionerError) as caught:
            AgeOpener(identities).open(sealed, lineage="", parent="", name="paris", operation="")
        if not known:
            assert caught.type in {IdentityRejected, StateInvalid}, case
        elif case in OPENED or (vector.expect == "success" and case not in REFUSED):
            assert caught.type is StateConflict, case  # it opens, and is not a record
        else:
            assert caught.type is (IdentityRejected if vector.expect == "no match" else StateInvalid), case
        if caught.type is StateConflict and vector.payload:
            assert vector.payload == hashlib.sha256(pyrage.decrypt(vector.armour(), identities)).hexdigest(), case
