"""Opens what is sealed, for whoever is to get it.

Refuses to hand over as credentials what is not known to be some, and to change any state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from provisioner import executor, placeholders
from provisioner.errors import (
    CommandInvalid,
    ExitCode,
    ManifestInvalid,
    ProvisionerError,
    SettingInvalid,
    StateConflict,
    StateError,
    StateInvalid,
    gravest,
)
from provisioner.model.account import Secret
from provisioner.model.state import Active, Record, State
from provisioner.model.verdict import SealedContent
from provisioner.placeholders.reading import is_own
from provisioner.project.accounts import by_owner, require_known
from provisioner.project.parent import require_state
from provisioner.project.refresh import looked
from provisioner.project.reporter import SILENT
from provisioner.project.running import attempted
from provisioner.state.reading import Snapshot

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.running import RunContext
    from provisioner.project.workspace import Workspace

_LONG: Final = 16
"""Characters from which on a key stands in a text for no other reason than that it is one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is sealed of one account."""

    content: SealedContent
    record: Record
    unfinished_passwords: tuple[Secret, ...] = ()
    """The passwords that Octopush may have instead of the one that is kept, the latest first."""

    @property
    def name(self) -> str:
        """The account's name."""
        return self.content.name

    def warnings(self, consequence: str) -> tuple[str, ...]:
        """Return what whoever takes these should know; ``consequence`` is what an unfinished password change means."""
        record, name = self.record, self.name
        told: list[str] = []
        if not isinstance(record, Active):
            return ()
        if record.drift.gone:
            told.append(
                f"Octopush no longer knew the login of {name} when it was last asked: its credentials are likely to be"
                f" dead. `provisioner verify {name}` asks again."
            )
        if record.edit is not None and record.edit.sealed is not None:
            todo = "`provisioner apply` finishes it."
            if record.edit.attributes == record.attributes:
                todo = f"`provisioner rotate-password {name}` finishes it, and so does `provisioner apply`."
            if record.drift.gone:
                todo = "Octopush did not know its login any more: `provisioner refresh` looks for it again."
            told.append(
                f"{name} was to get a new password at {record.edit.operation.started_at}, and whether it has is not"
                f" known: {consequence}. {todo}"
            )
        return tuple(told)


@dataclass(frozen=True, slots=True)
class Listed:
    """The active accounts of a project, and those that could not be opened."""

    opened: tuple[Opened, ...]
    damaged: Mapping[tuple[str, str], ProvisionerError]
    """By parent and name, why an account could not be opened: its seal is damaged, or was replaced."""
    failures: Mapping[str, ProvisionerError]
    """By parent, why none of its accounts could be opened."""

    @property
    def exit_code(self) -> ExitCode:
        """What it tells the caller: STATE_UNUSABLE where an account is missing."""
        return gravest(each.exit_code for each in (*self.failures.values(), *self.damaged.values()))


def chosen(
    workspace: Workspace,
    parents: Sequence[str],
    names: Sequence[str],
    run: RunContext,
    *,
    since: datetime | None,
    verified: bool,
) -> tuple[Opened, ...]:
    """Open the credentials that were asked for; see :meth:`Project.open_credentials`."""
    if names:
        states = by_owner(workspace.parents(parents), names, run.reporter)
    else:
        looks = looked(workspace.parents(parents), run.reporter)
        states = [(parent, _readable(look, parent), ()) for parent, look in looks]
    found: list[Opened] = []
    for parent, state, own in states:
        found += opened(parent, state, own, run, since=since, verified=verified)
    return tuple(found)


def _readable(look: Snapshot | ProvisionerError, parent: Parent) -> State:
    """Return the state; one that cannot be read is an error, as nobody may take some for all."""
    if isinstance(look, ProvisionerError):
        raise look
    return require_state(look.state, parent)


def opened(
    parent: Parent,
    state: State,
    names: Sequence[str],
    run: RunContext,
    *,
    since: datetime | None = None,
    verified: bool = False,
) -> list[Opened]:
    """Open the records of ``names`` in ``state``, or of all active accounts, or of those created ``since``.

    With ``verified``, only once Octopush itself has confirmed that all of them are right.

    Raises:
        CommandInvalid: there is no account of a name.
        StateError: nothing is kept of one of them, or what is sealed of it is damaged or was replaced.
        Unverified: one of them is not known to be right.
        SettingInvalid, IdentityRejected: nobody here can open them.

    """
    require_known(state, names)
    wanted = names or [name for name, record in sorted(state.accounts.items()) if _is_chosen(name, record, since)]
    opener = parent.opener(run.reporter)
    if active := [name for name in wanted if verified and isinstance(state.accounts[name], Active)]:
        from provisioner.project.verify import require_verified  # only this loads what sends

        require_verified(parent, state, active, run)
    for name in wanted:
        if state.accounts[name].sealed is None:
            raise StateConflict(f"Nothing is kept of {name}.", hint="Its outcome is unknown: see `provisioner status`.")
    contents = [executor.kept(state, name, opener) for name in wanted]
    begun = [executor.begun(state, name, opener) for name in wanted]
    return [
        Opened(content, state.accounts[name], () if edit is None else _passwords(edit))
        for name, content, edit in zip(wanted, contents, begun, strict=True)
        if content is not None
    ]


