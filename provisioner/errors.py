"""The tree of errors, each with its exit code.

    ProvisionerError            1
    ├── ManifestInvalid         3
    ├── Refused                 4
    │   ├── OverLimit               the manifest wants more accounts than there are slots
    │   └── OverThreshold           an unattended run would do more than its threshold allows
    ├── StateError              5
    │   ├── StateInvalid            the document cannot be read as a state
    │   ├── StateUnreachable        the state's store does not answer, or denies access
    │   │   └── StateForbidden          the store accepts the credentials, but they lack a right
    │   ├── StateForeign            it belongs to another project, parent or endpoint
    │   ├── StateRolledBack         it is older than one this machine has seen
    │   ├── StateMoved              somebody has saved it since it was loaded
    │   ├── StateNotSaved           the disk or the store did not accept it
    │   └── StateConflict           the request does not fit the account's record
    ├── StateLocked             6
    ├── Unverified              7
    ├── PlanStale               9
    ├── SettingsError          10
    │   ├── SettingInvalid          a setting or placeholder is missing or malformed
    │   └── IdentityRejected        the identity does not open what is sealed
    ├── CommandInvalid         64
    ├── InterruptedRunError   130   interrupted, or not confirmed, before anything changed
    ├── TerminatedError       143   terminated by another process before anything changed
    └── InternalError           1   a bug in this program

A message says what happened and where; the hint says what to do. Neither ever
holds a secret: mask before you raise. Most code that raises an error does not know
the commands, so it attaches advice, which ``render`` turns into a sentence. Only
``cli`` turns an error into an exit code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final

from provisioner.immutable import immutable


class ExitCode(IntEnum):
    """The exit codes of the process."""

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
            "Read the message; report it if it is a bug in this program.",
        ),
        ExitCode.CHANGES_PENDING: (
            "changes are pending, or something has drifted (only with --detailed-exitcode)",
            "Review the plan, then apply.",
        ),
        ExitCode.MANIFEST_INVALID: ("a manifest is not valid", "Correct the problems listed; nothing was sent."),
        ExitCode.REFUSED: (
            "refused: the limit, a safety threshold, or a frozen parent",
            (
                "Read the message. Accounts already created stay. Free a slot, set `limit`, `reserved` or the"
                " threshold, or give the flag that the message names."
            ),
        ),
        ExitCode.STATE_UNUSABLE: (
            "the state cannot be used",
            "Read the message; restore the state, free disk space, or run `provisioner recover`.",
        ),
        ExitCode.STATE_LOCKED: (
            "the state is locked by another run",
            "Wait for the run that the message names, or use --lock-timeout SECONDS.",
        ),
        ExitCode.SOME_FAILED: (
            "some accounts failed, or could not be checked",
            "Read the reasons, fix the causes, and run the command again.",
        ),
        ExitCode.OUTCOME_UNKNOWN: (
            "at least one outcome is unknown",
            (
                "Do not create the account by hand. Look for it in Octopush's dashboard, by its first and last name."
                " If it is there: `provisioner adopt NAME LOGIN`. If it is not: `provisioner resolve NAME"
                " --not-created`. If nobody can find out: `provisioner resolve NAME --abandon`."
            ),
        ),
        ExitCode.PLAN_STALE: (
            "the plan is stale: what it was made from has changed",
            "Plan again and have the new plan reviewed. If the digest differs, find out who replaced the file.",
        ),
        ExitCode.SETTING_INVALID: (
            "a setting or credential is missing or not accepted",
            "Set or correct what the message names.",
        ),
        ExitCode.USAGE: ("the command line is wrong", "See `provisioner COMMAND --help`."),
        ExitCode.INTERRUPTED: (
            "interrupted (the request in flight was finished and saved first), or you answered no",
            "Run it again: it resumes where it stopped.",
        ),
        ExitCode.TERMINATED: (
            "interrupted: the request in flight was finished and saved first",
            "Run it again: it resumes where it stopped.",
        ),
    }
)
"""What each exit code means, and what to do."""


class Remedy(Enum):
    """What a command can do about an account."""

    LIST = "list the accounts in the state"
    FORGET = "forget it: it was deleted"
    FORGET_FIRST = "first forget the account that has its name, if that was deleted"
    FORCE = "forget it without asking Octopush"
    REFRESH_OR_FORCE = "record that it exists after all, or forget it without asking Octopush"
    REFRESH = "look for it again"
    ADOPT_KEY = "take over its new key"
    RESOLVE = "resolve an unknown outcome, or take over an existing account"
    APPLY_FIRST = "let an apply finish or undo a change first"
    ROTATE = "look at the passwords that may be right, and set one that is certain"
    SET_AGAIN = "set a password that is certain, once no other run is at work"
    APPLY = "look at the passwords that may be right, and apply the other changes too"
    FREE_OR_ADOPT = "forget it without asking Octopush if it does not exist, or take it over if it does"
    DECIDE = "find out whether it exists, and resolve it"
    WAIT_OR_DECIDE = "wait for the active run; if there is none, find out whether it exists, and resolve it"
    FINISH = "apply again: that finishes an edit whose outcome is unknown"
    CHANGE_BACK = "change back what somebody changed, or keep it"


@immutable
class Advice:
    """What can be done, as data: the words, which name commands, are in ``render``."""

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
    """Return the gravest of ``codes``: the exit code of a command that did several things."""
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
    """At least one manifest has a problem; each problem was reported."""

    exit_code = ExitCode.MANIFEST_INVALID
    problems: tuple[Any, ...] = ()
    """Each :class:`provisioner.model.account.Problem` that is an error; empty if no manifest was read."""

    def __str__(self) -> str:
        """Return the message and the first problem, as a traceback shows them."""
        if not self.problems:
            return self.message
        first = self.problems[0]
        place = first.origin.file if first.origin.line is None else f"{first.origin.file}:{first.origin.line}"
        return f"{self.message} {place}: {first.message}"


class Refused(ProvisionerError):
    """A safety rule forbids the run."""

    exit_code = ExitCode.REFUSED


class OverLimit(Refused):
    """The manifest wants more accounts than the parent has slots."""


class OverThreshold(Refused):
    """An unattended run would create or change more accounts than its threshold allows."""


class StateError(ProvisionerError):
    """The state cannot be used."""

    exit_code = ExitCode.STATE_UNUSABLE


class StateInvalid(StateError):
    """The document cannot be read as a state of a version known here."""


class StateUnreachable(StateError):
    """The state's store does not answer, or denies access."""


