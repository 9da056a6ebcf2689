"""Fixtures for the tests of the stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ready.forge import Forge, running_forge


@pytest.fixture
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """Return a repository that git's own server serves over HTTP."""
    with running_forge(tmp_path_factory.mktemp("forge") / "repositories") as made:
        yield made
