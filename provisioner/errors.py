"""The tree of errors, each with its exit code.

    ProvisionerError            1
    ├── ManifestInvalid         3
    ├── Refused                 4
    │   ├── OverLimit               more accounts are wanted than there are slots
    │   └── OverThreshold           a run that nobody watches would do more than it may
    ├── StateError              5
    │   ├── StateInvalid            the document cannot be read as a state
    │   ├── StateUnreachable        the store of the state does not answer, or does not let us in
    │   ├── StateForeign            it belongs to another project, parent or endpoint
    │   ├── StateRolledBack         it is older than what this machine has seen
    │   ├── StateMoved              somebody saved it since it was loaded
    │   ├── StateNotSaved           the disk or the store did not take it
    │   └── StateConflict           what was asked does not fit the account's record
    ├── StateLocked             6
    ├── Unverified              7
    ├── PlanStale               9
    ├── SettingsError          10
    │   ├── SettingInvalid          a setting or placeholder is missing or malformed
    │   └── IdentityRejected        the identity does not open what is sealed
    ├── CommandInvalid         64
    ├── InterruptedRunError   130   ended, or not confirmed, before anything was changed
    ├── TerminatedError       143   the same, by whatever runs the process
    └── InternalError           1   a fault of this program

A message says what happened and where; the hint says what to do. Neither ever
holds a secret: whoever raises one of these masks first. What a command can do about
it is advice, of which ``render`` makes a sentence: most that raise an error know no
commands. Only ``cli`` turns an error into an exit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final


class ExitCode(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    FAILURE = 1
    CHANGES_PENDING = 2
    MANIFEST_INVALID = 3
    REFUSED = 4
    STATE_UNUSABLE = 5
    STATE_LOCKED = 6
    SOME_FAILED = 7
    OUTCOME_UNKNOWN = 8
    PLAN_STALE = 9
    SETTING_INVALID = 10
    USAGE = 64
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Final[Mapping[ExitCode, tuple[str, str]]] = MappingProxyType(
    {
        ExitCode.DONE: ("done, or nothing to do", ""),
        ExitCode.FAILURE: (
            "any other failure",
            "Read the message; report it if it is a fault of this program.",
        ),
        ExitCode.CHANGES_PENDING: (
            "changes are pending, or something has drifted (only with --detailed-exitcode)",
            "Review the plan, then apply.",
        ),
        ExitCode.MANIFEST_INVALID: ("a manifest is not valid", "Correct what is listed; nothing was sent."),
        ExitCode.REFUSED: (
            "refused: the limit, or a safety threshold",
            (
                "Read the message: what had been created before stays. Free a slot, set `limit`, `reserved` or the"
                " threshold, or give the flag it names."
            ),
        ),
        ExitCode.STATE_UNUSABLE: (
            "the state cannot be used",
            "Read the message; restore the state, make room, or run `provisioner recover`.",
        ),
        ExitCode.STATE_LOCKED: (
            "the state is locked by another run",
            "Wait for the run that the message names, or give --lock-timeout SECONDS.",
        ),
        ExitCode.SOME_FAILED: (
            "some accounts failed, or could not be checked",
            "Read their reasons, correct them, and run it again.",
        ),
        ExitCode.OUTCOME_UNKNOWN: (
            "at least one outcome is unknown",
            (
                "Do not create it by hand. Look for the account in Octopush's dashboard, by its first and last name. It"
                " is there: `provisioner adopt NAME LOGIN`. It is not: `provisioner resolve NAME --not-created`. Nobody"
                " can find out: `provisioner resolve NAME --abandon`."
            ),
        ),
        ExitCode.PLAN_STALE: (
            "the plan is stale: what it was made from has changed",
            "Plan again, and have the new plan reviewed; where its digest is another, find out who replaced the file.",
        ),
        ExitCode.SETTING_INVALID: (
            "a setting or credential is missing or not accepted",
            "Set or correct what the message names.",
        ),
        ExitCode.USAGE: ("the command line is wrong", "See `provisioner COMMAND --help`."),
        ExitCode.INTERRUPTED: (
            "interrupted (the request in flight was finished and saved first), or you answered no",
            "Run it again: it goes on where it was.",
        ),
        ExitCode.TERMINATED: (
            "interrupted: the request in flight was finished and saved first",
            "Run it again: it goes on where it was.",
        ),
    }
)
"""Of every exit code, what it means and what to do."""


class Remedy(Enum):
    """What a command can do about an account."""

    LIST = "list the accounts that there are"
    FORGET = "forget it: it was deleted"
    FORGET_FIRST = "forget the one that has its name, should that have been deleted"
    FORCE = "forget it unasked"
    REFRESH_OR_FORCE = "note that it is there after all, or forget it unasked"
    REFRESH = "look for it again"
    ADOPT_KEY = "take over the key that it has by now"
    RESOLVE = "end an unknown outcome, or take over what exists"
    ROTATE = "look at the passwords that may be right, and set one that is certain"
    APPLY = "look at the passwords that may be right, and apply what else was asked for too"
    FREE_OR_ADOPT = "forget it unasked where it does not exist, or take it over where it does"


@dataclass(frozen=True, slots=True)
class Advice:
    """What can be done, in no words yet: they name a command, and stand where commands are known."""

    remedy: Remedy
    name: str
    """The account's."""


