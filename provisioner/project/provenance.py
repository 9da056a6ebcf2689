"""Time, user, host and CI run: what operations, locks and histories record about a run."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from provisioner.model.history import Author
from provisioner.state.holder import Holder

_LONGEST: Final = 200
"""The length of a name, in characters; the environment can contain anything."""


def now() -> str:
    """Return the time, UTC, in the format of the state."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def by(environ: Mapping[str, str]) -> str:
    """Return who runs this, as ``user@host``."""
    return f"{_user(environ)}@{socket.gethostname()}"


def holder(environ: Mapping[str, str]) -> Holder:
    """Return what a lock records about this run."""
    return Holder(os.getpid(), socket.gethostname(), _user(environ), now(), _ci_run(environ))


def author(environ: Mapping[str, str], plan: str | None, at: str) -> Author:
    """Return what a history records about this run; ``plan`` is the digest of the plans that it applies.

    The actor comes from GitHub or GitLab. The approver is PROVISIONER_APPROVER, or whoever
    started a manual job on GitLab. GitHub has no variable for that.
    """
    actor = _first(environ, "GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN")
    manual = ("GITLAB_USER_LOGIN",) if environ.get("CI_JOB_MANUAL") == "true" else ()
    approver = _first(environ, "PROVISIONER_APPROVER", *manual)
    return Author(at, by(environ), actor, approver, _ci_run(environ), plan)


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    """Return the first of these variables that is not empty, shortened for the history."""
    found = next((environ[name] for name in names if environ.get(name)), None)
    return None if found is None else found.encode(errors="replace").decode()[:_LONGEST]


def _user(environ: Mapping[str, str]) -> str:
    if (named := _first(environ, "LOGNAME", "USER")) is not None:
        return named
    import pwd  # rarely needed

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container may run under a user id that has no name.
        return str(os.getuid())


def _ci_run(environ: Mapping[str, str]) -> str | None:
    """Return the address of the CI run, from the variables of GitHub, GitLab or Jenkins."""
    if "GITHUB_RUN_ID" in environ:
        parts = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        return "{}/{}/actions/runs/{}".format(*parts)
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL")
