"""Runs a command in a process of its own, while strace kills it, or lets a system call fail, at a chosen call.

A command of this program is forked from a process that has imported it (``tests.forks``); any other
is executed. Either way the process stops at a *gate* until strace watches it, so that calls
are counted from there. strace counts the calls of each thread by itself. So a gate is a thread:
0 is the main one, 1 the first that it starts, which does all the work on one parent. Without
``follow``, strace watches that thread alone, and each of its calls can be chosen exactly. With
it, strace watches every thread and child from then on, and the first to come to the chosen
number is hit.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as any_of
from pathlib import Path
from typing import Any, Final

from provisioner.cli.main import main
from tests import forks

WRITES: Final = (
    "openat", "write", "pwrite64", "writev", "fsync", "fdatasync", "fallocate", "ftruncate", "rename", "renameat",
    "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "rmdir", "chmod", "fchmod", "flock", "close",
)  # fmt: skip
"""The system calls that write, and those that a write depends on."""
TALKS: Final = (
    "socket", "connect", "setsockopt", "getsockopt", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "read",
    "poll", "ppoll", "shutdown",
)  # fmt: skip
"""Those that talk, and those that read."""
CALLS: Final = (*WRITES, *TALKS)
PATIENCE: Final = 180.0
"""Seconds after which a command is stuck: more than a few of the deadlines of a store, 30 seconds each."""

_STARTS: Final = "_thread.start_new_thread"
_CALL: Final = re.compile(r"^(?:(\d+) +)?(\w+)\(")
_PR_SET_PTRACER: Final = 0x59616D61
_NUMBERS: Final = count(1)
_SHOWN: Final = 16384
"""Bytes of each argument in a log: more than any answer of the sandbox."""


class StuckError(Exception):
    """A command did not end."""


class NotSupported(Exception):  # noqa: N818  # nothing went wrong
    """This machine lacks something that a layer needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is run: the arguments of this program, or another program with its arguments."""

    arguments: tuple[str, ...]
    folder: Path
    environ: Mapping[str, str]
    warm: bool = True
    """Whether it is this program, forked."""


@dataclass(frozen=True, slots=True)
class Gate:
    """From where strace watches: see the module."""

    thread: int = 0
    follow: bool = True


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault in the ``number``-th call of ``call``: a signal such as SIGKILL, or an error such as EIO."""

    call: str
    number: int
    fault: str = "SIGKILL"
    lasting: bool = False
    """Whether every later call fails too."""

    @property
    def option(self) -> str:
        """The option of strace."""
        what = f"signal={self.fault}" if self.fault.startswith("SIG") else f"error={self.fault}"
        return f"--inject={self.call}:{what}:when={self.number}{'+' if self.lasting else ''}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault, and from where its call is counted; as text, ``1:close:38:EIO+``, which :meth:`parse` reads.

    That is the thread (``all`` with ``follow``), the call, its number, and the fault, with a plus if it lasts.
    """

    gate: Gate
    injection: Injection

    def __str__(self) -> str:
        it = self.injection
        thread = "all" if self.gate.follow else self.gate.thread
        return f"{thread}:{it.call}:{it.number}:{it.fault}{'+' if it.lasting else ''}"

    @classmethod
    def parse(cls, text: str) -> Hit:
        """Return the hit that ``text`` describes; raises ValueError."""
        thread, call, number, fault = text.split(":")
        gate = Gate(0) if thread == "all" else Gate(int(thread), follow=False)
        return cls(gate, Injection(call, int(number), fault.rstrip("+"), lasting=fault.endswith("+")))


@dataclass(frozen=True, slots=True)
class Run:
    """What a command did."""

    code: int
    """Its exit code; minus the signal that ended it."""
    printed: str
    log: str = ""
    """The log of strace: one call a line."""

    @property
    def killed(self) -> bool:
        """Whether a signal ended it."""
        return self.code < 0

    @property
    def injected(self) -> int:
        """How many faults struck."""
        return self.log.count("(INJECTED)") + self.killed

    def received(self, text: str) -> bool:
        """Return whether an answer with ``text`` was read from a connection."""
        return any(text in line for line in self.log.splitlines() if "recv" in line or "read(" in line)

    def arguments(self) -> str:
        """Return the arguments of every program that was started."""
        return "\n".join(line for line in self.log.splitlines() if "execve(" in line)

    def calls(self) -> Counter[str]:
        """Return how often each call was made; of several threads or processes, the most often."""
        found: dict[str, Counter[str]] = {}
        for line in self.log.splitlines():
            if match := _CALL.match(line):
                found.setdefault(match[1] or "", Counter())[match[2]] += 1
        most: Counter[str] = Counter()
        for each in found.values():
            most |= each
        return most


def require_strace() -> None:
    """Raise NotSupported where strace cannot be used."""
    if shutil.which("strace") is None:
        raise NotSupported("strace is not installed here; `make tools` fetches it")
    done = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotSupported(f"strace may not watch processes here: {done.stderr.strip()}")


def run(command: Command, gate: Gate | None = None, injections: Sequence[Injection] = ()) -> Run:
    """Run a command to its end: under strace if a ``gate`` is given, otherwise with nothing in its way."""
    with started(command, gate, injections) as going:
        return going.end()


@dataclass(slots=True)
class Going:
    """A command that runs."""

    child: Any
    out: Path
    log: Path
    strace: subprocess.Popen[str] | None = None

    def end(self) -> Run:
        """Wait for the end."""
        code = forks.ended(self.child, PATIENCE)
        if code is None:
            raise StuckError(f"it is stuck, having printed: … {self.out.read_text('utf-8', 'replace')[-800:]}")
        if self.strace is not None:
            self.strace.wait(PATIENCE)
        log = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return Run(code, self.out.read_text("utf-8", "replace"), log)

    def kill(self) -> None:
        """End it now."""
        self.child.kill()


@contextmanager
def started(command: Command, gate: Gate | None = None, injections: Sequence[Injection] = ()) -> Iterator[Going]:
    """Start a command, under strace if a ``gate`` is given; what is left of it at the end of the ``with`` is killed."""
    scratch = command.folder.parent / "harness"
    scratch.mkdir(exist_ok=True)
    number = next(_NUMBERS)
    out, log = scratch / f"{number}.out", scratch / f"{number}.strace"
    out.touch()
    ours, theirs = forks.processes.Pipe()
    child = forks.processes.Process(target=_child, args=(command, gate and gate.thread, out, theirs))
    going = Going(child, out, log)
    with ours:
        with theirs:
            forks.start(child)
        try:
            if gate is not None:
                going.strace = _watch(child, ours, gate, injections, log)
            yield going
        finally:
            child.kill()
            child.join()
            child.close()
            if going.strace is not None:
                going.strace.kill()
                going.strace.communicate()


def _watch(
    child: Any,  # noqa: ANN401  # multiprocessing has no name for it
    ours: Connection,
    gate: Gate,
    injections: Sequence[Injection],
    log: Path,
) -> subprocess.Popen[str] | None:
    """Wait until the child is at its gate, have strace watch it, and let it go on; None if it never comes there."""
    any_of([ours, child.sentinel], PATIENCE)
    try:
        thread = ours.recv()
    except EOFError:
        return None
    follow = ["-f"] if gate.follow else []
    options = ["-qq", "-s", str(_SHOWN), "-y", "-e", f"trace={','.join(CALLS)},execve", "-e", "signal=none"]
    strace = subprocess.Popen(
        ["strace", *follow, *options, *(each.option for each in injections), "-o", str(log), "-p", str(thread)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    status = Path(f"/proc/{child.pid}/task/{thread}/status")
    deadline = time.monotonic() + PATIENCE
    # The first call can be the target: waiting at the gate is one. Then the child may be gone by now.
    with suppress(FileNotFoundError, ProcessLookupError, BrokenPipeError):
        while "TracerPid:\t0\n" in status.read_text():
            if strace.poll() is not None or time.monotonic() > deadline:
                strace.kill()
                raise RuntimeError(f"strace does not watch: {strace.communicate()[1]}")
            time.sleep(0.0005)
        ours.send(None)
    return strace


# ── In the child ─────────────────────────────────────────────────────────────


def _child(command: Command, thread: int | None, out: Path, theirs: Connection) -> None:
    with Path(os.devnull).open("rb") as stdin, out.open("wb") as stdout:
        forks.become(command.folder, dict(command.environ), stdin.fileno(), stdout.fileno(), stdout.fileno())
    # Where only a parent may watch its children, as on Ubuntu, strace must be allowed to.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    if thread is not None:
        _wait_at(thread, theirs)
    if command.warm:
        main(list(command.arguments))
    program = shutil.which(command.arguments[0]) or command.arguments[0]
    os.execve(program, command.arguments, dict(command.environ))  # noqa: S606


def _wait_at(number: int, theirs: Connection) -> None:
    """Wait for strace: here, or in the thread that is started as the ``number``-th, at the first event in it."""
    if number == 0:
        theirs.send(threading.get_native_id())
        theirs.recv()
        return
    seen = [threading.get_ident()]

    def hook(event: str, _: object) -> None:
        if len(seen) > number or event == _STARTS or (here := threading.get_ident()) in seen:
            return
        seen.append(here)
        if len(seen) > number:
            theirs.send(threading.get_native_id())
            theirs.recv()

    sys.addaudithook(hook)
