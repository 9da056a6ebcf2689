"""The project's git repository, and one branch of one of its remotes: what is asked of git, in its own words.

Owns how git is started. It is the user's git with the user's configuration, so that whatever
credentials it has there work; it asks nobody, runs no hook, and hears no signal of the
terminal, because a push that is cut short would lose what it was to save. Refuses a
repository that lies in the files of another, whose configuration comes with a pull request.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from provisioner.errors import SettingInvalid, StateInvalid, StateUnreachable
from provisioner.files import MAX_STATE_BYTES

TIMEOUT: Final = 120.0
"""Seconds that one command of git may take."""
_LOOKS: Final = 3
"""At a branch that others replace while it is read."""
_WHO: Final = "provisioner"
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]*@")
_ELSEWHERE: Final = re.compile(r"[A-Za-z][\w+.-]*://|[^/]+:")
"""How the address of another machine begins, as in ``https://…`` and ``git@host:…``."""
_MOST_SAID: Final = 300
_NO_OBJECT: Final = "0" * 40
_OF_ANOTHER: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
"""What a hook that starts us is given: those are of its own repository."""
_CONFIGURED: Final = (
    *("core.hooksPath=/dev/null", "core.filesRefLockTimeout=10000", "gc.auto=0"),
    # Files of a project can be the whole of a bare repository, with a configuration that says what git runs.
    "safe.bareRepository=explicit",
)


