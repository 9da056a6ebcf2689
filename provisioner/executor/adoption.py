"""Takes over an account that exists: its login is known, and the API tells its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from provisioner.errors import StateConflict
from provisioner.executor.decide import active
from provisioner.executor.ports import Ports, credentials_of
from provisioner.model.account import Attributes, Credentials, Secret
from provisioner.model.exchange import Observed
from provisioner.model.plan import FieldChange
from provisioner.model.state import Active, Drift, Operation, State
from provisioner.model.verdict import SealedContent


def may_adopt(state: State, name: str, api_login: str, logins: Mapping[str, str]) -> bool:
    """Tell whether ``name`` is still to be given ``api_login``; False: it has it already.

    ``logins`` holds, by name, the logins of all active accounts.

    Raises:
        StateConflict: the login is another account's, or the account has another login.

    """
    for owner, login in logins.items():
        if login.casefold() == api_login.casefold() and owner != name:
            raise StateConflict(
                f"The login {api_login} is that of {owner} already.",
                hint=f"One login belongs to one name: to rename {owner}, write `previously: {owner}` in the manifest.",
            )
    record = state.accounts.get(name)
    if not isinstance(record, Active):
        return True
    if logins[name].casefold() != api_login.casefold():
        raise StateConflict(
            f"{name} has another login already, and is active.",
            hint="Give the account that is to be adopted a name of its own; or, if the one of that name was deleted,"
            f" run `provisioner forget {name}` first. Nothing was changed.",
        )
    return False


def adopted(  # noqa: PLR0913  # what is known of the account, from each of its sources
    state: State,
    name: str,
    credentials: Credentials,
    *,
    observed: Observed,
    wanted: Attributes,
    differ: tuple[str, ...],
    password_version: int,
    kept: SealedContent | None,
    ports: Ports,
) -> tuple[State, tuple[FieldChange, ...]]:
    """Return ``state`` with ``name`` as an active account, and in which fields it is not as it is ``wanted``.

    ``differ`` holds the paths of those fields: they are to be changed by the next
    apply. ``kept`` is what was sealed of an unknown outcome: the password that was sent.
    """
    flat = wanted.flat()
    before = state.accounts.get(name)
    operation = Operation(ports.new_id(), ports.now(), ports.by)
    content = SealedContent(
        state.lineage,
        state.parent,
        name,
        operation.id,
        password=kept.password if kept else None,
        credentials=credentials,
        # As if the manifest had been sent: what differs from it is then found to have drifted, by every refresh.
        sent=Attributes.of_fields({**observed.fields, **{path: flat.get(path) for path in differ}}),
    )
    record = Active(
        wanted,
        operation,
        ports.now(),
        ports.sealer.seal(content),
        password_version=password_version,
        drift=Drift(changed=differ),
        # What was an unknown until now may yet turn up in the log of the run that created it.
        first_operation=None if before is None else before.operation.id,
    )
    fields = tuple(FieldChange(path, flat.get(path), observed.fields.get(path)) for path in differ)
    return state.with_record(name, record), fields


def with_key(state: State, name: str, content: SealedContent, api_key: Secret, ports: Ports) -> State:
    """Return ``state`` with another key for ``name``, an active account of which ``content`` is sealed."""
    record = active(state, name)
    operation = Operation(ports.new_id(), ports.now(), ports.by)
    renewed = Credentials(credentials_of(content).api_login, api_key)
    after = replace(
        record,
        operation=operation,
        sealed=ports.sealer.seal(replace(content, operation=operation.id, credentials=renewed)),
        first_operation=record.first_operation or record.operation.id,
    )
    return state.with_record(name, after)
