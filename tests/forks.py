"""Processes that are forked from one that has imported everything: real ones, and cheap.

To start an interpreter and to import takes a command ten times as long as to do its work.
The process that forks has no threads and none of the test's, so that it is safe under
pytest-xdist; it is one for all tests of a worker, and so is the list of what it imports.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pkgutil
import pty
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import provisioner
from provisioner.cli.main import main

COMMAND: Final = (sys.executable, "-m", "provisioner")
PATIENCE: Final = 30
"""Seconds after which something that a test waits for is taken to be stuck."""
PRELOADED: Final = (
    *(each.name for each in pkgutil.walk_packages(provisioner.__path__, "provisioner.") if "__main__" not in each.name),
    "platformdirs.unix",
    "tests.crash.runs",
    "tests.state",
)

_AT_START: Final = ("LANG", "LC_", "PYTHON")
"""Variables at which an interpreter looks when it starts begin with one of these."""

processes: Final = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(list(PRELOADED))

_polling: Final = threading.Lock()


def start(child: BaseProcess) -> None:
    """Start a process, in any thread.

    multiprocessing reads the exit codes of all that have ended whenever it starts another. If two
    threads read the same one at the same time, one of them gets 255.
    """
    with _polling:
        child.start()


def ended(child: BaseProcess, patience: float) -> int | None:
    """Wait until a process has ended, and return its exit code, in any thread; None if it has not ended."""
    wait([child.sentinel], patience)
    with _polling:
        return child.exitcode


def command(arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line in ``folder``, with an empty input, to its end.

    Where ``environ`` says how an interpreter is to start, one is started.
    """
    if {key: value for key, value in environ.items() if key.startswith(_AT_START)} != {"LANG": "C.UTF-8"}:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch) / "out", Path(scratch) / "err"
        code = exit_code_of(_run, list(arguments), folder, dict(environ), out, err)
        return subprocess.CompletedProcess(arguments, code, out.read_text("utf-8"), err.read_text("utf-8"))


def program(text: str, folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a Python program in ``folder``, with an empty input, to its end."""
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch) / "out", Path(scratch) / "err"
        code = exit_code_of(_program, text, folder, dict(environ), out, err)
        return subprocess.CompletedProcess(text, code, out.read_text("utf-8"), err.read_text("utf-8"))


def at_terminal(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], answer: str = "", *, columns: int = 1000
) -> tuple[int, str]:
    """Run the command line in ``folder`` at a terminal of its own; give each of its questions this answer.

    The terminal has ``columns``; with the usual number of them, no line is wrapped.

    Returns the exit code and all that the terminal showed.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    child = processes.Process(
        target=_run_at_terminal, args=(list(arguments), folder, {"TERM": "dumb", **environ}, os.ttyname(theirs))
    )
    start(child)
    shown = b""
    try:
        while ours in (ready := wait([ours, child.sentinel], PATIENCE)):
            shown += os.read(ours, 65536)
            if answer and shown.endswith(b"[y/N]: "):
                os.write(ours, answer.encode())
        assert ready, f"the child is stuck: {shown.decode(errors='replace')}"
        code = ended(child, PATIENCE)
        assert code is not None
        return code, shown.decode(errors="replace").replace("\r\n", "\n")
    finally:
        child.kill()
        child.join()
        child.close()
        os.close(theirs)
        os.close(ours)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let what is started in the ``with`` hear SIGINT, whoever started the tests.

    A shell has what it runs in the background ignore SIGINT, and whatever that starts inherits it.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def serving(arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Run the command line in ``folder`` for the length of a ``with``; yields the first line that it prints."""
    ours, theirs = processes.Pipe(duplex=False)
    with ours:
        with theirs:
            child = processes.Process(target=_serve, args=(list(arguments), folder, dict(environ), theirs))
            start(child)
        try:
            with os.fdopen(ours.fileno(), encoding="utf-8", closefd=False) as said:
                yield said.readline().strip()
        finally:
            child.terminate()
            child.join()
            child.close()


def exit_code_of(target: Callable[..., None], *arguments: object) -> int:
    """Call ``target``, a function of a module, in a process of its own; minus the signal that ended it, or its code."""
    child = processes.Process(target=target, args=arguments)
    start(child)
    code = ended(child, PATIENCE)
    child.kill()
    child.join()
    child.close()
    assert code is not None, "the child is stuck"
    return code


def _run(arguments: list[str], folder: Path, environ: dict[str, str], out: Path, err: Path) -> None:
    with Path(os.devnull).open("rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
        become(folder, environ, stdin.fileno(), stdout.fileno(), stderr.fileno())
    main(arguments)


def _program(text: str, folder: Path, environ: dict[str, str], out: Path, err: Path) -> None:
    with Path(os.devnull).open("rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
        become(folder, environ, stdin.fileno(), stdout.fileno(), stderr.fileno())
    exec(text, {"__name__": "__main__"})  # noqa: S102  # it is a test's own


def _run_at_terminal(arguments: list[str], folder: Path, environ: dict[str, str], terminal: str) -> None:
    descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    become(folder, environ, descriptor, descriptor, descriptor)
    os.close(descriptor)
    main(arguments)


def _serve(arguments: list[str], folder: Path, environ: dict[str, str], out: Connection) -> None:
    with out, Path(os.devnull).open("rb") as stdin, Path(os.devnull).open("wb") as stderr:
        become(folder, environ, stdin.fileno(), out.fileno(), stderr.fileno())
    main(arguments)


def become(folder: Path, environ: dict[str, str], *descriptors: int) -> None:
    """Make this process one that was just started in ``folder``; ``descriptors`` are its input, output and errors."""
    gc.disable()  # as ``python -m provisioner`` does
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(folder)
