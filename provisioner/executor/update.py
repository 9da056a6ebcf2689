"""Changes one account: until the outcome is certain, its record has both the old and the new values.

An edit is idempotent, so a later run can finish one whose answer was lost. Never drops a
password that Octopush may have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from provisioner.errors import Advice, Remedy
from provisioner.executor.inspect import read_back
from provisioner.executor.ports import Ports
from provisioner.executor.run import Run
from provisioner.executor.seals import credentials_of
from provisioner.immutable import immutable
from provisioner.model.account import Secret
from provisioner.model.exchange import Edited, EditRequest, Failed, Missing
from provisioner.model.plan import Update
from provisioner.model.report import Outcome, Result
from provisioner.model.state import Active, Drift, Edit, Operation
from provisioner.model.verdict import SealedContent, Then


@immutable
class _Before:
    """The account before the change, under its new name."""

    record: Active
    content: SealedContent
    unfinished: SealedContent | None
    """The sealed content of its unfinished edit, if that has a password."""

    def renamed(self, name: str, ports: Ports) -> _Before:
        """Return the same, sealed for the name ``name``."""
        content, unfinished, edit = replace(self.content, name=name), self.unfinished, self.record.edit
        if edit is not None and edit.sealed is not None:
            assert unfinished is not None  # noqa: S101  # the caller opened both the record and its edit
            unfinished = replace(unfinished, name=name)
            edit = replace(edit, sealed=ports.sealer.seal(unfinished))
        return _Before(replace(self.record, sealed=ports.sealer.seal(content), edit=edit), content, unfinished)


def update(
    run: Run, change: Update, request: EditRequest | None, content: SealedContent, unfinished: SealedContent | None
) -> Outcome:
    """Carry out ``change`` and return its outcome.

    ``request`` is None if there is nothing to send. ``content`` is the sealed content of the
    account, and ``unfinished`` that of its unfinished edit, if it has a password.
    """
    ports = run.ports
    if request is None:
        ports.progress.started(change.name)
    record = run.state.accounts[change.record_name]
    assert isinstance(record, Active)  # noqa: S101  # a plan updates only active accounts
    before = _Before(record, content, unfinished)
    if change.previous is not None:
        before = before.renamed(change.name, ports)
    if request is not None:
        return _edit(run, change, before, request)
    unsaved = run.save(run.state.with_record(change.name, before.record, previous=change.previous))
    return _outcome(change, Result.UPDATED) if unsaved is None else _outcome(change, Result.FAILED, unsaved)


def _edit(run: Run, change: Update, before: _Before, request: EditRequest) -> Outcome:
    """Save the intent, send the request, and save the outcome."""
    ports, account = run.ports, change.account
    credentials = credentials_of(before.content)
    operation = ports.operation()
    ports.progress.started(account.name, operation.id)
    password = _sealed_password(before, request, operation, ports)
    edit = Edit(account.attributes, operation, account.password_version, password)
    unfinished = replace(before.record, edit=edit)
    if (unsaved := run.save(run.state.with_record(account.name, unfinished, previous=change.previous))) is not None:
        return _outcome(change, Result.FAILED, f"{unsaved}; nothing was sent")

    verdict = ports.api.edit(credentials.api_login, request)

    advice = None
    match verdict:
        case Edited():
            content = replace(
                before.content,
                operation=operation.id,
                password=request.password or before.content.password,
                sent=request.attributes,
                altered={},
                # The run that began the earlier edit may only have been slow: then its request is still to come.
                others=_others(before, request.password or before.content.password),
            )
            return _finished(run, change, edit, before.record, content)
        case Missing() if verdict.possible:
            # If the login turns up again, the account may have the new password.
            after = replace(unfinished, drift=Drift(gone=True))
            reason = f"{verdict.reason}; an earlier attempt may have been carried out, and its values are saved"
            advice = Advice(Remedy.REFRESH, account.name)
        case Missing():
            after = replace(before.record, drift=Drift(gone=True))
            reason = verdict.reason
        case Failed() if verdict.possible:
            after = unfinished
            reason = verdict.reason
            if request.password is None:
                reason += "; the next apply finishes it"
            else:
                reason += "; it is unknown whether the password was set"
                remedy = Remedy.ROTATE if change.only_password else Remedy.APPLY
                advice = Advice(remedy, account.name)
        case Failed():
            after = before.record
            reason = verdict.reason
        case _:
            assert_never(verdict)
    if isinstance(verdict, Failed) and verdict.then is not Then.GO_ON:
        run.stop_by(verdict)
    outcome = replace(_outcome(change, Result.FAILED, reason), advice=advice)
    return outcome if after == unfinished else outcome.warned(run.save(run.state.with_record(account.name, after)))


def _sealed_password(before: _Before, request: EditRequest, operation: Operation, ports: Ports) -> str | None:
    """Seal the new password together with those of earlier unfinished edits: Octopush may have any of them."""
    if request.password is None:
        return None
    own, others = before.content, _others(before, request.password)
    return ports.sealer.seal(
        SealedContent(own.lineage, own.parent, own.name, operation.id, password=request.password, others=others)
    )


def _others(before: _Before, password: Secret | None) -> tuple[Secret, ...]:
    """Return the passwords, other than ``password``, of the earlier edits that were taken over from their runs."""
    unfinished = () if before.unfinished is None else (*before.unfinished.others, before.unfinished.password)
    earlier = dict.fromkeys((*before.content.others, *unfinished))
    return tuple(each for each in earlier if each is not None and each != password)


def _finished(run: Run, change: Update, edit: Edit, before: Active, content: SealedContent) -> Outcome:
    """Read the account back and save the change as finished; the state already has the new password."""
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
    outcome = replace(_outcome(change, Result.UPDATED).warned(back.warning), fields=back.fields)
    if unsaved is None:
        return outcome
    if not run.overtaken:
        return outcome.warned(f"{unsaved}; the next apply sends it again")
    # The other run may have taken over this edit, and sent its own: the later of the two requests counts.
    if edit.sealed is None:
        return outcome.warned(f"{unsaved}; another run may have sent other values since")
    advice = Advice(Remedy.SET_AGAIN, change.name)
    return replace(outcome.warned(f"{unsaved}; another run may have set another password since"), advice=advice)


def _outcome(change: Update, result: Result, reason: str | None = None) -> Outcome:
    return Outcome(change.name, "update", result, reason, only_password=change.only_password)
