"""The document of a state: its form, that it loses nothing, and everything that is refused."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from provisioner import schemas
from provisioner.errors import ExitCode, StateForeign, StateInvalid
from provisioner.model.account import CALLBACK_NAMES, FIELDS, Attributes, Callbacks
from provisioner.model.state import NO_DRIFT, Abandoned, Active, Drift, Edit, Operation, Pending, State, Unknown
from provisioner.state import codec
from tests.state import ABANDONED, ACTIVE, LEONARDO, OPERATION, PENDING, SEALED, STATE, UNKNOWN

MARK = "s3cret-value"
"""A value that no message may repeat."""

DOCUMENT = codec.encode(STATE).decode()

Change = Callable[[dict[str, Any]], object]

# ── Round trip ───────────────────────────────────────────────────────────────

names = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,5}", fullmatch=True)
texts = st.text(max_size=20)
some = st.text(min_size=1, max_size=20)
sealed = texts.map(lambda text: f"-----BEGIN AGE ENCRYPTED FILE-----\n{text}")
callbacks = st.builds(Callbacks, *[st.none() | texts for _ in CALLBACK_NAMES])
attributes = st.builds(Attributes, texts, texts, st.none() | texts, callbacks)
ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
times = st.datetimes().map(lambda at: f"{at.isoformat()}Z")
operations = st.builds(Operation, ids, times, texts)
MOST = 10**18 - 1
versions = st.integers(min_value=1, max_value=MOST)
paths = st.lists(st.sampled_from(FIELDS), unique=True).map(tuple)
drifts = st.builds(Drift, paths, paths, st.booleans())
edits = st.builds(Edit, attributes, operations, versions, st.none() | sealed)
records = st.one_of(
    st.builds(Pending, attributes, operations, st.none() | sealed),
    st.builds(Active, attributes, operations, times, sealed, versions, drifts, st.none() | edits, st.none() | ids),
    st.builds(Unknown, attributes, operations, texts, st.none() | sealed),
    st.builds(Abandoned, attributes, operations, texts, st.none() | sealed),
)
states = st.builds(
    State,
    lineage=ids,
    parent=some,
    serial=st.integers(min_value=0, max_value=MOST),
    endpoint=st.none() | texts,
    parent_check=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    recipients=st.lists(some, max_size=3).map(tuple),
    accounts=st.dictionaries(names, records, max_size=4),
)


@given(states)
def test_what_is_written_is_read_back(state: State) -> None:
    assert state == codec.decode(codec.encode(state), "it")


@given(records)
def test_a_record_alone_is_read_back(record: Pending | Active | Unknown | Abandoned) -> None:
    assert record == codec.decode_record(codec.encode_record(record))


def test_the_smallest_state_is_read_back() -> None:
    state = State(lineage="l", parent="p")
    assert state == codec.decode(codec.encode(state), "it")


def test_half_a_character_neither_breaks_a_save_nor_is_lost() -> None:
    state = STATE.with_record("paris", Unknown(LEONARDO, OPERATION, "the API said \udcff"))
    assert b"the API said \\udcff" in codec.encode(state)
    assert state == codec.decode(codec.encode(state), "it")
    deep = replace(LEONARDO, callbacks=Callbacks(callback_url_for_visits="https://h.example/\udcff"))
    state = STATE.with_record("paris", replace(ACTIVE, edit=Edit(deep, OPERATION, 2)))
    assert state == codec.decode(codec.encode(state), "it")


def test_the_document_is_made_to_be_read_in_a_diff() -> None:
    state = State(
        lineage="l",
        parent="default",
        serial=2,
        recipients=("age1b", "age1a"),
        accounts={
            "rome": Unknown(Attributes("É", "B"), Operation("o2", "2026-01-02T00:00:00Z", "u"), "lost"),
            "paris": Active(LEONARDO, Operation("o1", "2026-01-01T00:00:00Z", "u"), "2026-01-03T00:00:00Z", SEALED),
        },
    )
    expected = """\
{
  "accounts": {
    "paris": {
      "attributes": {
        "callbacks": {
          "callback_url_for_visits": "https://h.example/v?t=${env:T}"
        },
        "company_name": "Italy",
        "first_name": "Léonardo",
        "last_name": "Da Vinci"
      },
      "created_at": "2026-01-03T00:00:00Z",
      "operation": {
        "by": "u",
        "id": "o1",
        "started_at": "2026-01-01T00:00:00Z"
      },
      "sealed": "-----BEGIN AGE ENCRYPTED FILE-----\\nc2VhbGVk\\n-----END AGE ENCRYPTED FILE-----\\n",
      "status": "active"
    },
    "rome": {
      "attributes": {
        "first_name": "É",
        "last_name": "B"
      },
      "operation": {
        "by": "u",
        "id": "o2",
        "started_at": "2026-01-02T00:00:00Z"
      },
      "reason": "lost",
      "status": "unknown"
    }
  },
  "endpoint": null,
  "lineage": "l",
  "parent": "default",
  "parent_check": null,
  "recipients": [
    "age1b",
    "age1a"
  ],
  "serial": 2,
  "version": 1
}
"""
    assert expected == codec.encode(state).decode()


def test_what_is_usual_of_an_active_account_is_left_out() -> None:
    assert {"status", "attributes", "operation", "created_at", "sealed"} == codec.encode_record(ACTIVE).keys()


def test_what_life_has_done_to_an_account_is_written() -> None:
    begun = Edit(LEONARDO, Operation("op-2", "2026-01-02T00:00:00Z", "u"), 3, SEALED)
    drift = Drift(("first_name",), ("last_name",), gone=True)
    record = replace(ACTIVE, password_version=2, drift=drift, edit=begun, first_operation="op-0")
    document = codec.encode_record(record)
    usual = codec.encode_record(ACTIVE)
    assert {
        **usual,
        "password_version": 2,
        "first_operation": "op-0",
        "drift": {"altered": ["first_name"], "changed": ["last_name"], "gone": True},
        "edit": {
            "attributes": LEONARDO.document(),
            "operation": {"id": "op-2", "started_at": "2026-01-02T00:00:00Z", "by": "u"},
            "password_version": 3,
            "sealed": SEALED,
        },
    } == document
    plain = codec.encode_record(replace(record, drift=Drift(gone=True), edit=replace(begun, sealed=None)))
    assert {"gone": True} == plain["drift"]
    assert "sealed" not in plain["edit"]
    assert NO_DRIFT == Drift()


def test_a_password_version_that_somebody_wrote_with_a_point_is_a_whole_number() -> None:
    def with_points(document: dict[str, Any]) -> None:
        begun = {"attributes": LEONARDO.document(), "operation": paris(document)["operation"], "password_version": 3.0}
        paris(document).update(password_version=2.0, edit=begun)

    record = codec.decode(edited(with_points), "it").accounts["paris"]
    assert isinstance(record, Active)
    assert record.edit is not None
    assert (2, int) == (record.password_version, type(record.password_version))
    assert (3, int) == (record.edit.password_version, type(record.edit.password_version))


def test_the_order_of_accounts_means_nothing() -> None:
    turned = State(lineage="l", parent="p", accounts={"b": ACTIVE, "a": PENDING})
    straight = State(lineage="l", parent="p", accounts={"a": PENDING, "b": ACTIVE})
    assert codec.encode(straight) == codec.encode(turned)


def test_a_serial_that_somebody_wrote_with_a_point_is_a_whole_number() -> None:
    serial = codec.decode(edited(lambda each: each.update(serial=3.0)), "it").serial
    assert (3, int) == (serial, type(serial))


class Other:
    """A record of a kind that the format does not know."""

    status, attributes, operation, sealed = "lost", LEONARDO, OPERATION, None


def test_a_record_of_an_unknown_kind_is_not_written() -> None:
    with pytest.raises(AssertionError, match="unreachable"):
        codec.encode_record(Other())  # type: ignore[arg-type]


def test_what_remains_where_a_state_has_moved_says_where_it_is() -> None:
    raw = codec.tombstone("git:origin/states/default.json")
    assert "git:origin/states/default.json" == codec.moved_to(raw)
    with pytest.raises(StateForeign, match=r"state\.json has moved to git:origin/states/default\.json\."):
        codec.decode(raw, "state.json")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[]", b'{"moved_to": 1}', b"[" * 100_000, DOCUMENT.encode()])
def test_nothing_else_says_that_a_state_has_moved(raw: bytes) -> None:
    assert codec.moved_to(raw) is None


# ── What is refused ──────────────────────────────────────────────────────────


def edited(edit: Change) -> bytes:
    """Return the document of STATE as somebody changed it by hand."""
    document = json.loads(codec.encode(STATE))
    edit(document)
    return json.dumps(document).encode()


def refusal(raw: bytes) -> StateInvalid:
    """Return the error with which ``raw`` is refused, having checked that it repeats no value and names its source."""
    with pytest.raises(StateInvalid) as caught:
        codec.decode(raw, "state/acme.json")
    said = caught.value.message + caught.value.hint + repr(caught.value)
    assert MARK not in said
    assert "state/acme.json" in said
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert caught.value.__cause__ is None
    return caught.value


def begun(**changes: object) -> dict[str, object]:
    """Return the document of an unfinished edit."""
    usual: dict[str, object] = codec.encode_record(replace(ACTIVE, edit=Edit(LEONARDO, OPERATION, 2)))["edit"]
    return usual | changes


def paris(document: dict[str, Any]) -> Any:  # noqa: ANN401  # it is JSON
    return document["accounts"]["paris"]


@pytest.mark.parametrize(
    ("place", "edit"),
    [
        ("$", lambda d: d.pop("lineage")),
        ("$", lambda d: d.pop("serial")),
        ("$", lambda d: d.pop("version")),
        ("$", lambda d: d.update(password=MARK)),
        ("$.version", lambda d: d.update(version=True)),
        ("$.version", lambda d: d.update(version=0)),
        ("$.version", lambda d: d.update(version="2")),
        ("$.lineage", lambda d: d.update(lineage="")),
        ("$.lineage", lambda d: d.update(lineage={"a": MARK})),
        ("$.serial", lambda d: d.update(serial=-1)),
        ("$.serial", lambda d: d.update(serial=10**18)),
        ("$.serial", lambda d: d.update(serial=1.5)),
        ("$.serial", lambda d: d.update(serial=True)),
        ("$.serial", lambda d: d.update(serial=MARK)),
        ("$.parent", lambda d: d.update(parent="")),
        ("$.endpoint", lambda d: d.update(endpoint=[MARK])),
        ("$.parent_check", lambda d: d.update(parent_check="é$00")),
        ("$.recipients", lambda d: d.update(recipients=MARK)),
        ("$.recipients[0]", lambda d: d.update(recipients=[""])),
        ("$.accounts", lambda d: d.update(accounts=[MARK])),
        ("$.accounts.paris", lambda d: d["accounts"].update(paris=MARK)),
        ("$.accounts.paris", lambda d: paris(d).update(status=MARK)),
        ("$.accounts.paris", lambda d: paris(d).update(api_key=MARK)),
        ("$.accounts.paris", lambda d: paris(d).pop("operation")),
        ("$.accounts.paris", lambda d: paris(d).pop("sealed")),
        ("$.accounts.paris", lambda d: paris(d).pop("created_at")),
        ("$.accounts.paris.sealed", lambda d: paris(d).update(sealed=[MARK])),
        ("$.accounts.paris.attributes", lambda d: paris(d)["attributes"].pop("first_name")),
        ("$.accounts.paris.attributes", lambda d: paris(d)["attributes"].update(password=MARK)),
        ("$.accounts.paris.attributes.last_name", lambda d: paris(d)["attributes"].update(last_name=[MARK])),
        ("$.accounts.paris.attributes.company_name", lambda d: paris(d)["attributes"].update(company_name=None)),
        ("$.accounts.paris.attributes.callbacks", lambda d: paris(d)["attributes"]["callbacks"].update(other=MARK)),
        ("$.accounts.paris.operation", lambda d: paris(d)["operation"].update(other=MARK)),
        ("$.accounts.paris.operation.id", lambda d: paris(d)["operation"].update(id="")),
        ("$.accounts.rome", lambda d: d["accounts"]["rome"].pop("reason")),
        ("$.accounts.paris.password_version", lambda d: paris(d).update(password_version=0)),
        ("$.accounts.paris.password_version", lambda d: paris(d).update(password_version=MARK)),
        ("$.accounts.paris.drift", lambda d: paris(d).update(drift={})),
        ("$.accounts.paris.drift", lambda d: paris(d).update(drift={"found": MARK})),
        ("$.accounts.paris.drift.gone", lambda d: paris(d).update(drift={"gone": False})),
        ("$.accounts.paris.drift.altered", lambda d: paris(d).update(drift={"altered": []})),
        ("$.accounts.paris.drift.altered[0]", lambda d: paris(d).update(drift={"altered": ["Nothing to do.\x1b[8m"]})),
        ("$.accounts.paris.drift.changed", lambda d: paris(d).update(drift={"changed": ["first_name"] * 2})),
        *(
            ("$.accounts.paris.created_at", lambda d, when=when: paris(d).update(created_at=when))
            for when in ("", "2026-01-01", "2026-01-01T00:00:00Z\n", "2026-01-01T00:00:00+00:00", "\x1b[2J")
        ),
        ("$.accounts.paris.operation.started_at", lambda d: paris(d)["operation"].update(started_at="\x1b[2J")),
        ("$.accounts.paris.operation.id", lambda d: paris(d)["operation"].update(id="\x1b[2J")),
        ("$.lineage", lambda d: d.update(lineage="\x1b[2J")),
        ("$.accounts.paris.edit", lambda d: paris(d).update(edit={})),
        ("$.accounts.paris.edit.sealed", lambda d: paris(d).update(edit=begun(sealed=[MARK]))),
        ("$.accounts.paris.edit.password_version", lambda d: paris(d).update(edit=begun(password_version=0))),
        ("$.accounts.paris.edit.attributes", lambda d: paris(d).update(edit=begun(attributes={"password": MARK}))),
    ],
)
def test_what_breaks_the_schema_is_refused_by_its_place(place: str, edit: Change) -> None:
    error = refusal(edited(edit))
    # If a record breaks the rule of its status, or more than one, the place may be the record itself.
    assert re.search(rf"is damaged: {re.escape(place)}(\.\w+)? does not fit its schema, state\.v1\.$", error.message)
    assert ".backup" in error.hint
    assert "`provisioner adopt NAME LOGIN`" in error.hint


@pytest.mark.parametrize(
    ("status", "field", "value"),
    [
        ("pending", "created_at", "2026-01-01T00:00:00Z"),
        ("pending", "reason", "r"),
        ("active", "reason", "r"),
        ("unknown", "created_at", "2026-01-01T00:00:00Z"),
        ("abandoned", "created_at", "2026-01-01T00:00:00Z"),
        *((status, "password_version", 2) for status in ("pending", "unknown", "abandoned")),
        *((status, "first_operation", "op-0") for status in ("pending", "unknown", "abandoned")),
        *((status, "drift", {"gone": True}) for status in ("pending", "unknown", "abandoned")),
        *(
            (status, "edit", codec.encode_record(replace(ACTIVE, edit=Edit(LEONARDO, OPERATION, 2)))["edit"])
            for status in ("pending", "unknown", "abandoned")
        ),
    ],
)
def test_a_record_has_no_field_of_another_status(status: str, field: str, value: object) -> None:
    record = {"pending": PENDING, "active": ACTIVE, "unknown": UNKNOWN, "abandoned": ABANDONED}[status]
    document = codec.encode_record(record)
    assert record == codec.decode(edited(lambda d: d["accounts"].update(paris=document)), "it").accounts["paris"]
    refusal(edited(lambda d: d["accounts"].update(paris={**document, field: value})))


@pytest.mark.parametrize(
    "name",
    ["", "Paris", "paris ", "paris\n", "pa\x1b[2Jris", "-paris", "paris-", "pa--ris", "pâris", "a" * 64, "a.b", "a/b"],
)
def test_a_name_that_no_manifest_could_have_is_refused_and_not_repeated(name: str) -> None:
    error = refusal(edited(lambda d: d["accounts"].update({name: paris(d)})))
    assert "state/acme.json is damaged: $.accounts does not fit its schema, state.v1." == error.message


@pytest.mark.parametrize("name", ["a", "0", "lyon-2", "a" * 63])
def test_a_name_that_a_manifest_may_have_is_read(name: str) -> None:
    assert name in codec.decode(edited(lambda d: d["accounts"].update({name: paris(d)})), "it").accounts


def test_a_newer_version_is_left_to_a_newer_provisioner() -> None:
    error = refusal(b'{"version": 2, "anything": {"else": 1}}')
    assert "state/acme.json is a state of version 2; this provisioner supports version 1." == error.message
    assert "newer" in error.hint


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"1", b"{}"])
def test_json_that_is_not_a_state_is_refused(raw: bytes) -> None:
    assert "state/acme.json is damaged: $ does not fit its schema, state.v1." == refusal(raw).message


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (codec.encode(STATE)[:100], "line "),
        (codec.encode(STATE) + b"}", "line "),
        (b'{\n  "a" 1}', "line 2, column 7"),
    ],
)
def test_what_is_not_json_is_refused_by_its_place(raw: bytes, place: str) -> None:
    assert f"state/acme.json is not a JSON document ({place}" in refusal(raw).message


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty."),
        (b" \r\n", "is empty."),
        (b"\0" * 100, "contains NUL bytes from byte 0 on, as after a power failure."),
        (codec.encode(STATE)[:80] + b"\0" * 80, "contains NUL bytes from byte 80 on, as after a power failure."),
        (b"\xef\xbb\xbf" + codec.encode(STATE), "begins with a byte-order mark: an editor or a shell saved it so."),
        (b"\xef\xbb\xbf\n", "is empty."),
        *((f"{mark}{DOCUMENT}".encode(each), f"is {each[:6].upper()} text: an editor or a shell saved it so.")
          for each in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be") for mark in ("", "\ufeff")),
        (b"\x1f\x8b\x08\0\0", "is not UTF-8 (byte 1)."),
        *((DOCUMENT.replace("\n", f"\n{each}\n", 1).encode(),
           "contains the conflict marks of an unfinished merge (line 2).")
          for each in ("=======", "=======\r", "<<<<<<< HEAD", ">>>>>>> theirs", "||||||| base")),
    ],
)  # fmt: skip
def test_the_error_about_a_damaged_state_says_what_the_damage_is(raw: bytes, said: str) -> None:
    assert f"state/acme.json {said}" == refusal(raw).message


def test_what_is_not_utf_8_is_refused_by_its_place() -> None:
    assert "state/acme.json is not UTF-8 (byte 2)." == refusal(b'{"\xe9": 1}').message


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"version": ' + b"9" * 5000 + b"}", b'{"serial": NaN}', b"[-Infinity]"]
)
def test_json_that_is_too_deep_or_has_numbers_that_are_none_is_refused(raw: bytes) -> None:
    said = "state/acme.json is not a JSON document (too deep, a number too long, or no number at all)."
    assert said == refusal(raw).message


def parses(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except RecursionError:
        return False
    return True


def test_no_depth_at_all_is_too_deep_for_a_clear_refusal() -> None:
    """The parser accepts a few depths that the validator cannot follow: each of them is tried."""
    whole = edited(lambda d: d.update(recipients=MARK))

    def nested(depth: int) -> bytes:
        return whole.replace(f'"{MARK}"'.encode(), b"[" * depth + b"]" * depth)

    deepest = next(depth for depth in range(sys.getrecursionlimit() * 2, 0, -1) if parses(nested(depth)))
    said = {refusal(nested(depth)).message for depth in range(deepest - 30, deepest + 1)}
    assert "state/acme.json is damaged: $.recipients[0] does not fit its schema, state.v1." in said


def test_objects_that_the_validator_cannot_follow_are_refused() -> None:
    raw = edited(lambda d: d.update(recipients=MARK)).replace(f'"{MARK}"'.encode(), b'{"a":' * 400 + b"1" + b"}" * 400)
    assert "state/acme.json is damaged: $.recipients does not fit its schema, state.v1." == refusal(raw).message


def test_a_key_that_a_merge_repeated_is_named() -> None:
    raw = codec.encode(STATE).replace(b'"rome": {', b'"paris": {')
    assert 'state/acme.json contains the key "paris" twice.' == refusal(raw).message


def test_a_repeated_key_cannot_speak_to_the_terminal() -> None:
    assert (
        r'contains the key "\u001b[2J" twice.'
        in refusal(b'{"\x1b[2J": 1, "a": 2, "\x1b[2J": 3}'.replace(b"\x1b", rb"\u001b")).message
    )


def test_merge_markers_are_distinguished_from_other_damage() -> None:
    raw = codec.encode(STATE).replace(
        b'  "serial": 3,', b'<<<<<<< ours\n  "serial": 3,\n=======\n  "serial": 4,\n>>>>>>>'
    )
    error = refusal(raw)
    assert "state/acme.json contains the conflict marks of an unfinished merge (line 64)." == error.message
    assert "keep the records of both" in error.hint


@given(st.binary(max_size=200))
def test_no_garbage_raises_anything_else(raw: bytes) -> None:
    with pytest.raises(StateInvalid):
        codec.decode(raw, "it")


@given(st.data())
def test_no_change_of_one_byte_raises_anything_else(data: st.DataObject) -> None:
    raw = bytearray(codec.encode(STATE))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        codec.decode(bytes(raw), "it")
    except StateInvalid as error:
        assert "it" in error.message  # noqa: PT017  # it may also still be a state


# ── As strict as the standard's own validator ────────────────────────────────

REFERENCE = Draft202012Validator(
    schemas.load("state.v1"),
    registry=Registry().with_contents([("urn:octopush-provisioner:state.v1", schemas.load("state.v1"))]),
)
RESCUE = REFERENCE.evolve(schema=schemas.load("rescue.v1"))

ODD: tuple[object, ...] = (
    *(True, False, None, 0, 1, 1.0, 3.0, -0.0, 1.5, -1, 2**53 + 1, 2**64, 10**400, 1e308, 2.0**53),
    *(float("nan"), float("inf"), float("-inf")),
    *(
        "",
        "\n",
        "a\n",
        "é",
        "\udcff",
        "\ud800\udc00",
        "\U0001f600",
        "\0",
        "null",
        "pending",
        SEALED[:-70],
        SEALED + "\n",
    ),
    *("-----BEGIN AGE ENCRYPTED FILE-----", f"\n{SEALED}", f" {SEALED}", f"{SEALED}\udcff", "x" * 64, "00$00\n"),
    *([], {}, [[]], [None], ["a", "a"], [1, 1.0], [True, 1], ["a", "b"], {"": 1}, {"paris\n": {}}, {"gone": 1}),
    *({"gone": True}, {"altered": ["\udcff"]}, {"first_name": "\udcff", "last_name": ""}),
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401  # it is JSON
    """Return the path of every value of ``document``."""
    steps = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(each for key, value in steps for each in places(value, (*path, key)))]


def changed(document: Any, path: tuple[Any, ...], value: object) -> Any:  # noqa: ANN401
    """Return a copy of ``document`` with ``value`` at ``path``."""
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = changed(copy[path[0]] if len(path) > 1 else None, path[1:], value)
    return copy


def is_taken(document: object, schema: str) -> bool:
    try:
        codec.require(document, schema, "it")
    except StateInvalid:
        return False
    return True


LIVED = replace(
    ACTIVE,
    password_version=2,
    drift=Drift(("first_name",), ("last_name",), gone=True),
    edit=Edit(LEONARDO, OPERATION, 3, SEALED),
    first_operation="op-0",
)
WHOLE: dict[str, Any] = json.loads(codec.encode(replace(STATE, accounts={"cusco": LIVED, "rome": UNKNOWN})))
LINE: dict[str, Any] = {
    "lineage": "l",
    "parent": "p",
    "name": "lima",
    "operation": "o",
    "record": codec.encode_record(LIVED),
}


@pytest.mark.parametrize(
    ("schema", "reference", "whole"), [("state.v1", REFERENCE, WHOLE), ("rescue.v1", RESCUE, LINE)]
)
def test_nothing_is_taken_that_the_reference_refuses(
    schema: str, reference: Draft202012Validator, whole: dict[str, Any]
) -> None:
    """Every value is replaced by each odd one, and every field removed, renamed and added."""
    stricter = set()
    for path in places(whole):
        parent = whole
        for step in path[:-1]:
            parent = parent[step]
        tried = [changed(whole, path, odd) for odd in ODD]
        if path and isinstance(parent, dict):
            without = {key: value for key, value in parent.items() if key != path[-1]}
            names = ("other", f"{path[-1]}\n", f"{path[-1]}\udcff", str(path[-1]).upper(), "a" * 64)
            renamed = [without, *(without | {name: parent[path[-1]]} for name in names), parent | {"reason": "r"}]
            tried += [changed(whole, path[:-1], each) for each in renamed]
        for document in tried:
            taken, expected = is_taken(document, schema), reference.is_valid(document)
            assert expected or not taken, (path, document)
            if expected and not taken:
                stricter.add(path)
    # In Python's own patterns, `$` also matches before a final line feed.
    assert stricter == ({("parent_check",)} if schema == "state.v1" else set())


def test_a_place_is_written_as_the_reference_writes_it() -> None:
    for name in ("lyon-2", "2", "007", "a"):
        whole = WHOLE["accounts"]["cusco"]
        document = {**WHOLE, "accounts": {"0": whole, name: {**whole, "sealed": ["x"]}}}
        (place,) = [each.json_path for each in REFERENCE.iter_errors(document)]
        with pytest.raises(StateInvalid, match=re.escape(f" {place} does not fit")):
            codec.require(document, "state.v1", "it")


# ── One source of truth ──────────────────────────────────────────────────────


def test_the_schema_names_the_fields_of_the_model() -> None:
    schema = schemas.load("state.v1")
    record, shared = schema["properties"]["accounts"]["additionalProperties"]["properties"], schema["$defs"]
    attributes = shared["attributes"]["properties"]
    assert {each.name for each in fields(Attributes)} == attributes.keys()
    assert {each.name for each in fields(Callbacks)} == attributes["callbacks"]["properties"].keys()
    assert {each.name for each in fields(Operation)} == shared["operation"]["properties"].keys()
    assert {each.name for each in fields(Drift)} == record["drift"]["properties"].keys()
    assert {each.name for each in fields(Edit)} == record["edit"]["properties"].keys()
    kept = {each.name for kind in (Pending, Active, Unknown, Abandoned) for each in fields(kind)}
    assert kept | {"status"} == record.keys()


def test_the_schemas_agree_on_what_a_name_is() -> None:
    manifest = schemas.load("manifest.v1")["$defs"]["key"]
    state = schemas.load("state.v1")["properties"]["accounts"]["propertyNames"]
    rescue = schemas.load("rescue.v1")["properties"]["name"]
    assert state == {key: value for key, value in rescue.items() if key != "type"}
    assert manifest["maxLength"] == state["maxLength"]
    # The manifest's `format` refuses a line feed at the end; a pattern's `$` alone does not.
    assert manifest["pattern"].replace("(-", "(?:-") + r"(?!\n)" == state["pattern"]
