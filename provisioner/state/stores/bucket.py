"""A bucket or container of an object storage, through obstore: its requests, and what failures mean.

Decides how the client is made, with credentials from the given environment, and how to find out
whether a create succeeded if its answer is unclear. The library must not retry a create: it would
take its own success for a conflict.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from provisioner.errors import (
    ProvisionerError,
    SettingInvalid,
    StateForbidden,
    StateInvalid,
    StateNotSaved,
    StateUnreachable,
)
from provisioner.files import MAX_STATE_BYTES
from provisioner.immutable import immutable
from provisioner.model.address import AddressError, is_this_machine, normal

T = TypeVar("T")
_Store: TypeAlias = S3Store | AzureStore | GCSStore

TIMEOUT: Final = 30.0
"""Seconds that one request may take."""
_RETRIES: Final = 3
_TRIES: Final = 4
"""How often a create is sent that certainly had no effect."""
_PAUSE: Final = 0.3

_AWS: Final = (
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_ROLE_ARN"
    " AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE AWS_ENDPOINT_URL_STS AWS_METADATA_ENDPOINT"
    " AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI"
    " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)
_AZURE: Final = (
    "AZURE_STORAGE_ACCOUNT_NAME AZURE_STORAGE_ACCOUNT_KEY AZURE_STORAGE_SAS_TOKEN AZURE_STORAGE_TOKEN AZURE_CLIENT_ID"
    " AZURE_CLIENT_SECRET AZURE_TENANT_ID AZURE_FEDERATED_TOKEN_FILE AZURE_AUTHORITY_HOST AZURE_MSI_ENDPOINT"
)
_GOOGLE: Final = "GOOGLE_APPLICATION_CREDENTIALS GOOGLE_SERVICE_ACCOUNT GOOGLE_SERVICE_ACCOUNT_KEY GOOGLE_BEARER_TOKEN"


@immutable
class _Service:
    """One kind of object storage."""

    name: str
    unit: str
    """The service's own word for what objects are in."""
    variables: tuple[str, ...]
    """The environment variables that the library reads for it."""
    endpoints: tuple[str, ...]
    """The variables that name another server than the usual one; the first that is set wins."""
    set_one_of: str
    """How to provide credentials."""
    rights: str
    """The rights that an apply needs."""


_SERVICES: Final[Mapping[str, _Service]] = {
    "s3": _Service(
        "S3",
        "bucket",
        tuple(_AWS.split()),
        ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role is attached."
        ' `eval "$(aws configure export-credentials --format env)"` sets them from a profile.',
        "s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject below the prefix",
    ),
    "az": _Service(
        "Azure",
        "container",
        tuple(_AZURE.split()),
        ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "Set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID, AZURE_TENANT_ID and"
        " AZURE_CLIENT_SECRET, or run it where a managed identity is attached.",
        "Storage Blob Data Contributor on the container",
    ),
    "gs": _Service(
        "Google Cloud Storage",
        "bucket",
        tuple(_GOOGLE.split()),
        ("GOOGLE_BASE_URL",),
        "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or run it where one is attached.",
        "Storage Object User on the bucket",
    ),
}

_CODE: Final = re.compile(r"<Code>\s*(\w+)\s*</Code>|\"(?:code|reason)\": \"(\w+)\"")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CLOCK: Final = re.compile(r"RequestTimeTooSkewed|Request date header too old|Token must be a short-lived token")
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist")
_ELSEWHERE: Final = re.compile(r"PermanentRedirect|AuthorizationHeaderMalformed|incorrectly configured region")
_NO_CREDENTIALS: Final = re.compile(
    r"latest/api/token|latest/meta-data|token request|TokenRequest|metadata\.google|computeMetadata|MissingCredential"
)
_NOT_ACCEPTED: Final = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|AuthorizationFailure|AuthenticationFailed|ExpiredToken|InvalidToken"
    r"|InvalidAuthenticationInfo|status code: 401"
)


@immutable
class Object:
    """One object as it was read."""

    raw: bytes
    """Empty if only the metadata was read."""
    metadata: Mapping[str, str]
    """Written together with the object."""
    written_at: datetime


