"""The client of the Cosmos DB account in the settings."""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import CosmosClient

from shared.cosmos.identity import TimedCredential, identity
from shared.cosmos.retries import ATTEMPT_SECONDS
from shared.cosmos.transport import PatientTransport
from shared.errors import SettingsError
from shared.settings import Settings


def transport(endpoint: str) -> AioHttpTransport:
    """Return the HTTP transport for a client of the account at ``endpoint``. Closing the client closes it.

    By default the SDK looks up a proxy in the environment and a password in ``~/.netrc`` before every
    request, each in a thread. The proxy in the environment does not change, so it is looked up once, here.
    The SDK repeats the lookups only behind a proxy. Up to 100 connections are pooled.
    """
    address = urlsplit(endpoint)
    proxied = address.scheme in getproxies() and not proxy_bypass(address.hostname or "")
    return AioHttpTransport(use_env_settings=proxied)


def endpoint_of(connection_string: str) -> str:
    """Return the endpoint in a connection string.

    Raises
    ------
    ValueError
        The connection string has no endpoint.
    """
    return _part_of(connection_string, "AccountEndpoint")


def _part_of(connection_string: str, wanted: str) -> str:
    for part in connection_string.split(";"):
        name, _, value = part.partition("=")
        if name.strip() == wanted and value:
            return value.strip()
    raise ValueError(f"the connection string has no {wanted}")


def _is_address(endpoint: str) -> bool:
    try:
        address = urlsplit(endpoint)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # a port that is none, or an unfinished IPv6 address
        return False


WITHOUT_RETRIES = {
    "retry_total": 0,
    "retry_connect": 0,
    "retry_read": 0,
    "retry_status": 0,
    "retry_write": 0,
    # 0 would mean "not given", and 9 is the default.
    "retry_throttle_total": -1,
}
"""Options that switch the SDK's own retries off, as far as it has options for them."""


class Connection:
    """Opens a client, and closes it with its credential: ``async with connect(…) as client``."""

    def __init__(self, client: CosmosClient, credential: AsyncTokenCredential | None) -> None:
        self._client = client
        self._credential = credential
        self._open = AsyncExitStack()

    async def __aenter__(self) -> CosmosClient:
        if self._credential is not None:
            self._open.push_async_callback(self._credential.close)
        # Entering a client may fail, and then leaves it open.
        self._open.push_async_callback(self._client.close)
        try:
            # Entering reads the account's regions; without them, every call goes to the global endpoint.
            await self._client.__aenter__()
        except BaseException:
            await self._open.aclose()
            raise
        return self._client

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.aclose()


def connect(settings: Settings, *, user_agent: str) -> Connection:
    """Return what opens a client for the account in the settings.

    Parameters
    ----------
    user_agent
        Suffix of the User-Agent header. The account's logs attribute request units by it.

    Raises
    ------
    SettingsError
        ``CosmosDb`` is not a connection string, or the settings of the identity are not usable.
    """
    options: dict[str, Any] = {
        "consistency_level": "Session",
        "user_agent_suffix": user_agent,
        "connection_timeout": ATTEMPT_SECONDS,
        "read_timeout": ATTEMPT_SECONDS,
        # The service's 2 MB limit applies to the bytes sent: 3 per Devanagari letter, 6 if escaped.
        "enable_compact_utf8_item_writes": True,
        **WITHOUT_RETRIES,
    }
    if settings.cosmos_preferred_locations:
        options["preferred_locations"] = list(settings.cosmos_preferred_locations)
    if settings.cosmos_connection_string:
        text = settings.cosmos_connection_string
        try:
            if not _is_address(endpoint_of(text)):
                raise ValueError("the endpoint is no address")
            # The SDK decodes the key with each request, and fails there without a word about settings.
            base64.b64decode(_part_of(text, "AccountKey"))
            options["transport"] = PatientTransport(transport(endpoint_of(text)))
            return Connection(CosmosClient.from_connection_string(text, **options), None)
        except (ValueError, KeyError):
            raise SettingsError(
                "The setting CosmosDb is not a connection string of the form "
                "AccountEndpoint=https://…;AccountKey=…;, with the whole key in base64."
            ) from None
    if not settings.cosmos_account_endpoint:
        raise SettingsError("The setting CosmosDb or CosmosDb__accountEndpoint must be set.")
    endpoint = settings.cosmos_account_endpoint
    if not _is_address(endpoint):
        raise SettingsError("The setting CosmosDb__accountEndpoint is not an address such as https://….")
    options["transport"] = PatientTransport(transport(endpoint))
    credential = TimedCredential(identity("CosmosDb", settings.cosmos_credential, settings.cosmos_client_id))
    return Connection(CosmosClient(endpoint, credential, **options), credential)
