"""Read what is known of people who have no state yet: their accounts, and their first visit."""

from __future__ import annotations

from collections.abc import Collection

from azure.cosmos.aio import DatabaseProxy

from shared.aggregates.person_record import PersonRecord
from shared.concurrency import for_each
from shared.cosmos.queries import Query, run_query
from shared.facts import USERS
from shared.ledger.accounts import new_record
from shared.ledger.first_visits import FirstVisits

ACCOUNTS_OF_PERSON = Query("accounts_of_person", "SELECT * FROM c")

MAX_CONCURRENT_READS = 16


class NewPeople:
    """Reads the accounts of people in the moment in which their state is made.

    No figure about a person is therefore published before their consent is known.
    """

    def __init__(self, database: DatabaseProxy, first_visits: FirstVisits) -> None:
        self._users = database.get_container_client(USERS)
        self._first_visits = first_visits

    async def read_records(self, users: Collection[str]) -> dict[str, PersonRecord]:
        """Return a new record of each person, by user id.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        records: dict[str, PersonRecord] = {}
        first_days = await self._first_visits.first_days(users)

        async def one(user_id: str) -> None:
            rows = run_query(self._users, ACCOUNTS_OF_PERSON, {}, partition_key=user_id)
            accounts = [row async for row in rows]
            records[user_id] = new_record(user_id, accounts, first_days.get(user_id))

        await for_each(users, one, max_concurrency=MAX_CONCURRENT_READS)
        return records
