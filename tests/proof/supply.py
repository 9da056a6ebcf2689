"""``make supply``: what a user installs comes from this repository, and nobody swapped a part of it on the way.

It builds wheel and source archive twice, in circumstances that differ, and compares
every byte. It installs the wheel and its locked dependencies in an empty environment and
applies a manifest there. It damages one hash, and expects pip to refuse. It writes the
bill of materials to ``dist/``, and asks PyPI's advisory service for known vulnerabilities.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioner import __version__
from tests.proof.copies import copy_files
from tests.proof.page import ROOT, Table, publish

BILL: Final = ROOT / "dist" / f"octopush-provisioner-{__version__}.cdx.json"
LOCKS: Final = ROOT / "locks"
MANIFEST: Final = "version: 1\naccounts:\n  - {name: paris, first_name: Ada, last_name: Lovelace}\n"

# Whatever could leak from a machine into an archive: time zone, locale, order of sets, permissions, times of files.
_CIRCUMSTANCES: Final = (
    ({"TZ": "Pacific/Auckland", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}, 0o022, 0),
    ({"TZ": "America/Caracas", "LC_ALL": "POSIX", "PYTHONHASHSEED": "2"}, 0o077, 1_000_000_000),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what came of it, and whether that is as it should be."""

    what: str
    result: str
    good: bool


def main() -> int:
    """Print every finding; return 1 if one is not as it should be."""
    started = time.monotonic()
    found = []
    with tempfile.TemporaryDirectory(prefix="provisioner-supply-") as scratch:
        for finding in findings(Path(scratch)):
            print(f"{'' if finding.good else 'NOT AS IT SHOULD BE  '}{finding.what}: {finding.result}", flush=True)
            found.append(finding)
    publish("supply", [Table(("what", "found"), [(each.what, each.result) for each in found])], started=started)
    return int(not all(each.good for each in found))


def findings(folder: Path) -> Iterator[Finding]:
    """Look at everything, in an empty folder."""
    archives = [built(copy_files(folder / str(number)), *each) for number, each in enumerate(_CIRCUMSTANCES)]
    for kind in ("wheel", "source archive"):
        yield compared(f"{kind}, built twice", archives[0][kind], archives[1][kind])
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", archives[0]["source archive"], "-C", unpacked, "--strip-components=1"], check=True)
    rebuilt = built(unpacked, *_CIRCUMSTANCES[0])
    yield compared("wheel, built from the source archive", archives[0]["wheel"], rebuilt["wheel"])
    python = environment(folder / "environment")
    yield installed(python, archives[0]["wheel"])
    yield ran(python, folder / "project")
    yield swapped(environment(folder / "swapped"), folder / "swapped.txt")
    yield bill(python)
    yield from audited(LOCKS / "proof.txt")


# ── The archives ─────────────────────────────────────────────────────────────


def built(tree: Path, variables: Mapping[str, str], umask: int, seconds: int) -> dict[str, Path]:
    """Build both archives of a tree; return their paths by kind. ``seconds`` is when all its files were changed."""
    for path in tree.rglob("*"):
        path.chmod(path.stat().st_mode & ~umask)
        os.utime(path, (seconds, seconds))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", "built"],
        cwd=tree,
        env={**os.environ, **variables},
        umask=umask,
        check=True,
        capture_output=True,
    )
    (wheel,), (source,) = (tree / "built").glob("*.whl"), (tree / "built").glob("*.tar.gz")
    return {"wheel": wheel, "source archive": source}


def compared(what: str, first: Path, second: Path) -> Finding:
    """Compare two archives, name and every byte."""
    digests = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in (first, second)]
    same = digests[0] == digests[1]
    # The source archive holds the page with these results, which so cannot name its digest.
    digest = f", SHA-256 `{digests[0][1]}`" if first.suffix == ".whl" else ""
    return Finding(what, f"identical{digest}" if same else "they differ", same)


# ── Installing ───────────────────────────────────────────────────────────────


