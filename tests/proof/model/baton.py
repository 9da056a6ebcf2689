"""Runners that take turns: each is a thread, and only the one with the baton moves.

A runner passes a point before and after every call through an interface. At a point it may die,
hand over the baton, or see the clock jump. Nothing else depends on threads or on time, so the
same fate gives the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final, TypeVar

_T = TypeVar("_T")
ENDLESS: Final = 5000
"""More points than any command passes: a runner that reaches it is caught in a loop."""


class Killed(BaseException):
    """The process has died: nothing it calls has any effect any more."""


@dataclass(frozen=True)
class Fate:
    """What happens to one runner, counted in points and calls from 1; 0: never.

    A word, if there is one, restricts what is counted to points or calls that begin with it.
    """

    kill: int = 0
    kill_at: str = ""
    interrupt: int = 0
    """The point from which on a signal has been received."""
    interrupt_at: str = ""
    answers: tuple[str, ...] = ()
    """What happens to its requests to Octopush, in their order; after these, nothing."""
    faults_from: int = 0
    """The call to the store from which on ``faults`` happen."""
    faults: tuple[str, ...] = ()
    faults_at: str = ""

    def __repr__(self) -> str:
        """Say only what happens."""
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        return f"Fate({', '.join(f'{name}={value!r}' for name, value in given if value)})"


class Runner(threading.Thread):
    """One command on one machine."""

    def __init__(self, name: str, work: Callable[[], object], fate: Fate) -> None:
        super().__init__(name=name, daemon=True)
        self.fate = fate
        self.killed = False
        self.ended = False
        self.points = 0
        self.result: object = None
        self.error: Exception | None = None
        self.trace: list[str] = []
        self.planned: list[str] = []
        """The persons whose accounts it was to create."""
        self._work = work
        self._answers = iter(fate.answers)
        self._doomed = self._warned = self._store_calls = 0
        self.met_faults = 0
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        self._go.acquire()
        try:
            self.result = self._work()
        except Killed:
            self.trace.append("killed")
        except Exception as error:  # noqa: BLE001  # whoever started it looks at the error
            self.error = error
        finally:
            self.ended = True
            self._back.release()

    def advance(self) -> None:
        """Let it move on to its next point, or to its end."""
        self._go.release()
        self._back.acquire()

    def point(self, word: str) -> None:
        """Pass a point: wait for the baton, or die."""
        if self.killed:
            raise Killed
        self.points += 1
        self.trace.append(word)
        self._doomed += word.startswith(self.fate.kill_at)
        self._warned += word.startswith(self.fate.interrupt_at)
        if self._doomed == self.fate.kill or self.points > ENDLESS:
            self.killed = True
            raise Killed
        self._back.release()
        self._go.acquire()

    def answer(self) -> str:
        """Return what happens to its next request."""
        return next(self._answers, "")

    def fault(self, word: str) -> str:
        """Return what happens to its next call to a store, ``word``."""
        if not word.startswith(self.fate.faults_at):
            return ""
        self._store_calls += 1
        at = self._store_calls - self.fate.faults_from
        if not self.fate.faults_from or not 0 <= at < len(self.fate.faults):
            return ""
        self.met_faults += 1
        return self.fate.faults[at]

    @property
    def interrupted(self) -> bool:
        return 0 < self.fate.interrupt <= self._warned


def current() -> Runner | None:
    """Return the runner that is calling, or None if it is not a runner: then nothing happens to the call."""
    this = threading.current_thread()
    return this if isinstance(this, Runner) else None


def step(word: str, effect: Callable[[], _T]) -> _T:
    """Have ``effect``, with a point before and after it."""
    runner = current()
    if runner is None:
        return effect()
    runner.point(word)
    result = effect()
    runner.point(f"{word}: done")
    return result


@dataclass(frozen=True)
class Turn:
    """How many points a runner passes before it hands over the baton, and whether the clock jumps then.

    If there is a word, only points that begin with it count.
    """

    points: int
    word: str = ""
    jump: bool = False


def race(runners: Sequence[Runner], turns: Sequence[Turn], jump: Callable[[], None]) -> None:
    """Let ``runners`` run to their ends, one at a time, in ``turns``; after the last turn, each to its end."""
    alive = list(runners)
    for each in alive:
        each.start()
    following = iter(turns)
    while alive:
        turn = next(following, Turn(ENDLESS))
        runner = alive.pop(0)
        passed = 0
        while passed < turn.points and not runner.ended:
            runner.advance()
            passed += runner.ended or runner.trace[-1].startswith(turn.word)
        if runner.ended:
            runner.join()
        else:
            alive.append(runner)
        if turn.jump:
            jump()
