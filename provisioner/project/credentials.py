"""Opens sealed credentials, to show or export them.

Never presents anything uncertain as credentials, and never changes a state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

from provisioner import executor, placeholders
from provisioner.errors import (
    GRAVITY,
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
from provisioner.immutable import immutable
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

_LONG_KEY: Final = 16
"""Characters. A key this long is not part of a text by coincidence."""


@immutable
class Opened:
    """The sealed content of one account, opened."""

    content: SealedContent
    record: Record
    unfinished_passwords: tuple[Secret, ...] = ()
    """The passwords that Octopush may have instead of the stored one, latest first."""

    @property
    def name(self) -> str:
        """The account's name."""
        return self.content.name

    def warnings(self, consequence: str) -> tuple[str, ...]:
        """Return warnings for the user; ``consequence`` says what an unfinished password change means for them."""
        record, name = self.record, self.name
        messages: list[str] = []
        if not isinstance(record, Active):
            return ()
        if record.drift.gone:
            messages.append(
                f"When last asked, Octopush no longer knew the login of {name}: its credentials probably no longer"
                f" work. `provisioner verify {name}` asks again."
            )
        if record.edit is not None and record.edit.sealed is not None:
            todo = "`provisioner apply` finishes it."
            if record.edit.attributes == record.attributes:
                todo = f"`provisioner rotate-password {name}` or `provisioner apply` finishes it."
            if record.drift.gone:
                todo = "Octopush no longer knew its login: `provisioner refresh` looks for it again."
            messages.append(
                f"A password change of {name} began at {record.edit.operation.started_at}, and its outcome is not"
                f" known: {consequence}. {todo}"
            )
        return tuple(messages)


@immutable
class Listed:
    """The opened credentials of a project's active accounts, and the errors of the others."""

    opened: tuple[Opened, ...]
    damaged: Mapping[tuple[str, str], ProvisionerError]
    """The errors of accounts whose seal is damaged or was replaced, by parent and name."""
    failures: Mapping[str, ProvisionerError]
    """The errors of parents whose accounts could not be opened at all, by name."""

    @property
    def exit_code(self) -> ExitCode:
        """STATE_UNUSABLE if an account is missing."""
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
    """Open the requested credentials; see :meth:`Project.open_credentials`."""
    states: list[tuple[Parent, State | ProvisionerError, tuple[str, ...]]]
    if names:
        states = [*by_owner(workspace.parents(parents), names, run.reporter)]
    else:
        looks = looked(workspace.parents(parents), run.reporter)
        states = [
            (parent, look if isinstance(look, ProvisionerError) else require_state(look.state, parent), ())
            for parent, look in looks
        ]
    found: list[Opened] = []
    failures: dict[str, ProvisionerError] = {}
    for parent, state, own in states:
        done = (
            attempted(opened, parent, state, own, run, since=since, verified=verified)
            if isinstance(state, State)
            else state
        )
        if isinstance(done, ProvisionerError):
            failures[parent.name] = done
        else:
            found += done
    if failures:
        raise _all_of(failures)
    return tuple(found)


def _all_of(failures: Mapping[str, ProvisionerError]) -> ProvisionerError:
    """Return one error that reports the ``failures`` of all parents, since an incomplete export looks complete."""
    first, *more = sorted(failures.values(), key=lambda each: GRAVITY.index(each.exit_code))
    if not more:
        return first
    messages = "\n".join(f"{parent}: {failure.message}" for parent, failure in failures.items())
    return type(first)(messages, hint="Nothing was exported. Export the other parents with --parent.")


