"""Violations: what a JSON Schema finds wrong with a value, as sentences.

Never repeats a value: it may be a secret, or a secret in the wrong field. The schema can
override a message with ``errorMessage`` and ``patternErrorMessage``, which editors show too.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto
from functools import cache, partial
from operator import attrgetter
from typing import Any, Final, cast

from provisioner import schemas
from provisioner.immutable import immutable
from provisioner.model.characters import disguise, shown
from provisioner.native import undisturbed

with undisturbed():
    from jsonschema_rs import Draft202012Validator, ValidationError

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
"""Any JSON value."""
Step = str | int
Check = Callable[[str], tuple[str, str] | None]
"""Returns the fault of a text of one ``format``, as predicate and hint, or None."""

MAX_REPORTED: Final = 1_000
"""Nobody reads more problems at once, and a file of noise must not fill the memory or a log."""

_PIECE: Final = 100
"""How many entries of a list are checked at a time."""
_SUBSTITUTES: Final = {0xD800 + each: 0x40000 + each for each in range(0x800)}
"""For each surrogate, an unassigned character, which is just as unfit for a text."""
_SURROGATES: Final = {substitute: surrogate for surrogate, substitute in _SUBSTITUTES.items()}

_LONGEST_KEY: Final = 64
"""Comparing longer keys is slow and finds nothing."""

_WANTED: Final = {
    "string": ("text", "Write one text; put it in quotes if it contains a colon, a bracket or a brace."),
    "integer": ("a whole number", "Write it in digits, without quotes."),
    "number": ("a number", "Write it in digits, without quotes."),
    "boolean": ("true or false", "Write true or false, without quotes."),
    "array": ("a list", "Begin each entry on its own line, with a dash."),
    "object": ("a group of fields", "Write it as fields: on each line a name, a colon and a value."),
}
_FOUND: Final = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list"}
_FORMS: Final = frozenset({"type", "pattern", "const", "enum"})
"""Keywords that a single invisible character in a text can break."""
_WORDS: Final = {
    "const": ("must be {wanted}", "Write {wanted}."),
    "maxLength": ("is too long: {size:,} characters, and at most {wanted:,} are possible", "Shorten it."),
    "minimum": ("must be at least {wanted}", "Write a larger number."),
    "exclusiveMinimum": ("must be more than {wanted}", "Write a larger number."),
    "maximum": ("must be at most {wanted}", "Write a smaller number."),
}


class Part(Enum):
    """The part of a path that a violation is about, which decides where it is shown."""

    VALUE = auto()
    KEY = auto()
    """The name of the last step itself."""
    MISSING = auto()
    """The last step is missing; its parent is there."""


@immutable
class Violation:
    """One breach of a schema."""

    path: tuple[Step, ...]
    part: Part
    predicate: str
    """The sentence without its subject, as in ``must be text, not a list``."""
    hint: str
    meant: str | None = None
    """For an unknown key: the known key that was probably meant, if it is not there."""


def spelled(path: tuple[Step, ...]) -> str:
    """Return ``path`` as in ``accounts[2].callbacks.email_for_inbounds``; empty for the whole document."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if shown(step) else "…"
            text += f".{name}" if text else name
    return text


def nearest(key: str, known: Sequence[str]) -> str | None:
    """Return the one of ``known`` that ``key`` probably means, if one is close enough."""
    from difflib import get_close_matches  # noqa: PLC0415  # only a mistake needs it

    near = get_close_matches(key[:_LONGEST_KEY].strip().lower().replace(" ", "_").replace("-", "_"), known, n=1)
    return near[0] if near else None


def violations(value: Value, schema: str, checks: Mapping[str, Check]) -> Iterator[Violation]:
    """Yield the violations of ``value``, at most one per path, in the schema's order.

    A long list is checked in pieces, each in that order. At most :data:`MAX_REPORTED` are
    yielded; the last then says that there are more.

    :param schema: the schema's name, as in ``manifest.v1``.
    :param checks: the check of each ``format`` in the schema.
    """
    seen: set[tuple[Step, ...]] = set()
    count = 0
    for violation in _all_violations(value, schema, checks):
        # If a text is too long, its pattern does not matter, and a misspelled field is not
        # missing as well.
        if violation.path in seen:
            continue
        if count == MAX_REPORTED - 1:
            yield Violation((), Part.VALUE, "has more problems than are shown", "Correct these first.")
            return
        count += 1
        seen.add(violation.path)
        if violation.meant:
            seen.add((*violation.path[:-1], violation.meant))
        yield violation


# ── The prepared schema ──────────────────────────────────────────────────────


