"""YAML text: from bytes to plain values, each with its position.

Reads YAML as people mean it: a scalar keeps its text, and becomes a number or a boolean
only where the schema asks for one, so that ``no``, ``0123``, ``1e5`` and a date stay as
typed. Refuses invisible characters, tags, several documents in a file, repeated fields,
and anything deeper, larger or more repetitive than a person would write.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Final, cast

from provisioner.document.building import Builder, Places, Unreadable
from provisioner.document.violations import Check, Part, Step, Value, Violation, inlined, spelled, violations
from provisioner.immutable import immutable
from provisioner.model.account import Origin, Problem
from provisioner.model.characters import character, decoded, is_utf32, merge_mark

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from provisioner.document.syntax import Mark

# What YAML forbids, and its rarer line breaks, which the parser would turn into a space.
# Surrogates are missing here because decoding lets none in. The complement of the allowed
# characters would take ten times as long to compile.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@immutable
class Document:
    """One YAML file as plain values."""

    file: str
    value: Value
    """None if it could not be read; :attr:`problems` then says why."""
    problems: tuple[Problem, ...]
    """Those found while reading, before any check against the schema."""
    _marks: Mapping[int, array[int]] = field(repr=False)
    _places: Mapping[int, Places] = field(repr=False)

    def origin(self, path: tuple[Step, ...], part: Part = Part.VALUE) -> Origin:
        """Return the position of the value at ``path``, of its key, or of the parent that lacks it."""
        steps = path[:-1] if part is Part.MISSING else path
        line, column = 0, 0
        value = self.value
        for depth, step in enumerate(steps, 1):
            marks = self._marks[id(value)]
            if isinstance(value, dict):
                places = self._places.get(id(value))
                at = 2 * (list(value).index(str(step)) if places is None else places[str(step)])
                at += 0 if part is Part.KEY and depth == len(steps) else 1
                value = value[str(step)]
            else:
                at = int(step)
                value = cast("list[Value]", value)[at]
            line, column = marks[2 * at], marks[2 * at + 1]
        return Origin(self.file, line + 1, column + 1)

    def problem(self, violation: Violation) -> Problem:
        """Return ``violation`` as a problem with its position."""
        path = spelled(violation.path)
        return Problem(
            origin=self.origin(violation.path, violation.part),
            path=path,
            message=f"{path or 'The file'} {violation.predicate}.",
            hint=violation.hint,
        )

    def checked(self, schema: str, checks: Mapping[str, Check]) -> tuple[Problem, ...]:
        """Return :attr:`problems` and every violation of ``schema``, by line.

        A violation that an alias repeats is reported once, where it was written. A value
        that had a problem while it was read gets no other.
        """
        if self.value is None:
            return self.problems
        places = {problem.origin for problem in self.problems}
        found: dict[tuple[object, ...], Problem] = {}
        for violation in violations(self.value, schema, checks):
            problem = self.problem(violation)
            if problem.origin not in places:
                found.setdefault((problem.origin, violation.predicate, violation.path[-1:]), problem)
        return tuple(sorted((*self.problems, *found.values()), key=_by_place))


def parse_yaml(raw: bytes, file: str, schema: str) -> Document:
    """Return the document in ``raw``.

    :param file: the name of the file in problems.
    :param schema: the schema that decides whether a scalar is text, number or boolean.
    """
    builder = Builder(file, inlined(schema))
    try:
        value = builder.build(_text(raw, file))
    except Unreadable as error:
        return Document(file, None, (*builder.problems, error.problem), {}, {})
    return Document(file, value, (*builder.problems, *builder.warnings), builder.marks, builder.places)


def _by_place(problem: Problem) -> Mark:
    return problem.origin.line or 0, problem.origin.column or 0


def _text(raw: bytes, file: str) -> str:
    if is_utf32(raw):
        raise Unreadable(file, (0, 0), "The file is UTF-32, which is not supported.", "Save it as UTF-8.")
    try:
        text = decoded(raw)
    except UnicodeDecodeError as error:
        raise Unreadable(
            file,
            _place(raw[: error.start].decode("utf-8", "replace")),
            "A character here is not UTF-8: the file is in another encoding.",
            "Save it as UTF-8 in your editor.",
        ) from error
    if bad := _FORBIDDEN.search(text):
        raise Unreadable(
            file,
            _place(text[: bad.start()]),
            f"The file contains {character(bad.group())}, which cannot be seen.",
            "Delete it; if there are many, save the file as UTF-8.",
        )
    if mark := merge_mark(text):
        line, message, hint = mark
        raise Unreadable(file, (line, 0), message, hint)
    return text


def _place(before: str) -> Mark:
    """Return the place just after the text ``before``."""
    return before.count("\n"), len(before) - (before.rfind("\n") + 1)
