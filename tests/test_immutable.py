"""An immutable class is what the standard frozen dataclass with slots is, at a tenth of the cost."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from typing import ClassVar

import pytest

from provisioner.immutable import immutable


@immutable
class Point:
    """All kinds of fields."""

    kind: ClassVar[str] = "point"
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="hidden", repr=False)
    note: str = field(default="", compare=False)
    made: list[int] = field(default_factory=lambda: [7], init=False, repr=False)
    fixed: str = field(default="fixed", init=False, repr=False)


@immutable
class Nothing:
    """No field."""


@immutable
class One:
    """A field that can be hashed, and a condition."""

    only: int

    def __post_init__(self) -> None:
        if self.only < 0:
            raise ValueError(self.only)


@immutable
class Masked:
    """A representation of its own."""

    secret: str

    def __repr__(self) -> str:
        return "***"


def test_a_value_has_its_fields_and_their_defaults() -> None:
    point = Point(1)
    assert (1, 2, [], "hidden", "", [7], "fixed") == tuple(getattr(point, each.name) for each in fields(point))
    assert Point(1).tags is not point.tags
    assert Point(1).made is not point.made
    assert ["a"] == Point(1, tags=["a"]).tags
    assert "point" == point.kind == Point.kind
    assert not hasattr(point, "__dict__")
    assert ("x", "y", "tags", "secret", "note") == Point.__match_args__  # type: ignore[attr-defined]


@pytest.mark.parametrize("arguments", [{}, {"x": 1, "z": 2}, {"x": 1, "fixed": "x"}])
def test_wrong_arguments_are_refused_before_and_after_the_first_value(arguments: dict[str, int]) -> None:
    @immutable
    class Fresh:
        """A class without a value so far."""

        x: int
        fixed: str = field(default="fixed", init=False)

    for _ in range(2):
        with pytest.raises(TypeError, match="argument"):
            Fresh(**arguments)  # type: ignore[arg-type]
        assert 3 == Fresh(3).x
    assert ["self", "x"] == list(inspect.signature(Fresh.__init__).parameters)


def test_nothing_can_be_changed() -> None:
    point = Point(1)
    for name in ("x", "made", "kind", "other"):
        with pytest.raises(FrozenInstanceError):
            setattr(point, name, 3)
        with pytest.raises(FrozenInstanceError):
            delattr(point, name)


def test_values_are_equal_if_their_compared_fields_are() -> None:
    assert Point(1) == Point(1, note="another")
    assert Point(1) != Point(1, secret="another")
    assert Point(1) != 1
    assert One(1) == One(1)
    assert One(1) != One(2)
    assert Nothing() == Nothing()
    assert Nothing() != One(1)
    assert {One(1), One(2), Nothing()} == {One(2), One(1), Nothing(), One(1)}
    with pytest.raises(TypeError):
        hash(Point(1))


def test_a_representation_shows_what_may_be_shown() -> None:
    assert "Point(x=1, y=2, tags=[], note='')" == repr(Point(1)) == str(Point(1))
    assert "Nothing()" == repr(Nothing())
    assert "***" == repr(Masked("secret")) == f"{Masked('secret')}"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301
@pytest.mark.parametrize("value", [Point(1, 3, ["a"], note="n"), Nothing(), One(1), Masked("secret")])
def test_values_can_be_copied_and_pickled(copied: Callable[[object], object], value: object) -> None:
    assert value == copied(value)
    assert type(value) is type(copied(value))


def test_the_functions_of_dataclasses_take_them() -> None:
    assert Point(5, 3) == replace(Point(1, 3), x=5)
    assert {"only": 1} == asdict(One(1))
    with pytest.raises(TypeError):
        replace(Point(1), z=1)  # type: ignore[call-arg]


def test_a_condition_holds_for_the_first_value_and_the_others() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="-1"):
            One(-1)
    with pytest.raises(ValueError, match="-2"):
        replace(One(1), only=-2)


class Compared:
    """Counts how often it is compared."""

    def __init__(self) -> None:
        self.times = 0

    def __eq__(self, other: object) -> bool:
        self.times += 1
        return isinstance(other, Compared)

    __hash__ = None  # type: ignore[assignment]


def test_a_value_is_compared_with_itself_without_a_look_inside() -> None:
    inside = Compared()
    one, other = Point(1, 3, [inside]), Point(1, 3, [Compared()])
    itself = one
    assert one == itself
    assert 0 == inside.times
    assert one == other
    assert 1 == inside.times
