"""Fixtures for the tests of security promises."""

from __future__ import annotations

import pytest

from tests.cli.steps import made
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    """A sandbox in which nothing fails."""
    return sandbox()


@pytest.fixture
def applied(server: SandboxProcess, project: NewProject) -> Project:
    """A project whose accounts, paris and rome, exist."""
    return made(server, project)
