"""When and by whom: what an operation and a lock say of the run that they belong to."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime

from provisioner.state.holder import Holder


def now() -> str:
    """Return the time, UTC, as the state holds it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def by(environ: Mapping[str, str]) -> str:
    """Return who runs this, as ``user@host``."""
    return f"{_user(environ)}@{socket.gethostname()}"


def holder(environ: Mapping[str, str]) -> Holder:
    """Return what a lock says of this run."""
    return Holder(os.getpid(), socket.gethostname(), _user(environ), now(), _ci_run(environ))


def _user(environ: Mapping[str, str]) -> str:
    named = next((environ[each] for each in ("LOGNAME", "USER") if environ.get(each)), None)
    if named is not None:
        # The environment may say anything; the state holds text.
        return named.encode(errors="replace").decode()
    import pwd  # most environments say who it is

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container may run under a number that has no name.
        return str(os.getuid())


def _ci_run(environ: Mapping[str, str]) -> str | None:
    """Return the address of the CI run, from what GitHub, GitLab and Jenkins set."""
    if "GITHUB_RUN_ID" in environ:
        parts = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        return "{}/{}/actions/runs/{}".format(*parts)
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL")
