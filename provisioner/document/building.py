"""Building: turns the parser's events into plain values and a compact record of their positions.

Decides which scalar is text, number or boolean, what aliases and merge keys mean, and
enforces the limits. Works event by event, so that a YAML bomb is refused while it is
read, and never expanded in memory.
"""

from __future__ import annotations

import re
from array import array
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import yaml

from provisioner.document import syntax
from provisioner.document.violations import MAX_REPORTED, Step, Value, has_free_names, spelled
from provisioner.model.account import Origin, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provisioner.document.syntax import Mark

Places = dict[str, int]
"""The index of a field in its mapping, from 0, by its key."""

MAX_DEPTH: Final = 16
MAX_VALUES: Final = 1_000_000
"""In one file, aliases included: enough for 20,000 accounts with all of their fields."""
MAX_FIELDS: Final = 1_000
"""In a group whose names the schema defines: far more than it defines, but few enough for a linear search."""
REPEATS: Final = 2
"""How many times the content of a file its aliases may repeat: enough if all accounts share their callbacks."""
MAX_REPEATED: Final = 10_000
"""How many values they may repeat in addition."""

_WEIGHED: Final = 100
"""This many characters of text count as one more value, because aliases repeat text too."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL: Final = r"[-+]?[0-9]{1,18}\.[0-9]{1,18}"
_COMMENT: Final = re.compile(r"[ \t]+(?=#(?:[^\s#]|\s*$))", re.MULTILINE)
"""The end of an unquoted scalar before a comment that looks like its next word, as in ``Shop #1`` and ``C #``."""

# JSON writes a character beyond the first plane as two surrogates, which YAML does not know. While
# the parser reads, `\0` replaces the `\u` of each: a valid escape of the same length, so no place moves.
_PAIR: Final = r"(?i)(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})"
_TYPED_SUBSTITUTE: Final = r"(?i)\\0(d[89ab][0-9a-f]{2})\\0(d[c-f][0-9a-f]{2})"
_READ_SUBSTITUTE: Final = r"(?i)\0(d[89ab][0-9a-f]{2})\0(d[c-f][0-9a-f]{2})"


class Unreadable(Exception):  # noqa: N818  # it only carries a problem up to the reader
    """The rest of the file cannot be read."""

    def __init__(self, file: str, mark: Mark, message: str, hint: str) -> None:
        super().__init__(message)
        self.problem = Problem(Origin(file, mark[0] + 1, mark[1] + 1), "", message, hint)


class _Key(Enum):
    """What a mapping has instead of a key."""

    AWAITED = auto()
    DROPPED = auto()
    """A problem was reported; the value that follows is read and dropped."""
    MERGE = auto()
    """The merge key ``<<``."""


class _Anchor:
    """A value that aliases can repeat."""

    __slots__ = ("is_used", "mark", "path", "plain", "value", "weight")

    def __init__(self, mark: Mark, path: tuple[Step, ...]) -> None:
        self.mark = mark
        self.path = path
        self.value: Value = None
        self.weight = 0
        """0 until all of it is read."""
        self.plain: str | None = None
        """The text of an unquoted scalar, which may be a number in one place and text in another."""
        self.is_used = False

    def take(self, value: Value, weight: int, plain: str | None = None) -> None:
        """Set the value that aliases repeat."""
        self.value, self.weight, self.plain = value, weight, plain


class _Frame:
    """A mapping or list that is still open."""

    __slots__ = ("anchor", "key", "key_mark", "mark", "marks", "merged", "places", "schema", "value", "weight")

    def __init__(
        self, value: list[Value] | dict[str, Value], mark: Mark, schema: Mapping[str, Any], anchor: _Anchor | None
    ) -> None:
        self.value = value
        self.mark = mark
        self.schema = schema
        # The index of each key, if there may be too many for a linear search.
        self.places: Places | None = {} if isinstance(value, dict) and has_free_names(schema) else None
        self.anchor = anchor
        self.marks = array("I")
        self.weight = 1
        self.key: str | _Key = _Key.AWAITED
        self.key_mark: Mark = (0, 0)
        self.merged: list[dict[str, Value]] = []

    def is_known(self) -> bool:
        """Return whether the schema names what is here; elsewhere a key may be anything, even a secret."""
        return bool(self.schema.keys() & {"items", "properties"}) or has_free_names(self.schema)

    def below(self) -> Mapping[str, Any]:
        """Return the schema of the next value; empty if none is known."""
        if isinstance(self.value, list):
            found = self.schema.get("items")
        elif self.key is _Key.MERGE:
            # Fields of this same group, or a list of such groups.
            found = {**self.schema, "items": self.schema}
        else:
            found = self.schema.get("properties", {}).get(self.key, self.schema.get("additionalProperties"))
        return found if isinstance(found, dict) else {}


