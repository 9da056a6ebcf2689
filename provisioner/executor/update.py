"""Changes one account: until the answer is certain, its record holds both what was and what is to be.

An edit is idempotent, so that a later run finishes one whose answer was lost. Refuses
to let go of a password that Octopush may have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from provisioner.errors import Advice, Remedy
from provisioner.executor.inspect import read_back
from provisioner.executor.ports import Ports
from provisioner.executor.run import Run
from provisioner.executor.seals import credentials_of
from provisioner.model.exchange import Edited, EditRequest, Failed, Missing
from provisioner.model.plan import Update
from provisioner.model.report import Outcome, Result
from provisioner.model.state import Active, Drift, Edit, Operation
from provisioner.model.verdict import SealedContent, Then


@dataclass(frozen=True, slots=True)
class _Held:
    """What is kept of the account before the change, under the name that it is to have."""

    record: Active
    content: SealedContent
    begun: SealedContent | None
    """What is sealed of its unfinished edit, where that holds a password."""

    def renamed(self, name: str, ports: Ports) -> _Held:
        """Return the same, sealed for another name."""
        content, begun, edit = replace(self.content, name=name), self.begun, self.record.edit
        if edit is not None and edit.sealed is not None:
            assert begun is not None  # noqa: S101  # whoever opened what is sealed of the account opened both
            begun = replace(begun, name=name)
            edit = replace(edit, sealed=ports.sealer.seal(begun))
        return _Held(replace(self.record, sealed=ports.sealer.seal(content), edit=edit), content, begun)


def update(
    run: Run, change: Update, request: EditRequest | None, content: SealedContent, begun: SealedContent | None
) -> Outcome:
    """Carry ``change`` out and return what became of it.

    ``request`` is None where nothing is to be sent. ``content`` is what is sealed of the
    account, and ``begun`` of its unfinished edit, where that holds a password.
    """
    ports = run.ports
    if request is None:
        ports.progress.started(change.name)
    record = run.state.accounts[change.record_name]
    assert isinstance(record, Active)  # noqa: S101  # what the plan updates exists
    held = _Held(record, content, begun)
    if change.previous is not None:
        held = held.renamed(change.name, ports)
    if request is not None:
        return _edit(run, change, held, request)
    unsaved = run.save(run.state.with_record(change.name, held.record, previous=change.previous))
    return _outcome(change, Result.UPDATED) if unsaved is None else _outcome(change, Result.FAILED, unsaved)


def _edit(run: Run, change: Update, held: _Held, request: EditRequest) -> Outcome:
    """Save the intent, send it, and keep what it came to."""
    ports, account = run.ports, change.account
    credentials = credentials_of(held.content)
    operation = ports.operation()
    ports.progress.started(account.name, operation.id)
    password = _sealed_password(held, request, operation, ports)
    edit = Edit(account.attributes, operation, account.password_version, password)
    begun = replace(held.record, edit=edit)
    if (unsaved := run.save(run.state.with_record(account.name, begun, previous=change.previous))) is not None:
        return _outcome(change, Result.FAILED, f"{unsaved}; nothing was sent")

    verdict = ports.api.edit(credentials.api_login, request)

    advice = None
    match verdict:
        case Edited():
            content = replace(
                held.content,
                operation=operation.id,
                password=request.password or held.content.password,
                sent=request.attributes,
                altered={},
            )
            return _finished(run, change, edit, held.record, content)
        case Missing() if verdict.possible:
            # Should the login be known again, the new password may be the one that opens it.
            after = replace(begun, drift=Drift(gone=True))
            reason = f"{verdict.reason}; an attempt before may have been carried out, and what it sent is kept"
            advice = Advice(Remedy.REFRESH, account.name)
        case Missing():
            after = replace(held.record, drift=Drift(gone=True))
            reason = verdict.reason
        case Failed() if verdict.possible:
            after = begun
            reason = verdict.reason
            if request.password is None:
                reason += "; the next apply finishes it"
            else:
                reason += "; whether the password was set is not known"
                remedy = Remedy.ROTATE if change.only_password else Remedy.APPLY
                advice = Advice(remedy, account.name)
        case Failed():
            after = held.record
            reason = verdict.reason
        case _:
            assert_never(verdict)
    if isinstance(verdict, Failed) and verdict.then is not Then.GO_ON:
        run.stop_by(verdict)
    outcome = replace(_outcome(change, Result.FAILED, reason), advice=advice)
    return outcome if after == begun else outcome.warned(run.save(run.state.with_record(account.name, after)))


def _sealed_password(held: _Held, request: EditRequest, operation: Operation, ports: Ports) -> str | None:
    """Seal the new password, and with it those of edits begun before, of which Octopush may have one."""
    if request.password is None:
        return None
    earlier = () if held.begun is None else (*held.begun.others, held.begun.password)
    others = tuple(each for each in dict.fromkeys(earlier) if each is not None and each != request.password)
    own = held.content
    return ports.sealer.seal(
        SealedContent(own.lineage, own.parent, own.name, operation.id, password=request.password, others=others)
    )


def _finished(run: Run, change: Update, edit: Edit, before: Active, content: SealedContent) -> Outcome:
    """Save what was changed as finished; the state holds the new password already."""
    back = read_back(content, change.account.attributes, run.ports)
    after = Active(
        edit.attributes,
        edit.operation,
        before.created_at,
        run.ports.sealer.seal(replace(content, altered=back.altered)),
        password_version=edit.password_version,
        drift=Drift(altered=tuple(back.altered)),
        first_operation=before.first_operation or before.operation.id,
    )
    unsaved = run.save(run.state.with_record(change.name, after))
    again = None if unsaved is None else f"{unsaved}; the next apply sends it again"
    return replace(_outcome(change, Result.UPDATED).warned(back.warning, again), fields=back.fields)


def _outcome(change: Update, result: Result, reason: str | None = None) -> Outcome:
    return Outcome(change.name, "update", result, reason, only_password=change.only_password)
