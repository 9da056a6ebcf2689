"""Violations: what a JSON Schema finds wrong with a value, as sentences for a person.

Owns the words. Refuses to repeat a value: it may be a secret, or a secret in the
wrong place. The schema itself has the last word through ``errorMessage`` and
``patternErrorMessage``, which editors show too.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, partial
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from provisioner import schemas
from provisioner.document.characters import shown

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
"""What JSON can hold."""
Step = str | int
Check = Callable[[str], tuple[str, str] | None]
"""Says what is wrong with a text of one ``format`` and gives a hint, or None."""

MAX_TOLD: Final = 1_000
"""Nobody reads more problems at once; a file of noise must not fill the memory, nor a log."""

_LONGEST_KEY: Final = 64
"""Comparing longer ones takes long and finds nothing."""

_WANTED: Final = {
    "string": ("text", "Write one text; put it in quotes if it holds a colon, a bracket or a brace."),
    "integer": ("a whole number", "Write it in digits, without quotes."),
    "number": ("a number", "Write it in digits, without quotes."),
    "boolean": ("true or false", "Write true or false, without quotes."),
    "array": ("a list", "Begin each of its entries on a line of its own, with a dash."),
    "object": ("a group of fields", "Write it as fields: on each line a name, a colon and a value."),
}
_FOUND: Final = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list"}
_WORDS: Final = {
    "const": ("must be {wanted}", "Write {wanted}."),
    "maxLength": ("is too long: {size:,} characters, where {wanted:,} are possible", "Shorten it."),
    "minimum": ("must be at least {wanted}", "Write a larger number."),
    "exclusiveMinimum": ("must be more than {wanted}", "Write a larger number."),
    "maximum": ("must be at most {wanted}", "Write a smaller number."),
}


class Part(Enum):
    """What of a path a violation is about, and so where it is shown."""

    VALUE = auto()
    KEY = auto()
    """The last step's own name."""
    MISSING = auto()
    """The last step is not there; what should have it is."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of a schema."""

    path: tuple[Step, ...]
    part: Part
    predicate: str
    """The sentence without its subject, as in ``must be text, not a list``."""
    hint: str
    meant: str | None = None
    """Of an unknown key: the known one, not there, for which it was probably written."""


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
    """Return which of ``known`` is meant by ``key``, if one is near enough."""
    from difflib import get_close_matches  # noqa: PLC0415  # only a mistake needs it

    near = get_close_matches(key[:_LONGEST_KEY].strip().lower().replace(" ", "_").replace("-", "_"), known, n=1)
    return near[0] if near else None


def violations(value: Value, schema: str, checks: Mapping[str, Check]) -> Iterator[Violation]:
    """Yield what is wrong with ``value``, at most one violation per path, in the schema's order.

    There are no more than :data:`MAX_TOLD`, of which the last then says that there are more.

    :param schema: the schema's name, as in ``manifest.v1``.
    :param checks: what each ``format`` of the schema demands.
    """
    seen: set[tuple[Step, ...]] = set()
    told = 0
    for error in _validator(schema, checks).iter_errors(value):
        for violation in _violations(error):
            # A text that is too long, say, need not match its pattern as well, and what is
            # misspelled is not missing too.
            if violation.path in seen:
                continue
            if told == MAX_TOLD - 1:
                yield Violation((), Part.VALUE, "has more problems than are shown", "Correct these first.")
                return
            told += 1
            seen.add(violation.path)
            if violation.meant:
                seen.add((*violation.path[:-1], violation.meant))
            yield violation


# ── The schema, made ready ───────────────────────────────────────────────────


class _UnfitError(ValueError):
    """A text is not of its format; the arguments are the predicate and the hint."""


def _fits(check: Check, instance: object) -> bool:
    """Ask ``check`` in the way that jsonschema expects of one."""
    if isinstance(instance, str) and (fault := check(instance)):
        raise _UnfitError(*fault)
    return True


@cache
def inlined(schema: str) -> dict[str, Any]:
    """Return the schema ``schema`` with every local ``$ref`` replaced by what it refers to.

    Following a reference for each of 100,000 accounts costs more than checking them.
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


class _Formats(FormatChecker):
    """The checks of one run, and the validators of subschemas that it has made ready.

    jsonschema makes a validator for each value that it looks at, which takes longer than
    looking. A checker of formats is what all of them share, so they are kept here.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        super().__init__(formats=())
        self.ready: dict[int, Draft202012Validator] = {}
        for name, check in checks.items():
            self.checks(name, raises=_UnfitError)(partial(_fits, check))


