"""The page about all parents: printed by a command, or written to a file by a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import ExitCode, ProvisionerError
from provisioner.immutable import immutable
from provisioner.project import metrics, outputs
from provisioner.render import overview
from provisioner.render.overview import RunEnd
from provisioner.state.disk import PUBLIC, read_file

if TYPE_CHECKING:
    from provisioner.model.shard import Shard
    from provisioner.model.status import ParentStatus
    from provisioner.project.history import ParentHistory
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports
    from provisioner.project.running import Jobs

_MARKDOWN: Final = frozenset({".md", ".markdown"})
_LAST_SUCCESS: Final = re.compile(rf"{re.escape(overview.SIGNATURE)}(\d[\dT:-]+Z)")


@immutable
class PageRequest:
    """Where a run writes its page, and about which parents."""

    path: Path
    """The format is Markdown if it ends in ``.md`` or ``.markdown``, otherwise HTML."""
    parents: Sequence[str]
    shard: Shard | None
    jobs: Jobs


def shown(project: Project, statuses: Sequence[ParentStatus], *, markdown: bool) -> str:
    """Return the page about ``statuses``; the time of the last success comes from the metrics, if there are any."""
    success = metrics.last_success(project.settings.metrics_file)
    return _page(project, statuses, datetime.now(UTC), None, success, markdown=markdown)


def write(this: PageRequest, project: Project, done: Reports | ProvisionerError) -> None:
    """Write the page of a run that ended with ``done``, and replace the previous one.

    Raises:
        CommandInvalid: the file cannot be written, and was not changed.

    """
    now = datetime.now(UTC)
    statuses = project.status(parents=this.parents, shard=this.shard, jobs=this.jobs)
    if isinstance(done, ProvisionerError):
        ended = RunEnd(done.exit_code, done)
    else:
        ended = RunEnd(done.exit_code, reports=done.reports)
    if done.exit_code is ExitCode.DONE:
        success: str | None = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    else:
        known = (metrics.last_success(project.settings.metrics_file), _of_page(this.path))
        success = max(filter(None, known), default=None)
    markdown = this.path.suffix.lower() in _MARKDOWN
    outputs.write(
        this.path, _page(project, statuses, now, ended, success, markdown=markdown), outputs.PAGE, mode=PUBLIC
    )


def _page(
    project: Project,
    statuses: Sequence[ParentStatus],
    now: datetime,
    ended: RunEnd | None,
    success: str | None,
    *,
    markdown: bool,
) -> str:
    histories = _histories(project, statuses)
    done = [(each.parent, entry) for each in histories for entry in each.entries]
    unread = {each.parent: each.failure for each in histories if each.failure is not None}
    known = [replace(each, failure=each.failure or unread.get(each.parent)) for each in statuses]
    seen = overview.overview(known, now, done=done, ended=ended, last_success=success)
    if markdown:
        from provisioner.render import status_markdown  # only one of the two is needed

        return status_markdown.page(seen)
    from provisioner.render import status_html  # only one of the two is needed

    return status_html.page(seen)


def _histories(project: Project, statuses: Sequence[ParentStatus]) -> tuple[ParentHistory, ...]:
    """Return the histories of the parents with the latest operations only: to read all of them may take long."""
    latest = {
        each.parent: max((record.operation.started_at for record in each.state.accounts.values()), default="")
        for each in statuses
        if each.state is not None
    }
    chosen = sorted(latest, key=lambda parent: (latest[parent], parent))[-overview.OPERATIONS :]
    return project.history(parents=chosen) if chosen else ()


def _of_page(path: Path) -> str | None:
    """Return when a run last succeeded according to the page at ``path``; None if it does not say."""
    try:
        earlier = (read_file(path) or b"").decode(errors="replace")
    except OSError:
        return None
    found = _LAST_SUCCESS.search(earlier)
    return None if found is None else found[1]
