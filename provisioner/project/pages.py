"""The page about all parents: as a command prints it, and as a run leaves it in a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import ExitCode, ProvisionerError
from provisioner.project import metrics, outputs
from provisioner.render import overview
from provisioner.render.overview import Ended
from provisioner.state.disk import PUBLIC, read_file

if TYPE_CHECKING:
    from provisioner.model.shard import Shard
    from provisioner.model.status import ParentStatus
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports
    from provisioner.project.running import Jobs

_MARKDOWN: Final = frozenset({".md", ".markdown"})
_LAST_SUCCESS: Final = re.compile(rf"{re.escape(overview.SIGNATURE)}(\d[\dT:-]+Z)")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Where a run leaves its page, and about whom."""

    path: Path
    """Markdown where it ends in ``.md``, and HTML anywhere else."""
    parents: Sequence[str]
    shard: Shard | None
    jobs: Jobs


def shown(
    statuses: Sequence[ParentStatus], metrics_file: str | None, *, markdown: bool, now: datetime | None = None
) -> str:
    """Return the page about ``statuses``; when a run last succeeded is read from the metrics, where there are any."""
    return _page(
        statuses, now or datetime.now(UTC), None, _latest(metrics.last_success(metrics_file)), markdown=markdown
    )


def write(this: PageRequest, project: Project, done: Reports | ProvisionerError) -> None:
    """Write the page about a run that came to ``done``, in the place of the one before.

    Raises:
        CommandInvalid: the file cannot be written; it is as it was.

    """
    now = datetime.now(UTC)
    statuses = project.status(parents=this.parents, shard=this.shard, jobs=this.jobs)
    failure = done if isinstance(done, ProvisionerError) else None
    ended = Ended(done.exit_code, failure, () if isinstance(done, ProvisionerError) else done.reports)
    if done.exit_code is ExitCode.DONE:
        success: str | None = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    else:
        success = _latest(metrics.last_success(project.settings.metrics_file), _of_page(this.path))
    markdown = this.path.suffix.lower() in _MARKDOWN
    outputs.write(this.path, _page(statuses, now, ended, success, markdown=markdown), outputs.PAGE, mode=PUBLIC)


def _page(
    statuses: Sequence[ParentStatus], now: datetime, ended: Ended | None, success: str | None, *, markdown: bool
) -> str:
    seen = overview.overview(statuses, now, ended=ended, last_success=success)
    if markdown:
        from provisioner.render import status_markdown  # only who wants one format loads it

        return status_markdown.page(seen)
    from provisioner.render import status_html  # only who wants one format loads it

    return status_html.page(seen)


def _of_page(path: Path) -> str | None:
    """Return when a run last succeeded, as the page before says; None where there is none, or it does not know."""
    try:
        earlier = (read_file(path) or b"").decode(errors="replace")
    except OSError:
        return None
    found = _LAST_SUCCESS.search(earlier)
    return None if found is None else found[1]


def _latest(*these: str | None) -> str | None:
    return max((each for each in these if each is not None), default=None)
