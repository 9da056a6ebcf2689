"""Files of ``init`` name the version that wrote them; a newer version replaces them unless somebody edited them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provisioner.errors import CommandInvalid
from provisioner.project import templates
from provisioner.project.starting import Fate, Started, differences, start
from tests.conftest import environment

KINDS = ("github", "gitlab", "cron", "systemd", "kubernetes")
WORKFLOW = ".github/workflows/provisioner-apply.yml"
LOCK = "ci/requirements.txt"
CRON = "schedule/provisioner.cron"
ALL = templates.files(*KINDS) | templates.schema()
VALUE = f"PLACEHOLDERS\n{' ' * 18}value: "
PROGRAM = "octopush-provisioner @ https://packages.example.com/a.whl \\\n    --hash=sha256:00\n"


def older(name: str) -> str:
    """Return a file of another version."""
    return templates.marked(ALL[name].replace("\n", "\n\n", 2))


def started(folder: Path, *kinds: str, force: bool = False) -> Started:
    return start(folder, kinds, folder.parent / "identity.txt", environment(folder), force=force)


def fates(done: Started, folder: Path) -> dict[str, Fate]:
    return {str(path.relative_to(folder)): fate for path, fate in done.files}


# ── Each file ────────────────────────────────────────────────────────────────


def test_every_file_names_the_version_that_wrote_it(tmp_path: Path) -> None:
    done = started(tmp_path / "mine", *KINDS)
    assert len(ALL) + 3 == len(done.files)
    assert [] == [path for path, _ in done.files if templates.WRITTEN_BY not in path.read_text()[:200]]


@pytest.mark.parametrize("name", ALL)
def test_a_file_of_another_version_is_replaced_unless_edited(name: str) -> None:
    new = templates.marked(ALL[name])
    assert templates.FileUpdate(new, is_new=False, is_edited=False) == templates.update(new, ALL[name])
    assert templates.FileUpdate(new, is_new=True, is_edited=False) == templates.update(older(name), ALL[name])
    windows = older(name).replace("\n", "\r\n")
    assert templates.FileUpdate(new, is_new=True, is_edited=False) == templates.update(windows, ALL[name])
    edited = older(name) + "\n"
    assert templates.FileUpdate(new, is_new=True, is_edited=True) == templates.update(edited, ALL[name])
    # Already the content of this version: nothing to replace.
    assert templates.FileUpdate(new, is_new=False, is_edited=True) == templates.update(new + "\n", ALL[name])
    # Older versions wrote no such line.
    assert templates.FileUpdate(new, is_new=True, is_edited=False) == templates.update(ALL[name], ALL[name])
    assert templates.FileUpdate(new, is_new=True, is_edited=True) == templates.update(ALL[name] + "\n", ALL[name])


@pytest.mark.parametrize(
    ("name", "empty", "filled"),
    [
        (WORKFLOW, 'PLACEHOLDERS: ""', 'PLACEHOLDERS: "HOOK_* secrets/*"'),
        (".gitlab/provisioner.gitlab-ci.yml", 'PLACEHOLDERS: ""', 'PLACEHOLDERS: "HOOK_* secrets/*"'),
        (CRON, 'PLACEHOLDERS=""', 'PLACEHOLDERS="HOOK_*"'),
        ("schedule/provisioner-reconcile.service", "PLACEHOLDERS=\n", 'PLACEHOLDERS="HOOK_*"\n'),
        ("schedule/provisioner-reconcile.yaml", f'{VALUE}""', f'{VALUE}"HOOK_*"'),
        (LOCK, "certifi", f"{PROGRAM}certifi"),
        (WORKFLOW, "manifests names.\n", "manifests names.\n          HOOK_TOKEN: ${{ secrets.HOOK_TOKEN }}\n"),
    ],
)  # fmt: skip
def test_filled_in_places_are_kept_and_do_not_count_as_edits(name: str, empty: str, filled: str) -> None:
    assert 1 == older(name).count(empty)
    update = templates.update(older(name).replace(empty, filled), ALL[name])
    new = templates.marked(ALL[name])
    wanted = new + PROGRAM if name == LOCK else new.replace(empty, filled)
    assert templates.FileUpdate(wanted, is_new=True, is_edited=False) == update
    # The second time, nothing changes.
    assert templates.FileUpdate(wanted, is_new=False, is_edited=False) == templates.update(wanted, ALL[name])


def test_a_filled_in_value_without_a_place_is_not_lost() -> None:
    there = older(CRON).replace('PLACEHOLDERS=""', 'PLACEHOLDERS="HOOK_*"')
    without = ALL[CRON].replace('PROVISIONER_PLACEHOLDERS=""\n', "")
    assert templates.update(there, without).is_edited
    assert not templates.update(older(CRON), without).is_edited


# ── A project ────────────────────────────────────────────────────────────────


def test_a_newer_version_replaces_unedited_files_and_shows_them_in_its_diff(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    started(mine, "github", "gitlab", "cron")
    own = {"provisioner.yaml": "limit: 7\n", "manifests/accounts.yaml": "mine", ".gitlab-ci.yml": "stages: [a]\n"}
    edited = older(CRON).replace("17 3", "18 4")
    for name, content in {**own, WORKFLOW: older(WORKFLOW), LOCK: older(LOCK) + PROGRAM, CRON: edited}.items():
        (mine / name).write_text(content)
    (mine / "monitoring" / "provisioner.rules.yml").unlink()
    diff = differences(mine, ())
    assert {WORKFLOW, LOCK, CRON, "monitoring/provisioner.rules.yml"} == {
        line.removeprefix("+++ b/").strip() for line in diff.splitlines() if line.startswith("+++")
    }
    done = fates(started(mine, force=True), mine)
    changed = {name: fate for name, fate in done.items() if fate is not Fate.KEPT}
    assert changed == {
        WORKFLOW: Fate.REPLACED,
        LOCK: Fate.REPLACED,
        CRON: Fate.EDITED,
        "monitoring/provisioner.rules.yml": Fate.WRITTEN,
    }
    assert (templates.marked(ALL[WORKFLOW]), edited) == ((mine / WORKFLOW).read_text(), (mine / CRON).read_text())
    assert own == {name: (mine / name).read_text() for name in own}
    # Only edited files remain, and the diff can be applied.
    left = differences(mine, ())
    assert [f"--- a/{CRON}"] == [line for line in left.splitlines() if line.startswith("---")]
    subprocess.run(["git", "apply", "-"], cwd=mine, input=left, text=True, check=True)
    assert templates.marked(ALL[CRON]) == (mine / CRON).read_text()
    assert "" == differences(mine, ())


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    started(mine, "cron")
    (tmp_path / "shared").write_text(older(CRON))
    (mine / CRON).unlink()
    (mine / CRON).symlink_to(tmp_path / "shared")
    assert Fate.EDITED is fates(started(mine, "cron", force=True), mine)[CRON]
    assert older(CRON) == (tmp_path / "shared").read_text()


def test_a_diff_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandInvalid, match="has no files from --ci or --schedule"):
        differences(tmp_path, ())
    assert "--- /dev/null\n+++ b/schedule/provisioner.cron\n" in differences(tmp_path, ("cron",))
    assert [] == [*tmp_path.iterdir()]
