"""What a stranger gets: the wheel, the demonstration, the list of targets."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from provisioner import __version__, schemas
from tests.conftest import environment

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_holds_schemas_and_templates_and_runs(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (wheel,) = tmp_path.glob(f"octopush_provisioner-{__version__}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    code = "from provisioner import schemas; print(schemas.__file__, schemas.load('manifest.v1')['title'])"
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**environment(tmp_path), "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{tmp_path}/installed/provisioner/schemas.py {schemas.load('manifest.v1')['title']}\n" == said
    shipped = {path.name for path in (tmp_path / "installed" / "provisioner" / "_schemas").iterdir()}
    assert {path.name for path in (ROOT / "schemas").iterdir()} == shipped
    ours, theirs = (each / "provisioner/templates" for each in (ROOT, tmp_path / "installed"))
    assert files_below(ours) == files_below(theirs)
    assert Path("github/.github/workflows/provisioner-plan.yml") in files_below(theirs)


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_the_demonstration_works_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tests/demo.py"],
        cwd=ROOT,
        env={**environment(tmp_path), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (0, []) == (done.returncode, list(tmp_path.iterdir())), done.stdout
    for words in ("4 planned", "Done: 4 created.", "Nothing to do: 7 unchanged.", "paris", "***", "(exit code 8)"):
        assert words in done.stdout


def test_make_alone_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony.split() == [line.split()[1] for line in listed.splitlines()]


def test_every_dependency_is_pinned() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = {name.lower() for name in re.findall(r'^  "([A-Za-z0-9-]+)(?:\[\w+\])?>=', project, re.MULTILINE)}
    assert wanted - pins(ROOT / "constraints.txt").keys() == set()
    assert len(wanted) > 15


@pytest.mark.parametrize("extras", [(), ("dev",), ("dev", "proof")], ids=("runtime", "dev", "proof"))
def test_what_make_installs_is_locked_by_hashes(extras: tuple[str, ...]) -> None:
    path = ROOT / "locks" / f"{extras[-1] if extras else 'runtime'}.txt"
    locked, constraints = pins(path), pins(ROOT / "constraints.txt")
    only_on_windows = {"colorama"}
    assert {name: constraints.get(name) for name in locked.keys() - only_on_windows} == {
        name: version for name, version in locked.items() if name not in only_on_windows
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(each for extra in extras for each in optional[extra])]
    names = {canonical(re.split(r"[\[>; ]", each)[0]) for each in wanted} - {project["name"]}
    assert names - locked.keys() == set()
    pinned = re.findall(r"^\S+==\S+.*((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)$", path.read_text(), re.MULTILINE)
    assert len(pinned) == len(locked)


def pins(path: Path) -> dict[str, str]:
    """Return the version of each package in a file of pins."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonical(name): version for name, version in found}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
