"""The page of a run, in cases that need no server."""

from __future__ import annotations

from pathlib import Path

from provisioner import Folders, Project
from provisioner.errors import ExitCode, InterruptedRunError, StateLocked
from provisioner.model.account import Attributes
from provisioner.model.state import Operation, State, Unknown
from provisioner.project import pages
from provisioner.project.outlets import Outlets
from provisioner.project.pages import PageRequest
from provisioner.project.reports import Reports
from provisioner.state import codec

METRIC = "octopush_provisioner_last_success_timestamp_seconds 1772161060.0\n"


def project(folder: Path) -> Project:
    """Return a project with one parent and an unknown outcome in its state."""
    unknown = Unknown(
        Attributes("Käthe", "Kollwitz"), Operation("op", "2026-02-25T03:17:05Z", "ci@runner"), "no answer"
    )
    state = State("0b7c1c9e-6f0e-4a53-9a51-5f6f7f0f3a10", "default", 3, accounts={"berlin": unknown})
    (folder / "state").mkdir()
    (folder / "state" / "default.json").write_bytes(codec.encode(state, "0123456789abcdef"))
    (folder / "octopush.prom").write_text(METRIC)
    (folder / "provisioner.yaml").write_text("metrics_file: octopush.prom\n")
    return Project.open(folder, environ={}, folders=Folders(folder / "config", folder / "seen"))


def test_the_last_success_is_the_latest_known(tmp_path: Path) -> None:
    mine = project(tmp_path)
    assert "Last success: 2026-02-27 02:57 UTC, " in pages.shown(mine, mine.status(), markdown=False)
    page = tmp_path / "page.md"
    for before, known in (
        ("2026-02-01T00:00:00Z", "2026-02-27 02:57 UTC"),
        ("2026-02-28T00:00:00Z", "2026-02-28 00:00 UTC"),
    ):
        page.write_text(f"<!-- octopush-provisioner: status; last success {before} -->\n")
        pages.write(PageRequest(page, (), None, 1), mine, StateLocked("The state is locked.", hint="Wait."))
        assert f"Last success: {known}, " in page.read_text()
    assert "The state is locked. Wait." in page.read_text()
    pages.write(PageRequest(page, (), None, 1), mine, Reports(()))
    assert "Last success: " in page.read_text()
    assert "2026-02-28" not in page.read_text()


def test_an_unreadable_history_is_shown_as_a_failure_and_hides_nothing(tmp_path: Path) -> None:
    mine = project(tmp_path)
    (tmp_path / "state" / "default.json.history.jsonl").mkdir()
    page = " ".join(pages.shown(mine, mine.status(), markdown=True).split())
    assert "default.json.history.jsonl cannot be read" in page
    assert "? unknown: berlin" in page


def test_an_interrupted_run_does_not_update_the_page(tmp_path: Path) -> None:
    mine, warnings, path = project(tmp_path), list[str](), tmp_path / "page.html"
    outlets = Outlets(warnings.append)
    outlets.prepare(mine, (), None, PageRequest(path, (), None, 1), (), None)
    interrupted = InterruptedRunError("Interrupted.")
    assert ExitCode.INTERRUPTED is interrupted.exit_code
    assert (True, False) == (outlets.write_page(interrupted), path.exists())
    assert (True, True, []) == (outlets.write_page(Reports(())), path.exists(), warnings)
