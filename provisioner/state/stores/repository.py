"""The project's git repository, and one branch of one of its remotes, through the git command.

Decides how git is run. It is the user's git with the user's configuration, so their credentials
work. It never prompts, runs no hooks, and gets no signal of the terminal: a push that is cut
short would lose the save. Refuses a bare repository among the files of the project, because its
configuration may come with a pull request.
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
"""Seconds that one git command may take."""
_FETCHES: Final = 3
"""Attempts to read a branch that others replace meanwhile."""
_WHO: Final = "provisioner"
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]*@")
_ELSEWHERE: Final = re.compile(r"[A-Za-z][\w+.-]*://|[^/]+:")
"""The beginning of an address on another machine, as in ``https://…`` and ``git@host:…``."""
_MAX_OUTPUT: Final = 300
_NO_OBJECT: Final = "0" * 40
_OF_ANOTHER: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
"""Variables that git sets for a hook: if a hook starts us, they point to its own repository."""
_TO_READ: Final = ("PATH", "HOME", "XDG_CONFIG_HOME")
"""Variables with which git finds itself and its user's configuration."""
_CONFIGURED: Final = (
    *("core.hooksPath=/dev/null", "core.filesRefLockTimeout=10000", "gc.auto=0"),
    # Files of a project can form a bare repository, whose configuration could make git run anything.
    "safe.bareRepository=explicit",
)


