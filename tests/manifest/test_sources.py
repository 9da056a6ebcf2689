"""Sources: which files are read, in which order, and which are refused without being read."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from provisioner.manifest.sources import MAX_BYTES, FileKind, Source, content, sources
from provisioner.model.account import Problem, Severity


def problem(path: Path) -> Problem:
    (found,) = sources([path])
    assert isinstance(found, Problem)
    assert found.origin.file == str(path)
    assert found.hint
    return found


def names(*paths: Path) -> list[str]:
    found = list(sources(paths))
    assert all(isinstance(each, Source) for each in found)
    return [each.path.name for each in found if isinstance(each, Source)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.yaml", "a.YML", "c.csv", "d.tsv", ".hidden.yaml", "notes.txt", "README.md"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_file_is_read(folder: Path) -> None:
    assert list(sources([folder / "b.yaml"])) == [Source(folder / "b.yaml", b"b.yaml")]


def test_a_folder_gives_its_manifests_in_order(folder: Path) -> None:
    assert names(folder) == ["a.YML", "b.yaml", "c.csv", "d.tsv"]


def notes(*paths: Path) -> list[tuple[str, str]]:
    found = [each for each in sources(paths) if isinstance(each, Problem)]
    assert {Severity.NOTE} >= {each.severity for each in found}
    return [(each.origin.file, each.message) for each in found]


def test_a_folder_inside_is_not_read_and_told_of_where_it_holds_manifests(folder: Path) -> None:
    for name in ("eu", "far/away", "empty", ".git", "notes"):
        (folder / name).mkdir(parents=True)
    for name in ("eu/x.yaml", "eu/y.csv", "far/away/x.csv", ".git/x.yaml", "notes/x.txt", "notes/.hidden.yaml"):
        (folder / name).write_text("x")
    eu, away = folder / "eu", folder / "far" / "away"
    message = "This folder contains manifests, but is not read."
    assert notes(folder) == [(str(eu), message), (str(away), message)]
    assert notes(folder, eu, away) == notes(eu, folder, away / ".." / "away") == []
    assert notes(folder, eu / "x.yaml", away / "x.csv") == [(str(eu), message)]
    assert notes(folder, folder / ".") == notes(folder)


def test_a_file_is_read_once_however_it_is_named(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "link.yaml").symlink_to(folder / "b.yaml")
    assert names(folder / "c.csv", folder / "sub" / ".." / "c.csv", folder, folder / "link.yaml") == [
        "c.csv",
        "a.YML",
        "b.yaml",
        "d.tsv",
    ]


def test_a_hidden_file_may_be_named_itself(folder: Path) -> None:
    assert names(folder / ".hidden.yaml") == [".hidden.yaml"]


def test_a_missing_path(tmp_path: Path) -> None:
    assert problem(tmp_path / "none.yaml").message == "There is no such file."
    assert problem(tmp_path / "none").message == "There is no such file."
    (tmp_path / "broken.csv").symlink_to(tmp_path / "none")
    assert problem(tmp_path / "broken.csv").message == "There is no such file."


def test_a_circle_of_links(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "b.yaml")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")
    assert problem(tmp_path / "a.yaml").message.startswith("The file cannot be read: Too many levels")


def test_a_folder_without_manifests(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    found = problem(tmp_path)
    assert found.message == "The folder contains no manifest."
    assert found.hint == "A manifest's name ends in .yaml, .yml, .csv, .tsv, .xlsx or .ods."


def test_a_folder_named_like_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    assert problem(tmp_path / "x.yaml").message == "This folder has the name of a manifest."
    (inside,) = sources([tmp_path])
    assert isinstance(inside, Problem)


def test_temporary_files_of_programs_are_not_manifests(folder: Path) -> None:
    left = (
        "~$c.csv",
        ".~lock.c.csv#",
        "~c.csv",
        "c_LOCAL_4711.csv",
        "c_BASE_4711.csv",
        "c.csv~",
        "#c.csv#",
        "c.csv.bak",
    )
    for name in left:
        (folder / name).write_text("x")
    assert names(folder) == ["a.YML", "b.yaml", "c.csv", "d.tsv"]
    found = problem(folder / "~$c.csv")
    assert found.hint == "Excel made it while somebody has the table open: name the table itself."


def test_another_kind_of_file(folder: Path) -> None:
    assert problem(folder / "notes.txt").message == "This is not the name of a manifest."


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert problem(tmp_path / "pipe.csv").message == "This is not a file but a pipe or a device."
    assert problem(Path("/dev/zero")).message == "This is not a file but a pipe or a device."


@pytest.fixture
def closed() -> Iterator[Path]:
    """Give a folder and a file that may not be read, to a user who is not root and so subject to permissions."""
    with TemporaryDirectory() as name:
        user = os.geteuid()
        folder = Path(name)
        (folder / "closed").mkdir(mode=0)
        (folder / "x.yaml").touch(mode=0)
        folder.chmod(0o755)
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            (folder / "closed").chmod(0o755)


def test_what_may_not_be_read(closed: Path) -> None:
    assert problem(closed / "x.yaml").message == "The file cannot be read: Permission denied."
    assert problem(closed / "closed" / "x.yaml").message == "The file cannot be read: Permission denied."
    assert problem(closed / "closed").message == "The folder cannot be opened: Permission denied."
    assert problem(closed / "closed" / "deeper").message == "The folder cannot be opened: Permission denied."


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    assert problem(tmp_path / f"{'x' * 300}.yaml").message == "The file cannot be read: File name too long."
    assert problem(tmp_path / ("x" * 300)).message == "The folder cannot be opened: File name too long."
    (tmp_path / "file").write_text("x")
    assert problem(tmp_path / "file" / "x.yaml").message == "The file cannot be read: Not a directory."


def test_the_size_is_limited_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES)
    (good,) = sources([path])
    assert isinstance(good, Source)
    with path.open("wb") as stream:
        stream.truncate(100 * MAX_BYTES)
    assert problem(path).message == "The file is over 10 MB."


def test_a_file_whose_size_is_not_told_is_limited_too(tmp_path: Path) -> None:
    # Files of /proc say that they are empty.
    link = tmp_path / "maps.yaml"
    link.symlink_to("/proc/self/status")
    (found,) = sources([link])
    assert isinstance(found, Source)
    assert found.raw.startswith(b"Name:")


SONG = FileKind("song", (".a", ".b"), "Sing less.")


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("none.a", "There is no such file.", "Check the path for typos."),
        ("folder", "This is a folder and not a file.", "Name the song inside."),
        ("folder.b", "This folder has the name of a song.", "Rename it, or name the file inside."),
        ("other.c", "This is not the name of a song.", "A song's name ends in .a or .b."),
        ("pipe.a", "This is not a file but a pipe or a device.", "Write the song to a file."),
        ("large.B", "The file is over 10 MB.", "Sing less."),
    ],
)
def test_another_kind_is_spoken_of_in_its_own_words(tmp_path: Path, name: str, message: str, hint: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.b").mkdir()
    (tmp_path / "other.c").touch()
    os.mkfifo(tmp_path / "pipe.a")
    with (tmp_path / "large.B").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    found = content(tmp_path / name, SONG)
    assert isinstance(found, Problem)
    assert (found.message, found.hint, found.origin.file) == (message, hint, str(tmp_path / name))
    (tmp_path / "good.A").write_bytes(b"la")
    assert content(tmp_path / "good.A", SONG) == Source(tmp_path / "good.A", b"la")
