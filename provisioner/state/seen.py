"""Remembers on this machine how far each state had come.

Owns one small file per lineage and per address in the user's state folder, whose
last whole line counts. A state that is older than what was seen, of another
lineage, or gone is noticed here: planned from, it would create again what exists.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from provisioner.errors import StateForeign, StateInvalid, StateRolledBack
from provisioner.files import Unfit
from provisioner.model.state import State
from provisioner.state.disk import Disk, append, make_folder, read_file, write_atomically

_HINT: Final = (
    "Accounts may exist that this state does not know: restore the newest one. If it is the newest that is left, say so"
    " with `provisioner recover --accept-state`, and adopt the accounts made since (`provisioner adopt NAME LOGIN`)"
    " before an apply: it would create them again."
)


_KINDS: Final = {"lineage": str, "serial": int}


class Seen:
    """The marks of one machine, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, bytes] = {}
        """By its name, the last line of each mark that this run has written or found as it should be."""

    def check(self, address: str, state: State | None, backup: str | None = None) -> None:
        """Compare ``state``, as loaded from ``address``, with what was seen; ``backup`` is where an older one is.

        Raises:
            StateRolledBack: it is older than what was seen, or gone.
            StateForeign: another lineage was seen at this address.
            StateInvalid: something else than a file of ours stands in the place of what was seen.

        """
        # It tells nothing, and raises nothing, where the folder is another user's.
        if not os.path.isdir(self._folder):  # noqa: PTH112
            return
        lineage = self._read(_address_mark(address), "lineage")
        if state is None:
            if lineage is not None:
                beside = "" if backup is None else f"{backup} is the state as an earlier run found it. "
                raise StateRolledBack(
                    f"There is no state at {address}; this machine has seen one there.", hint=beside + _HINT
                )
            return
        if lineage not in {None, state.lineage}:
            raise StateForeign(
                f"{address} has lineage {state.lineage}; this machine has seen {lineage} there.", hint=_HINT
            )
        serial = self._read(_lineage_mark(state.lineage), "serial")
        if isinstance(serial, int) and state.serial < serial:
            raise StateRolledBack(
                f"{address} has serial {state.serial}; this machine has already seen {serial}.", hint=_HINT
            )

    def note(self, address: str, state: State) -> None:
        """Remember ``state``; writes only what changed. Raises OSError."""
        self._write(_lineage_mark(state.lineage), {"serial": state.serial})
        self._write(_address_mark(address), {"lineage": state.lineage})

    def forget(self, address: str) -> None:
        """Forget what was seen at ``address``: a person accepts what is there. Raises OSError."""
        mark = _address_mark(address)
        self._written.pop(mark, None)
        (self._folder / mark).unlink(missing_ok=True)

    def _read(self, mark: str, key: str) -> object:
        path = self._folder / mark
        try:
            raw = read_file(path)
            if raw is None:
                return None
            document = json.loads(_last_line(raw))
        except Unfit as error:
            raise StateInvalid(
                f"What this machine has seen of the state cannot be read: {path}: {error.strerror}.",
                hint="Move it away once you are sure that the state is the newest one.",
            ) from error
        except OSError:
            # The folder is another user's: `note` says so where it matters.
            return None
        except (ValueError, RecursionError):
            document = None
        value = document.get(key) if isinstance(document, dict) else None
        if type(value) is not _KINDS[key]:
            raise StateRolledBack(f"What this machine has seen of the state is damaged: {path}.", hint=_HINT)
        return value

    def _write(self, mark: str, document: dict[str, object]) -> None:
        line = json.dumps(document).encode() + b"\n"
        # A mark that fails is written in full the next time: it may end in half a line.
        last = self._written.pop(mark, None)
        if last != line:
            path = self._folder / mark
            if last is not None:
                # A run saves twice for each account, and this takes a third of the time.
                append(path, line, Disk())
            elif read_file(path) != line:
                make_folder(self._folder, Disk())
                write_atomically(path, line, Disk())
        self._written[mark] = line


def _last_line(raw: bytes) -> bytes:
    """Return the last line that was written to its end, or nothing."""
    return raw.rpartition(b"\n")[0].rpartition(b"\n")[2]


def _address_mark(address: str) -> str:
    return f"address-{_hashed(address)}.jsonl"


def _lineage_mark(lineage: str) -> str:
    # A lineage is what a file says; only its hash is fit for a file's name.
    return f"lineage-{_hashed(lineage)}.jsonl"


@lru_cache
def _hashed(text: str) -> str:
    import hashlib  # noqa: PLC0415  # it takes its time to load, and a machine that has seen nothing has no use for it

    return hashlib.sha256(text.encode()).hexdigest()[:32]
