"""A person in the containers of the catalogue: found, read and deleted. ``view_state`` is in ``state``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from shared.address import SourceAddress
from shared.aggregates import person, person_month
from shared.aggregates.base import PartialKey
from shared.concurrency import batched
from shared.containers import CATALOGUE, FLEET, FLEET_STATE, POISON_MESSAGES, VIEW_STATE
from shared.cosmos.control import ControlDocument
from shared.cosmos.items import delete_items
from shared.cosmos.queries import Query, after_prefix, run_query
from shared.documents.users import ids_without_owner, owner_of
from shared.facts import USERS
from shared.ingest.new_people import ACCOUNTS_OF_PERSON
from shared.ingest.sources import SOURCES
from shared.ledger.partials import PARTIAL, partial_id
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId
from shared.poison.rows import PARTITION as POISON_PARTITION
from shared.publishing.consent import USER_LEVEL_CONTAINERS
from shared.units import Month

DOCUMENTS = Query("documents_of_partition", "SELECT * FROM c")
ROWS = Query("rows_to_search", "SELECT * FROM c")

SOURCE_CONTAINERS = tuple(SOURCES)
"""Containers that the web application writes, and that have documents about one person each."""

SEARCHED = (POISON_MESSAGES, FLEET_STATE)
"""Containers that are searched document by document: they are small."""

WITHOUT_PEOPLE = tuple(
    each.name
    for each in CATALOGUE
    if each.name not in (*SOURCE_CONTAINERS, *USER_LEVEL_CONTAINERS, *SEARCHED, VIEW_STATE)
)
"""Containers that hold no id of a person: views about everybody, personas, texts, and leases."""

DELETES_PER_TRANSACTION = 25

_SHARD = re.compile(r"\d+:\d{4}")


class Stored(NamedTuple):
    """A document, and its partition."""

    document: Mapping[str, Any]
    partition: Any


class Places:
    """Everything about one person outside ``view_state``.

    Parameters
    ----------
    lifecycle_database
        The database through the identity that may delete in the sources.
    """

    def __init__(self, database: DatabaseProxy, lifecycle_database: DatabaseProxy) -> None:
        self._database = database
        self._lifecycle = lifecycle_database
        self._state = StateReader(database.get_container_client(VIEW_STATE))

    async def documents(self, container_name: str, user_id: str) -> AsyncIterator[Stored]:
        """Yield a person's documents in a container of :data:`SOURCE_CONTAINERS`, or of published views.

        Accounts are looked for in all partitions: those from before 1.0 are in none of their owner.
        """
        container = self._container(container_name)
        if container_name == USERS:
            without_prefix, with_prefix = ids_without_owner(user_id)
            values = {"owner": without_prefix, "with_prefix": with_prefix}
            async for row in run_query(container, ACCOUNTS_OF_PERSON, values):
                address = SourceAddress.of(row)
                if _owns(user_id, row) and address is not None:
                    yield Stored(row, address.partition)
            return
        async for row in run_query(container, DOCUMENTS, {}, partition_key=user_id):
            yield Stored(row, user_id)

    async def delete(self, container_name: str, user_id: str) -> int:
        """Delete a person's documents in such a container; return how many there were.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer. Run it again.
        """
        container, deleted = self._container(container_name), 0
        addresses: dict[Any, list[str]] = {}
        async for stored in self.documents(container_name, user_id):
            addresses.setdefault(stored.partition, []).append(str(stored.document["id"]))
        for partition, ids in addresses.items():
            for some in batched(ids, DELETES_PER_TRANSACTION):
                deleted += await delete_items(container, some, partition)
        return deleted

    async def poison_rows(self, user_id: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the rows of a person's documents and views."""
        rows = run_query(self._container(POISON_MESSAGES), ROWS, {}, partition_key=POISON_PARTITION)
        async for row in rows:
            if is_about(row, user_id):
                yield row

    async def delete_poison(self, user_id: str) -> int:
        """Delete the poison rows of a person; return how many there were."""
        ids = [str(row["id"]) async for row in self.poison_rows(user_id)]
        deleted = 0
        for some in batched(ids, DELETES_PER_TRANSACTION):
            deleted += await delete_items(self._container(POISON_MESSAGES), some, POISON_PARTITION)
        return deleted

    async def controls(self, user_id: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the control documents with positions of rounds of work at a person's documents."""
        async for document in run_query(self._container(FLEET_STATE), ROWS, {}):
            if any(positions_in(document, user_id)):
                yield document

    async def move_positions(self, user_id: str) -> int:
        """Move positions at a person's documents in ``view_state`` to the next document; return their number.

        Called when the person's documents are gone, so that no work is left out or done twice.
        """
        moved = 0
        async for document in self.controls(user_id):
            following = {
                position: await self._position_after(shard, position)
                for shard, position in positions_in(document, user_id)
            }
            control = ControlDocument(
                self._container(FLEET_STATE), str(document["scope"]), str(document["id"])
            )
            await control.update(
                lambda stored, moves=following: (  # type: ignore[misc]
                    None if stored is None else moved_positions(stored, moves)
                )
            )
            moved += len(following)
        return moved

    async def _position_after(self, shard: ShardId, position: str) -> str:
        end = after_prefix(f"{PARTIAL}|person")
        return await self._state.first_id(shard, position, end) or end

    def _container(self, name: str) -> ContainerProxy:
        is_source = next(each for each in CATALOGUE if each.name == name).written_by != FLEET
        database = self._lifecycle if is_source else self._database
        return database.get_container_client(name)


def is_about(row: Mapping[str, Any], user_id: str) -> bool:
    """Return whether a poison row is about a document or a view of a person.

    Only the fields that say whose it is are looked at. Any other text may be a person's id by chance: that of
    a chapter, or of a status.
    """
    copy = row.get("original_document")
    document = copy if isinstance(copy, Mapping) else {}
    partition = row.get("source_partition_key")
    if row.get("source_container") != USERS:
        return user_id in (partition, document.get("user_id"))
    address = {"id": row.get("document_id")} | ({} if partition is None else {"user_id": partition})
    return _owns(user_id, {**address, **document})


def _owns(user_id: str, account: Mapping[str, Any]) -> bool:
    """Return whether an account is a person's, also if the id is longer than any that is counted."""
    return user_id in (owner_of(account), account.get("user_id"))


def is_position_at(text: str, user_id: str) -> bool:
    """Return whether a position in a shard is at a document that a person owns, or just after it."""
    at, months = text.removesuffix(" "), f"{PARTIAL}|{person_month.NAME}|"
    if at.startswith(months):
        month = Month(at.removeprefix(months).partition("|")[0])
        return at == partial_id(PartialKey(person_month.NAME, person_month.month_key(month, user_id)))
    return at == partial_id(PartialKey(person.NAME, user_id))


def positions_in(value: object, user_id: str) -> Iterable[tuple[ShardId, str]]:
    """Yield the positions at a person's documents, with their shards."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if isinstance(each, str) and _SHARD.fullmatch(str(key)) and is_position_at(each, user_id):
                yield ShardId(key), each
            else:
                yield from positions_in(each, user_id)


def moved_positions(value: Any, moves: Mapping[str, str]) -> Any:
    """Return a value with other positions."""
    if isinstance(value, str):
        return moves.get(value, value)
    if isinstance(value, Mapping):
        return {key: moved_positions(each, moves) for key, each in value.items()}
    return [moved_positions(each, moves) for each in value] if isinstance(value, list) else value
