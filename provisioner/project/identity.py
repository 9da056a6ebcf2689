"""Creates age identities, and finds the recipient of an existing one."""

from __future__ import annotations

import os
from pathlib import Path

from provisioner.errors import CommandInvalid, SettingInvalid
from provisioner.model.account import Secret
from provisioner.placeholders.reading import read_private
from provisioner.project.provenance import now
from provisioner.state.disk import Disk, make_folder, open_private
from provisioner.state.sealing import new_identity, parse_identities, recipient_of


def keygen(path: Path) -> str:
    """Write a new identity to ``path`` (0600), and return its recipient.

    Raises:
        CommandInvalid: the path exists, or cannot be written.

    """
    identity, recipient = new_identity()
    content = f"# created: {now()}\n# public key: {recipient}\n{identity.reveal()}\n"
    try:
        make_folder(path.parent, Disk())
        descriptor = open_private(path, os.O_WRONLY | os.O_EXCL)
    except OSError as error:
        if os.path.lexists(path):
            raise CommandInvalid(f"{path} exists, and was not changed.", hint=_hint_for_existing(path)) from None
        raise CommandInvalid(
            f"The identity cannot be written to {path}: {error.strerror}.", hint="Choose another path with -o."
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return recipient


def recipient(path: Path) -> str:
    """Return the recipient of the identity at ``path``; raises SettingInvalid if the file contains none."""
    (first, *_) = parse_identities(Secret(read_private(path)), str(path))
    return recipient_of(first, str(path))


def _hint_for_existing(path: Path) -> str:
    """Return the hint for a ``path`` that is taken, with the recipient if it is an identity."""
    another = "To create a new identity, choose another path with -o."
    try:
        return f"The recipient of the existing identity is {recipient(path)}. {another}"
    except SettingInvalid as error:
        return f"{error.message} {another}"