class Bucket:
    """One bucket of the service that ``scheme`` names; ``address`` is for messages. Several threads may use it."""

    def __init__(  # noqa: PLR0913, PLR0917  # identity, place and timeout
        self,
        address: str,
        scheme: str,
        name: str,
        environ: Mapping[str, str],
        sleep: Callable[[float], None],
        timeout: float = TIMEOUT,
    ) -> None:
        """Raise SettingInvalid if a setting is missing or invalid, or the server's address is not safe."""
        self._address = address
        self._name = name
        self._sleep = sleep
        self._service = _SERVICES[scheme]
        self._endpoint = self._checked(environ)
        account = environ.get("AZURE_STORAGE_ACCOUNT_NAME", "") if scheme == "az" else ""
        self.key = f"{scheme}:{self._endpoint or account}/{name}"
        """The same for every machine."""
        config = self._config(scheme, environ)
        self._once = self._client(scheme, config, timeout, retries=0)
        self._often = self._client(scheme, config, timeout, retries=_RETRIES)

    def _checked(self, environ: Mapping[str, str]) -> str:
        """Return the address of the server, or nothing for the usual one; raises SettingInvalid."""
        variable = next((each for each in self._service.endpoints if environ.get(each)), None)
        if variable is None:
            return ""
        try:
            endpoint = normal(environ[variable])
        except AddressError as error:
            raise SettingInvalid(
                f"{variable} {error}.", hint="Write https://HOST, as your provider names it."
            ) from None
        if endpoint.startswith("http:") and not is_this_machine(urlsplit(endpoint).hostname or ""):
            raise SettingInvalid(
                f"{variable} is an http address: anybody on the way could read the state and replace it.",
                hint="Use https; http is only for this machine.",
            )
        return endpoint

    def _config(self, scheme: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the library's settings from the given environment; raises SettingInvalid."""
        for variable in (*self._service.variables, *self._service.endpoints):
            # The library always reads the environment of the process too.
            if os.environ.get(variable) and variable not in environ:
                raise SettingInvalid(
                    f"{variable} is set in this process, but not in the environment that the project was given.",
                    hint="Give the variable to the project, or unset it in the process: obstore would use it.",
                )
        config = {each.lower(): environ[each] for each in self._service.variables if environ.get(each)}
        if scheme == "s3":
            config["conditional_put"] = "etag"
        if self._endpoint:
            config[self._service.endpoints[-1].lower()] = self._endpoint
        return tuple(config.items())

    def _client(self, scheme: str, config: tuple[tuple[str, str], ...], timeout: float, *, retries: int) -> _Store:
        try:
            return _client(scheme, self._name, config, self._endpoint, timeout, retries)
        except (BaseError, OSError, ValueError, TypeError) as error:
            # Its message repeats the values, which may be secrets.
            raise SettingInvalid(
                f"The settings for {self._service.name} of {self._address} are incomplete or invalid"
                f" ({type(error).__name__}).",
                hint=f"{self._service.set_one_of}"
                f"{' The account is AZURE_STORAGE_ACCOUNT_NAME.' if scheme == 'az' else ''}",
            ) from None

    # ── Objects ──────────────────────────────────────────────────────────────

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects in ``folder``; raises StateUnreachable or SettingInvalid."""
        found = self._request(lambda: obstore.list_with_delimiter(self._often, f"{folder}/"))
        return [each["path"].removeprefix(f"{folder}/") for each in found["objects"]]

    def get(self, path: str, *, whole: bool = True) -> Object | None:
        """Return the object at ``path``, or None; raises StateInvalid, StateUnreachable or SettingInvalid."""

        def get() -> Object | None:
            try:
                found = obstore.get(self._often, path, options={"head": not whole})
            except FileNotFoundError as error:
                if _NO_BUCKET.search(str(error)):
                    raise
                return None
            if found.meta["size"] > MAX_STATE_BYTES:
                raise StateInvalid(
                    f"{self._address}: the object {path} is larger than a state can be.", hint="Look at the object."
                )
            raw = bytes(found.bytes()) if whole else b""
            metadata = {str(name): str(text) for name, text in found.attributes.items()}
            return Object(raw, metadata, found.meta["last_modified"])

        return self._request(get)

    def put(self, path: str, raw: bytes) -> None:
        """Write an object, replacing any that is there; raises StateUnreachable or SettingInvalid."""
        self._request(lambda: obstore.put(self._often, path, raw))

    def delete(self, paths: list[str]) -> None:
        """Remove objects if we may; they do no harm otherwise."""
        # An apply needs no right to delete.
        with suppress(BaseError, OSError):
            obstore.delete(self._often, paths)

    def try_create(self, path: str, raw: bytes, metadata: Mapping[str, str]) -> bool:
        """Ask once for a new object; False: the server answers that it exists.

        Raises StateUnreachable or SettingInvalid.
        """
        attributes = {"Content-Type": "application/json", **metadata}

        def put() -> bool:
            try:
                obstore.put(self._once, path, raw, mode="create", attributes=attributes)
            except AlreadyExistsError:
                return False
            return True

        return self._request(put)

    def create(self, path: str, raw: bytes, metadata: Mapping[str, str]) -> bool:
        """Create an object; False: a different one is there. If the answer is unclear, reads the object.

        Raises:
            StateNotSaved: it was not created, or nobody can know whether it was.

        """
        reason = "it answers each time that the object exists, but it does not"
        hint = "Run it again."
        for attempt in range(_TRIES):
            if attempt:
                self._sleep(_PAUSE * 2**attempt)
            try:
                if self.try_create(path, raw, metadata):
                    return True
            except ProvisionerError as error:
                reason, hint = error.message, error.hint
                if isinstance(error, SettingInvalid | StateForbidden):
                    break
            # An answer may be lost, and a server may refuse both of two creates that arrive at once.
            try:
                found = self.get(path)
            except ProvisionerError as error:
                reason, hint = error.message, error.hint
                break
            if found is not None:
                return found.raw == raw
        raise StateNotSaved(f"{self._address} did not accept an object, or its answer was lost: {reason}", hint=hint)

    # ── What failures mean ───────────────────────────────────────────────────

    def _request(self, send: Callable[[], T]) -> T:
        try:
            return send()
        except (BaseError, OSError) as error:
            raise self._error(str(error)) from None

    def _error(self, text: str) -> ProvisionerError:
        """Return the error for the library's ``text``, which is not shown: it may contain URLs with signatures."""
        server = self._endpoint or self._service.name
        code = next((each for found in _CODE.finditer(text) for each in found.groups() if each), "")
        status = found[1] if (found := _STATUS.search(text)) else ""
        if _CLOCK.search(text):
            return StateUnreachable(
                f"{self._address}: the clock of this machine is wrong, and {server} refuses its signatures.",
                hint="Set the clock, and keep it synchronized: `timedatectl` shows whether it is. Nothing was changed.",
            )
        if _NO_BUCKET.search(text):
            return SettingInvalid(
                f"{self._address}: there is no {self._service.unit} {self._name} at {server}.",
                hint=f"Create the {self._service.unit}, or correct `state`: this program never creates one.",
            )
        if _ELSEWHERE.search(text):
            return SettingInvalid(
                f"{self._address}: the bucket {self._name} is in another region.",
                hint="Set AWS_REGION to the region of the bucket.",
            )
        if _NO_CREDENTIALS.search(text):
            return SettingInvalid(
                f"{self._address} needs credentials for {self._service.name}, but there are none.",
                hint=self._service.set_one_of,
            )
        if _NOT_ACCEPTED.search(text):
            return SettingInvalid(
                f"{self._address}: {server} does not accept the credentials ({code or status}).",
                hint=self._service.set_one_of,
            )
        if status == "403":
            return StateForbidden(
                f"{self._address}: the credentials lack a necessary right ({code or status}).",
                hint=f"An apply needs {self._service.rights}; a plan only needs to list and to read.",
            )
        why = f"it answers with {code or status}" if code or status else "it does not answer"
        return StateUnreachable(
            f"{self._address} cannot be reached at {server}: {why}.",
            hint="Check that the server runs and that the network reaches it, then run it again.",
        )


@lru_cache(maxsize=32)
def _client(  # noqa: PLR0913, PLR0917  # the client's settings
    scheme: str,
    name: str,
    config: tuple[tuple[str, str], ...],
    endpoint: str,
    timeout: float,
    retries: int,
) -> _Store:
    """Return the client, one per process: the states of many parents share its connections."""
    kinds: Mapping[str, Any] = {"s3": S3Store, "az": AzureStore, "gs": GCSStore}
    client = {"allow_http": endpoint.startswith("http:"), "timeout": f"{timeout:g} s", "connect_timeout": "5 s"}
    made: _Store = kinds[scheme](
        name, config=dict(config), client_options=client, retry_config={"max_retries": retries}
    )
    return made
