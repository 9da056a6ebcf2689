"""Run the tests of a module against its mutants, cheaply: in forks of a process that has collected the tests.

A mutant that changes only functions is put into the functions that are there, in the fork alone.
All others, and those of code that has run when it is imported, meet the tests in a fork of a
process that has imported only other people's packages. Either way the file on the disk is the
mutant too, for processes that a test starts.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final, Self

import coverage
import hypothesis
import pytest

from tests.proof.mutants.mutations import ROOT, Mutant, path_of

PRELOADED: Final = (
    *("click", "distributed", "jsonschema_rs", "obstore.store", "openpyxl", "pandas", "prometheus_client", "psycopg"),
    *("pyrage", "requests", "rich.console", "tenacity", "yaml"),
)

_OPTIONS: Final = (
    *("-q", "-s", "--no-header", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "timeout=0"),
    *("--assert=plain", "--tb=native"),  # nobody reads why a test fails
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # hypothesis is imported already
)
_PATIENCE: Final = 4.0
"""Seconds of processor time that every test may take, and then five times what it took without a mutant."""
_MEMORY: Final = 4 << 30
_OPTIMIZED: Final = 1
"""The flag of a code object that is a function's, and not a module's or a class's."""


class NotGreenError(Exception):
    """The tests fail without a mutant."""


class Runner:
    """Runs mutants of modules that share their tests, in the copy of the tree that this process was started in."""

    def __init__(self, modules: Sequence[str], tests: Sequence[str]) -> None:
        """Collect the tests and run them once, without a mutant; raise :class:`NotGreenError` if one fails."""
        self._tests = tests
        self._clock = 0
        jobs, self._jobs = os.pipe()
        answering, answers = os.pipe()
        paths = [str(path_of(each)) for each in modules]
        self._warm = _fork(lambda: _serve(paths, tests, (jobs, self._jobs), answers))
        os.close(jobs)
        os.close(answers)
        self._answers = os.fdopen(answering)
        told = self._answers.readline()
        if not told:
            raise NotGreenError(f"The tests of {', '.join(modules)} cannot be collected.")
        first = json.loads(told)
        if first["failed"]:
            raise NotGreenError(f"Without a mutant, this fails: {first['failed']}")
        self._seconds: dict[str, float] = first["seconds"]
        self._reached: dict[str, dict[str, list[str]]] = first["reached"]
        self._at_import = {path: set(lines) for path, lines in first["at_import"].items()}
        # A fork that imports everything must find the same tests, and find them green.
        quickest = sorted(self._seconds, key=self._cost)[:9]
        if failed := _answer(lambda: _fresh(tests, quickest, self._seconds)):
            raise NotGreenError(f"Without a mutant, freshly imported, this fails: {failed}")

    def __enter__(self) -> Self:
        """Return the runner itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process that forks."""
        os.close(self._jobs)
        self._answers.close()
        os.waitpid(self._warm, 0)

    def outcome(self, module: str, mutant: Mutant) -> str:
        """Return the test that fails, ``time``, ``crash`` or ``import``; or nothing: the mutant survives."""
        path = path_of(module)
        original = path.read_text(encoding="utf-8")
        at_import = bool(self._at_import[str(path)].intersection(mutant.lines))
        reached = {name for line in mutant.lines for name in self._reached[str(path)].get(str(line), ())}
        chosen = sorted(reached or self._seconds, key=self._cost)
        self._write(path, mutant.source)
        try:
            os.write(self._jobs, f"{json.dumps([str(path), original, mutant.source, chosen])}\n".encode())
            told = str(json.loads(self._answers.readline()))
            if told == "import" or (not told and at_import):
                told = _answer(lambda: _fresh(self._tests, chosen, self._seconds))
        finally:
            self._write(path, original)
        return told

    def _cost(self, name: str) -> tuple[float, str]:
        return self._seconds[name], name

    def _write(self, path: Path, source: str) -> None:
        """Write a module; every version has a time of its own, by which Python knows a stale cache."""
        self._clock += 1
        path.write_text(source, encoding="utf-8")
        os.utime(path, (1_000_000_000 + self._clock,) * 2)


