"""The settings of the fleet. Names are the same on a laptop, in tests and in Azure."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import SettingsError
from shared.privacy.keyring import KeyRing


def _level(name: str) -> str:
    known = logging.getLevelNamesMapping()
    if name.upper() not in known:
        raise PydanticCustomError(
            "log_level",
            "{name} is not one of {known}",
            {"name": repr(name), "known": ", ".join(sorted(known, key=known.__getitem__))},
        )
    return name.upper()


def _key_ring(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return KeyRing.parse(value) if value.strip() else None
    except ValueError as error:
        raise PydanticCustomError("key_ring", "{problem}", {"problem": str(error)}) from None


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


class Settings(BaseSettings):
    """Every setting that the fleet reads. Values come from environment variables (app settings in Azure)."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, populate_by_name=True, arbitrary_types_allowed=True
    )

    cosmos_connection_string: str | None = Field(default=None, validation_alias="CosmosDb", repr=False)
    """Connection string of the Cosmos DB account. Takes precedence over the endpoint."""

    cosmos_account_endpoint: str | None = Field(default=None, validation_alias="CosmosDb__accountEndpoint")
    """Endpoint of the account, for access by an identity instead of a key."""

    cosmos_client_id: str | None = Field(default=None, validation_alias="CosmosDb__clientId")
    """Client id of the user-assigned identity; without it, the system-assigned one is used."""

    cosmos_credential: str | None = Field(default=None, validation_alias="CosmosDb__credential")
    """``managedidentity``, or not set: then the identity is sought in the environment, as on a laptop."""

    cosmos_preferred_locations: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_names),
        Field(validation_alias="FLEET_PREFERRED_LOCATIONS"),
    ] = ()
    """Regions of the account to read from, the first that answers: ``East US,West Europe``.

    Without them, the fleet reads from the region that takes writes, also after a failover. Another region may
    lag behind: then more folds and publications meet a conflict and begin again. Decisions on what a replica
    may lack hold up to :data:`~shared.clock.REPLICA_LAG_SECONDS`.
    """

    cosmos_database: str = Field(
        default="vimarsh-multi-personality", validation_alias="COSMOS_DATABASE", min_length=1, max_length=255
    )

    archive_connection_string: str | None = Field(default=None, validation_alias="ArchiveStorage", repr=False)
    """Connection string of the archive's storage account. Takes precedence over the endpoint."""

    archive_blob_service_uri: str | None = Field(
        default=None, validation_alias="ArchiveStorage__blobServiceUri"
    )
    """Endpoint of the archive's blob service, for access by an identity instead of a key."""

    archive_client_id: str | None = Field(default=None, validation_alias="ArchiveStorage__clientId")
    """Client id of the user-assigned identity for the archive."""

    archive_credential: str | None = Field(default=None, validation_alias="ArchiveStorage__credential")
    """``managedidentity``, or not set: then the identity is sought in the environment, as on a laptop."""

    lifecycle_client_id: str | None = Field(default=None, validation_alias="LifecycleCosmosDb__clientId")
    """Client id of the identity that may delete, create and replace in the sources: for erasures.

    Without it, that of the fleet is used.
    """

    deletion_grace_days: Annotated[
        int, Field(ge=0, le=3_650, validation_alias="FLEET_DELETION_GRACE_DAYS")
    ] = 30
    """Days after which a person is erased whose account has the status ``deleted``."""

    shards: Annotated[int, Field(ge=1, le=1024, validation_alias="FLEET_SHARDS")] = 64
    """Number of shards. All state about one user lives in one shard, so a change needs a new generation.

    A document has the sum of the revisions of up to two states of each shard: times in milliseconds.
    With more shards it could exceed 2**53 before 2100, and the service does not store larger numbers exactly.

    ``fleet_state`` records the number of each generation. A fleet with a different setting refuses to work.
    """

    generation: Annotated[int, Field(ge=1, le=9999, validation_alias="FLEET_GENERATION")] = 1
    """Generation of the state in ``view_state``. A new generation starts empty and counts everything again.

    The function app requires an explicit value, because the prefixes of the leases contain it.
    """

    state_margin_days: Annotated[int, Field(ge=7, le=36_500, validation_alias="FLEET_STATE_MARGIN_DAYS")] = 35
    """Days by which state of a month outlives what its source keeps of the month.

    What arrives later is not counted. ``fleet_state`` records the number when a generation begins, and the
    recorded number is used.
    """

    document_attempts: Annotated[int, Field(ge=1, le=10, validation_alias="FLEET_DOCUMENT_ATTEMPTS")] = 3
    """Attempts at a document that fails, before it goes to ``poison_messages``."""

    document_backoff_seconds: Annotated[
        float, Field(ge=0, le=60, validation_alias="FLEET_DOCUMENT_BACKOFF_SECONDS")
    ] = 0.2
    """First pause between two attempts at one document, in seconds. It doubles each time, with jitter."""

    shard_concurrency: Annotated[int, Field(ge=1, le=256, validation_alias="FLEET_SHARD_CONCURRENCY")] = 8
    """Shards of one batch that are folded concurrently."""

    cache_bytes: Annotated[int, Field(ge=0, validation_alias="FLEET_CACHE_BYTES")] = 80 * 1024 * 1024
    """Approximate limit, in bytes, on an instance's memory for cached state documents."""

    merge_bytes: Annotated[int, Field(ge=0, validation_alias="FLEET_MERGE_BYTES")] = 80 * 1024 * 1024
    """Approximate limit, in bytes, on an instance's memory for merged days and months of all shards."""

    audit_delay_seconds: Annotated[
        int, Field(ge=0, le=86_400, validation_alias="FLEET_AUDIT_DELAY_SECONDS")
    ] = 300
    """Seconds by which the auditor stays behind the feeds."""

    hash_keys: Annotated[
        KeyRing | None,
        NoDecode,
        BeforeValidator(_key_ring),
        Field(validation_alias="FLEET_HASH_KEYS", repr=False),
    ] = None
    """Keys of the hashes that stay of erased people: ``2026a=<base64 of 32 bytes>,2025a=<…>``, newest first.

    In Azure a reference to a secret in Key Vault. A fleet without keys refuses to work: it would not know
    whom it may not count. A key stays in the list as long as a tombstone was made with it.
    """

    log_level: Annotated[str, AfterValidator(_level), Field(validation_alias="FLEET_LOG_LEVEL")] = "INFO"
    """Lowest level that is logged."""

    def for_lifecycle(self) -> Settings:
        """Return the settings of a client that may delete in the sources."""
        if self.cosmos_connection_string or not self.lifecycle_client_id:
            return self
        return self.model_copy(update={"cosmos_client_id": self.lifecycle_client_id})

    def key_ring(self) -> KeyRing:
        """Return the keys of the hashes that stay of erased people.

        Raises
        ------
        SettingsError
            There are none.
        """
        if self.hash_keys is None:
            raise SettingsError(
                "The setting FLEET_HASH_KEYS must be set, to the id of a key and 32 random bytes in base64: "
                "2026a=<what `openssl rand -base64 32` writes>. Keep it as long as the data of the fleet."
            )
        return self.hash_keys


def load_settings(values: Mapping[str, str] | None = None, *, need_account: bool = True) -> Settings:
    """Read the settings from the environment.

    Parameters
    ----------
    values
        Settings by the names of their variables, which win over the environment.
    need_account
        Whether the caller connects to the account that the settings name.

    Raises
    ------
    SettingsError
        A value is out of its range, or neither ``CosmosDb`` nor ``CosmosDb__accountEndpoint`` is set.
    """
    try:
        settings = Settings(**(values or {}))  # type: ignore[arg-type]  # texts, as in the environment
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"The setting {name} is not usable: {first['msg']}.") from None
    if need_account and not settings.cosmos_connection_string and not settings.cosmos_account_endpoint:
        raise SettingsError(
            "The setting CosmosDb (connection string) or CosmosDb__accountEndpoint (identity) must be set; "
            "both are empty."
        )
    return settings


@cache
def current_settings() -> Settings:
    """Return the settings of this process. They are read once."""
    return load_settings()
