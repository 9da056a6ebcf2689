"""The ways in which a run dies or its disk fails, each at a step that is counted from 1."""

from __future__ import annotations

import errno
import os
import random
import select
import signal
from collections.abc import Iterator
from enum import Enum
from functools import cached_property
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from provisioner.octopush.transport import Failure, Reply, Request, Transport
from provisioner.state.disk import Disk
from tests.conftest import PATIENCE

SAVE_STEPS = 5
"""The start of a write, half a write, a sync of the file, a replace, a sync of the folder."""


def drawing() -> random.Random:
    """Return a random generator; a failed test prints its seed, and CRASH_SEED sets it."""
    seed = os.environ.get("CRASH_SEED") or str(random.SystemRandom().randrange(10**6))
    print(f"CRASH_SEED={seed}")  # noqa: T201  # pytest shows it where the test fails
    return random.Random(seed)  # noqa: S311  # it hides nothing


def die() -> None:
    """End this process at once, with nothing cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


class _CountingDisk(Disk):
    """Calls ``_before`` before every call, and in the middle of each write; the calls of all threads count."""

    def __init__(self) -> None:
        self._calls = count(1)

    def write(self, descriptor: int, data: bytes) -> None:
        self._step()
        half = len(data) // 2
        super().write(descriptor, data[:half])
        self._step()
        super().write(descriptor, data[half:])

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._step()
        super().replace(source, target)

    def _step(self) -> None:
        self._before(next(self._calls))

    def _before(self, call: int) -> None:
        raise NotImplementedError


class MortalDisk(_CountingDisk):
    """Kills the process at one step."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self._last = last

    def _before(self, call: int) -> None:
        if call == self._last:
            die()


class FailingDisk(_CountingDisk):
    """Fails at one step and, if it is ``broken``, at all later ones."""

    def __init__(self, first: int, *, broken: bool) -> None:
        super().__init__()
        self._first = first
        self._broken = broken

    def _before(self, call: int) -> None:
        if call == self._first or (self._broken and call > self._first):
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class Moment(Enum):
    """Where in one request the process is killed."""

    BEFORE = "before it is sent"
    ANSWERED = "when its answer is there and not read"
    AFTER = "when its answer is read"


class MortalTransport:
    """Kills the process at one moment of one request; the requests of all threads count."""

    def __init__(self, last: int, moment: Moment) -> None:
        self._requests = count(1)
        self._last = last
        self._moment = moment

    @cached_property
    def _real(self) -> Transport:
        """The transport; the process that dies creates it, because another process could not use it."""
        return Transport(timeout=PATIENCE)

    def exchange(self, request: Request) -> Reply | Failure:
        if next(self._requests) == self._last:
            match self._moment:
                case Moment.BEFORE:
                    pass
                case Moment.ANSWERED:
                    _send_and_wait(request)
                case Moment.AFTER:
                    self._real.exchange(request)
            die()
        return self._real.exchange(request)


def every_death(*, saves: int, requests: int) -> Iterator[tuple[Disk, MortalTransport]]:
    """Yield all deaths of a run that keeps the backup, saves so often and sends so many requests."""
    spared = MortalTransport(requests + 1, Moment.BEFORE)
    for step in range(1, SAVE_STEPS * (1 + saves) + 1):
        yield MortalDisk(step), spared
    for number in range(1, requests + 1):
        for moment in Moment:
            yield Disk(), MortalTransport(number, moment)


def half_of_deaths(half: int, *, saves: int, requests: int) -> Iterator[tuple[Disk, MortalTransport]]:
    """Yield every second of these deaths, for one of two tests with the same ones; with CRASH_EVERY_STEP, all."""
    for number, death in enumerate(every_death(saves=saves, requests=requests)):
        if number % 2 == half or "CRASH_EVERY_STEP" in os.environ:
            yield death


def no_death(*, saves: int, requests: int) -> tuple[Disk, MortalTransport]:
    """Return deaths that only happen if a run does more than that."""
    return MortalDisk(SAVE_STEPS * (1 + saves) + 1), MortalTransport(requests + 1, Moment.BEFORE)


def _send_and_wait(request: Request) -> None:
    parts = urlsplit(request.url)
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port)
    connection.request(request.method, parts.path, request.body, dict(request.headers))
    assert select.select([connection.sock], [], [], PATIENCE)[0]
