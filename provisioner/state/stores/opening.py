"""Opens the store of a state by its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable
from provisioner.state.stores import Store

if TYPE_CHECKING:
    from provisioner.state.stores.remote import Backend


@immutable
class Place:
    """Where a state is, and what its store needs to find it."""

    address: str
    """A path, or the address of a store."""
    project: Path
    """The project's folder."""
    machine: Path
    """The folder for the local files of states that are kept elsewhere."""
    environ: Mapping[str, str] = field(repr=False)
    """The environment for the store's own client; without our secrets."""


def open_store(place: Place) -> Store:
    """Return the store of the state at ``place``, without reading anything.

    Raises:
        SettingInvalid: no store has such an address, or its library is not installed.

    """
    scheme, colon, _ = place.address.partition(":")
    if colon and scheme == "git":
        return _git(place)
    if scheme == "postgresql":
        return _postgres(place)
    if scheme in {"s3", "az", "gs"} and "://" in place.address:
        return _objects(place)
    if "://" in place.address:
        raise SettingInvalid(
            f"States cannot be kept in {scheme}: that is not a store.",
            hint="Set `state` to a path, as in state/{parent}.json, to git:REMOTE/BRANCH/PATH, to"
            " s3://BUCKET/PREFIX/{parent}, or to postgresql://USER@HOST/DATABASE#{parent}.",
        )
    from provisioner.state.stores.local import LocalStore  # noqa: PLC0415  # a store is loaded only if it is used

    return LocalStore(Path(place.address))


def _git(place: Place) -> Store:
    import time  # noqa: PLC0415

    from provisioner.state.stores.git import GitBackend  # noqa: PLC0415
    from provisioner.state.stores.repository import Repository  # noqa: PLC0415

    def repository(remote: str, branch: str) -> Repository:
        return Repository(place.address, place.project, remote, branch, place.environ)

    return _remote(GitBackend(place.address, repository, time.sleep), place)


def _postgres(place: Place) -> Store:
    import time  # noqa: PLC0415

    try:
        from provisioner.state.stores.server import StateServer  # noqa: PLC0415
    except ImportError as error:
        raise SettingInvalid(
            f"The store for PostgreSQL needs psycopg, which is not installed here ({error}).",
            hint="Install it: pip install 'octopush-provisioner[postgres]'.",
        ) from error
    from provisioner.state.stores.postgres import PostgresBackend  # noqa: PLC0415

    def server(conninfo: str) -> StateServer:
        return StateServer(place.address, conninfo, place.environ, time.sleep)

    return _remote(PostgresBackend(place.address, server), place)


def _objects(place: Place) -> Store:
    import time  # noqa: PLC0415

    try:
        from provisioner.state.stores.bucket import Bucket  # noqa: PLC0415
    except ImportError as error:
        raise SettingInvalid(
            f"The store for object storage needs obstore, which is not installed here ({error}).",
            hint="Install it: pip install 'octopush-provisioner[remote]'.",
        ) from error
    from provisioner.state.stores.objects import ObjectBackend  # noqa: PLC0415

    def bucket(scheme: str, name: str) -> Bucket:
        return Bucket(place.address, scheme, name, place.environ, time.sleep)

    return _remote(ObjectBackend(place.address, bucket), place)


def _remote(backend: Backend, place: Place) -> Store:
    import uuid  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    from provisioner.state.stores.remote import RemoteStore  # noqa: PLC0415

    return RemoteStore(backend, place.machine, lambda: str(uuid.uuid4()), lambda: datetime.now(UTC))