# ── The process that has collected the tests ─────────────────────────────────


def _serve(paths: list[str], tests: Sequence[str], pipe: tuple[int, int], answers: int) -> None:
    """Collect the tests, then answer each job, a line of JSON, with a line of JSON."""
    jobs, ours = pipe
    os.close(ours)
    tracer = _tracer(paths)
    server = _Server(paths, tracer, jobs, answers)
    pytest.main([*_OPTIONS, *tests], plugins=[server])


class _Server:
    """Takes the place of pytest's loop over the tests."""

    def __init__(self, paths: list[str], tracer: coverage.Coverage, jobs: int, answers: int) -> None:
        self._paths = paths
        self._tracer = tracer
        self._jobs = jobs
        self._answers = answers

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._tracer.stop()
        if session.testsfailed:
            return True
        data = self._tracer.get_data()
        at_import = {path: sorted(data.lines(path) or ()) for path in self._paths}
        items = {item.nodeid: item for item in session.items}
        functions = _functions()
        _usual_examples()
        gc.collect()
        gc.freeze()
        first = json.loads(_answer(lambda: _first(session, self._paths)))
        self._say(first | {"at_import": at_import})
        with os.fdopen(self._jobs) as jobs:
            for job in jobs:
                path, original, mutated, chosen = json.loads(job)
                pairs = _changed(_compiled(original, path), _compiled(mutated, path))
                changed = [(each, pairs[each.__code__]) for each in functions if each.__code__ in pairs]
                tests = [items[each] for each in chosen]
                self._say(
                    _answer(partial(_patched, session, tests, changed, first["seconds"])) if changed else "import"
                )
        return True

    def _say(self, answer: object) -> None:
        os.write(self._answers, f"{json.dumps(answer)}\n".encode())


def _tracer(paths: list[str]) -> coverage.Coverage:
    tracer = coverage.Coverage(include=paths, data_file=None, config_file=False)
    tracer.start()
    return tracer


def _first(session: pytest.Session, paths: list[str]) -> str:
    """Run every test once; return as JSON which failed, how long each took and by which each line is reached."""
    tracer = _tracer(paths)
    seconds, failed = {}, ""
    for name, item, following in _pairs(session.items):
        tracer.switch_context(name)
        started = time.perf_counter()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        seconds[name] = time.perf_counter() - started
        if session.testsfailed:
            failed = name
            break
    tracer.stop()
    data = tracer.get_data()
    reached = {
        path: {
            line: [each for each in names if each in seconds] for line, names in data.contexts_by_lineno(path).items()
        }
        for path in paths
    }
    return json.dumps({"failed": failed, "seconds": seconds, "reached": reached})


def _patched(
    session: pytest.Session,
    chosen: list[pytest.Item],
    changed: list[tuple[FunctionType, CodeType]],
    seconds: dict[str, float],
) -> str:
    """Put code into functions and run tests up to the first that fails; return its name."""
    for function, code in changed:
        function.__code__ = code
    return _run(session, chosen, seconds)


def _run(session: pytest.Session, chosen: list[pytest.Item], seconds: dict[str, float]) -> str:
    """Run tests up to the first that fails; return its name."""
    for name, item, following in _pairs(chosen):
        _limit(seconds[name])
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return name
    return ""


def _pairs(items: list[pytest.Item]) -> list[tuple[str, pytest.Item, pytest.Item | None]]:
    return [(item.nodeid, item, following) for item, following in zip(items, [*items[1:], None], strict=True)]


# ── A process that imports everything ────────────────────────────────────────


def preload() -> None:
    """Import what the tests need of other people's packages."""
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)


def _fresh(tests: Sequence[str], chosen: Sequence[str], seconds: dict[str, float]) -> str:
    """Import the mutant and run the chosen tests up to the first that fails."""
    _limit(2 * _PATIENCE)
    sys.dont_write_bytecode = True
    order = _Order(chosen, seconds)
    code = pytest.main([*_OPTIONS, "-x", *tests], plugins=[order])
    return order.failed or ("" if code == 0 else "import")