def _ready(validator: Any, schema: Mapping[str, Any]) -> Draft202012Validator:  # noqa: ANN401  # made by jsonschema
    """Return a validator for ``schema``; an inlined one lives as long as the program, so its identity is its own."""
    known: dict[int, Draft202012Validator] = validator.format_checker.ready
    found = known.get(id(schema))
    if found is None:
        found = known[id(schema)] = validator.evolve(schema=schema)
    return found


def _properties(
    validator: object, properties: Mapping[str, Mapping[str, Any]], instance: object, _: object
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for key, schema in properties.items():
            if key in instance:
                for error in _ready(validator, schema).iter_errors(instance[key]):
                    error.path.appendleft(key)
                    yield error


def _items(validator: object, schema: Mapping[str, Any], instance: object, _: object) -> Iterator[ValidationError]:
    if isinstance(instance, list):
        each = _ready(validator, schema)
        for index, value in enumerate(instance):
            for error in each.iter_errors(value):
                error.path.appendleft(index)
                yield error


def _if(
    validator: object, condition: Mapping[str, Any], instance: Value, whole: Mapping[str, Any]
) -> Iterator[ValidationError]:
    branch = whole.get("then" if _ready(validator, condition).is_valid(instance) else "else")
    if branch is not None:
        yield from _ready(validator, branch).iter_errors(instance)


_Validator: Final = extend(  # type: ignore[no-untyped-call]  # the stubs give it no types
    Draft202012Validator, {"properties": _properties, "items": _items, "if": _if}
)


def _validator(schema: str, checks: Mapping[str, Check]) -> Draft202012Validator:
    validator: Draft202012Validator = _Validator(inlined(schema), format_checker=_Formats(checks))
    return validator


# ── The words ────────────────────────────────────────────────────────────────


def _violations(error: ValidationError) -> Iterator[Violation]:
    """Yield ``error`` in words, one violation for each key that it is about."""
    path: tuple[Step, ...] = tuple(error.absolute_path)
    schema = error.schema if isinstance(error.schema, dict) else {}
    found: Any = error.instance
    wanted: Any = error.validator_value
    match error.validator:
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
        case _ if "propertyNames" in error.schema_path:
            yield Violation((*path, found), Part.KEY, *_words(error, schema))
        case _:
            yield Violation(path, Part.VALUE, *_words(error, schema))


def _unknown(path: tuple[Step, ...], known: Sequence[str], present: Container[str]) -> Violation:
    near = nearest(str(path[-1]), known)
    hint = f"Did you mean {near}?" if near else f"Known here: {', '.join(known)}."
    return Violation(path, Part.KEY, "is not a known field", hint, None if near in present else near)


def _words(error: ValidationError, schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return the predicate and the hint for one broken keyword."""
    found: Any = error.instance
    wanted: Any = error.validator_value
    if error.validator == "type":
        return _type_words(wanted, found)
    if isinstance(error.cause, _UnfitError):
        predicate, hint = error.cause.args
        return predicate, hint
    if found == []:
        return "is empty", "Write at least one entry, or delete it where it is optional."
    if found in ("", {}):
        return "is empty", "Give it a value, or delete it where it is optional."
    if error.validator in _WORDS:
        predicate, hint = _WORDS[error.validator]
        size = len(found) if isinstance(found, str | list | dict) else 0
        return predicate.format(wanted=wanted, size=size), hint.format(wanted=wanted)
    example = f"For example: {schema['examples'][0]}" if "examples" in schema else ""
    return schema.get("patternErrorMessage", "does not have the right form"), example


def _type_words(wanted: str, found: object) -> tuple[str, str]:
    if found is None:
        return (
            "has no value (an empty one, ~ and null all count as none)",
            'Write a value, put it in quotes if that very text is meant ("null"), or delete the line.',
        )
    name, hint = _WANTED[wanted]
    return f"must be {name}, not {_FOUND.get(type(found), 'a group of fields')}", hint
