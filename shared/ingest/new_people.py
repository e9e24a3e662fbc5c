"""Read what is known of people without state: their accounts, and what an earlier generation knows."""

from __future__ import annotations

from collections.abc import Collection

from azure.cosmos.aio import DatabaseProxy

from shared.aggregates.person_record import PersonRecord
from shared.concurrency import for_each
from shared.cosmos.queries import Query, run_query
from shared.documents.users import ids_without_owner, owner_of
from shared.facts import USERS
from shared.ledger.accounts import new_record
from shared.ledger.earlier_people import NOT_KNOWN, EarlierPeople

ACCOUNTS_OF_PERSON = Query(
    "accounts_of_person",
    "SELECT * FROM c WHERE c.user_id = @owner OR c.partition_key = @owner OR c.id IN (@owner, @with_prefix)",
)
"""Asks all partitions: accounts from before 1.0 have no ``user_id``, and so are in none of their owner."""

MAX_CONCURRENT_READS = 16


class NewPeople:
    """Reads the accounts of people in the moment in which their state is made.

    No figure about a person is therefore published before their consent is known.
    """

    def __init__(self, database: DatabaseProxy, earlier_people: EarlierPeople) -> None:
        self._users = database.get_container_client(USERS)
        self._earlier_people = earlier_people

    async def read_records(self, users: Collection[str]) -> dict[str, PersonRecord]:
        """Return a new record of each person, by user id.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        records: dict[str, PersonRecord] = {}
        earlier = await self._earlier_people.find(users)

        async def one(user_id: str) -> None:
            without_prefix, with_prefix = ids_without_owner(user_id)
            values = {"owner": without_prefix, "with_prefix": with_prefix}
            rows = run_query(self._users, ACCOUNTS_OF_PERSON, values)
            accounts = [row async for row in rows if owner_of(row) == user_id]
            records[user_id] = new_record(user_id, accounts, earlier.get(user_id, NOT_KNOWN))

        await for_each(users, one, max_concurrency=MAX_CONCURRENT_READS)
        return records
