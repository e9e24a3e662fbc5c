"""Identities without a key, and how long they may take to answer.

Functions import ``azure.identity`` when they use it: a fleet with keys never needs it, and starts sooner.
"""

from __future__ import annotations

import asyncio
from typing import Any, Self

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

from shared.cosmos.retries import CREDENTIAL_SECONDS, UnavailableError
from shared.errors import SettingsError

MANAGED_IDENTITY = "managedidentity"
"""The value of ``CosmosDb__credential`` that the platform documents."""


def environment_identity(client_id: str | None = None) -> AsyncTokenCredential:
    """Return the identity of the environment: of the app in Azure, of ``az login`` on a laptop.

    Parameters
    ----------
    client_id
        Of a user-assigned identity. Without it, the variable ``AZURE_CLIENT_ID`` may name one.
    """
    from azure.identity.aio import DefaultAzureCredential

    # None would stand for the identity that the system assigned, whatever the variable says.
    return DefaultAzureCredential(**({"managed_identity_client_id": client_id} if client_id else {}))


def identity(connection: str, kind: str | None, client_id: str | None) -> AsyncTokenCredential:
    """Return the identity that the settings of a connection name, as the platform reads the same settings.

    Parameters
    ----------
    connection
        Name of the connection: ``CosmosDb`` of ``CosmosDb__credential``.
    kind
        The setting ``…__credential``.
    client_id
        The setting ``…__clientId``.

    Raises
    ------
    SettingsError
        The kind is something else than ``managedidentity``.
    """
    match kind:
        case None | "":
            return environment_identity(client_id)
        case _ if kind.lower() == MANAGED_IDENTITY:
            from azure.identity.aio import ManagedIdentityCredential

            return ManagedIdentityCredential(client_id=client_id or None)
        case _:
            raise SettingsError(
                f"The setting {connection}__credential must be {MANAGED_IDENTITY} or not set; not set, it is "
                "the identity of the environment."
            )


class TimedCredential:
    """Another credential that has to answer in time. Implements ``AsyncTokenCredential``."""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token.

        Raises
        ------
        UnavailableError
            There was none within :data:`CREDENTIAL_SECONDS`.
        """
        try:
            async with asyncio.timeout(CREDENTIAL_SECONDS) as limit:
                return await self._credential.get_token(*scopes, **options)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise UnavailableError(f"the identity gave no token within {CREDENTIAL_SECONDS:g} s") from error

    async def close(self) -> None:
        """Close the connections of the credential."""
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
