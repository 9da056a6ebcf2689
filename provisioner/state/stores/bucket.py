"""A bucket or container of an object storage, by obstore: what is asked of it, and what its failures mean.

Owns how the client is made, with the credentials of the environment that it is given, and
how a create is settled whose answer is doubtful. The library may not retry a create: it
would meet its own success as a failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from provisioner.errors import ProvisionerError, SettingInvalid, StateInvalid, StateNotSaved, StateUnreachable
from provisioner.files import MAX_STATE_BYTES
from provisioner.model.address import AddressError, is_this_machine, normal

T = TypeVar("T")
_Store: TypeAlias = S3Store | AzureStore | GCSStore

TIMEOUT: Final = 30.0
"""Seconds that one request may take."""
_RETRIES: Final = 3
_TRIES: Final = 4
"""How often a create is sent again that is known not to have landed."""
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


@dataclass(frozen=True, slots=True)
class _Service:
    """One kind of object storage."""

    name: str
    unit: str
    """What objects are in, in its own word."""
    variables: tuple[str, ...]
    """Those of the environment that the library reads for it."""
    endpoints: tuple[str, ...]
    """Those that name another server than the usual one, the strongest first."""
    set_one_of: str
    """How credentials are given."""
    rights: str
    """What whoever applies must be allowed to do."""


_SERVICES: Final[Mapping[str, _Service]] = {
    "s3": _Service(
        "S3",
        "bucket",
        tuple(_AWS.split()),
        ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role is given."
        ' `eval "$(aws configure export-credentials --format env)"` sets them from a profile.',
        "s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject below the prefix",
    ),
    "az": _Service(
        "Azure",
        "container",
        tuple(_AZURE.split()),
        ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "Set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID, AZURE_TENANT_ID and"
        " AZURE_CLIENT_SECRET, or run it where a managed identity is given.",
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


@dataclass(frozen=True, slots=True)
class Object:
    """One object as it was read."""

    raw: bytes
    """Empty where only what is noted of it was asked for."""
    noted: Mapping[str, str]
    """What whoever wrote it has noted."""
    written_at: datetime


class Bucket:
    """One bucket as ``scheme`` reaches it; ``address`` is for messages. Used by several threads."""

    def __init__(  # noqa: PLR0913, PLR0917  # what it is, where it is, and how long one may wait for it
        self,
        address: str,
        scheme: str,
        name: str,
        environ: Mapping[str, str],
        sleep: Callable[[float], None],
        timeout: float = TIMEOUT,
    ) -> None:
        """Raise SettingInvalid where the library or a setting is missing, or the server may not be spoken to."""
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
        """Return where the server is, or nothing for the usual place; raises SettingInvalid."""
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
                f"{variable} is an http address: whoever is on the way could read the state and replace it.",
                hint="Use https; http is for this machine alone.",
            )
        return endpoint

    def _config(self, scheme: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return what the library is to take from the environment; raises SettingInvalid."""
        for variable in (*self._service.variables, *self._service.endpoints):
            # The library reads the environment of the process too, and there is no way to have it not do so.
            if os.environ.get(variable) and variable not in environ:
                raise SettingInvalid(
                    f"{variable} is set in this process, and not in the environment that the project was given.",
                    hint="Give the project the variable, or take it out of the process: obstore would use it.",
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
            # Its words repeat what was set.
            raise SettingInvalid(
                f"The settings for {self._service.name} of {self._address} are not complete, or not of their form"
                f" ({type(error).__name__}).",
                hint=f"{self._service.set_one_of}"
                f"{' The account is AZURE_STORAGE_ACCOUNT_NAME.' if scheme == 'az' else ''}",
            ) from None

    # ── Objects ──────────────────────────────────────────────────────────────

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects in ``folder``; raises StateUnreachable or SettingInvalid."""
        found = self._asked(lambda: obstore.list_with_delimiter(self._often, f"{folder}/"))
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
                    f"{self._address}: the object {path} is larger than a state can be.", hint="Look at what it is."
                )
            raw = bytes(found.bytes()) if whole else b""
            noted = {str(name): str(text) for name, text in found.attributes.items()}
            return Object(raw, noted, found.meta["last_modified"])

        return self._asked(get)

    def put(self, path: str, raw: bytes) -> None:
        """Write an object, whatever is there; raises StateUnreachable or SettingInvalid."""
        self._asked(lambda: obstore.put(self._often, path, raw))

    def delete(self, paths: list[str]) -> None:
        """Remove objects that are in nobody's way, as far as we may."""
        # Whoever may write here need not be allowed to delete.
        with suppress(BaseError, OSError):
            obstore.delete(self._often, paths)

    def try_create(self, path: str, raw: bytes, noted: Mapping[str, str]) -> bool:
        """Ask once for a new object; False: the server says that there is one.

        Raises StateUnreachable or SettingInvalid.
        """
        attributes = {"Content-Type": "application/json", **noted}

        def put() -> bool:
            try:
                obstore.put(self._once, path, raw, mode="create", attributes=attributes)
            except AlreadyExistsError:
                return False
            return True

        return self._asked(put)

    def create(self, path: str, raw: bytes, noted: Mapping[str, str]) -> bool:
        """Make a new object; False: there is another. What is there decides, where an answer is doubtful.

        Raises:
            StateNotSaved: it is not there, or nobody can say whether it is.

        """
        said = "it says each time that there is one, and there is none"
        hint = "Run it again."
        for attempt in range(_TRIES):
            if attempt:
                self._sleep(_PAUSE * 2**attempt)
            try:
                if self.try_create(path, raw, noted):
                    return True
            except ProvisionerError as error:
                said, hint = error.message, error.hint
                if isinstance(error, SettingInvalid | NoRights):
                    break
            # An answer may be lost, and a refusal may mean that of two that came at once none has landed.
            try:
                found = self.get(path)
            except ProvisionerError as error:
                said, hint = error.message, error.hint
                break
            if found is not None:
                return found.raw == raw
        raise StateNotSaved(f"{self._address} did not take an object, or its answer was lost: {said}", hint=hint)

    # ── What failures mean ───────────────────────────────────────────────────

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (BaseError, OSError) as error:
            raise self._meant(str(error)) from None

    def _meant(self, said: str) -> ProvisionerError:
        """Return what the library ``said`` in our words: its own hold addresses with signatures."""
        server = self._endpoint or self._service.name
        code = next((each for found in _CODE.finditer(said) for each in found.groups() if each), "")
        status = found[1] if (found := _STATUS.search(said)) else ""
        if _CLOCK.search(said):
            return StateUnreachable(
                f"{self._address}: the clock of this machine is off, and {server} refuses its signatures.",
                hint="Set the clock, and see that it stays set, as `timedatectl` shows. Nothing was changed.",
            )
        if _NO_BUCKET.search(said):
            return SettingInvalid(
                f"{self._address}: there is no {self._service.unit} {self._name} at {server}.",
                hint=f"Make the {self._service.unit}, or correct `state`: this program makes none.",
            )
        if _ELSEWHERE.search(said):
            return SettingInvalid(
                f"{self._address}: the bucket {self._name} is in another region.",
                hint="Set AWS_REGION to the one that the bucket is in.",
            )
        if _NO_CREDENTIALS.search(said):
            return SettingInvalid(
                f"{self._address} needs credentials for {self._service.name}, and there are none.",
                hint=self._service.set_one_of,
            )
        if _NOT_ACCEPTED.search(said):
            return SettingInvalid(
                f"{self._address}: {server} does not accept the credentials ({code or status}).",
                hint=self._service.set_one_of,
            )
        if status == "403":
            return NoRights(
                f"{self._address}: the credentials lack a right that is needed there ({code or status}).",
                hint=f"Whoever applies needs {self._service.rights}; whoever plans, to list and to read.",
            )
        why = f"it answers with {code or status}" if code or status else "it does not answer"
        return StateUnreachable(
            f"{self._address} cannot be reached at {server}: {why}.",
            hint="See whether the server runs and the network reaches it, then run it again.",
        )


class NoRights(StateUnreachable):
    """The server knows us, and does not let us do this."""


@lru_cache(maxsize=32)
def _client(  # noqa: PLR0913, PLR0917  # what a client is made of
    scheme: str,
    name: str,
    config: tuple[tuple[str, str], ...],
    endpoint: str,
    timeout: float,
    retries: int,
) -> _Store:
    """Return the one client of this process: the states of many parents share its connections."""
    kinds: Mapping[str, Any] = {"s3": S3Store, "az": AzureStore, "gs": GCSStore}
    client = {"allow_http": endpoint.startswith("http:"), "timeout": f"{timeout:g} s", "connect_timeout": "5 s"}
    made: _Store = kinds[scheme](
        name, config=dict(config), client_options=client, retry_config={"max_retries": retries}
    )
    return made
