"""Everything that a search has found before is tried again: no promise is broken."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import InternalError, SettingInvalid
from tests.proof.fuzz import corpus, seeds
from tests.proof.fuzz.targets import MARK, TARGETS, Target, answering, attempt


@pytest.fixture(scope="module", autouse=True)
def _a_server() -> Iterator[None]:
    yield
    answering().ended.close()
    answering.cache_clear()


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_that_was_ever_found_breaks_a_promise(tmp_path: Path, target: str) -> None:
    inputs = (*seeds.of(target), *corpus.read(corpus.CORPUS, target), *corpus.read(corpus.FINDINGS, target))
    broken = [(data, error) for data in inputs if (error := attempt(TARGETS[target], data, tmp_path)) is not None]
    for data, error in broken:
        print(data, *traceback.format_exception(error), sep="\n")
    assert [] == [data for data, _ in broken]


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_has_a_small_corpus_that_can_be_read(target: str) -> None:
    kept = corpus.read(corpus.CORPUS, target)
    assert len(kept) <= corpus.MOST
    assert all(len(each) <= corpus.LONGEST for each in kept)


@pytest.mark.parametrize(
    "wrong", [KeyError("x"), InternalError("a bug"), SettingInvalid(f"The value {MARK} is wrong.")]
)
def test_a_search_notices_what_breaks_a_promise(tmp_path: Path, wrong: Exception) -> None:
    def use(_: bytes, __: Path) -> None:
        raise wrong

    assert attempt(Target(use), b"", tmp_path) is not None


def test_an_error_of_the_program_breaks_no_promise(tmp_path: Path) -> None:
    def use(_: bytes, __: Path) -> None:
        raise SettingInvalid("The value is wrong.")

    assert attempt(Target(use), b"", tmp_path) is None
