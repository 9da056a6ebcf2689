"""Pipes, devices, folders and links in place of files: none is waited for, followed, overwritten or read forever."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.errors import CommandInvalid, ProvisionerError, SettingInvalid, StateError, StateInvalid
from provisioner.files import MAX_STATE_BYTES
from provisioner.project import outputs, places, saved
from provisioner.settings import loading
from provisioner.state.disk import Disk, append, write_atomically
from provisioner.state.holder import Holder
from provisioner.state.seen import Seen
from provisioner.state.stores.local import LocalStore
from tests.state import STATE

PRECIOUS = "precious"
HOLDER = Holder(1, "here", "ada", "2026-01-01T00:00:00Z")

Make = Callable[[Path], None]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    """Make a link to one, because few users may make a device."""
    path.symlink_to("/dev/zero")


def a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def link(path: Path) -> None:
    path.with_name("mine").write_text(PRECIOUS)
    path.symlink_to("mine")


def hard_link(path: Path) -> None:
    path.with_name("mine").write_text(PRECIOUS)
    path.hardlink_to(path.with_name("mine"))


KINDS = [pipe, folder, device, a_socket, link, hard_link]
READ = [pipe, folder, device, a_socket]
"""What is refused if a file is only read: then, it may be a link."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "default.json"


def untouched(path: Path, make: Make) -> bool:
    """Return whether what ``make`` put at ``path`` still exists, and whether a link's target is unchanged."""
    target = path.with_name("mine")
    return os.path.lexists(path) and (make not in {link, hard_link} or PRECIOUS == target.read_text())


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("suffix", ["", ".lock", ".backup", ".rescue", ".forgotten"])
def test_a_run_stops_if_one_of_its_state_files_is_something_else(place: Path, suffix: str, make: Make) -> None:
    path = place.with_name(f"{place.name}{suffix}")
    make(path)
    with pytest.raises(StateError, match="it is a") as caught, LocalStore(place).hold(HOLDER, timeout=0, sleep=print):
        pass
    assert str(path) in caught.value.message
    assert untouched(path, make)


@pytest.mark.parametrize("make", KINDS)
def test_a_state_is_read_only_from_a_file_of_its_own(place: Path, make: Make) -> None:
    make(place)
    with pytest.raises(StateInvalid, match=r"cannot be read: it is a .*"):
        LocalStore(place).load()
    assert LocalStore(place).holder() is None


@pytest.mark.parametrize("make", KINDS)
def test_the_record_of_seen_states_is_kept_only_in_its_own_files(place: Path, make: Make) -> None:
    seen = Seen(place.parent / "seen")
    seen.note("here", STATE)
    (place.parent / "seen" / "mine").touch()
    for mark in (place.parent / "seen").glob("*.jsonl"):
        mark.unlink()
        make(mark)
    for ask in (seen, Seen(place.parent / "seen")):
        with pytest.raises(StateInvalid, match="it is a"):
            ask.check("here", STATE, pytest.fail)


@pytest.mark.parametrize("make", KINDS)
def test_nothing_but_a_lock_file_is_used_as_a_lock(place: Path, make: Make) -> None:
    seen = Seen(place.parent / "seen")
    with seen.hold(STATE.lineage, HOLDER, timeout=0, sleep=print):
        seen.claim("https://a.example", "login", "here", STATE.lineage, pytest.fail)
    (place.parent / "seen" / "mine").touch()
    locks = list((place.parent / "seen").glob("*.lock"))
    for lock in locks:
        lock.unlink()
        make(lock)
    assert len(locks) == len({"of the lineage", "of claims"})
    with pytest.raises(StateInvalid, match="it is a"):
        seen.hold(STATE.lineage, HOLDER, timeout=0, sleep=print)
    with pytest.raises(StateInvalid, match="it is a"):
        seen.claim("https://a.example", "another", "here", STATE.lineage, pytest.fail)
    assert all(untouched(lock, make) for lock in locks)


@pytest.mark.parametrize("make", KINDS)
def test_only_our_own_files_are_overwritten_or_appended_to(place: Path, make: Make) -> None:
    make(place)
    for write in (write_atomically, append):
        with pytest.raises(OSError, match="it is a"):
            write(place, b"ours", Disk())
    assert untouched(place, make)


def to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [*READ, to_nowhere])
def test_settings_and_saved_plans_are_read_only_from_files(place: Path, make: Make) -> None:
    make(place)
    make(place.with_name("provisioner.yaml"))
    # A link to nowhere does not mean that there are no settings.
    for named in (place, None):
        with pytest.raises(SettingInvalid, match=r"cannot be read: it is a .*"):
            loading.load(named, {}, {}, folder=place.parent)
    # A plan may come through a pipe, but nobody writes to this one.
    with pytest.raises(ProvisionerError, match="is not a saved plan" if make is pipe else "it is a"):
        saved.read(place)


