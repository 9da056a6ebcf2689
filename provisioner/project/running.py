"""Runs an operation over many parents, side by side, each on its own.

Owns the order of results, and the rule that one parent's trouble is that parent's
alone. Within a parent there is one request at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, ParamSpec, TypeAlias, TypeVar

from provisioner.errors import CommandInvalid, ProvisionerError, internal

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from provisioner.model.report import Outcome
    from provisioner.octopush.client import Exchange
    from provisioner.octopush.transport import Failure, Reply, Request
    from provisioner.project.cancel import Cancel
    from provisioner.project.reporter import Reporter, Requested

JOBS: Final = 8
"""Parents that are worked on at once where nothing else is said."""
READS_PER_SECOND: Final = 20.0
"""Requests that begin in a second, over all parents, while accounts are only read."""

_CALLS: Final = {"POST": "create", "PATCH": "edit", "GET": "read"}
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")

Jobs: TypeAlias = "int | Executor"
"""How many parents at once, or the executor of threads that carries them."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all parents of one operation share."""

    reporter: Reporter
    cancel: Cancel
    carrier: Exchange | None
    """Carries the requests of all of them, so that its rate holds over all; None where none is sent."""
    digest: str | None = None
    """That of the plans, where plans are carried out."""

    def watch(self, parent: str) -> Watch:
        """Return what reports one parent's part."""
        return Watch(parent, self)


class Watch:
    """One parent's part of a run: carries its requests, and says what is done to which account."""

    def __init__(self, parent: str, run: RunContext) -> None:
        self._parent = parent
        self._run = run
        self._account: str | None = None
        self._operation: str | None = None
        self._last: Request | None = None
        self._attempt = 0
        self._fault: Exception | None = None
        """What the reporter raised while an answer was to be saved."""

    def started(self, name: str, operation: str | None = None) -> None:
        """Note which account, and which operation, the requests that follow are about."""
        self._account, self._operation = name, operation
        self._run.reporter.started(self._parent, name, operation)

    def finished(self, outcome: Outcome) -> None:
        """Pass a final outcome on; raises what the reporter raised since the last one."""
        self._account = self._operation = None
        self._run.reporter.finished(self._parent, outcome)
        if self._fault is not None:
            raise self._fault

    def read_back(self, found: Outcome) -> None:
        """Pass on what reading an account back has shown, where it is worth a word; raises as :meth:`finished`."""
        self._account = self._operation = None
        if found.reason is not None:
            self._run.reporter.read_back(self._parent, found)
        if self._fault is not None:
            raise self._fault

    def waiting(self, words: str) -> None:
        """Pass on why nothing happens for a while."""
        try:
            self._run.reporter.waiting(self._parent, words)
        except Exception as error:  # noqa: BLE001  # what is under way must be saved first
            self._fault = self._fault or error

    def exchange(self, request: Request) -> Reply | Failure:
        """Carry one request, and report how it ended."""
        # A request that is tried again is the same object.
        self._attempt = self._attempt + 1 if request is self._last else 1
        self._last = request
        begun = time.monotonic()
        assert self._run.carrier is not None  # noqa: S101  # whoever sends asks for a run that does
        outcome = self._run.carrier.exchange(request)
        try:
            self._run.reporter.requested(self._requested(outcome, request, time.monotonic() - begun))
        except Exception as error:  # noqa: BLE001  # an answer must be saved first: it may be the only one
            self._fault = self._fault or error
        return outcome

    def _requested(self, outcome: Reply | Failure, request: Request, seconds: float) -> Requested:
        from provisioner.octopush.transport import Failure, Reply  # whoever sends has loaded it
        from provisioner.project.reporter import Requested

        return Requested(
            parent=self._parent,
            account=self._account,
            operation=self._operation,
            call="balance" if "/check-balance?" in request.url else _CALLS[request.method],
            attempt=self._attempt,
            status=outcome.status if isinstance(outcome, Reply) else None,
            reason=outcome.reason if isinstance(outcome, Failure) else outcome.cut,
            sent=outcome.sent if isinstance(outcome, Failure) else None,
            seconds=round(seconds, 3),
        )


def each(
    items: Sequence[_Item], work: Callable[[_Item], _Result], jobs: Jobs, cancel: Cancel, *, changes: bool = False
) -> list[_Result]:
    """Return what ``work`` makes of each of ``items``, in their order; up to ``jobs`` of them at once.

    ``work`` raises nothing but what ends the whole run. Where something does, KeyboardInterrupt
    included, those under way are asked to end, and are waited for. Where ``work`` ``changes``
    something at Octopush, even one has a thread of its own: in the caller's, Ctrl-C would cut the
    request in flight, and lose its answer. A read may be cut. Raises CommandInvalid for fewer than one job.
    """
    if isinstance(jobs, int) and jobs < 1:
        raise CommandInvalid(f"{jobs} parents cannot be worked on at once.", hint="Give one job or more.")
    if not items or (not changes and (len(items) == 1 or jobs == 1)):
        return [work(item) for item in items]
    if not isinstance(jobs, int):
        return _together(jobs, items, work, cancel)
    from concurrent.futures import ThreadPoolExecutor  # most reads are of one parent

    with ThreadPoolExecutor(min(jobs, len(items)), thread_name_prefix="parent") as threads:
        return _together(threads, items, work, cancel)


def _together(
    executor: Executor, items: Sequence[_Item], work: Callable[[_Item], _Result], cancel: Cancel
) -> list[_Result]:
    from concurrent.futures import Future, wait  # most reads are of one parent

    futures: list[Future[_Result]] = []
    try:
        futures += (executor.submit(work, item) for item in items)
        return [future.result() for future in futures]
    except BaseException:
        cancel.cancel()
        wait([future for future in futures if not future.cancel()])
        raise


def attempted(
    work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **options: _Arguments.kwargs
) -> _Result | ProvisionerError:
    """Return what ``work`` returns, or the error that it ended with, which is one parent's alone."""
    try:
        return work(*arguments, **options)
    except ProvisionerError as error:
        return error
    except Exception as error:  # noqa: BLE001  # a fault of this program must not stop the other parents
        return internal(error)
