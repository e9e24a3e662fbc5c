"""The client of the storage account in the settings ``ArchiveStorage…``."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from azure.storage.blob.aio import BlobServiceClient

from shared.cosmos.client import transport
from shared.cosmos.identity import TimedCredential, identity
from shared.cosmos.retries import ATTEMPT_SECONDS
from shared.errors import SettingsError
from shared.settings import Settings

_OPTIONS: dict[str, Any] = {
    # shared.storage.blobs is the one layer that repeats requests.
    "retry_total": 0,
    "connection_timeout": ATTEMPT_SECONDS,
    "read_timeout": ATTEMPT_SECONDS,
}

MISSING = (
    "The setting ArchiveStorage (connection string) or ArchiveStorage__blobServiceUri (identity) must be "
    "set; both are empty."
)


@asynccontextmanager
async def connect_storage(settings: Settings) -> AsyncIterator[BlobServiceClient]:
    """Open a client for the archive's storage account, and close it at the end. Sends no request.

    Raises
    ------
    SettingsError
        No account is set, ``ArchiveStorage`` is not a connection string, or the settings of the identity are
        not usable.
    """
    async with AsyncExitStack() as opened:
        client = _client(settings, opened)
        yield await opened.enter_async_context(client)


def _client(settings: Settings, opened: AsyncExitStack) -> BlobServiceClient:
    text = settings.archive_connection_string
    if text:
        try:
            account = BlobServiceClient.from_connection_string(text)
            # The SDK decodes the key with each request, and fails there without a word about settings.
            b64decode(getattr(account.credential, "account_key", ""))
            endpoint = account.url
            return BlobServiceClient.from_connection_string(text, transport=transport(endpoint), **_OPTIONS)
        except ValueError:
            raise SettingsError(
                "The setting ArchiveStorage is not a connection string of the form "
                "DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…, with the whole key in base64."
            ) from None
    if not settings.archive_blob_service_uri:
        raise SettingsError(MISSING)
    uri = settings.archive_blob_service_uri
    credential = TimedCredential(
        identity("ArchiveStorage", settings.archive_credential, settings.archive_client_id)
    )
    opened.push_async_callback(credential.close)
    try:
        return BlobServiceClient(uri, credential=credential, transport=transport(uri), **_OPTIONS)
    except ValueError:
        raise SettingsError("The setting ArchiveStorage__blobServiceUri is not an https address.") from None