def _passwords(edit: SealedContent) -> tuple[Secret, ...]:
    return tuple(each for each in (edit.password, *edit.others) if each is not None)


def listed(workspace: Workspace, parents: Sequence[str], run: RunContext) -> Listed:
    """Open all active accounts; see :meth:`Project.list_credentials`."""
    looks = looked(workspace.parents(parents), run.reporter)
    found: list[Opened] = []
    damaged: dict[tuple[str, str], ProvisionerError] = {}
    failures: dict[str, ProvisionerError] = {}
    for parent, look in looks:
        done = look if isinstance(look, ProvisionerError) else attempted(_all, parent, look, run)
        if isinstance(done, ProvisionerError):
            failures[parent.name] = done
        else:
            found += done[0]
            damaged |= {(parent.name, name): fault for name, fault in done[1].items()}
    if len(looks) == 1 and failures:
        raise next(iter(failures.values()))
    return Listed(tuple(found), damaged, failures)


def _all(parent: Parent, look: Snapshot, run: RunContext) -> tuple[list[Opened], dict[str, StateError]]:
    state = require_state(look.state, parent)
    contents, faults = executor.all_active(state, parent.opener(run.reporter))
    return [Opened(each, state.accounts[name]) for name, each in contents.items()], faults


def require_credentials(these: Sequence[Opened], consequence: str) -> None:
    """Refuse what is not known to be credentials; raises StateConflict."""
    doubtful = [each.name for each in these if each.content.credentials is None]
    if doubtful:
        raise StateConflict(
            f"There are no credentials of {', '.join(doubtful)}: nobody knows how its creation ended.",
            hint=f"`provisioner credentials show NAME` shows what was kept. {consequence}",
        )


def require_distinct(these: Sequence[Opened]) -> None:
    """Refuse two accounts of one name, for a format that knows them by it; raises CommandInvalid."""
    counts = Counter(each.name for each in these)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        owners = sorted({each.content.parent for each in these if each.name in twice})
        raise CommandInvalid(
            f"Several parents have an account named {', '.join(twice)} ({', '.join(owners)}), and this format has no"
            " place for the parent.",
            hint="Export one parent at a time, with --parent. Nothing was exported.",
        )


def _is_chosen(name: str, record: Record, since: datetime | None) -> bool:
    if not isinstance(record, Active) or since is None:
        return isinstance(record, Active)
    try:
        return datetime.fromisoformat(record.created_at) >= since
    except ValueError:
        raise StateInvalid(
            f"When {name} was created cannot be read from the state.", hint="Name the accounts instead of --since."
        ) from None


def inherited(workspace: Workspace, given: Collection[str]) -> dict[str, str]:
    """Return what a command may know of the project's environment: nothing that opens another account.

    That leaves out what is this program's own or of the machinery that runs it, what the settings
    name, what a placeholder of any account stands for or may stand for, and, under whatever name,
    an identity and the key of a parent. ``given`` names the variables that the command gets
    anyway. Raises ManifestInvalid.
    """
    ours = {*given, *_variables(workspace)}
    keys = _keys(workspace)
    return {
        name: value
        for name, value in workspace.readers.outside(workspace.environ).items()
        if not (is_own(name) or name.upper() in ours)
        and not any(value == key or (len(key) >= _LONG and key in value) for key in keys)
    }


def _keys(workspace: Workspace) -> list[str]:
    """Return the keys of the parents that can be read here."""
    found: list[str] = []
    for parent in workspace.parents():
        with suppress(SettingInvalid):
            found.append(parent.credentials.api_key.reveal())
    return found


def _variables(workspace: Workspace) -> Iterator[str]:
    """Yield the variables, in capitals, that accounts of the project's manifests and states name."""
    from provisioner import manifest  # only a command that is run needs these
    from provisioner.manifest.sources import holds_any
    from provisioner.project.plans import MANIFESTS

    usual = workspace.folder / MANIFESTS
    settings = workspace.settings
    read = manifest.load([usual] if holds_any(usual) else [], owner=settings.owner, encoding=settings.encoding)
    if read.errors:
        raise ManifestInvalid(
            "There are problems in the manifests: nobody knows which variables hold secrets of theirs.",
            hint="`provisioner validate` shows them; correct each. Nothing was run.",
        )
    texts = [text for this in read.manifests for account in this.accounts for text in account.texts().values()]
    for parent in workspace.parents():
        look = attempted(parent.look, SILENT)
        # A state that cannot be read is that parent's trouble; the manifests name most of it.
        state = None if isinstance(look, ProvisionerError) else look.state
        for record in state.accounts.values() if state is not None else ():
            texts += record.attributes.flat().values()
    for text in texts:
        yield from (name[4:].upper() for name in placeholders.names(text) if name.startswith("env:"))
