"""A state on a branch of its own in a git remote: every save is a commit, pushed without force.

The remote rejects a push that is not a fast-forward: that is the condition of a save. The user's
work tree, index and branches are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from provisioner.errors import SettingInvalid, StateNotSaved, StateUnreachable
from provisioner.model.revision import Revision
from provisioner.state.lease import Lease, decode
from provisioner.state.stores import Note, moved, version
from provisioner.state.stores.repository import Repository, plain

_ADDRESS: Final = re.compile(r"git:(?P<remote>\w[\w.-]*)/(?P<branch>\w[\w.-]*)/(?P<path>\w[\w./-]*)", re.ASCII)
"""Only ASCII, so that no two addresses look alike."""
_NOT_A_PATH: Final = re.compile(r"(?:^|/)(?:\.|/|$)|\.lock(?:/|$)|\.\.", re.IGNORECASE)
_TRIES: Final = 20
"""How often a push is repeated on top of commits that others pushed for other states."""
_PAUSE: Final = 0.2
_MAY_PUSH: Final = "Check that you may push to that branch, and that no rule of the server forbids it."
_TRAILER: Final = "Provisioner-State"
_BY: Final = "Provisioner-Run"
_DONE: Final = "Provisioner-Operation"
_BETWEEN: Final = "\x1e"
_SAVED: Final = re.compile(r"(?P<serial>\d{1,15}) (?P<lineage>\S+) (?P<path>.+)", re.ASCII)
_LAST_SECOND: Final = int(datetime.max.replace(tzinfo=UTC).timestamp())
"""The last second that a datetime can have; git accepts later ones."""


class GitBackend:
    """See :class:`provisioner.state.stores.remote.Backend`; used by one thread at a time."""

    keeps_history = True

    def __init__(
        self, address: str, open_repository: Callable[[str, str], Repository], sleep: Callable[[float], None]
    ) -> None:
        """``open_repository`` takes the remote and the branch. Raises SettingInvalid if ``address`` is not valid."""
        match = _ADDRESS.fullmatch(address)
        if match is None or _NOT_A_PATH.search(match["path"]) or _NOT_A_PATH.search(match["branch"]):
            raise SettingInvalid(
                f"{address} is not the address of a state in git.",
                hint="Write git:REMOTE/BRANCH/PATH, as in git:origin/provisioner-state/{parent}.json. REMOTE is a"
                " remote of the project's repository; BRANCH has no slash. Use only the letters a to z, digits,"
                " dots, dashes and underscores.",
            )
        self.address = address
        self._path = match["path"]
        self._lease_path = f"{self._path}.lease"
        branch = f"refs/heads/{match['branch']}"
        self._repository = open_repository(match["remote"], branch)
        self._where = f"{branch}/{self._path}"
        self._sleep = sleep
        self._tip: str | None = None
        """The commit that was loaded or saved last."""
        self._serials: tuple[str | None, Mapping[str, int]] = (None, {})
        """A commit, and the highest serial of each lineage in its history."""

    @property
    def key(self) -> str:
        """The same for every clone: the address of the remote. Raises SettingInvalid."""
        return f"git:{self._repository.url}#{self._where}"

    def prepare(self) -> bool:
        """Do nothing: the first save creates the branch."""
        return False

    # ── The state ────────────────────────────────────────────────────────────

    def load(self) -> tuple[bytes | None, str]:
        """Fetch the branch and read the file."""
        self._fetch()
        raw = self._repository.blob(self._tip, self._path)
        return raw, version(raw)

    def save(self, raw: bytes, expected_version: str, note: Note, lease: Lease | None) -> str:
        """Push a commit on top of the one that was loaded, or on top of later commits to other files."""
        content: dict[str, bytes | None] = {self._path: raw}
        if lease is not None:
            content[self._lease_path] = lease.encode()
        state = f"{_TRAILER}: {note.serial} {note.lineage} {self._path}\n" if note.serial else ""
        state += "".join(f"{_DONE}: {plain(line)}\n" for line in note.lines)

        def expected(tip: str | None) -> Mapping[str, bytes | None]:
            if version(self._repository.blob(tip, self._path)) != expected_version:
                raise moved(self.address)
            return content

        self._push(expected, note.what, state, lease)
        return version(raw)

    def try_out(self) -> str:
        """Start a push of the present commit: it shows whether the remote grants access, but not its rules."""
        with self._repository.lock:
            self._tip = self._repository.fetch(self._tip)
            there = self._tip or self._repository.commit(None, {}, "Nothing")
            if (failure := self._repository.push(there, tries=True)) is not None:
                raise StateNotSaved(f"{self.address} would not accept a commit: {failure}", hint=_MAY_PUSH)
        return "this machine may push to the remote; only a save shows whether a rule protects the branch"

    def newest(self, lineage: str | None) -> int:
        """See :class:`Backend`; ignores commits that this program did not create."""
        if self._serials[0] != self._tip:
            serials: dict[str, int] = {}
            for _, revision, _ in self._log():
                serials[revision.lineage] = max(revision.serial, serials.get(revision.lineage, 0))
            self._serials = self._tip, serials
        known = self._serials[1]
        return max(known.values(), default=0) if lineage is None else known.get(lineage, 0)

    # ── Who is at work ───────────────────────────────────────────────────────

    def lease(self) -> Lease | None:
        """Fetch the branch, and read the lease of the state."""
        self._fetch()
        return self._lease(self._tip)

    def end(self, lease: str) -> None:
        """Push a commit without the lease."""
        if (found := self._lease(self._tip)) is None or found.id != lease:
            # It may have been pushed by a save whose answer was lost.
            self._fetch()
            found = self._lease(self._tip)
        if found is None or found.id != lease:
            return

        def without(tip: str | None) -> Mapping[str, bytes | None]:
            now = self._lease(tip)
            return {} if now is None or now.id != lease else {self._lease_path: None}

        self._push(without, "the run has ended", "", found)

    def _lease(self, tip: str | None) -> Lease | None:
        return decode(self._repository.blob(tip, self._lease_path))

    # ── Its history ──────────────────────────────────────────────────────────

    def history(self) -> tuple[Revision, ...]:
        """Return the commits for this state in the log of the branch."""
        self._fetch()
        return tuple(revision for _, revision, _ in self._log())

    def record(self, note: Note) -> None:
        """Do nothing: the commit of the save has the lines."""

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Backend`."""
        self._fetch()
        return tuple(line for _, _, lines in reversed(self._log()) for line in lines)

    def revision(self, serial: int) -> bytes | None:
        """See :class:`Backend`."""
        self._fetch()
        commit = next((commit for commit, revision, _ in self._log() if revision.serial == serial), None)
        return self._repository.blob(commit, self._path)

    def _log(self) -> list[tuple[str, Revision, list[str]]]:
        """Return each commit that saved this state, what it saved, and its lines of history, newest first.

        Whoever can push to the branch can write anything, so commits that are not in our form are ignored.
        """
        if self._tip is None:
            return []
        trailers = (
            f"%(trailers:key={key},valueonly,separator={between})"
            for key, between in ((_TRAILER, "%x20"), (_BY, "%x20"), (_DONE, "%x1e"))
        )
        fields = f"%H %ct {' '.join(trailers)} %s"
        found = []
        for commit, seconds, state, by, done, what in self._repository.log(self._tip, fields):
            match = _SAVED.fullmatch(state)
            if match is not None and match["path"] == self._path and int(seconds) <= _LAST_SECOND:
                at = datetime.fromtimestamp(int(seconds), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
                subject = what.removeprefix(f"{self._path}: ")
                revision = Revision(int(match["serial"]), match["lineage"], at, subject, by)
                found.append((commit, revision, list(filter(None, done.split(_BETWEEN)))))
        return found

    # ── The branch ───────────────────────────────────────────────────────────

    def _fetch(self) -> None:
        with self._repository.lock:
            self._tip = self._repository.fetch(self._tip)

    def _push(
        self, content: Callable[[str | None], Mapping[str, bytes | None]], what: str, trailers: str, lease: Lease | None
    ) -> None:
        """Push a commit on top of the branch, again each time that others were faster.

        ``content`` takes the tip of the branch, and returns the files to change; none: there is nothing to do.

        Raises:
            StateNotSaved: it is not pushed, or nobody can know whether it is.
            StateMoved: ``content`` refused the tip.

        """
        by = "" if lease is None else f"{_BY}: {plain(str(lease.holder))}\n"
        # No pipeline needs to run for it.
        message = f"{self._path}: {plain(what)}\n\n[skip ci]\n\n{trailers}{by}"
        with self._repository.lock:
            for attempt in range(_TRIES):
                tip = self._tip
                if not (files := content(tip)):
                    return
                commit = self._repository.commit(tip, files, message)
                failure = self._repository.push(commit)
                if failure is None or self._is_pushed(commit, failure):
                    self._tip = commit
                    return
                if self._tip == tip:
                    raise StateNotSaved(
                        f"{self.address} did not accept a commit: {failure}",
                        hint=_MAY_PUSH,
                    )
                if attempt:
                    self._sleep(_PAUSE * attempt)
        raise StateNotSaved(
            f"{self.address} did not accept a commit: others pushed to the branch first, {_TRIES} times.",
            hint="Run it again.",
        )

    def _is_pushed(self, commit: str, failure: str) -> bool:
        """Fetch the branch, and return whether it has ``commit`` although the push failed. Raises StateNotSaved."""
        try:
            self._tip = self._repository.fetch(self._tip)
        except StateUnreachable as error:
            raise StateNotSaved(
                f"{self.address} did not accept a commit, or its answer was lost: {failure}", hint=error.hint
            ) from error
        return self._repository.contains(self._tip, commit)
