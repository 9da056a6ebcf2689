"""When a request is tried again, in tenacity's terms.

Owns the bounds (attempts, time) and the waiting (exponential with jitter, or as
long as the server asks, capped). Refuses to decide what may be tried again: the
verdict says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from tenacity import Future, RetryCallState, Retrying, retry_if_result, stop_after_attempt, stop_after_delay, stop_any
from tenacity import wait_exponential as exponential
from tenacity import wait_random as jitter
from tenacity.stop import stop_base

from provisioner.model.exchange import Failed
from provisioner.model.verdict import NotCreated, Then

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 20.0
_Verdict = TypeVar("_Verdict")
_Unsent = TypeVar("_Unsent")


def _silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a request is tried; ``sleep`` may return early when the run is interrupted.

    It keeps nothing between two calls, so that any number of threads may share it; ``sleep``,
    ``interrupted`` and ``waiting`` are then called by each of them.
    """

    attempts: int
    budget: float
    """Seconds after which no further wait begins; per account."""
    retry_after_cap: float
    """The longest wait, in seconds, that a server's ``Retry-After`` may ask for."""
    sleep: Callable[[float], None]
    interrupted: Callable[[], bool]
    waiting: Callable[[str], None] = _silent
    """Hears why, how long, and before which attempt each wait is."""

    def until_settled(self, attempt: Callable[[], _Verdict], *, unsent: _Unsent) -> _Verdict | _Unsent:
        """Return the first verdict that is not to be retried, or the last when a bound is reached.

        ``unsent`` is the verdict where the run was interrupted before an attempt.
        """
        retrying = Retrying(
            retry=retry_if_result(_may_retry),
            wait=self._wait,
            stop=stop_any(stop_after_attempt(self.attempts), stop_after_delay(self.budget), _Interrupted(self)),
            sleep=self.sleep,
            before_sleep=self._tell,
            retry_error_callback=_last,
        )
        verdict: _Verdict | _Unsent = retrying(self._unless_interrupted, attempt, unsent)
        return verdict

    def _unless_interrupted(self, attempt: Callable[[], _Verdict], unsent: _Unsent) -> _Verdict | _Unsent:
        """Guard the attempt that follows a wait: the wait may have been cut short."""
        return unsent if self.interrupted() else attempt()

    def _tell(self, state: RetryCallState) -> None:
        verdict = cast("NotCreated | Failed", _last(state))  # nothing else is tried again
        attempt = f"attempt {state.attempt_number + 1} of {self.attempts}"
        self.waiting(f"{verdict.reason}; {attempt} in {state.upcoming_sleep:.1f} s")

    def _wait(self, state: RetryCallState) -> float:
        verdict = _last(state)
        if isinstance(verdict, NotCreated | Failed) and verdict.retry_after is not None:
            return min(verdict.retry_after, self.retry_after_cap)
        return exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)(state) + jitter(0, _FIRST_WAIT)(state)


class _Interrupted(stop_base):
    """Stops before another wait once the run was asked to end."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy

    def __call__(self, _: RetryCallState) -> bool:
        return self._policy.interrupted()


def _may_retry(verdict: object) -> bool:
    return isinstance(verdict, NotCreated | Failed) and verdict.then is Then.RETRY


def _last(state: RetryCallState) -> Any:  # noqa: ANN401  # the verdict of whichever call it is
    return cast("Future", state.outcome).result()  # tenacity asks only after an attempt
