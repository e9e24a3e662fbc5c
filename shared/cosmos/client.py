"""The client of the Cosmos DB account in the settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import CosmosClient
from azure.identity.aio import DefaultAzureCredential

from shared.cosmos.retries import REQUEST_TIMEOUT_SECONDS
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
    for part in connection_string.split(";"):
        name, _, value = part.partition("=")
        if name.strip() == "AccountEndpoint" and value:
            return value.strip()
    raise ValueError("the connection string has no AccountEndpoint")


def connect(settings: Settings, *, user_agent: str) -> CosmosClient:
    """Return a client for the account in the settings. Does not connect yet.

    Parameters
    ----------
    user_agent
        Suffix of the User-Agent header. The account's logs attribute request units by it.

    Raises
    ------
    SettingsError
        ``CosmosDb`` is not a connection string.
    """
    options: dict[str, Any] = {
        "consistency_level": "Session",
        "user_agent_suffix": user_agent,
        "connection_timeout": REQUEST_TIMEOUT_SECONDS,
        # The service's 2 MB limit applies to the bytes sent: 3 per Devanagari letter, 6 if escaped.
        "enable_compact_utf8_item_writes": True,
    }
    if settings.cosmos_connection_string:
        text = settings.cosmos_connection_string
        try:
            return CosmosClient.from_connection_string(
                text, transport=transport(endpoint_of(text)), **options
            )
        except (ValueError, KeyError):
            raise SettingsError(
                "The setting CosmosDb is not a connection string of the form "
                "AccountEndpoint=https://…;AccountKey=…;."
            ) from None
    if not settings.cosmos_account_endpoint:
        raise SettingsError("The setting CosmosDb or CosmosDb__accountEndpoint must be set.")
    endpoint = settings.cosmos_account_endpoint
    return CosmosClient(endpoint, DefaultAzureCredential(), transport=transport(endpoint), **options)
