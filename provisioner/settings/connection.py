"""Checks what a connection needs, before anything is locked or sent."""

from __future__ import annotations

import re
from pathlib import Path

from provisioner import files
from provisioner.errors import SettingInvalid
from provisioner.model import address
from provisioner.settings import Settings


def require_connection(settings: Settings) -> None:
    """Require that the authorities and the proxy in ``settings`` can be used; raises SettingInvalid."""
    if settings.ca_file is not None:
        import ssl  # noqa: PLC0415  # a plan does not need it

        try:
            authorities = files.read_authorities(Path(settings.ca_file))
        except OSError as error:
            raise SettingInvalid(
                f"The setting ca_file, {settings.ca_file}, cannot be read: {error.strerror}.",
                hint="It must be a file of certificates in PEM format.",
            ) from error
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authorities)
        except (OSError, ValueError) as error:
            raise SettingInvalid(
                f"The setting ca_file, {settings.ca_file}, contains no certificate authorities.",
                hint="It must be a file of certificates in PEM format.",
            ) from error
    if settings.proxy is not None:
        scheme, slashes, rest = settings.proxy.partition("://")
        user, at, host = rest.rpartition("@")
        try:
            address.normal(f"{scheme}{slashes}{host}")
            valid = re.fullmatch(r"[!-~]+" if at else "", user) is not None and not set("/\\?#") & set(user)
        except address.AddressError:
            valid = False
        if not valid:
            raise SettingInvalid(
                "The setting proxy is not the address of a proxy.", hint="Write it as in http://proxy.example.com:3128."
            )
