"""Durable files: the order of the calls, and what is left if one of them fails or the process dies at it."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import pytest

from provisioner.files import NotAFile
from provisioner.state.disk import (
    PUBLIC,
    Disk,
    append,
    make_folder,
    read_file,
    remove_leftovers,
    write_atomically,
    write_new,
)
from tests.forks import exit_code_of
from tests.state import (
    UMASKS,
    ScriptedDisk,
    die,
    file_size_limit,
    fill,
    full,
    mode,
    needs_mounts,
    with_disk_of,
    with_read_only,
    with_umask,
)

OLD, NEW = b"old document", b"the new document, which is longer"
CALLS = ["write", "sync", "replace state.json", "folder", "sync"]
REPLACED = 4
"""The call after which the new document is in place."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state.json"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_bytes_become_durable_before_they_get_their_name_and_the_name_after_that(path: Path) -> None:
    disk = ScriptedDisk()
    write_atomically(path, NEW, disk)
    assert CALLS == [call.replace(f"folder {path.parent.name}", "folder") for call in disk.calls]
    assert NEW == path.read_bytes()
    assert ["state.json"] == names(path.parent)


@pytest.mark.parametrize("mask", UMASKS)
def test_a_file_is_its_owners_alone_whatever_it_was_before(path: Path, mask: int) -> None:
    path.chmod(0o666)
    with with_umask(mask):
        write_atomically(path, NEW, Disk())
    assert 0o600 == mode(path)


def test_a_file_is_for_whom_the_umask_lets_where_that_is_asked_for(path: Path) -> None:
    with with_umask(0o022):
        write_atomically(path, NEW, Disk(), mode=PUBLIC)
    assert (NEW, 0o644) == (path.read_bytes(), mode(path))


def test_what_is_added_is_durable_and_goes_through_no_link(path: Path) -> None:
    disk = ScriptedDisk()
    append(path, NEW, disk)
    assert (["write", "sync"], OLD + NEW) == (disk.calls, path.read_bytes())
    link = path.with_name("link.json")
    link.symlink_to(path)
    with pytest.raises(NotAFile, match="a symbolic link"):
        append(link, NEW, Disk())
    with pytest.raises(FileNotFoundError):
        append(path.with_name("absent.json"), NEW, Disk())
    assert ["link.json", "state.json"] == names(path.parent)


def test_a_new_file_is_durable_before_it_has_its_name_and_is_for_whom_the_umask_lets(tmp_path: Path) -> None:
    disk, path = ScriptedDisk(), tmp_path / "new.yaml"
    write_new(path, NEW, disk)
    assert ["write", "sync", f"folder {tmp_path.name}", "sync"] == disk.calls
    (tmp_path / "usual").touch()
    assert (NEW, (tmp_path / "usual").stat().st_mode) == (path.read_bytes(), path.stat().st_mode)
    assert ["new.yaml", "usual"] == names(tmp_path)


def test_a_new_file_takes_nobodys_place(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path.with_name("nowhere"))
    for place in (path, link, path.parent):
        with pytest.raises(FileExistsError):
            write_new(place, NEW, Disk())
    assert (OLD, ["link", "state.json"]) == (path.read_bytes(), names(path.parent))


@pytest.mark.parametrize("at", [1, 2])
def test_a_new_file_is_complete_or_absent(tmp_path: Path, at: int) -> None:
    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "new.yaml", NEW, ScriptedDisk(at, full))
    assert [] == names(tmp_path)


def test_a_file_is_read_whole(path: Path) -> None:
    assert OLD == read_file(path)


def test_a_missing_file_is_read_as_none(tmp_path: Path) -> None:
    assert read_file(tmp_path / "none") is None


# ── A call fails ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at", range(1, len(CALLS) + 1))
def test_a_call_that_fails_leaves_one_whole_document_and_nothing_else(path: Path, at: int) -> None:
    disk = ScriptedDisk(at, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, NEW, disk)
    assert at == len(disk.calls)
    assert (OLD if at < REPLACED else NEW) == path.read_bytes()
    assert ["state.json"] == names(path.parent)


def test_a_partial_write_is_not_mistaken_for_a_complete_one(path: Path) -> None:
    """The first write is cut at the limit, without an error; only going on shows that there is no more room."""
    with file_size_limit(len(OLD)), pytest.raises(OSError, match="File too large"):
        write_atomically(path, NEW, Disk())
    assert OLD == path.read_bytes()
    assert ["state.json"] == names(path.parent)


