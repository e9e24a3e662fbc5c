"""Clients of Cosmos DB accounts, one per connection setting, with errors that name the setting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError

from local.host.errors import HostStartError
from shared.cosmos.client import transport
from shared.cosmos.identity import environment_identity

CONNECT_SECONDS = 30
"""How long the first answer of an account may take. A database that still starts is not waited for longer."""


class Connections:
    """Opens each account once and closes them all."""

    def __init__(self, settings: Mapping[str, str], user_agent_suffix: str | None = None) -> None:
        self._settings = settings
        self._suffix = user_agent_suffix
        self._clients: dict[str, CosmosClient] = {}
        self._credentials: list[AsyncTokenCredential] = []
        self._hosts: dict[str, str] = {}

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.close()
        for credential in self._credentials:
            await credential.close()

    async def client(self, name: str) -> CosmosClient:
        """Return the client of the connection setting ``name``.

        Raises
        ------
        HostStartError
            The setting is missing or malformed, the key is wrong or the account does not answer.
        """
        if name in self._clients:
            return self._clients[name]
        endpoint, credential, options = self._resolve(name)
        client = CosmosClient(
            endpoint, credential, user_agent_suffix=self._suffix, transport=transport(endpoint), **options
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.__aenter__()
        except BaseException as error:
            await client.close()
            if isinstance(error, AzureError | TimeoutError | ValueError):
                raise _account_error(name, endpoint, error) from error
            raise
        self._clients[name] = client
        self._hosts[name] = str(urlsplit(endpoint).hostname)
        return client

    def host(self, name: str) -> str:
        """Return the host name of an opened account; lease ids begin with it."""
        return self._hosts[name]

    def _resolve(self, name: str) -> tuple[str, Any, dict[str, Any]]:
        text = self._settings.get(name) or self._settings.get(f"ConnectionStrings__{name}")
        if text:
            return _parse_connection_string(name, text)
        endpoint = self._settings.get(f"{name}__accountEndpoint")
        if not endpoint:
            raise HostStartError(
                f"The setting {name} (connection string) or {name}__accountEndpoint (identity) must be set; "
                "both are empty."
            )
        _check_endpoint(f"{name}__accountEndpoint", endpoint)
        credential = environment_identity(self._settings.get(f"{name}__clientId"))
        self._credentials.append(credential)
        return endpoint, credential, {}

    async def container(
        self, connection: str, database: str, container: str, *, asked_by: str
    ) -> tuple[ContainerProxy, dict[str, Any]]:
        """Return a container and its properties; :class:`HostStartError` if it does not exist."""
        client = await self.client(connection)
        proxy = client.get_database_client(database)
        target = proxy.get_container_client(container)
        try:
            return target, await target.read()
        except CosmosResourceNotFoundError:
            pass
        except AzureError as error:
            raise _account_error(connection, f"container {container}", error) from error
        try:
            await proxy.read()
        except CosmosResourceNotFoundError:
            raise HostStartError(
                f"The database '{database}' ({asked_by}) does not exist in the account of the setting "
                f"{connection}; create it or correct the name."
            ) from None
        raise HostStartError(
            f"The container '{container}' ({asked_by}) does not exist in the database '{database}'; "
            "create it or correct the name."
        )


def _parse_connection_string(name: str, text: str) -> tuple[str, str, dict[str, Any]]:
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    values = {key.strip().lower(): value.strip() for key, value in parts.items()}
    endpoint, key = values.get("accountendpoint"), values.get("accountkey")
    if not endpoint or not key:
        raise HostStartError(
            f"The setting {name} is not a connection string like 'AccountEndpoint=https://…;AccountKey=…;'."
        )
    _check_endpoint(name, endpoint)
    options: dict[str, Any] = {}
    if values.get("disableservercertificatevalidation", "").lower() == "true":
        options["connection_verify"] = False
    return endpoint, key, options


def _check_endpoint(setting: str, endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HostStartError(f"The endpoint '{endpoint}' in the setting {setting} is not an http(s) address.")


def _account_error(name: str, target: str, error: Exception) -> HostStartError:
    if isinstance(error, CosmosHttpResponseError):
        if error.status_code in (401, 403):
            return HostStartError(
                f"The account refuses the key or identity of the setting {name} (status {error.status_code})."
            )
        return HostStartError(
            f"The account of the setting {name} answered {error.status_code} for {target}: "
            f"{str(error.message)[:200]}"
        )
    if isinstance(error, ValueError):
        return HostStartError(f"The key in the setting {name} is not a valid account key.")
    return HostStartError(
        f"The account of the setting {name} ({target}) cannot be reached: {type(error).__name__}; "
        "is the database running?"
    )
