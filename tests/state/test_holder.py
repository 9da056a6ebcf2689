"""The name of whoever holds a state."""

from __future__ import annotations

from tests.state import ADA, BOB


def test_a_holder_in_ci_is_named_with_its_run() -> None:
    assert "process 4711 of ada on laptop, since 2026-01-02T03:04:05Z, https://ci.example/run/7" == str(ADA)


def test_a_holder_outside_ci_has_no_run() -> None:
    assert "process 12 of bob on server, since 2026-01-02T03:04:06Z" == str(BOB)
