"""Opens what is sealed, with the identity of whoever runs the command."""

from __future__ import annotations

import os

from provisioner import config
from provisioner.cli import wiring
from provisioner.config import Settings
from provisioner.errors import IdentityRejected, Refused
from provisioner.model.state import Active, State
from provisioner.model.verdict import SealedContent
from provisioner.state.sealing import AgeOpener, AgeSealer, parse_identities


def opener(settings: Settings) -> AgeOpener:
    """Return what opens seals; raises SettingInvalid where there is no identity."""
    text, source = config.identity(settings, os.environ, wiring.default_identity())
    return AgeOpener(parse_identities(text, source), source)


def opener_if_any(settings: Settings) -> AgeOpener | None:
    """Return the same, or None where no identity was given; one that was given must be right."""
    if not config.has_identity(settings, os.environ, wiring.default_identity()):
        return None
    return opener(settings)


def content(opener: AgeOpener, state: State, name: str, sealed: str) -> SealedContent:
    """Return what is sealed in the record of ``name``; raises IdentityRejected or StateConflict."""
    return opener.open(sealed, lineage=state.lineage, parent=state.parent, name=name)


def active(opener: AgeOpener, state: State) -> dict[str, SealedContent]:
    """Return what is sealed of every active account, by name; raises IdentityRejected or StateConflict."""
    return {
        name: content(opener, state, name, record.sealed)
        for name, record in sorted(state.accounts.items())
        if isinstance(record, Active)
    }


def require_opens(opener: AgeOpener, sealer: AgeSealer, state: State) -> None:
    """Refuse recipients none of whom is the identity in use; only opening a seal can tell that of every kind of key."""
    probe = SealedContent(state.lineage, state.parent, "", "")
    try:
        opener.open(sealer.seal(probe), lineage=state.lineage, parent=state.parent, name="")
    except IdentityRejected:
        raise Refused(
            "The identity in use could not open what is sealed to these recipients.",
            hint="You would lock yourself out. Leave your own recipient in, and let one who stays remove it."
            " Nothing was changed.",
        ) from None