class Builder:
    """Builds the value of one file; its public attributes hold what it has found so far."""

    def __init__(self, file: str, schema: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        # By the id of a mapping or list: line and column of each key and value, or of each
        # entry. Far smaller than an object for each. An id that is reused, because a
        # repeated field was dropped, is overwritten by its new owner.
        self.marks: dict[int, array[int]] = {}
        # By the same id: the index of each key in a mapping with free names.
        self.places: dict[int, Places] = {}
        self._file = file
        self._schema = schema
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchor] = {}
        self._text = ""
        self._has_pairs = False
        self._has_comments = False
        self._has_signs = False
        self._root: Value = None
        self._documents = 0
        self._values = 0
        self._repeated = 0

    def build(self, text: str) -> Value:
        """Return the value of ``text``.

        :raises Unreadable: it is not YAML, is empty, or exceeds a limit.
        """
        try:
            # Unless the text already contains what would replace a surrogate.
            self._has_pairs = "\\u" in text and bool(re.search(_PAIR, text)) and not re.search(_TYPED_SUBSTITUTE, text)
            self._text = re.sub(_PAIR, r"\1\\0\2\\0\3", text) if self._has_pairs else text
            self._has_comments = "#" in text
            self._has_signs = self._has_comments or "?" in text
            self._read(_LOADER(self._text))
        except yaml.MarkedYAMLError as error:
            raise Unreadable(self._file, *syntax.explained(error, text.splitlines())) from None
        for anchor in self._anchors.values():
            self._require_use(anchor)
        if self._root is None:
            raise Unreadable(self._file, (0, 0), "The file is empty.", "Write its content, or delete it.")
        return self._root

    def _read(self, loader: yaml.SafeLoader) -> None:
        next_event: Callable[[], yaml.Event | None] = loader.get_event
        try:
            while event := next_event():
                start = event.start_mark
                mark = (start.line, start.column) if start else (0, 0)
                # By far the most frequent event, so check for it first.
                if type(event) is yaml.ScalarEvent:
                    self._scalar(event, mark)
                else:
                    self._take(event, mark)
        finally:
            loader.dispose()

    def _take(self, event: yaml.Event, mark: Mark) -> None:
        match event:
            case yaml.MappingStartEvent():
                self._open(event, mark, {})
            case yaml.SequenceStartEvent():
                self._open(event, mark, [])
            case yaml.CollectionEndEvent():
                if self._has_comments:
                    self._require_apart(event)
                self._close()
            case yaml.AliasEvent():
                self._alias(event, mark)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise Unreadable(self._file, mark, "A second document begins here.", "Put it into another file.")

    # ── Events ───────────────────────────────────────────────────────────────

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        self._count(mark)
        if event.tag is not None:
            self._tagged(mark)
        text = _whole(event.value, event.style) if self._has_pairs else event.value
        plain = None if event.style else text
        anchor = self._define(event.anchor, mark) if event.anchor else None
        frame = self._stack[-1] if self._stack else None
        if self._has_signs:
            self._require_apart(event)
        if frame and frame.key is _Key.AWAITED and isinstance(frame.value, dict):
            if anchor:
                anchor.take(text, 1 + len(text) // _WEIGHED, plain)
            self._begin_field(frame, text, mark, plain=not event.style)
            return
        weight = 1 + len(text) // _WEIGHED
        below = frame.below() if frame else self._schema
        value = text if event.style else _typed(text, below.get("type", ""))
        if anchor:
            anchor.take(value, weight, plain)
        if (
            self._has_comments
            and plain is not None
            and (end := event.end_mark)
            and (blank := _COMMENT.match(self._text, end.index))
        ):
            message = "This # begins a comment, which is not part of the text before it."
            hint = "If you mean a comment, write a space after the #; if not, put the whole text in quotes."
            origin = Origin(self._file, end.line + 1, end.column + len(blank.group()) + 1)
            if len(self.warnings) < MAX_REPORTED:
                self.warnings.append(Problem(origin, spelled(self._path()), message, hint, Severity.WARNING))
        self._attach(value, mark, weight)

    def _open(self, event: yaml.CollectionStartEvent, mark: Mark, value: list[Value] | dict[str, Value]) -> None:
        self._count(mark)
        if event.tag is not None:
            self._tagged(mark)
        if len(self._stack) == MAX_DEPTH:
            message = f"The nesting here is more than {MAX_DEPTH} levels deep."
            raise Unreadable(self._file, mark, message, "Look for brackets that are never closed.")
        below = self._stack[-1].below() if self._stack else self._schema
        anchor = self._define(event.anchor, mark) if event.anchor else None
        self._stack.append(_Frame(value, mark, below, anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        value = frame.value
        for base in frame.merged:
            marks = self.marks[id(base)]
            for index, (key, inherited) in enumerate(base.items()):
                if key not in value and isinstance(value, dict):
                    self._require_room(frame, frame.mark)
                    if frame.places is not None:
                        frame.places[key] = len(value)
                    value[key] = inherited
                    frame.marks.extend(marks[4 * index : 4 * index + 4])
        self.marks[id(value)] = frame.marks
        if frame.places is None:
            self.places.pop(id(value), None)
        else:
            self.places[id(value)] = frame.places
        if frame.anchor:
            frame.anchor.take(value, frame.weight)
        self._attach(value, frame.mark, frame.weight)

    def _alias(self, event: yaml.AliasEvent, mark: Mark) -> None:
        self._count(mark)
        # Neither message names the alias: it may be a password that begins with a star.
        if event.anchor not in self._anchors:
            message = "This alias has no anchor above it: YAML reads a text that begins with * as an alias."
            self._problem(mark, self._path(), message, "If you mean it as text, put it in quotes.")
            self._attach(None, mark, 1)
            return
        known = self._anchors[event.anchor]
        known.is_used = True
        if not known.weight:
            raise Unreadable(self._file, mark, "This refers to a value that contains it.", "Write it out.")
        value, weight = known.value, known.weight
        if known.plain is not None and self._stack:
            value = _typed(known.plain, self._stack[-1].below().get("type", ""))
        self._repeated += weight
        if self._repeated > MAX_REPEATED + REPEATS * self._values:
            message = "The aliases in this file repeat far more than the file itself contains."
            raise Unreadable(self._file, mark, message, "Write the values out.")
        self._attach(value, mark, weight)

    def _define(self, name: str, mark: Mark) -> _Anchor:
        if name in self._anchors:
            self._require_use(self._anchors[name])
        self._anchors[name] = _Anchor(mark, self._path())
        return self._anchors[name]

    def _require_use(self, anchor: _Anchor) -> None:
        if not anchor.is_used:
            # The message does not name it: it may be a password that begins with an ampersand.
            message = "Nothing refers to the anchor here: YAML reads a text that begins with & as an anchor."
            self._problem(anchor.mark, anchor.path, message, "Put the whole text in quotes, or delete the anchor.")

    # ── Fields ───────────────────────────────────────────────────────────────

    def _begin_field(self, frame: _Frame, key: str, mark: Mark, *, plain: bool) -> None:
        frame.key_mark = mark
        frame.weight += len(key) // _WEIGHED
        places = frame.places
        self._require_room(frame, mark)
        if plain and key == "<<":
            frame.key = _Key.MERGE
        elif key in frame.value:
            number = list(frame.value).index(key) if places is None else places[key]
            first = frame.marks[4 * number] + 1
            path = (*self._path(), key) if frame.is_known() else self._path()
            subject = spelled(path) if frame.is_known() else "A field"
            message = f"{subject} appears here for the second time; the first is on line {first}."
            self._problem(mark, path, message, "Keep one of them.")
            frame.key = _Key.DROPPED
        else:
            if places is not None:
                places[key] = len(frame.value)
            frame.key = key

    def _attach(self, value: Value, mark: Mark, weight: int) -> None:
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.weight += weight
        if isinstance(frame.value, list):
            frame.value.append(value)
            frame.marks.extend(mark)
            return
        key, frame.key = frame.key, _Key.AWAITED
        if isinstance(key, str):
            frame.value[key] = value
            frame.marks.extend(frame.key_mark + mark)
        elif key is _Key.AWAITED:
            self._problem(mark, self._path(), "A field's name must be plain text.", "Write it as in name: paris.")
            frame.key = _Key.DROPPED
        elif key is _Key.MERGE:
            self._merge(frame, value, mark)

    def _merge(self, frame: _Frame, value: Value, mark: Mark) -> None:
        bases = value if isinstance(value, list) else [value]
        for base in bases:
            if isinstance(base, dict):
                frame.merged.append(base)
            elif base is not None:
                self._problem(mark, self._path(), "<< can only merge a group of fields.", "Write the fields out.")

    # ── Checks and places ────────────────────────────────────────────────────

    def _count(self, mark: Mark) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            message = f"The file contains more than {MAX_VALUES:,} values."
            raise Unreadable(self._file, mark, message, "Split it into several files.")

    def _require_room(self, frame: _Frame, mark: Mark) -> None:
        if frame.places is None and len(frame.value) >= MAX_FIELDS:
            message = f"There are more than {MAX_FIELDS:,} fields here."
            raise Unreadable(self._file, mark, message, "Split it into several files.")

    def _tagged(self, mark: Mark) -> None:
        # The message does not name the tag: it may be a password that begins with an exclamation mark.
        message = "A value cannot have a YAML tag: YAML reads a text that begins with ! as one."
        self._problem(mark, self._path(), message, "Put the text in quotes, or delete the tag.")

    def _require_apart(self, event: yaml.Event) -> None:
        """Report a sign that the parser, against YAML's rules, cuts off from the text that it touches.

        It reads ``"a"#b`` as ``a`` and a comment, and in braces ``?a`` as the key ``a``.
        """
        end, start = event.end_mark, event.start_mark
        style = event.style if isinstance(event, yaml.ScalarEvent) else "}"
        if end and style in {"'", '"', "}"} and self._text.startswith("#", end.index):
            message = "A # right after this would begin a comment, which needs a space before it."
            hint = "If you mean a comment, write a space before the #; if not, put the whole text in quotes."
            self._problem((end.line, end.column), self._path(), message, hint)
        elif start and not style and self._text.endswith("?", 0, start.index):
            self._problem((start.line, start.column - 1), self._path(), *syntax.unquoted("?"))

    def _path(self) -> tuple[Step, ...]:
        """Return the path of the next value, as far as the schema knows it."""
        path: list[Step] = []
        for frame in self._stack:
            if not frame.is_known():
                break
            if isinstance(frame.value, list):
                path.append(len(frame.value))
            elif isinstance(frame.key, str):
                path.append(frame.key)
            else:
                break
        return tuple(path)

    def _problem(self, mark: Mark, path: tuple[Step, ...], message: str, hint: str) -> None:
        origin = Origin(self._file, mark[0] + 1, mark[1] + 1)
        self.problems.append(Problem(origin, spelled(path), message, hint))
        if len(self.problems) == MAX_REPORTED - 1:
            raise Unreadable(self._file, mark, "There are more problems than are shown.", "Correct these first.")


def _whole(text: str, style: str | None) -> str:
    """Return a scalar with its surrogate pairs as characters, or as typed if they are not escapes."""
    if style != '"':
        return re.sub(_TYPED_SUBSTITUTE, r"\\u\1\\u\2", text)
    return re.sub(_READ_SUBSTITUTE, lambda found: bytes.fromhex("".join(found.groups())).decode("utf-16-be"), text)


def _typed(text: str, wanted: str) -> Value:
    """Return the unquoted scalar ``text`` as the ``wanted`` type if it fits, or as text."""
    if text in _NULLS:
        return None
    if wanted in {"integer", "number"} and _INTEGER.fullmatch(text):
        return int(text)
    if wanted == "number" and re.fullmatch(_DECIMAL, text):
        return float(text)
    if wanted == "boolean" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return text