class Repository:
    """The repository around ``project``; ``branch`` is a full reference, and ``address`` is for messages."""

    def __init__(  # noqa: PLR0913, PLR0917  # what it is, where it is, and how long one may wait for it
        self,
        address: str,
        project: Path,
        remote: str,
        branch: str,
        environ: Mapping[str, str],
        timeout: float = TIMEOUT,
    ) -> None:
        self._address = address
        self._project = project
        self._remote = remote
        self._branch = branch
        self._timeout = timeout
        names = {f"GIT_{role}_NAME": _WHO for role in ("AUTHOR", "COMMITTER")}
        emails = {f"GIT_{role}_EMAIL": f"{_WHO}@localhost" for role in ("AUTHOR", "COMMITTER")}
        given = {name: text for name, text in environ.items() if name not in _OF_ANOTHER}
        self._environ = {**names, **emails, "GIT_TERMINAL_PROMPT": "0", **given, "LC_ALL": "C"}
        self._own = f"refs/provisioner/{remote}/{branch.removeprefix('refs/heads/')}"
        """Keeps what was fetched; no command of a person's shows it."""

    @cached_property
    def _top(self) -> Path:
        """The folder whose `.git` is that of the project, which git looks for there before anything else.

        No file of a commit can be called so. Raises SettingInvalid where there is none.
        """
        project = self._project.resolve()
        top = next((each for each in (project, *project.parents) if os.path.lexists(each / ".git")), None)
        if top is None:
            raise SettingInvalid(
                f"{self._address} needs a git repository that has the remote {self._remote}: there is none around"
                f" {self._project}.",
                hint="Run it inside the project's repository, or make one: `git init`.",
            )
        return top

    @cached_property
    def url(self) -> str:
        """Where the remote is, without a password; raises SettingInvalid where there is none, or no repository."""
        done = self._git("remote", "get-url", self._remote)
        if done.returncode:
            raise SettingInvalid(
                f"{self._address} needs a git repository that has the remote {self._remote}: {_said(done)}",
                hint=f"Run it inside the project's repository, and see `git remote -v` in {self._project}.",
            )
        url = _USERINFO.sub("", done.stdout.decode(errors="replace").strip())
        # A path is another place for each repository that it is written in.
        return url if _ELSEWHERE.match(url) else os.path.realpath(self._top / url)

    @cached_property
    def _is_shallow(self) -> bool:
        """Whether the clone has only the last commits of a branch."""
        return self._text("rev-parse", "--is-shallow-repository") == "true"

    @property
    def lock(self) -> threading.Lock:
        """What the threads of this process take turns with: on one branch they would only push past each other."""
        return _lock_of(self.url, self._branch)

    # ── Reading ──────────────────────────────────────────────────────────────

    def fetch(self, known: str | None) -> str | None:
        """Return the commit of the branch, whose objects are here by now; None: there is no such branch.

        ``known`` is one whose objects are here already.

        Raises:
            StateUnreachable: the remote does not answer, or lets us not in.

        """
        for _ in range(_LOOKS):
            listed = self._reached("ls-remote", "--quiet", self._remote, self._branch).decode().splitlines()
            tip = next((line.split("\t")[0] for line in listed if line.endswith(f"\t{self._branch}")), None)
            if tip is None or tip == known:
                return tip
            options = ("--no-tags", "--no-write-fetch-head", "--refmap=", "--no-auto-gc", "--no-recurse-submodules")
            # Without what came before, a state that was put back would pass for the newest.
            whole = ("--depth=2147483647",) if self._is_shallow else ()
            # Into no reference: one that another run in this clone moves meanwhile would fail it.
            self._reached("fetch", "--quiet", *options, *whole, self._remote, self._branch)
            if not self._git("cat-file", "-e", f"{tip}^{{commit}}").returncode:
                self._keep(tip)
                return tip
        raise StateUnreachable(
            f"{self._address} cannot be read: its branch is replaced while we look.",
            hint=f"See who pushes with force to the branch of the states in {self._remote}, and run it again.",
        )

    def blob(self, commit: str | None, path: str) -> bytes | None:
        """Return the file at ``path`` in a commit, or None; raises StateInvalid where it is something else."""
        if commit is None:
            return None
        found = self._text("cat-file", "--batch-check", given=f"{commit}:{path}\n".encode()).split()
        if found[-1] == "missing":
            return None
        name, kind, size = found
        if kind != "blob" or int(size) > MAX_STATE_BYTES:
            raise StateInvalid(
                f"{self._address}: {path} is not a file of a size that a state can have.",
                hint="Look at the branch that it is on.",
            )
        return self._require("cat-file", "blob", name)

    def log(self, commit: str, fields: str) -> list[list[str]]:
        """Return these ``fields``, in the words of git's pretty formats, of a commit and all before it."""
        wanted = fields.split()
        parted = "%x1f".join(wanted)
        lines = self._require("log", "-z", f"--format={parted}", commit).decode(errors="replace")
        return [line.split("\x1f", len(wanted) - 1) for line in lines.split("\0") if line]

    def contains(self, tip: str | None, commit: str) -> bool:
        """Tell whether ``commit`` is ``tip`` or comes before it."""
        return tip is not None and not self._git("merge-base", "--is-ancestor", commit, tip).returncode

    # ── Writing ──────────────────────────────────────────────────────────────

    def commit(self, parent: str | None, content: Mapping[str, bytes | None], message: str) -> str:
        """Return a new commit on top of ``parent``, in which each of these files is as given; None: it is not there.

        It is in no branch yet. Raises StateInvalid.
        """
        with tempfile.TemporaryDirectory(prefix="provisioner-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if parent is not None:
                self._require("read-tree", parent, more=index)
            lines = []
            for path, raw in content.items():
                if raw is None:
                    lines.append(f"0 {_NO_OBJECT}\t{path}\n")
                else:
                    lines.append(f"100644 {self._text('hash-object', '-w', '--stdin', given=raw)}\t{path}\n")
            self._require("update-index", "--index-info", given="".join(lines).encode(), more=index)
            tree = self._text("write-tree", more=index)
        on_top = () if parent is None else ("-p", parent)
        return self._text("commit-tree", tree, *on_top, given=message.encode())

    def push(self, commit: str, *, tries: bool = False) -> str | None:
        """Push ``commit`` to the branch, without force, and return why that failed; None: the remote has taken it.

        Whoever only ``tries`` sends nothing: None then says that the remote would hear it.
        """
        options = ("--quiet", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no")
        only = ("--dry-run",) if tries else ()
        done = self._git("push", *options, *only, self._remote, f"{commit}:{self._branch}")
        if done.returncode:
            return _said(done)
        if not tries:
            self._keep(commit)
        return None

    def _keep(self, commit: str) -> None:
        """Let the objects of ``commit`` stay here, so that they are not fetched again."""
        self._git("update-ref", self._own, commit)

    # ── git ──────────────────────────────────────────────────────────────────

    def _reached(self, *arguments: str) -> bytes:
        """Return the output of a command that speaks to the remote; raises StateUnreachable."""
        done = self._git(*arguments)
        if not done.returncode:
            return done.stdout
        raise StateUnreachable(
            f"{self._address} cannot be reached: {_said(done)}",
            hint=f"See whether `git fetch {self._remote}` works here.",
        )

    def _require(self, *arguments: str, given: bytes = b"", more: Mapping[str, str] | None = None) -> bytes:
        """Return the output of a command that works on this machine alone; raises StateInvalid."""
        done = self._git(*arguments, given=given, more=more)
        if done.returncode:
            raise StateInvalid(
                f"git {arguments[0]} failed in {self._project}: {_said(done)}",
                hint="See whether `git fsck` finds the repository whole, and whether there is room on the disk.",
            )
        return done.stdout

    def _text(self, *arguments: str, given: bytes = b"", more: Mapping[str, str] | None = None) -> str:
        return self._require(*arguments, given=given, more=more).decode().strip()

    def _git(
        self, *arguments: str, given: bytes = b"", more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        options = [part for each in _CONFIGURED for part in ("-c", each)]
        command = ["git", "-C", str(self._top), *options, *arguments]
        piped = subprocess.PIPE
        try:
            process = subprocess.Popen(  # noqa: S603  # what git does is its own configuration's affair
                command,
                stdin=piped,
                stdout=piped,
                stderr=piped,
                env={**self._environ, **(more or {})},
                # Ctrl-C is for us: we end once what is in hand is saved.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise SettingInvalid(
                f"{self._address} needs git, which is not installed here.",
                hint="Install git, or keep the state in a file.",
            ) from None
        with process:
            try:
                output, said = process.communicate(given, self._timeout)
            except BaseException as error:
                # With what it has started, which holds its pipes.
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                late = f"git {arguments[0]} did not end within {self._timeout:g} s"
                return subprocess.CompletedProcess(command, -signal.SIGKILL, b"", late.encode())
        return subprocess.CompletedProcess(command, process.returncode, output, said)


def first_remote(folder: Path, environ: Mapping[str, str], timeout: float = TIMEOUT) -> str | None:
    """Return the remote of the repository around ``folder``, origin where there are several; None: there is none.

    The folder need not be there yet.
    """
    there = folder.resolve()
    folder = next(each for each in (there, *there.parents) if each.is_dir())
    try:
        done = subprocess.run(  # noqa: S603  # it only reads
            ["git", "-C", str(folder), "remote"],  # noqa: S607
            env=dict(environ), check=False, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        # No git, or one that does not answer: then no remote either.
        return None
    remotes = done.stdout.split() if done.returncode == 0 else []
    return "origin" if "origin" in remotes else next(iter(remotes), None)


@cache
def _lock_of(url: str, branch: str) -> threading.Lock:
    del url, branch
    return threading.Lock()


def plain(text: str) -> str:
    """Return ``text`` as a part of one line of a commit's message."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return what git said, in one line and without what an address may hold of a password."""
    text = plain(_USERINFO.sub("", done.stderr.decode(errors="replace")))
    return f"{text[:_MOST_SAID]}…" if len(text) > _MOST_SAID else text or f"git ended with {done.returncode}"