def write_on_a_full_disk(folder: Path) -> None:
    path = folder / "state.json"
    write_atomically(path, OLD, Disk())
    ballast = fill(folder)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, NEW * 1000, Disk())
    assert OLD == path.read_bytes()
    assert ["ballast", "state.json"] == names(folder)
    ballast.unlink()
    write_atomically(path, NEW * 1000, Disk())
    assert NEW * 1000 == path.read_bytes()


@needs_mounts
def test_a_full_disk_keeps_the_old_document(tmp_path: Path) -> None:
    with_disk_of("64k", tmp_path, write_on_a_full_disk)


def write_read_only(folder: Path) -> None:
    with pytest.raises(OSError, match="Read-only file system"):
        write_atomically(folder / "state.json", NEW, Disk())
    remove_leftovers(folder / "state.json")


@needs_mounts
def test_a_read_only_folder_keeps_all_that_is_in_it(path: Path) -> None:
    path.with_name(".state.json.0.tmp").touch()
    with_read_only(path.parent, write_read_only)
    assert OLD == path.read_bytes()
    assert [".state.json.0.tmp", "state.json"] == names(path.parent)


# ── The process dies ─────────────────────────────────────────────────────────


def write_and_die(path: Path, at: int) -> None:
    write_atomically(path, NEW, ScriptedDisk(at, die))


@pytest.mark.parametrize("at", range(1, len(CALLS) + 1))
def test_a_process_that_dies_leaves_one_whole_document(path: Path, at: int) -> None:
    assert -signal.SIGKILL == exit_code_of(write_and_die, path, at)
    assert (OLD if at < REPLACED else NEW) == path.read_bytes()
    assert (2 if at < REPLACED else 1) == len(names(path.parent))
    remove_leftovers(path)
    assert ["state.json"] == names(path.parent)


@pytest.mark.parametrize("name", ["state.json", "a [b]*?.json", "é\n.json"])
def test_only_leftovers_of_a_killed_run_are_removed(tmp_path: Path, name: str) -> None:
    gone = [f".{name}.0123.tmp", f".{name}.backup.0123.tmp"]
    kept = [name, f"{name}.backup", f"{name}.rescue", f"{name}.0123.tmp", ".a bb.json.0123.tmp", ".other.json.0123.tmp"]
    for each in (*gone, *kept):
        (tmp_path / each).touch()
    remove_leftovers(tmp_path / name)
    assert sorted(kept) == names(tmp_path)


def test_a_leftover_that_cannot_be_removed_blocks_nobody(tmp_path: Path) -> None:
    (tmp_path / ".state.json.0.tmp").mkdir()
    (tmp_path / ".state.json.1.tmp").touch()
    remove_leftovers(tmp_path / "state.json")
    assert [".state.json.0.tmp"] == names(tmp_path)
    remove_leftovers(tmp_path / "a folder that cannot be listed" / "state.json")


# ── Folders ──────────────────────────────────────────────────────────────────


def test_a_folder_is_as_durable_as_what_is_in_it(tmp_path: Path) -> None:
    disk = ScriptedDisk()
    make_folder(tmp_path / "a" / "b", disk)
    names = [tmp_path.parent.name, tmp_path.name, "a"]
    assert [call for name in names for call in (f"folder {name}", "sync")] == disk.calls
    assert [0o700, 0o700] == [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("a", "a/b")]


@pytest.mark.parametrize("mask", UMASKS)
def test_a_folder_is_its_owners_alone_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    with with_umask(mask):
        make_folder(tmp_path / "a" / "b", Disk())
    assert [0o700, 0o700] == [mode(tmp_path / each) for each in ("a", "a/b")]


def test_a_folder_that_exists_is_left_as_it_is_and_made_durable(tmp_path: Path) -> None:
    """Whoever created it may have been killed before it was."""
    (tmp_path / "a").mkdir(mode=0o755)
    disk = ScriptedDisk()
    make_folder(tmp_path / "a", disk)
    assert [f"folder {tmp_path.name}", "sync"] == disk.calls
    assert 0o755 == stat.S_IMODE((tmp_path / "a").stat().st_mode)


def test_the_name_of_a_mount_is_on_no_disk() -> None:
    disk = ScriptedDisk()
    make_folder(Path("/proc"), disk)
    assert [] == disk.calls


@pytest.mark.parametrize("below", [".", "a", "a/b"])
def test_a_file_is_not_a_folder(path: Path, below: str) -> None:
    with pytest.raises(OSError, match="is not a folder"):
        make_folder(path / below, Disk())
