"""``explain``: every exit code and every error."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner import errors
from provisioner.errors import MEANINGS, ExitCode, ProvisionerError
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


@pytest.mark.parametrize(
    ("what", "hint"),
    [("StateLoked", "Did you mean StateLocked?"), ("11", "Known errors: "), ("²", "Known errors: ")],
)
def test_what_is_no_code_and_no_error_is_said_to_be_none(tmp_path: Path, what: str, hint: str) -> None:
    done = run(tmp_path, "explain", what)
    assert (64, "") == (done.returncode, done.stdout)
    assert f"{what} is not an exit code or an error of this program." in done.stderr
    assert hint in done.stderr
