"""What ``fleet doctor`` looks at beside the database: keys of hashes, and blob storage."""

from __future__ import annotations

from collections.abc import Iterable

from ops.checkup import Finding, Verdict
from shared.archive.store import CONTAINER
from shared.cosmos.retries import is_service_fault
from shared.errors import SettingsError, line_of
from shared.settings import Settings
from shared.storage.blobs import BlobStore
from shared.storage.client import connect_storage

README = "README.md lists all settings."


def check_settings(settings: Settings) -> Iterable[Finding]:
    """Look at what a fleet needs beside the account."""
    yield Finding("settings", Verdict.OK, f"The database is {settings.cosmos_database}.")
    try:
        ring = settings.key_ring()
    except SettingsError as error:
        yield Finding("keys", Verdict.PROBLEM, line_of(error), README)
    else:
        yield Finding("keys", Verdict.OK, f"New hashes are made with the key {ring.key_ids[0]}.")


async def check_storage(settings: Settings) -> Iterable[Finding]:
    """Ask blob storage for what the archive has. Nothing is created."""
    if not (settings.archive_connection_string or settings.archive_blob_service_uri):
        text = "No blob storage is set: nothing is archived or exported, and no tombstone has a copy."
        return [Finding("storage", Verdict.WARNING, text, "Set ArchiveStorage, see README.md.")]
    try:
        async with connect_storage(settings) as client:
            await BlobStore(client.get_container_client(CONTAINER)).folders("")
    except SettingsError as error:
        return [Finding("storage", Verdict.PROBLEM, line_of(error), README)]
    except Exception as error:
        if not is_service_fault(error):
            raise
        text = f"It does not answer, or refuses the caller: {str(error).partition(chr(10))[0].strip()}"
        remedy = "Look at ArchiveStorage, the rights of the identity, the network and the firewall."
        return [Finding("storage", Verdict.PROBLEM, text, remedy)]
    return [Finding("storage", Verdict.OK, "It answers, and lists what the archive has.")]