class Repository:
    """The repository around ``project``; ``branch`` is a full reference, and ``address`` is for messages."""

    def __init__(  # noqa: PLR0913, PLR0917  # identity, place and timeout
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
        """The reference that keeps fetched objects; people's git commands do not show it."""

    @cached_property
    def _top(self) -> Path:
        """The folder that has the project's `.git`: started there, git finds that first.

        No commit can contain a file of this name. Raises SettingInvalid if there is none.
        """
        project = self._project.resolve()
        top = next((each for each in (project, *project.parents) if os.path.lexists(each / ".git")), None)
        if top is None:
            raise SettingInvalid(
                f"{self._address} needs a git repository with the remote {self._remote}, but {self._project} is not"
                " in one.",
                hint="Run it inside the project's repository, or create one: `git init`.",
            )
        return top

    @cached_property
    def url(self) -> str:
        """The URL of the remote, without a password; raises SettingInvalid if there is no remote or repository."""
        done = self._git("remote", "get-url", self._remote)
        if done.returncode:
            raise SettingInvalid(
                f"{self._address} needs a git repository with the remote {self._remote}: {_error_text(done)}",
                hint=f"Run it inside the project's repository, and see `git remote -v` in {self._project}.",
            )
        url = _USERINFO.sub("", done.stdout.decode(errors="replace").strip())
        # A relative path depends on the repository.
        return url if _ELSEWHERE.match(url) else os.path.realpath(self._top / url)

    @cached_property
    def _is_shallow(self) -> bool:
        """Whether the clone has only the last commits of a branch."""
        return self._text("rev-parse", "--is-shallow-repository") == "true"

    @property
    def lock(self) -> threading.Lock:
        """The lock for the threads of this process: on one branch, their pushes would only conflict."""
        return _lock_of(self.url, self._branch)

    # ── Reading ──────────────────────────────────────────────────────────────

    def fetch(self, known: str | None) -> str | None:
        """Fetch the branch and return its commit, or None if there is no such branch.

        ``known`` is a commit whose objects are here already.

        Raises:
            StateUnreachable: the remote does not answer, or refuses access.

        """
        for _ in range(_FETCHES):
            listed = self._ask_remote("ls-remote", "--quiet", self._remote, self._branch).decode().splitlines()
            tip = next((line.split("\t")[0] for line in listed if line.endswith(f"\t{self._branch}")), None)
            if tip is None or tip == known:
                return tip
            options = ("--no-tags", "--no-write-fetch-head", "--refmap=", "--no-auto-gc", "--no-recurse-submodules")
            # Without the whole history, an old state that was put back would pass for the newest.
            whole = ("--depth=2147483647",) if self._is_shallow else ()
            # Without updating a reference: another run in this clone may move it at the same time.
            self._ask_remote("fetch", "--quiet", *options, *whole, self._remote, self._branch)
            if not self._git("cat-file", "-e", f"{tip}^{{commit}}").returncode:
                self._keep(tip)
                return tip
        raise StateUnreachable(
            f"{self._address} cannot be read: its branch keeps being replaced.",
            hint=f"Find out who force-pushes to the branch of the states in {self._remote}, then run it again.",
        )

    def blob(self, commit: str | None, path: str) -> bytes | None:
        """Return the file at ``path`` in a commit, or None; raises StateInvalid if it is something else."""
        if commit is None:
            return None
        found = self._text("cat-file", "--batch-check", given=f"{commit}:{path}\n".encode()).split()
        if found[-1] == "missing":
            return None
        name, kind, size = found
        if kind != "blob" or int(size) > MAX_STATE_BYTES:
            raise StateInvalid(
                f"{self._address}: {path} is not a file, or is larger than a state can be.",
                hint="Look at the branch that it is on.",
            )
        return self._require("cat-file", "blob", name)

    def log(self, commit: str, fields: str) -> list[list[str]]:
        """Return the ``fields``, placeholders of git's pretty formats, of ``commit`` and all commits before it."""
        wanted = fields.split()
        parted = "%x1f".join(wanted)
        lines = self._require("log", "-z", f"--format={parted}", commit).decode(errors="replace")
        return [line.split("\x1f", len(wanted) - 1) for line in lines.split("\0") if line]

    def contains(self, tip: str | None, commit: str) -> bool:
        """Return whether ``commit`` is ``tip`` or comes before it."""
        return tip is not None and not self._git("merge-base", "--is-ancestor", commit, tip).returncode

    # ── Writing ──────────────────────────────────────────────────────────────

    def commit(self, parent: str | None, content: Mapping[str, bytes | None], message: str) -> str:
        """Create a commit on top of ``parent`` with ``content`` by path (None deletes a file), and return it.

        It is on no branch yet. Raises StateInvalid.
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
        """Push ``commit`` to the branch, without force, and return why that failed, or None.

        ``tries`` sends nothing; then None means that the remote grants access.
        """
        options = ("--quiet", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no")
        only = ("--dry-run",) if tries else ()
        done = self._git("push", *options, *only, self._remote, f"{commit}:{self._branch}")
        if done.returncode:
            return _error_text(done)
        if not tries:
            self._keep(commit)
        return None

    def _keep(self, commit: str) -> None:
        """Keep the objects of ``commit`` here, so that they need not be fetched again."""
        self._git("update-ref", self._own, commit)

    # ── git ──────────────────────────────────────────────────────────────────

    def _ask_remote(self, *arguments: str) -> bytes:
        """Return the output of a command that contacts the remote; raises StateUnreachable."""
        done = self._git(*arguments)
        if not done.returncode:
            return done.stdout
        raise StateUnreachable(
            f"{self._address} cannot be reached: {_error_text(done)}",
            hint=f"Check that `git fetch {self._remote}` works here.",
        )

    def _require(self, *arguments: str, given: bytes = b"", more: Mapping[str, str] | None = None) -> bytes:
        """Return the output of a command that only works locally; raises StateInvalid."""
        done = self._git(*arguments, given=given, more=more)
        if done.returncode:
            raise StateInvalid(
                f"git {arguments[0]} failed in {self._project}: {_error_text(done)}",
                hint="Check the repository with `git fsck`, and that there is space on the disk.",
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
            process = subprocess.Popen(  # noqa: S603  # git is the user's, with their configuration
                command,
                stdin=piped,
                stdout=piped,
                stderr=piped,
                env={**self._environ, **(more or {})},
                # Ctrl-C is for us, not for git: we end after saving the current outcome.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise SettingInvalid(
                f"{self._address} needs git, which is not installed here.",
                hint="Install git, or keep the state in a file.",
            ) from None
        with process:
            try:
                output, errors = process.communicate(given, self._timeout)
            except BaseException as error:
                # Including its children, which keep its pipes open.
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                late = f"git {arguments[0]} did not end within {self._timeout:g} s"
                return subprocess.CompletedProcess(command, -signal.SIGKILL, b"", late.encode())
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def first_remote(folder: Path, environ: Mapping[str, str], timeout: float = TIMEOUT) -> str | None:
    """Return the remote of the repository around ``folder``, preferably origin, or None.

    The folder need not exist yet. git only reads its own files here, so it gets none of our variables.
    """
    there = folder.resolve()
    folder = next(each for each in (there, *there.parents) if each.is_dir())
    try:
        done = subprocess.run(  # noqa: S603  # it only reads
            ["git", "-C", str(folder), "remote"],  # noqa: S607
            env={name: environ[name] for name in _TO_READ if name in environ},
            check=False, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        # Without a working git, there is no remote.
        return None
    remotes = done.stdout.split() if done.returncode == 0 else []
    return "origin" if "origin" in remotes else next(iter(remotes), None)


@cache
def _lock_of(url: str, branch: str) -> threading.Lock:
    del url, branch
    return threading.Lock()


def plain(text: str) -> str:
    """Return ``text`` in one line, for a commit's message."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _error_text(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return git's error output in one line, without passwords in URLs."""
    text = plain(_USERINFO.sub("", done.stderr.decode(errors="replace")))
    return f"{text[:_MAX_OUTPUT]}…" if len(text) > _MAX_OUTPUT else text or f"git ended with {done.returncode}"
