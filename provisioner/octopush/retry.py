"""When a request is retried, in tenacity's terms.

Has the limits (attempts, time) and the waiting (exponential with jitter, or as long as the
server asks, capped). The verdict decides what may be retried.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from provisioner.immutable import immutable
from provisioner.model.exchange import Failed
from provisioner.model.verdict import NotCreated, Then

if TYPE_CHECKING:
    from tenacity import Future, RetryCallState

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 20.0
_Verdict = TypeVar("_Verdict")
_Unsent = TypeVar("_Unsent")


def _silent(_: str) -> None:
    """Report nothing."""


@immutable
class RetryPolicy:
    """How long a request is retried; ``sleep`` may return early if the run is interrupted.

    It keeps no state between two calls, so any number of threads may share it; each of them
    then calls ``sleep``, ``interrupted`` and ``waiting``.
    """

    attempts: int
    budget: float
    """Seconds after which no new wait begins; per account."""
    retry_after_cap: float
    """The longest wait, in seconds, that a server's ``Retry-After`` may ask for."""
    sleep: Callable[[float], None]
    interrupted: Callable[[], bool]
    waiting: Callable[[str], None] = _silent
    """Called before each wait with its reason, its length and the next attempt."""

    def until_settled(self, attempt: Callable[[], _Verdict], *, unsent: _Unsent) -> _Verdict | _Unsent:
        """Return the first verdict that is final, or the last one when a limit is reached.

        ``unsent`` is the verdict if the run is interrupted before an attempt.
        """
        begun = time.monotonic()
        verdict = self._unless_interrupted(attempt, unsent)
        if not _may_retry(verdict):
            return verdict
        return self._retried(verdict, lambda: self._unless_interrupted(attempt, unsent), time.monotonic() - begun)

    def _retried(self, first: _Verdict, attempt: Callable[[], _Verdict], taken: float) -> _Verdict:
        """Return what comes of it after the ``first`` attempt, which has ``taken`` so many seconds."""
        # Most runs retry nothing, and tenacity loads asyncio.
        from tenacity import Retrying, retry_if_result, stop_after_attempt, stop_after_delay, stop_any  # noqa: PLC0415

        limits = stop_any(stop_after_attempt(self.attempts), stop_after_delay(self.budget - taken))
        made = iter([first])
        retrying = Retrying(
            retry=retry_if_result(_may_retry),
            wait=self._wait,
            stop=lambda state: self.interrupted() or limits(state),
            sleep=self.sleep,
            before_sleep=self._report_wait,
            retry_error_callback=_last,
        )
        verdict: _Verdict = retrying(lambda: next(made, None) or attempt())
        return verdict

    def _unless_interrupted(self, attempt: Callable[[], _Verdict], unsent: _Unsent) -> _Verdict | _Unsent:
        """Make the attempt, unless an interruption has cut the wait before it short."""
        return unsent if self.interrupted() else attempt()

    def _report_wait(self, state: RetryCallState) -> None:
        verdict = cast("NotCreated | Failed", _last(state))  # nothing else is retried
        attempt = f"attempt {state.attempt_number + 1} of {self.attempts}"
        self.waiting(f"{verdict.reason}; {attempt} in {state.upcoming_sleep:.1f} s")

    def _wait(self, state: RetryCallState) -> float:
        verdict = _last(state)
        if isinstance(verdict, NotCreated | Failed) and verdict.retry_after is not None:
            return min(verdict.retry_after, self.retry_after_cap)
        from tenacity import wait_exponential, wait_random  # noqa: PLC0415  # the same

        jitter = wait_random(0, _FIRST_WAIT)
        return wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)(state) + jitter(state)


def _may_retry(verdict: object) -> bool:
    return isinstance(verdict, NotCreated | Failed) and verdict.then is Then.RETRY


def _last(state: RetryCallState) -> Any:  # noqa: ANN401  # the verdict of any call
    return cast("Future", state.outcome).result()  # tenacity asks only after an attempt
