"""The mutants of a module: cosmic-ray's operators, without those mutations that can have no effect."""

from __future__ import annotations

import ast
import builtins
import warnings
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.plugins import get_operator, operator_names
from parso.tree import BaseNode, Leaf, NodeOrLeaf

if TYPE_CHECKING:
    from cosmic_ray.operators.operator import Operator

_Position = tuple[int, int]
"""Line, from 1, and column, from 0."""

ROOT: Final = Path(__file__).resolve().parents[3]

_IDENTITY: Final = ("Is", "IsNot")
_UNIONS: Final = ("BitOr_Add", "BitOr_BitXor")
_OF_DATACLASSES: Final = ("frozen", "slots", "kw_only", "repr")
_UNSEEN: Final = ("override", "final", "abstractmethod", "overload", "cache", "lru_cache")
FILTERS: Final = (
    "annotations, unions of types and what stands under `TYPE_CHECKING`, which only mypy reads",
    "what only some versions of Python run",
    "`*` and `**` that are no operators, as in `f(*names)`, and what is then no Python",
    "`is` for `==`, `<` and the like, and back: either the same, or an accident of how CPython keeps objects",
    "`frozen`, `slots`, `kw_only` and `repr` of a dataclass, and decorators such as `@override`, which mypy checks",
    "`@lru_cache` and `@cache`, which only save time",
    "`+` and `^` for `|` between flags such as `os.O_RDWR`: the same number",
    "an exception whose name has a dot, which cosmic-ray cannot replace",
)
"""What is not mutated, and why."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module.

    ``lines`` are the numbers of the statement that changes, from the first to the
    last; of a compound statement, those of its head. ``before`` and ``after`` are the
    changed lines without indentation: with ``scope``, the function or class around
    them, they identify a mutant however far its line moves. ``source`` is the whole
    mutated module.
    """

    operator: str
    scope: str
    lines: range
    before: str
    after: str
    source: str


def path_of(module: str) -> Path:
    """Return the file of a module, such as ``state/codec``."""
    return ROOT / "provisioner" / f"{module}.py"


def mutants(source: str) -> list[Mutant]:
    """Return the mutants of a module, in the order of their lines."""
    tree, parsed = get_ast(source), ast.parse(source)
    without = _without_effect(parsed)
    operators = {
        (_end(node.left), _start(node.right)): _is_of_flags(node)
        for node in ast.walk(parsed)
        if isinstance(node, ast.BinOp)
    }
    statements = _statements(parsed)
    found = []
    for name in operator_names():
        kind = get_operator(name)
        if kind.arguments():
            continue
        operator = kind()
        for node in list(ast_nodes(tree)):
            for index, (start, _) in enumerate(list(operator.mutation_positions(node))):
                if _is_worth_it(name, start, operators) and not any(first <= start < last for first, last in without):
                    changed = _with_mutation(source, operator, node, index)
                    if changed is not None and _is_python(changed):
                        around = [each for each in statements if start[0] in each]
                        lines = min(around, key=len, default=range(start[0], start[0] + 1))
                        scope = ASTQuery(node).get_definition_name() or ""
                        short = name.removeprefix("core/")
                        found.append((start, Mutant(short, scope, lines, *_difference(source, changed), changed)))
    return [mutant for _, mutant in sorted(found, key=itemgetter(0))]


def _is_worth_it(name: str, start: _Position, operators: dict[tuple[_Position, _Position], bool]) -> bool:
    if "BinaryOperator" in name:
        of_flags = [is_of_flags for (first, last), is_of_flags in operators.items() if first <= start < last]
        return bool(of_flags) and not (all(of_flags) and name.endswith(_UNIONS))
    before, _, after = name.partition("_")[2].partition("_")
    return ({before, after} == {"Is", "IsNot"}) if before in _IDENTITY else after not in _IDENTITY


def _with_mutation(source: str, operator: Operator, node: NodeOrLeaf, index: int) -> str | None:
    """Return ``source`` with one mutation of a node of its tree, which stays as it is; None: there is none."""
    lines = source.splitlines(keepends=True)
    first, last = (
        sum(map(len, lines[: line - 1])) + column for line, column in (node.get_start_pos_of_prefix(), node.end_pos)
    )
    values = [(each, each.value) for each in ast_nodes(node) if isinstance(each, Leaf)]
    children = [(each, list(each.children)) for each in ast_nodes(node) if isinstance(each, BaseNode)]
    try:
        mutated = operator.mutate(node, index)
    except AttributeError:
        return None  # cosmic-ray cannot replace an exception whose name has a dot
    text = mutated.get_code() if mutated is not None else ""
    for leaf, value in values:
        leaf.value = value
    for each, own in children:
        each.children = own
    return source[:first] + text + source[last:]


def _difference(one: str, other: str) -> tuple[str, str]:
    """Return the lines that differ, without indentation."""
    mine, its = one.splitlines(), other.splitlines()
    while mine and its and mine[0] == its[0]:
        del mine[0], its[0]
    while mine and its and mine[-1] == its[-1]:
        del mine[-1], its[-1]
    return "\n".join(map(str.strip, mine)), "\n".join(map(str.strip, its))


def _is_python(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "mutant", "exec", dont_inherit=True)
        except SyntaxError:
            return False
    return True


def _statements(tree: ast.Module) -> list[range]:
    """Return the lines of every statement; of a compound one, those of its head."""
    return [
        range(node.lineno, (node.body[0].lineno if hasattr(node, "body") else (node.end_lineno or node.lineno) + 1))
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
    ]


def _without_effect(tree: ast.Module) -> list[tuple[_Position, _Position]]:
    """Return where a mutation can have no effect: see :data:`FILTERS`."""
    found: list[ast.AST | None] = []
    for node in ast.walk(tree):
        found += [getattr(node, "annotation", None), getattr(node, "returns", None)]
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Compare(left=ast.Attribute(attr="version_info"))):
                found.append(node)
            case ast.BinOp(op=ast.BitOr()) if _is_type(node):
                found.append(node)
            case ast.Call(func=ast.Name(id="dataclass"), keywords=keywords):
                found += [each for each in keywords if each.arg in _OF_DATACLASSES]
    spans = [(_start(each), _end(each)) for each in found if each is not None]
    decorators = [each for node in ast.walk(tree) for each in getattr(node, "decorator_list", ())]
    unseen = [each for each in decorators if _name(each) in _UNSEEN]
    return spans + [((each.lineno, 0), _end(each)) for each in unseen]


def _name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.id if isinstance(called, ast.Name) else ""


def _is_of_flags(node: ast.expr) -> bool:
    """Return whether an expression is a union of constants of other modules: ``os.O_RDWR | os.O_APPEND``."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_of_flags(left) and _is_of_flags(right)
        case ast.Attribute(attr=name):
            return name.isupper()
    return False


def _is_type(node: ast.expr) -> bool:
    """Return whether an expression is a type, or a union of types: ``Active | Mapping[str, str] | None``."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_type(left) and _is_type(right)
        case ast.Subscript(value=value):
            return _is_type(value)
        case ast.Name(id=name):
            name = name.lstrip("_")
            return (name[:1].isupper() and not name.isupper()) or isinstance(getattr(builtins, name, None), type)
        case ast.Constant(value=None):
            return True
    return False


def _start(node: ast.AST) -> _Position:
    return node.lineno, node.col_offset  # type: ignore[attr-defined]  # every node that has a place


def _end(node: ast.AST) -> _Position:
    return node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
