"""Frozen dataclasses that cost little to define.

The standard ``@dataclass(frozen=True, slots=True)`` compiles six methods for each class, half a millisecond
in all, and a command defines up to a hundred classes before it does anything. Here all classes share these
methods, except for the constructor, which is compiled when the first value of a class is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, Final, NoReturn, TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: type[_T]) -> type[_T]:
    """Return ``cls`` as a frozen dataclass with slots; a method that it defines itself stays.

    Like those of the standard decorator, its values can be compared, hashed, copied and pickled,
    and ``replace``, ``fields`` and ``asdict`` of ``dataclasses`` take them.
    """
    own = cls.__dict__.keys()
    made: type[_T] = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    for name in _SHARED:
        if name not in own:
            setattr(made, name, _Shared.__dict__[name])
    return made


class _Shared:
    """The methods that every class gets."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __compared__: ClassVar[attrgetter[tuple[object, ...]]]

    def __init__(self, *values: object, **named: object) -> None:
        """Construct the first value of a class: compile the constructor that all others use."""
        kind: Any = type(self)
        compared = [each.name for each in fields(self) if each.compare]
        # An attrgetter of fewer than two names would return no tuple.
        kind.__compared__ = attrgetter(*compared, *("__class__",) * (2 - len(compared)))
        kind.__init__ = _constructor(kind)
        kind.__init__(self, *values, **named)

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if self is other:  # as most records are when a state is compared with the one before
            return True
        return self.__compared__(self) == self.__compared__(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.__compared__(self))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), tuple(getattr(self, each.name) for each in fields(self) if each.init)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


_SHARED: Final = ("__init__", "__repr__", "__eq__", "__hash__", "__reduce__", "__setattr__", "__delattr__")


def _constructor(kind: type[Any]) -> Callable[..., None]:
    """Return an ``__init__`` that takes the fields in their order, and calls ``__post_init__`` if there is one."""
    scope: dict[str, Any] = {"_absent": object()}
    parameters, body = ["self"], list[str]()
    for each in fields(kind):
        name = each.name
        scope |= {f"_set_{name}": getattr(kind, name).__set__, f"_new_{name}": each.default_factory}
        given, default = name, ""
        if each.default_factory is not MISSING:
            given, default = f"_new_{name}() if {name} is _absent else {name}", "=_absent"
        elif each.default is not MISSING:
            scope[f"_default_{name}"], default = each.default, f"=_default_{name}"
        # A field that is no parameter gets its default in the body.
        (parameters if each.init else body).append(f"{name}{default}")
        body.append(f"_set_{name}(self, {given})")
    if hasattr(kind, "__post_init__"):
        body.append("self.__post_init__()")
    code = "\n ".join((f"def __init__({', '.join(parameters)}):", *body, "return"))
    exec(code, scope)  # noqa: S102  # it holds nothing but names of fields
    constructor: Callable[..., None] = scope["__init__"]
    return constructor
