"""Runs an operation over many parents in parallel, each independent of the others.

Owns the order of results, and the rule that an error of one parent does not stop the
others. Within a parent there is one request at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, ParamSpec, TypeAlias, TypeVar

from provisioner.errors import CommandInvalid, ProvisionerError, internal
from provisioner.immutable import immutable

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from provisioner.model.report import Outcome
    from provisioner.octopush.client import Exchange
    from provisioner.octopush.transport import Failure, Reply, Request
    from provisioner.project.cancel import Cancel
    from provisioner.project.reporter import Reporter, Requested

JOBS: Final = 8
"""The default number of parents to work on at once."""
READS_PER_SECOND: Final = 20.0
"""The default limit of requests per second, over all parents, for operations that only read."""

_CALLS: Final = {"POST": "create", "PATCH": "edit", "GET": "read"}
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")

Jobs: TypeAlias = "int | Executor"
"""The number of parents at once, or an executor of threads to run them."""


@immutable
class RunContext:
    """The context of one operation, shared by all parents."""

    reporter: Reporter
    cancel: Cancel
    carrier: Exchange | None
    """The transport for all parents, with one rate limit; None if the operation sends no requests."""
    digest: str | None = None
    """The digest of the plans that are applied, if any."""

    def watch(self, parent: str) -> Watch:
        """Return the watch of one parent."""
        return Watch(parent, self)


class Watch:
    """Follows one parent in a run: sends its requests, and reports the work on each account."""

    def __init__(self, parent: str, run: RunContext) -> None:
        self._parent = parent
        self._run = run
        self._account: str | None = None
        self._operation: str | None = None
        self._last: Request | None = None
        self._attempt = 0
        self._fault: Exception | None = None
        """An exception of the reporter, kept until the answer in progress is saved."""

    def started(self, name: str, operation: str | None = None) -> None:
        """Set the account and the operation of the requests that follow."""
        self._account, self._operation = name, operation
        self._run.reporter.started(self._parent, name, operation)

    def finished(self, outcome: Outcome) -> None:
        """Report a final outcome; raises what the reporter has raised since the last one."""
        self._account = self._operation = None
        self._run.reporter.finished(self._parent, outcome)
        if self._fault is not None:
            raise self._fault

    def read_back(self, found: Outcome) -> None:
        """Report a difference that was found on reading an account back; raises as :meth:`finished`."""
        self._account = self._operation = None
        if found.reason is not None:
            self._run.reporter.read_back(self._parent, found)
        if self._fault is not None:
            raise self._fault

    def waiting(self, words: str) -> None:
        """Report the reason for a wait."""
        try:
            self._run.reporter.waiting(self._parent, words)
        except Exception as error:  # noqa: BLE001  # the work in progress must be saved first
            self._fault = self._fault or error

    def exchange(self, request: Request) -> Reply | Failure:
        """Send one request, and report how it ended."""
        # A retry is the same object.
        self._attempt = self._attempt + 1 if request is self._last else 1
        self._last = request
        start = time.monotonic()
        assert self._run.carrier is not None  # noqa: S101  # operations that send get a run with a carrier
        outcome = self._run.carrier.exchange(request)
        try:
            self._run.reporter.requested(self._requested(outcome, request, time.monotonic() - start))
        except Exception as error:  # noqa: BLE001  # the answer must be saved first: it may be the only copy
            self._fault = self._fault or error
        return outcome

    def _requested(self, outcome: Reply | Failure, request: Request, seconds: float) -> Requested:
        from provisioner.octopush.transport import Failure, Reply  # already loaded here
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
    """Return the results of ``work`` for ``items``, in the same order; up to ``jobs`` of them run at once.

    ``work`` must only raise what ends the whole run. Then, and on KeyboardInterrupt, the items
    in progress are asked to end, and this function waits for them. If ``work`` ``changes``
    something at Octopush, even a single item gets its own thread: in the caller's, Ctrl-C would cut
    off a request and lose its answer. A read may be cut off. Raises CommandInvalid for fewer than one job.
    """
    if isinstance(jobs, int) and jobs < 1:
        raise CommandInvalid(f"{jobs} is not a valid number of jobs.", hint="Use at least one job.")
    if not items or (not changes and (len(items) == 1 or jobs == 1)):
        return [work(item) for item in items]
    if not isinstance(jobs, int):
        return _together(jobs, items, work, cancel)
    from concurrent.futures import ThreadPoolExecutor  # most reads have one parent

    with ThreadPoolExecutor(min(jobs, len(items)), thread_name_prefix="parent") as threads:
        return _together(threads, items, work, cancel)


def _together(
    executor: Executor, items: Sequence[_Item], work: Callable[[_Item], _Result], cancel: Cancel
) -> list[_Result]:
    from concurrent.futures import Future, wait  # most reads have one parent

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
    """Return the result of ``work``, or its error, which must not stop other parents."""
    try:
        return work(*arguments, **options)
    except ProvisionerError as error:
        return error
    except Exception as error:  # noqa: BLE001  # a bug must not stop the other parents
        return internal(error)
