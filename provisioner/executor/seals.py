"""Opens the sealed content of a record, and trusts it no more than the record in clear.

Whoever can write a state can seal anything: the recipients are public. So sealed content must
come from the operation that its record names, and its fields must be those of the record,
except for the values of placeholders. Refuses anything else, for that one account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from provisioner.errors import IdentityRejected, StateConflict, StateError, StateInvalid
from provisioner.executor.ports import Opener
from provisioner.model.account import FIELDS, Attributes, Credentials, fits
from provisioner.model.state import Active, State
from provisioner.model.verdict import SealedContent

RESTORE: Final = "Restore the state from version control."
_Opening: TypeAlias = Callable[[State, str, Opener], SealedContent | None]


def open_record(state: State, name: str, opener: Opener) -> SealedContent | None:
    """Return the sealed content of the record of ``name``, or None if it has none.

    Raises:
        IdentityRejected: the identity opens nothing in ``state``.
        StateInvalid: it is damaged, or sealed to other recipients than the rest of the state.
        StateConflict: it was moved, put back or replaced.

    """
    return _open_or_explain(state, name, opener, _open_record)


def open_edit(state: State, name: str, opener: Opener) -> SealedContent | None:
    """Return the sealed content of the unfinished edit of ``name``, or None; raises like :func:`open_record`."""
    return _open_or_explain(state, name, opener, _open_edit)


def open_active(state: State, name: str, opener: Opener) -> SealedContent:
    """Return the sealed content of the record of ``name``, an active account; raises like :func:`open_record`.

    Raises:
        StateConflict: also if it contains no credentials.

    """
    content = open_record(state, name, opener)
    if content is None:
        raise StateConflict(f"The state has no sealed content of {name}.", hint=RESTORE)
    credentials_of(content)
    return content


def credentials_of(content: SealedContent) -> Credentials:
    """Return the credentials in an active account's sealed content; raises StateConflict if there are none."""
    if content.credentials is None:
        raise StateConflict(f"The sealed content of {content.name} contains no credentials.", hint=RESTORE)
    return content.credentials


def open_all_active(state: State, opener: Opener) -> tuple[dict[str, SealedContent], dict[str, StateError]]:
    """Return the sealed content of every active account and, by name, the errors of those that cannot be opened.

    Raises:
        IdentityRejected: the identity opens none of them.

    """
    contents: dict[str, SealedContent] = {}
    faults: dict[str, StateError] = {}
    rejected: dict[str, IdentityRejected] = {}
    for name, record in sorted(state.accounts.items()):
        if not isinstance(record, Active):
            continue
        try:
            content = _open_record(state, name, opener)
            assert content is not None  # noqa: S101  # an active account always has sealed content
            credentials_of(content)
        except IdentityRejected as error:
            rejected[name] = error
        except StateError as error:
            faults[name] = error
        else:
            contents[name] = content
    opens = contents or any(isinstance(each, StateConflict) for each in faults.values())
    if rejected and not opens and not _is_named(state, first := next(iter(rejected.values()))):
        raise first
    return contents, faults | {name: _unlike_the_rest(name) for name in rejected}


def reason_of(error: StateError) -> str:
    """Return why sealed content cannot be opened, and what to do about it, as the reason of an outcome."""
    return f"{error.message.removesuffix('.')}; restore the state from version control"


def _open_or_explain(state: State, name: str, opener: Opener, opening: _Opening) -> SealedContent | None:
    try:
        return opening(state, name, opener)
    except IdentityRejected as error:
        # Damaged content and a wrong identity look alike; if it opens other records, it is not the wrong one.
        if _is_named(state, error) or any(_opens(state, other, opener) for other in _others(state, name)):
            raise _unlike_the_rest(name) from None
        raise


def _open_record(state: State, name: str, opener: Opener) -> SealedContent | None:
    record = state.accounts[name]
    if record.sealed is None:
        return None
    content = opener.open(
        record.sealed, lineage=state.lineage, parent=state.parent, name=name, operation=record.operation.id
    )
    if content.sent is not None:
        _require_same(name, record.attributes, content.sent)
    return content


def _open_edit(state: State, name: str, opener: Opener) -> SealedContent | None:
    record = state.accounts[name]
    edit = record.edit if isinstance(record, Active) else None
    if edit is None or edit.sealed is None:
        return None
    return opener.open(edit.sealed, lineage=state.lineage, parent=state.parent, name=name, operation=edit.operation.id)


def _require_same(name: str, written: Attributes, sent: Attributes) -> None:
    """Require that ``sent`` is what is ``written``, with placeholders filled in; raises StateConflict."""
    texts, values = written.flat(), sent.flat()
    for path in FIELDS:
        text, value = texts.get(path), values.get(path)
        if text != value and (text is None or value is None or not fits(text, value)):
            raise StateConflict(
                f"The sealed content of {name} has a different {path} than its record: somebody replaced one of them.",
                hint=RESTORE,
            )


def _others(state: State, name: str) -> Iterator[str]:
    return (each for each, record in state.accounts.items() if each != name and record.sealed is not None)


def _is_named(state: State, rejected: IdentityRejected) -> bool:
    """Return whether the identity belongs to a recipient of ``state``: it should open all sealed content."""
    return not rejected.recipients.isdisjoint(state.recipients)


def _opens(state: State, name: str, opener: Opener) -> bool:
    try:
        _open_record(state, name, opener)
    except (IdentityRejected, StateInvalid):
        return False
    except StateConflict:
        return True
    return True


def _unlike_the_rest(name: str) -> StateInvalid:
    return StateInvalid(
        f"The sealed content of {name} is damaged, or sealed to others: the identity belongs to this state, but"
        " does not open it.",
        hint=f"{RESTORE} If the settings named other recipients when it was sealed, use the identity of one of those.",
    )
