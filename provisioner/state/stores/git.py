"""A state on a branch of its own in a git remote: every save is a commit, pushed without force.

A push that is not a fast-forward is the condition that failed. No work tree, index or
branch of the user's is touched.
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
"""In ASCII alone, so that no two addresses look alike."""
_NOT_A_PATH: Final = re.compile(r"(?:^|/)(?:\.|/|$)|\.lock(?:/|$)|\.\.", re.IGNORECASE)
_TRIES: Final = 20
"""How often a push is done again on top of what others have pushed for other states."""
_PAUSE: Final = 0.2
_MAY_PUSH: Final = "See whether you may push to that branch, and whether a rule of the server forbids it."
_TRAILER: Final = "Provisioner-State"
_BY: Final = "Provisioner-Run"
_DONE: Final = "Provisioner-Operation"
_BETWEEN: Final = "\x1e"
_SAVED: Final = re.compile(r"(?P<serial>\d{1,15}) (?P<lineage>\S+) (?P<path>.+)", re.ASCII)
_LAST_SECOND: Final = int(datetime.max.replace(tzinfo=UTC).timestamp())
"""That a date can have; git knows later ones."""


class GitBackend:
    """See :class:`provisioner.state.stores.remote.Backend`; used by one thread at a time."""

    keeps_history = True

    def __init__(
        self, address: str, open_repository: Callable[[str, str], Repository], sleep: Callable[[float], None]
    ) -> None:
        """``open_repository`` takes the remote and the branch. Raises SettingInvalid for what is not an address."""
        match = _ADDRESS.fullmatch(address)
        if match is None or _NOT_A_PATH.search(match["path"]) or _NOT_A_PATH.search(match["branch"]):
            raise SettingInvalid(
                f"{address} is not the address of a state in git.",
                hint="Write git:REMOTE/BRANCH/PATH, as in git:origin/provisioner-state/{parent}.json. REMOTE is a"
                " remote of the project's repository; BRANCH has no slash. All is of the letters a to z,"
                " digits, dots, dashes and underscores.",
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
        """Of one commit, the highest serial of each lineage in its history."""

    @property
    def key(self) -> str:
        """The same for every clone: the address of the remote. Raises SettingInvalid."""
        return f"git:{self._repository.url}#{self._where}"

    def prepare(self) -> bool:
        """Make nothing: the first save makes the branch."""
        return False

    # ── The state ────────────────────────────────────────────────────────────

    def load(self) -> tuple[bytes | None, str]:
        """Fetch the branch and read the file."""
        self._look()
        raw = self._repository.blob(self._tip, self._path)
        return raw, version(raw)

    def save(self, raw: bytes, expected_version: str, note: Note, lease: Lease | None) -> str:
        """Push a commit on top of the one that was loaded; where only other files have moved, on top of those."""
        content: dict[str, bytes | None] = {self._path: raw}
        if lease is not None:
            content[self._lease_path] = lease.encode()
        state = f"{_TRAILER}: {note.serial} {note.lineage} {self._path}\n" if note.serial else ""
        state += "".join(f"{_DONE}: {plain(line)}\n" for line in note.lines)

        def expected(tip: str | None) -> Mapping[str, bytes | None]:
            if version(self._repository.blob(tip, self._path)) != expected_version:
                raise moved(self.address)
            return content

        self._put(expected, note.what, state, lease)
        return version(raw)

    def try_out(self) -> str:
        """Begin a push of what is there, which shows whether the remote lets us, and nothing of its rules."""
        with self._repository.lock:
            self._tip = self._repository.fetch(self._tip)
            there = self._tip or self._repository.commit(None, {}, "Nothing")
            if (failure := self._repository.push(there, tries=True)) is not None:
                raise StateNotSaved(f"{self.address} would not take a commit: {failure}", hint=_MAY_PUSH)
        return "the remote lets this machine push; a rule for the branch shows only with a save"

    def newest(self, lineage: str | None) -> int:
        """See :class:`Backend`; a commit that this program did not make counts for nothing here."""
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
        self._look()
        return self._lease(self._tip)

    def end(self, lease: str) -> None:
        """Push a commit without the lease."""
        if (found := self._lease(self._tip)) is None or found.id != lease:
            # It may have come with a save whose answer was lost.
            self._look()
            found = self._lease(self._tip)
        if found is None or found.id != lease:
            return

        def without(tip: str | None) -> Mapping[str, bytes | None]:
            now = self._lease(tip)
            return {} if now is None or now.id != lease else {self._lease_path: None}

        self._put(without, "the run has ended", "", found)

    def _lease(self, tip: str | None) -> Lease | None:
        return decode(self._repository.blob(tip, self._lease_path))

    # ── Its history ──────────────────────────────────────────────────────────

    def history(self) -> tuple[Revision, ...]:
        """Return what the log of the branch says of this state."""
        self._look()
        return tuple(revision for _, revision, _ in self._log())

    def record(self, note: Note) -> None:
        """See :class:`Backend`: its commit has the lines."""

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Backend`."""
        self._look()
        return tuple(line for _, _, lines in reversed(self._log()) for line in lines)

    def revision(self, serial: int) -> bytes | None:
        """See :class:`Backend`."""
        self._look()
        commit = next((commit for commit, revision, _ in self._log() if revision.serial == serial), None)
        return self._repository.blob(commit, self._path)

    def _log(self) -> list[tuple[str, Revision, list[str]]]:
        """Return each commit that saved this state, with what it says, and its lines of history, newest first.

        Whoever can push to the branch writes what they like: what we would not have written counts for nothing.
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
                said = what.removeprefix(f"{self._path}: ")
                revision = Revision(int(match["serial"]), match["lineage"], at, said, by)
                found.append((commit, revision, list(filter(None, done.split(_BETWEEN)))))
        return found

    # ── The branch ───────────────────────────────────────────────────────────

    def _look(self) -> None:
        with self._repository.lock:
            self._tip = self._repository.fetch(self._tip)

    def _put(
        self, content: Callable[[str | None], Mapping[str, bytes | None]], what: str, trailers: str, lease: Lease | None
    ) -> None:
        """Push a commit with the ``content`` that is due on top of the branch, as often as others are faster.

        Raises:
            StateNotSaved: it is not there, or nobody can say whether it is.
            StateMoved: ``content`` has refused what is there.

        """
        by = "" if lease is None else f"{_BY}: {plain(str(lease.holder))}\n"
        # No pipeline has anything to do for it.
        message = f"{self._path}: {plain(what)}\n\n[skip ci]\n\n{trailers}{by}"
        with self._repository.lock:
            for attempt in range(_TRIES):
                tip = self._tip
                if not (files := content(tip)):
                    return
                commit = self._repository.commit(tip, files, message)
                failure = self._repository.push(commit)
                if failure is None or self._landed(commit, failure):
                    self._tip = commit
                    return
                if self._tip == tip:
                    raise StateNotSaved(
                        f"{self.address} did not take a commit: {failure}",
                        hint=_MAY_PUSH,
                    )
                if attempt:
                    self._sleep(_PAUSE * attempt)
        raise StateNotSaved(
            f"{self.address} did not take a commit: others have pushed to the branch each time.", hint="Run it again."
        )

    def _landed(self, commit: str, failure: str) -> bool:
        """Tell whether the remote has ``commit`` although the push failed; look what it has. Raises StateNotSaved."""
        try:
            self._tip = self._repository.fetch(self._tip)
        except StateUnreachable as error:
            raise StateNotSaved(
                f"{self.address} did not take a commit, or its answer was lost: {failure}", hint=error.hint
            ) from error
        return self._repository.contains(self._tip, commit)