GRAVITY: Final = (
    ExitCode.OUTCOME_UNKNOWN,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.FAILURE,
    ExitCode.STATE_UNUSABLE,
    ExitCode.SETTING_INVALID,
    ExitCode.PLAN_STALE,
    ExitCode.STATE_LOCKED,
    ExitCode.REFUSED,
    ExitCode.MANIFEST_INVALID,
    ExitCode.USAGE,
    ExitCode.SOME_FAILED,
    ExitCode.CHANGES_PENDING,
    ExitCode.DONE,
)
"""The exit codes, gravest first."""


def gravest(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the gravest of ``codes``: what a command tells its caller that did several things."""
    return min(codes, key=GRAVITY.index, default=ExitCode.DONE)


class ProvisionerError(Exception):
    """Anything that this program reports instead of crashing."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE

    def __init__(self, message: str, *, hint: str = "", advice: Advice | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.advice = advice


class ManifestInvalid(ProvisionerError):
    """At least one manifest has a problem; each of them has been told."""

    exit_code = ExitCode.MANIFEST_INVALID
    problems: tuple[Any, ...] = ()
    """Each :class:`provisioner.model.account.Problem` that is an error, where manifests were read."""


class Refused(ProvisionerError):
    """A rule of this program forbids the run."""

    exit_code = ExitCode.REFUSED


class OverLimit(Refused):
    """More accounts are wanted than the parent has slots."""


class OverThreshold(Refused):
    """A run that nobody watches would create or change more accounts than it may."""


class StateError(ProvisionerError):
    """The state cannot be used."""

    exit_code = ExitCode.STATE_UNUSABLE


class StateInvalid(StateError):
    """The document cannot be read as a state of a version known here."""


class StateUnreachable(StateError):
    """The store of the state does not answer, or refuses us."""


class StateForeign(StateError):
    """The state belongs to another project, parent or endpoint."""


class StateRolledBack(StateError):
    """The state is older than one that this machine has already seen, or gone."""


class StateMoved(StateError):
    """Somebody saved the state since it was loaded."""


class StateNotSaved(StateError):
    """The disk or the store did not take the state."""


class StateConflict(StateError):
    """What was asked does not fit the account's record."""


class StateLocked(ProvisionerError):
    """Another run holds the state."""

    exit_code = ExitCode.STATE_LOCKED


class Unverified(ProvisionerError):
    """At least one credential is not known to be the one that Octopush has."""

    exit_code = ExitCode.SOME_FAILED


class PlanStale(ProvisionerError):
    """What the saved plan was made from has changed, or the plan itself."""

    exit_code = ExitCode.PLAN_STALE


class SettingsError(ProvisionerError):
    """A setting or a credential is missing or not accepted."""

    exit_code = ExitCode.SETTING_INVALID


class SettingInvalid(SettingsError):
    """A setting or a placeholder is missing or malformed."""


class IdentityRejected(SettingsError):
    """The identity does not open what is sealed."""

    recipients: frozenset[str] = frozenset()
    """Those whose identity was tried, so far as that can be told: where what is sealed names one, it is damaged."""


class CommandInvalid(ProvisionerError):
    """The command line asks for something that does not exist or fit."""

    exit_code = ExitCode.USAGE


class InterruptedRunError(ProvisionerError):
    """The person ended the command, or did not confirm it, before anything was changed."""

    exit_code = ExitCode.INTERRUPTED


class TerminatedError(ProvisionerError):
    """Something outside ended the command before anything was changed."""

    exit_code = ExitCode.TERMINATED


class InternalError(ProvisionerError):
    """A fault of this program."""


def internal(error: BaseException) -> InternalError:
    """Return what may be said of a fault of this program: neither its words nor its values, which may hold a secret."""
    told = InternalError(
        f"provisioner failed in a way that it should not ({type(error).__name__}).",
        hint="Please report the lines above. What was saved is safe; an unfinished request shows as unknown.",
    )
    told.__cause__ = error
    return told