def test_every_read_has_a_size_limit(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(MAX_STATE_BYTES + 1)
    with pytest.raises(StateInvalid, match="it is over 256 MiB"):
        LocalStore(place).load()
    with pytest.raises(SettingInvalid, match="it is over 10 MB"):
        loading.load(place, {}, {})
    with pytest.raises(CommandInvalid, match="it is over 100 MB"):
        saved.read(place)


def test_a_users_file_with_the_name_of_a_lock_is_not_emptied(place: Path) -> None:
    lock = place.with_name(f"{place.name}.lock")
    lock.write_text(PRECIOUS)
    with pytest.raises(StateError, match="is not a lock"), LocalStore(place).hold(HOLDER, timeout=0, sleep=print):
        pass
    assert PRECIOUS == lock.read_text()


# ── What a run writes for people ─────────────────────────────────────────────

OURS = {
    outputs.REPORT: ['{"version": 1, "reports": []}', '{"version": 1, "error": {"code": 5, "name": "StateInvalid"}}'],
    outputs.PLAN: ['{"version": 1, "plans": [], "source": {}, "digest": "d"}'],
    outputs.METRICS: ["# HELP octopush_provisioner_slots S\noctopush_provisioner_slots{} 1.0\n"],
    outputs.EXPORT: [
        '{"paris": {"api_login": "a", "api_key": "b", "password": null}}',
        "PARIS_API_LOGIN=a\nPARIS_API_KEY='b c'\n",
        "OCTOPUSH_API_LOGIN=a\nOCTOPUSH_API_KEY=b\nOCTOPUSH_PASSWORD=c\n",
        "name,api_login,api_key,password\r\nparis,a,b,c\r\n",
        '---\n"metadata":\n  "labels":\n    "app.kubernetes.io/managed-by": "octopush-provisioner"\n',
    ],
}
OTHERS = [
    "AGE-SECRET-KEY-1\n",
    "#!/bin/sh\necho\n",
    "[core]\n\tbare = false\n",
    "{}x",
    '{"version": 1, "accounts": {}}',
    "version: 1\naccounts: []\n",
    "node_load1 0.5\n",
    "OCTOPUSH_API_LOGIN=a\nOCTOPUSH_API_KEY=b\n",
    "PARIS_API_KEY=a\nMY_OWN=b\n",
    "\x7fELF\0",
]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.noun)
def test_an_output_replaces_only_an_earlier_file_of_its_kind(place: Path, kind: outputs.OutputKind) -> None:
    of_others = [text for other, texts in OURS.items() if other is not kind for text in texts]
    for text in (*OTHERS, *of_others):
        place.write_bytes(text.encode())
        for attempt in (
            lambda: outputs.require_place(place, kind, {}, place.parent),
            lambda: outputs.write(place, "new", kind),
        ):
            with pytest.raises(CommandInvalid, match=f"is not an earlier {kind.noun}"):
                attempt()
        assert text.encode() == place.read_bytes()
    for text in ("", "\n", *OURS[kind]):
        place.write_text(text)
        outputs.require_place(place, kind, {}, place.parent)
        outputs.write(place, "new", kind)
        assert "new" == place.read_text()


@pytest.mark.parametrize("make", KINDS)
def test_an_output_replaces_and_follows_nothing_but_a_regular_file(place: Path, make: Make) -> None:
    make(place)
    with pytest.raises(CommandInvalid, match="cannot be replaced: it is a"):
        outputs.require_place(place, outputs.REPORT, {}, place.parent)
    with pytest.raises(CommandInvalid, match="cannot be replaced: it is a"):
        outputs.write(place, "new", outputs.REPORT)
    assert untouched(place, make)


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".GIT/hooks/x",
        "sub/.git/x",
        ".github/workflows/x.yml",
        ".gitlab-ci.yml",
        "ci/x.sh",
        "sub/Jenkinsfile",
        "sub/../ci/x",
    ],
)
def test_nothing_is_written_where_git_or_a_pipeline_reads_instructions(place: Path, name: str) -> None:
    project = place.parent
    (project / "sub").mkdir()
    with pytest.raises(CommandInvalid, match="takes instructions"):
        places.require_harmless(project / name, project)
    (project / ".git").mkdir()
    with pytest.raises(CommandInvalid, match="takes instructions"):
        places.require_harmless(project / name, project / "sub")


def test_a_project_may_itself_be_in_a_folder_with_such_a_name(tmp_path: Path) -> None:
    project = tmp_path / "ci" / ".github" / "project"
    project.mkdir(parents=True)
    places.require_harmless(project / "report.json", project)
    places.require_harmless(tmp_path / "ci" / "report.json", project)