class _Order:
    """Runs the chosen tests alone, in their order."""

    def __init__(self, chosen: Sequence[str], seconds: dict[str, float]) -> None:
        self._chosen = {name: number for number, name in enumerate(chosen)}
        self._seconds = seconds
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        _usual_examples()
        items[:] = sorted((each for each in items if each.nodeid in self._chosen), key=self._place)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        _limit(self._seconds[nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def _place(self, item: pytest.Item) -> int:
        return self._chosen[item.nodeid]


# ── Forks ────────────────────────────────────────────────────────────────────


def _fork(work: Callable[[], object]) -> int:
    """Do ``work`` in a child, in a session of its own; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        work()
        code = 0
    except BaseException:  # noqa: BLE001  # this process ends here, whatever happened
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def _answer(work: Callable[[], str]) -> str:
    """Do ``work`` in a child that has a temporary folder and little time; return its answer, ``time`` or ``crash``."""
    scratch = tempfile.mkdtemp(prefix="mutant-")
    answer = Path(scratch) / "answer"
    child = _fork(lambda: answer.write_text(_in_scratch(work, scratch), encoding="utf-8"))
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    ended = os.WIFSIGNALED(status) and os.WTERMSIG(status)
    said = answer.read_text(encoding="utf-8") if status == 0 else ""
    shutil.rmtree(scratch, ignore_errors=True)
    if status == 0:
        return said
    return "time" if ended in {signal.SIGALRM, signal.SIGPROF} else "crash"


def _in_scratch(work: Callable[[], str], scratch: str) -> str:
    tempfile.tempdir = scratch
    os.environ["TMPDIR"] = scratch
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    return work()


def _limit(seconds: float) -> None:
    """End this process where a test takes far longer than without a mutant."""
    signal.setitimer(signal.ITIMER_PROF, _PATIENCE + 5 * seconds)
    signal.setitimer(signal.ITIMER_REAL, 5 * (_PATIENCE + 5 * seconds))


def _usual_examples() -> None:
    """Have Hypothesis try few examples, the same ones for every mutant, and not shrink what fails."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", max_examples=25, derandomize=True, database=None, deadline=None, phases=phases
    )
    hypothesis.settings.load_profile("mutants")


# ── Code ─────────────────────────────────────────────────────────────────────


def _compiled(source: str, path: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, path, "exec", dont_inherit=True)


def _changed(original: CodeType, mutated: CodeType) -> dict[CodeType, CodeType]:
    """Return the new code of every function that changes, itself or within; none where more than functions change."""
    pairs: dict[CodeType, CodeType] = {}
    return pairs if _compare(original, mutated, pairs) is not None else {}


def _compare(one: CodeType, other: CodeType, pairs: dict[CodeType, CodeType]) -> bool | None:
    """Return whether code changes, itself or within, and note functions; None where it can only be imported."""
    inner = _inner(one), _inner(other)
    if [each.co_qualname for each in inner[0]] != [each.co_qualname for each in inner[1]]:
        return None
    changes = [_compare(mine, its, pairs) for mine, its in zip(*inner, strict=True)]
    if None in changes:
        return None
    itself = _itself(one) != _itself(other)
    if not one.co_flags & _OPTIMIZED:
        return None if itself else any(changes)
    if not itself and not any(changes):
        return False
    if one.co_freevars != other.co_freevars:
        return None
    pairs[one] = other
    return True


def _inner(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _itself(code: CodeType) -> tuple[Any, ...]:
    constants = [None if isinstance(each, CodeType) else (type(each), each) for each in code.co_consts]
    return (code.co_code, constants, code.co_names, code.co_varnames, code.co_exceptiontable, code.co_argcount)


def _functions() -> list[FunctionType]:
    """Return every function of the product in this process."""
    home = str(ROOT / "provisioner")
    found = [each for each in gc.get_objects() if type(each) is FunctionType]
    return [each for each in found if each.__code__.co_filename.startswith(home)]
