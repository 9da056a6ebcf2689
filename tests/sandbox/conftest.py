"""A sandbox for each test, and where it can keep its accounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.sandbox import Sandbox
from tests.sandbox.calls import ACME, UMBRELLA, running


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def several() -> Iterator[Sandbox]:
    """A sandbox with two parents."""
    with running(parents=(ACME, UMBRELLA)) as sandbox:
        yield sandbox