class StateForbidden(StateUnreachable):
    """The state's store accepts the credentials, but they lack a right."""


class StateForeign(StateError):
    """The state belongs to another project, parent or endpoint."""


class StateRolledBack(StateError):
    """The state is older than one that this machine has already seen, or is missing."""


class StateMoved(StateError):
    """Somebody has saved the state since it was loaded."""


class StateNotSaved(StateError):
    """The disk or the store did not accept the state."""


class StateConflict(StateError):
    """The request does not fit the account's record."""


class StateLocked(ProvisionerError):
    """Another run holds the state."""

    exit_code = ExitCode.STATE_LOCKED


class Unverified(ProvisionerError):
    """At least one credential could not be confirmed with Octopush."""

    exit_code = ExitCode.SOME_FAILED


class PlanStale(ProvisionerError):
    """The saved plan has changed, or something that it was made from."""

    exit_code = ExitCode.PLAN_STALE


class SettingsError(ProvisionerError):
    """A setting or a credential is missing or not accepted."""

    exit_code = ExitCode.SETTING_INVALID


class SettingInvalid(SettingsError):
    """A setting or a placeholder is missing or malformed."""


class IdentityRejected(SettingsError):
    """The identity does not open what is sealed."""

    recipients: frozenset[str] = frozenset()
    """The recipients of the identities tried, as far as known; data that is sealed to one of them is damaged."""


class CommandInvalid(ProvisionerError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = ExitCode.USAGE


class InterruptedRunError(ProvisionerError):
    """You interrupted the command, or did not confirm it, before anything changed."""

    exit_code = ExitCode.INTERRUPTED


class TerminatedError(ProvisionerError):
    """Another process terminated the command before anything changed."""

    exit_code = ExitCode.TERMINATED


class InternalError(ProvisionerError):
    """A bug in this program."""


def internal(error: BaseException) -> InternalError:
    """Return the error that reports a bug: without its message and values, which may hold a secret."""
    reported = InternalError(
        f"provisioner failed unexpectedly ({type(error).__name__}).",
        hint="Please report the lines above. What was saved is safe; an unfinished request shows as unknown.",
    )
    reported.__cause__ = error
    return reported