def opened(
    parent: Parent,
    state: State,
    names: Sequence[str],
    run: RunContext,
    *,
    since: datetime | None = None,
    verified: bool = False,
) -> list[Opened]:
    """Open the records of ``names`` in ``state``; without names, of all active accounts, or those created ``since``.

    With ``verified``, Octopush must confirm all of them first.

    Raises:
        CommandInvalid: an account does not exist.
        StateError: an account has no sealed content, or it is damaged or was replaced.
        Unverified: Octopush did not confirm an account.
        SettingInvalid, IdentityRejected: there is no identity here that opens them.

    """
    require_known(state, names)
    wanted = names or [name for name, record in sorted(state.accounts.items()) if _is_chosen(name, record, since)]
    opener = parent.opener(run.reporter)
    if active := [name for name in wanted if verified and isinstance(state.accounts[name], Active)]:
        from provisioner.project.verify import require_verified  # loads the HTTP client

        require_verified(parent, state, active, run)
    for name in wanted:
        if state.accounts[name].sealed is None:
            raise StateConflict(
                f"The state has no sealed content of {name}.", hint="Its outcome is unknown: see `provisioner status`."
            )
    contents = [executor.open_record(state, name, opener) for name in wanted]
    edits = [executor.open_edit(state, name, opener) for name in wanted]
    return [
        Opened(content, state.accounts[name], () if edit is None else _passwords(edit))
        for name, content, edit in zip(wanted, contents, edits, strict=True)
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
    contents, faults = executor.open_all_active(state, parent.opener(run.reporter))
    return [Opened(each, state.accounts[name]) for name, each in contents.items()], faults


def require_credentials(these: Sequence[Opened], consequence: str) -> None:
    """Raise StateConflict if one of ``these`` has no credentials, since its outcome is unknown."""
    without = [each.name for each in these if each.content.credentials is None]
    if without:
        raise StateConflict(
            f"There are no credentials for {', '.join(without)}: the outcome of the creation is unknown.",
            hint=f"`provisioner credentials show NAME` shows what is stored. {consequence}",
        )


def require_distinct(these: Sequence[Opened]) -> None:
    """Raise CommandInvalid if two accounts have the same name, for formats that contain only the name."""
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
            f"The creation time of {name} in the state is not valid.",
            hint="Name the accounts instead of using --since.",
        ) from None


def inherited(workspace: Workspace, given: Collection[str]) -> dict[str, str]:
    """Return the environment for a command that works as one account, without secrets of anything else.

    Left out are the variables of this program and of the CI that runs it, those that the settings
    or the placeholders of any account name, and, under any name, an identity or a parent's key.
    ``given`` are variables that the command gets anyway, from the caller. Raises ManifestInvalid.
    """
    excluded = {*given, *_variables(workspace)}
    keys = _keys(workspace)
    return {
        name: value
        for name, value in workspace.readers.outside(workspace.environ).items()
        if not (is_own(name) or name.upper() in excluded)
        and not any(value == key or (len(key) >= _LONG_KEY and key in value) for key in keys)
    }


def _keys(workspace: Workspace) -> list[str]:
    """Return the API keys of all parents, as far as they can be read here."""
    found: list[str] = []
    for parent in workspace.parents():
        with suppress(SettingInvalid):
            found.append(parent.credentials.api_key.reveal())
    return found


def _variables(workspace: Workspace) -> Iterator[str]:
    """Yield the variables that the accounts in manifests and states name, in upper case."""
    from provisioner import manifest  # only `exec` needs these
    from provisioner.manifest.sources import holds_any
    from provisioner.project.plans import MANIFESTS

    usual = workspace.folder / MANIFESTS
    settings = workspace.settings
    read = manifest.load([usual] if holds_any(usual) else [], owner=settings.owner, encoding=settings.encoding)
    if read.errors:
        raise ManifestInvalid(
            "The manifests have errors, so it is not certain which variables contain their secrets.",
            hint="`provisioner validate` shows the errors; correct them. Nothing was run.",
        )
    texts = [text for this in read.manifests for account in this.accounts for text in account.texts().values()]
    for parent in workspace.parents():
        look = attempted(parent.look, SILENT)
        # A state that cannot be read must not stop the command; the manifests name most variables.
        state = None if isinstance(look, ProvisionerError) else look.state
        for record in state.accounts.values() if state is not None else ():
            texts += record.attributes.flat().values()
    for text in texts:
        yield from (name[4:].upper() for name in placeholders.names(text) if name.startswith("env:"))
