"""Opens what is sealed in a record, and believes it no further than the record in clear.

Whoever can write a state can seal what they like: the recipients are public. So what is
sealed must be of the operation that its record names, and must be what its record says,
but for what a placeholder stood for. Refuses all else, for that one account.
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


def kept(state: State, name: str, opener: Opener) -> SealedContent | None:
    """Return what is sealed in the record of ``name``, or None where nothing is.

    Raises:
        IdentityRejected: the identity opens nothing of ``state``.
        StateInvalid: it is damaged, or sealed to others than the rest of the state.
        StateConflict: it was moved, put back or replaced.

    """
    return _whole(state, name, opener, _kept)


def begun(state: State, name: str, opener: Opener) -> SealedContent | None:
    """Return what is sealed of the unfinished edit of ``name``, or None where nothing is; raises as :func:`kept`."""
    return _whole(state, name, opener, _begun)


def credentials(state: State, name: str, opener: Opener) -> SealedContent:
    """Return what is sealed in the record of ``name``, an active account; raises as :func:`kept`.

    Raises:
        StateConflict: it contains no credentials, too.

    """
    content = kept(state, name, opener)
    if content is None:
        raise StateConflict(f"Nothing is kept of {name}.", hint=RESTORE)
    credentials_of(content)
    return content


def credentials_of(content: SealedContent) -> Credentials:
    """Return the credentials that are sealed in an active account's record; raises StateConflict where none are."""
    if content.credentials is None:
        raise StateConflict(f"The sealed content of {content.name} contains no credentials.", hint=RESTORE)
    return content.credentials


def all_active(state: State, opener: Opener) -> tuple[dict[str, SealedContent], dict[str, StateError]]:
    """Return what is sealed of every active account, and by name why that of others is not to be had.

    Raises:
        IdentityRejected: the identity opens nothing of them.

    """
    contents: dict[str, SealedContent] = {}
    faults: dict[str, StateError] = {}
    rejected: dict[str, IdentityRejected] = {}
    for name, record in sorted(state.accounts.items()):
        if not isinstance(record, Active):
            continue
        try:
            content = _kept(state, name, opener)
            assert content is not None  # noqa: S101  # of an active account, something is sealed
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


def said(error: StateError) -> str:
    """Return what is wrong with what is sealed of one account, and what to do, as the reason of an outcome."""
    return f"{error.message.removesuffix('.')}; restore the state from version control"


def _whole(state: State, name: str, opener: Opener, opening: _Opening) -> SealedContent | None:
    try:
        return opening(state, name, opener)
    except IdentityRejected as error:
        # Damage and another recipient look alike; that others open shows that the identity is not the wrong one.
        if _is_named(state, error) or any(_opens(state, other, opener) for other in _others(state, name)):
            raise _unlike_the_rest(name) from None
        raise


def _kept(state: State, name: str, opener: Opener) -> SealedContent | None:
    record = state.accounts[name]
    if record.sealed is None:
        return None
    content = opener.open(
        record.sealed, lineage=state.lineage, parent=state.parent, name=name, operation=record.operation.id
    )
    if content.sent is not None:
        _require_sent(name, record.attributes, content.sent)
    return content


def _begun(state: State, name: str, opener: Opener) -> SealedContent | None:
    record = state.accounts[name]
    edit = record.edit if isinstance(record, Active) else None
    if edit is None or edit.sealed is None:
        return None
    return opener.open(edit.sealed, lineage=state.lineage, parent=state.parent, name=name, operation=edit.operation.id)


def _require_sent(name: str, written: Attributes, sent: Attributes) -> None:
    """Refuse what was sent otherwise than is written, but for what a placeholder stood for; raises StateConflict."""
    texts, values = written.flat(), sent.flat()
    for path in FIELDS:
        text, value = texts.get(path), values.get(path)
        if text != value and (text is None or value is None or not fits(text, value)):
            raise StateConflict(
                f"The sealed content of {name} was sent with another {path} than its record says:"
                " somebody replaced one of them.",
                hint=RESTORE,
            )


def _others(state: State, name: str) -> Iterator[str]:
    return (each for each, record in state.accounts.items() if each != name and record.sealed is not None)


def _is_named(state: State, rejected: IdentityRejected) -> bool:
    """Whether the identity is that of a recipient of ``state``: what it does not open is damaged, or an exception."""
    return not rejected.recipients.isdisjoint(state.recipients)


def _opens(state: State, name: str, opener: Opener) -> bool:
    try:
        _kept(state, name, opener)
    except (IdentityRejected, StateInvalid):
        return False
    except StateConflict:
        return True
    return True


def _unlike_the_rest(name: str) -> StateInvalid:
    return StateInvalid(
        f"The sealed content of {name} is damaged, or sealed to others: the identity is one of this"
        " state's, and does not open it.",
        hint=f"{RESTORE} If the settings named other recipients when it was sealed, use an identity of one of those.",
    )