@cache
def inlined(schema: str) -> dict[str, Any]:
    """Return the schema ``schema`` with every local ``$ref`` replaced by its target.

    Following a reference for each of 100,000 accounts takes longer than checking them.
    """
    whole = schemas.load(schema)
    return {key: _inlined(each, whole.get("$defs", {})) for key, each in whole.items() if key != "$defs"}


def _inlined(part: Any, defs: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON has no closer type
    if isinstance(part, list):
        return [_inlined(each, defs) for each in part]
    if not isinstance(part, dict):
        return part
    own = {key: _inlined(each, defs) for key, each in part.items() if key != "$ref"}
    if "$ref" not in part:
        return own
    return {**_inlined(defs[part["$ref"].removeprefix("#/$defs/")], defs), **own}


def has_free_names(schema: Mapping[str, Any]) -> bool:
    """Return whether a group of ``schema`` may have any number of fields, with names that the user chooses."""
    return isinstance(schema.get("additionalProperties"), dict)


@cache
def _validator(schema: str, checks: tuple[tuple[str, Check], ...]) -> Draft202012Validator:
    formats: dict[str, Callable[..., bool]] = {name: partial(_fits, check) for name, check in checks}
    return Draft202012Validator(inlined(schema), formats=formats, validate_formats=True)


def _fits(check: Check, text: str) -> bool:
    return check(text) is None


# ── What is wrong ────────────────────────────────────────────────────────────


@immutable
class _Breach:
    """One keyword of a schema that a value breaks."""

    rank: tuple[int, ...]
    """Sorts breaches by the order of their keywords in the schema, then by entry."""
    path: tuple[Step, ...]
    keyword: str
    schema: Mapping[str, Any]
    """The subschema that has the keyword."""
    found: Any
    """The value; for a wrong name, the name itself, which is then the last step of the path."""
    is_name: bool


@immutable
class _RestoringSurrogates:
    """A check of a text whose surrogates were substituted."""

    check: Check

    def __call__(self, text: str) -> tuple[str, str] | None:
        return self.check(text.translate(_SURROGATES))


def _all_violations(value: Value, schema: str, checks: Mapping[str, Check]) -> Iterator[Violation]:
    """Yield every violation; some are repeated."""
    try:
        yield from _in_pieces(value, schema, checks)
    except UnicodeEncodeError:
        # The validator cannot handle a lone surrogate. What was yielded before is yielded again.
        restoring: dict[str, Check] = {name: _RestoringSurrogates(check) for name, check in checks.items()}
        for each in _in_pieces(_without_surrogates(value), schema, restoring):
            path = tuple(step.translate(_SURROGATES) if isinstance(step, str) else step for step in each.path)
            yield replace(each, path=path)


def _without_surrogates(value: Value) -> Value:
    """Return ``value`` with a substitute for each surrogate."""
    if isinstance(value, dict):
        return {key.translate(_SUBSTITUTES): _without_surrogates(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    return value.translate(_SUBSTITUTES) if isinstance(value, str) else value


def _in_pieces(value: Value, schema: str, checks: Mapping[str, Check]) -> Iterator[Violation]:
    validator = _validator(schema, tuple(checks.items()))
    if validator.is_valid(value):
        return
    whole = inlined(schema)
    for piece, name, begin in _pieces(value, whole):
        breaches = [_breach(each, whole, piece) for each in validator.iter_errors(piece)]
        for breach in sorted(breaches, key=attrgetter("rank")):
            for violation in _violations(breach, checks):
                match violation.path:
                    case (str(first), int(index), *rest) if first == name:
                        yield replace(violation, path=(name, begin + index, *rest))
                    case _:
                        yield violation


def _pieces(value: Value, schema: Mapping[str, Any]) -> Iterator[tuple[Value, str, int]]:
    """Yield ``value`` with a few of its entries at a time: the piece, the entries' field, and the first index.

    The validator creates all errors at once, each with a copy of the wrong value. A piece has
    the errors of its entries, and repeats those of the rest of the value. So a schema must not
    count or compare entries, except to require one. Groups with free names, which are checked
    field by field, must be at the top level of the document.
    """
    fields = schema.get("properties", {})
    parts = {
        name: _parts(entries)
        for name, entries in (value.items() if isinstance(value, dict) else ())
        if (isinstance(entries, list) and len(entries) > _PIECE)
        or (isinstance(entries, dict) and entries and has_free_names(fields.get(name, {})))
    }
    if not isinstance(value, dict) or not parts:
        yield value, "", 0
        return
    first = {**value, **{name: next(each) for name, each in parts.items()}}
    yield first, "", 0
    for name, each in parts.items():
        for number, part in enumerate(each, 1):
            yield {**first, name: part}, name, number * _PIECE


def _parts(entries: list[Value] | dict[str, Value]) -> Iterator[Value]:
    if isinstance(entries, list):
        for begin in range(0, len(entries), _PIECE):
            yield entries[begin : begin + _PIECE]
        return
    # One by one: in a path, the validator turns the name 007 into 7, and leaves an empty name out.
    for key, entry in entries.items():
        yield {key: entry}


def _breach(error: ValidationError, schema: Mapping[str, Any], value: Value) -> _Breach:
    """Return ``error`` with its place in ``schema``; the validator does not follow the schema's order."""
    path: list[Step] = []
    rank: list[int] = []
    found: Any = value
    steps = iter(error.schema_path)
    ways = iter(error.instance_path)
    keyword = ""
    below: Any = schema
    is_name = False
    for step in steps:
        schema, keyword = below, cast("str", step)
        rank.append(list(schema).index(keyword))
        below = schema[keyword]
        if keyword in {"allOf", "properties"}:
            part = cast("Any", next(steps))
            rank.append(part if keyword == "allOf" else list(below).index(part))
            below = below[part]
        match keyword:
            case "properties" | "items":
                way = next(ways)
                rank.append(way if isinstance(way, int) else 0)
                path.append(way)
                found = found[way]
            case "additionalProperties" if below:
                way = _free_name(found, ways)
                path.append(way)
                found = found[way]
            case "propertyNames":
                is_name = True
                (found,) = found
                path.append(found)
    return _Breach(tuple(rank), tuple(path), keyword, schema, found, is_name)


def _free_name(fields: Mapping[str, object], ways: Iterator[object]) -> str:
    """Return the next one of ``fields``; in a path, the validator turns 007 into 7, and leaves "" out."""
    if [*fields] == [""]:
        return ""
    way = next(ways)
    return next(name for name in fields if name == way or (name.isdecimal() and int(name) == way))


# ── The messages ─────────────────────────────────────────────────────────────


def _violations(breach: _Breach, checks: Mapping[str, Check]) -> Iterator[Violation]:
    """Yield ``breach`` in words, one violation for each key that it is about."""
    path, found, schema = breach.path, breach.found, breach.schema
    wanted = schema[breach.keyword]
    match breach.keyword:
        case "required":
            for key in wanted:
                if key not in found:
                    yield Violation((*path, key), Part.MISSING, "is missing", f"Add {spelled((key,))}.")
        case "additionalProperties":
            fields = schema["properties"]
            known = [name for name, each in fields.items() if "not" not in each]
            for key in found:
                if key not in fields:
                    yield _unknown((*path, key), known, found)
        case "not":
            yield Violation(path, Part.KEY, schema["errorMessage"], "Delete it here.")
        case _:
            yield Violation(path, Part.KEY if breach.is_name else Part.VALUE, *_words(breach, checks))


def _unknown(path: tuple[Step, ...], known: Sequence[str], present: Container[str]) -> Violation:
    near = nearest(str(path[-1]), known)
    predicate, hint = disguise(str(path[-1])) or ("is not a known field", f"Known fields: {', '.join(known)}.")
    if near:
        hint = f"Did you mean {near}?"
    return Violation(path, Part.KEY, predicate, hint, None if near in present else near)


def _words(breach: _Breach, checks: Mapping[str, Check]) -> tuple[str, str]:
    """Return the predicate and the hint for one broken keyword."""
    found, schema = breach.found, breach.schema
    wanted = schema[breach.keyword]
    if breach.keyword in _FORMS and isinstance(found, str) and (hidden := disguise(found)):
        return hidden
    if breach.keyword == "type":
        return _type_words(wanted, found)
    if breach.keyword == "format" and (fault := checks[wanted](found)):
        return fault
    if found == []:
        return "is empty", "Write at least one entry, or delete it if it is optional."
    if found in ("", {}):
        return "is empty", "Give it a value, or delete it if it is optional."
    if breach.keyword in _WORDS:
        predicate, hint = _WORDS[breach.keyword]
        size = len(found) if isinstance(found, str | list | dict) else 0
        return predicate.format(wanted=wanted, size=size), hint.format(wanted=wanted)
    example = f"For example: {schema['examples'][0]}" if "examples" in schema else ""
    return schema.get("patternErrorMessage", "does not have the right form"), example


def _type_words(wanted: str | Sequence[str], found: object) -> tuple[str, str]:
    if found is None:
        return (
            "has no value (empty, ~ and null all count as none)",
            'Write a value, put it in quotes if you mean that very text ("null"), or delete the line.',
        )
    kinds = [_WANTED[each] for each in ([wanted] if isinstance(wanted, str) else wanted) if each != "null"]
    name, hint = " or ".join(name for name, _ in kinds), kinds[0][1]
    return f"must be {name}, not {_FOUND.get(type(found), 'a group of fields')}", hint