def environment(folder: Path) -> Path:
    """Create an empty virtual environment; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def pip(python: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Have pip install something, quietly."""
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def installed(python: Path, wheel: Path) -> Finding:
    """Install a wheel and the dependencies that are locked for it."""
    done = [pip(python, "--require-hashes", "-r", LOCKS / "runtime.txt"), pip(python, "--no-deps", "--no-index", wheel)]
    checked = subprocess.run([python, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    good = not any(each.returncode for each in (*done, checked))
    return Finding("wheel and locked dependencies, in an empty environment", "installed" if good else "refused", good)


def ran(python: Path, folder: Path) -> Finding:
    """Apply a manifest with the installed program, in a folder where the repository is out of reach."""
    folder.mkdir()
    (folder / "accounts.yaml").write_text(MANIFEST, encoding="utf-8")
    command = [python.parent / "provisioner"]
    with sandbox(command, folder) as variables:

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*command, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
            )

        variables["PROVISIONER_RECIPIENTS"] = run("keygen").stdout.strip()
        applied = run("apply", "--yes", "--new-state", "accounts.yaml")
        again = run("plan", "accounts.yaml")
    good = (applied.returncode, again.returncode) == (0, 0) and "1 created" in applied.stdout
    return Finding("the installed program", "created an account in the sandbox" if good else applied.stderr, good)


@contextmanager
def sandbox(command: list[Path], folder: Path) -> Iterator[dict[str, str]]:
    """Start the installed program's own sandbox; yield the variables with which the program calls it."""
    variables = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "OCTOPUSH_API_LOGIN": "parent@example.com",
        "OCTOPUSH_API_KEY": "only-for-the-sandbox",
    }
    process = subprocess.Popen(
        [*command, "sandbox", "--port", "0"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        url = next(found[0] for line in process.stdout if (found := re.search(r"http://127[\d.]+:\d+\S*", line)))
        yield {**variables, "OCTOPUSH_API_URL": url}
    finally:
        process.terminate()
        process.wait(timeout=10)


def swapped(python: Path, lock: Path) -> Finding:
    """Expect pip to refuse a package that is not the one that the lock names: here, every hash of click is another."""
    text = (LOCKS / "runtime.txt").read_text(encoding="utf-8")
    entry = re.search(r"^click==.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert entry
    other = re.sub(r"sha256:(.)", lambda found: f"sha256:{int(found[1], 16) ^ 1:x}", entry[0])
    lock.write_text(text.replace(entry[0], other), encoding="utf-8")
    done = pip(python, "--require-hashes", "-r", lock)
    refused = done.returncode != 0 and "DO NOT MATCH THE HASHES" in done.stderr
    return Finding("a package with another hash than the locked one", "refused" if refused else "INSTALLED", refused)


# ── What is in it ────────────────────────────────────────────────────────────


def bill(python: Path) -> Finding:
    """Write the bill of materials of an environment, and compare it with the lock."""
    BILL.parent.mkdir(exist_ok=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--validate"),
            *("--pyproject", ROOT / "pyproject.toml", "-o", BILL, python),
        ],
        check=True,
        capture_output=True,
    )
    components = json.loads(BILL.read_text(encoding="utf-8"))["components"]
    listed = {each["name"].lower().replace("_", "-"): each["version"] for each in components}
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)(?! *;.*win32)", (LOCKS / "runtime.txt").read_text(), re.MULTILINE))
    missing = {name for name, version in locked.items() if listed.get(name) != version}
    result = f"{len(components)} components, valid, in `{BILL.relative_to(ROOT)}`"
    return Finding("bill of materials (CycloneDX)", f"without {', '.join(missing)}" if missing else result, not missing)


def audited(lock: Path) -> Iterator[Finding]:
    """Ask PyPI's advisory service for each locked package. Not to be answered is said, and is not taken for safety."""
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "-r", lock, "--disable-pip", "--no-deps", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    packages = json.loads(done.stdout)["dependencies"] if done.stdout else []
    answered = [each for each in packages if "skip_reason" not in each]
    known = [f"{each['name']} {each['version']}: {one['id']}" for each in answered for one in each["vulns"]]
    what = "known vulnerabilities (pip-audit)"
    if answered:
        yield Finding(what, "; ".join(known) or f"none in {len(answered)} packages", not known)
    if len(answered) < len(packages) or not packages:
        yield Finding(
            f"{what}, not shown",
            f"the service did not answer for {len(packages) - len(answered) or 'any'} packages",
            good=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
