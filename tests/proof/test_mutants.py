from __future__ import annotations

from typing import Final

import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray is not installed here; `make mutants` installs it")

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from tests.proof.mutants.__main__ import explanations, interval
from tests.proof.mutants.mutations import mutants

SOURCE: Final = """\
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a import b

    LIMIT = 3

Number = int | None


@dataclass(frozen=True, slots=True)
class Slots:
    used: int | None = None

    def left(self, *others: Slots | None) -> Number:
        if self is None:
            return None
        return self.used - sum(each.used for each in others
                               if each == self)
"""
CHANGES: Final = {
    ("", "RemoveDecorator"): 1,
    ("left", "AddNot"): 1,
    ("left", "ReplaceBinaryOperator"): 11,
    ("left", "ReplaceComparisonOperator"): 1 + 5,
}


def test_a_mutation_that_nothing_can_notice_is_left_out() -> None:
    found: dict[tuple[str, str], int] = {}
    for mutant in mutants(SOURCE):
        kind = mutant.scope, mutant.operator.partition("_")[0]
        found[kind] = found.get(kind, 0) + 1
    assert CHANGES == found


def test_a_mutant_is_cosmic_rays_and_says_what_changes() -> None:
    for mutant in mutants(SOURCE):
        operator, theirs = get_operator(f"core/{mutant.operator}")(), []
        while (changed := mutate_code(SOURCE, operator, len(theirs))) is not None:
            theirs.append(changed)
        assert mutant.source in theirs
    (negated,) = (each for each in mutants(SOURCE) if each.operator == "AddNot")
    assert ("left", "if self is None:", "if not self is None:") == (negated.scope, negated.before, negated.after)
    assert range(19, 20) == negated.lines
    two_lines = [each.lines for each in mutants(SOURCE) if each.after.endswith("!= self)")]
    assert [range(21, 23)] == two_lines


def test_a_sample_says_how_sure_it_is_of_the_rest() -> None:
    low, high = interval(95, 100)
    assert (88.8, 97.8) == (round(low, 1), round(high, 1))
    low, high = interval(100, 100)
    assert (96.3, 100.0) == (round(low, 1), round(high, 1))


def test_every_survivor_is_explained_once_and_in_a_sentence() -> None:
    for change, why in explanations().items():
        assert change.before != change.after
        assert why[0].isupper() or why[0] == "`"
        assert why.endswith(".")
