"""``explain``: every exit code and every error."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from provisioner import errors
from provisioner.errors import MEANINGS, ExitCode, ProvisionerError
from provisioner.model.codes import CODES
from provisioner.model.plan import Gone, StillAbandoned, StillUnknown, Unmanaged
from provisioner.model.state import Active, Record
from tests.cli.steps import run


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_explained(tmp_path: Path, code: ExitCode) -> None:
    done = run(tmp_path, "explain", str(int(code)))
    assert 0 == done.returncode
    assert f"Exit code {int(code)}: {MEANINGS[code][0]}." == done.stdout.splitlines()[0]


def test_every_error_is_explained_by_its_name_in_any_case(tmp_path: Path) -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ProvisionerError)]
    for kind in kinds:
        if kind is not ProvisionerError:
            done = run(tmp_path, "explain", kind.__name__.upper())
            assert f"{kind.__name__}: " == done.stdout[: len(kind.__name__) + 2]
            assert f"exit code {int(kind.exit_code)}: " in done.stdout


@pytest.mark.parametrize(("code", "certain"), [(113, "documents it"), (210, "not certain")])
def test_a_code_of_octopush_is_explained_with_how_certain_that_is(tmp_path: Path, code: int, certain: str) -> None:
    done = run(tmp_path, "explain", str(code))
    assert 0 == done.returncode
    assert f"Octopush's code {code}: {CODES[code].meaning}." == done.stdout.splitlines()[0]
    assert certain in done.stdout
    assert CODES[code].todo in done.stdout


def test_every_status_that_asks_for_something_is_explained_with_what_to_type(tmp_path: Path) -> None:
    kinds = {kind.status for kind in get_args(Record)} | {
        Gone.action,
        StillAbandoned.action,
        StillUnknown.action,
        Unmanaged.action,
    }
    for word in sorted(kinds - {Active.status}):
        done = run(tmp_path, "explain", word.upper())
        said = done.stdout.splitlines()
        assert (0, f"{word}: ") == (done.returncode, said[0][: len(word) + 2])
        assert said[-1].startswith("$ provisioner ")


def test_no_code_of_octopush_is_an_exit_code_too() -> None:
    assert not set(CODES) & set(ExitCode)


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("StateLoked", "Did you mean StateLocked?"),
        ("Abandonned", "Did you mean abandoned?"),
        ("nothing-like-it", "Known statuses: pending, unknown, "),
        ("11", "Known Octopush codes: 101, "),
        ("1" * 5_000, "Known errors: "),
        ("²", "Known errors: "),
    ],
)
def test_an_unknown_word_is_reported_as_neither_a_code_nor_an_error(tmp_path: Path, what: str, hint: str) -> None:
    done = run(tmp_path, "explain", what)
    assert (64, "") == (done.returncode, done.stdout)
    assert f"{what} is not an exit code, an error or a status of this program, nor a known Octopush code" in done.stderr
    assert hint in done.stderr
