"""Read what is known of people without state: the register, their accounts, an earlier generation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from azure.cosmos.aio import DatabaseProxy

from shared.aggregates.person_record import PersonRecord
from shared.concurrency import for_each
from shared.cosmos.queries import Query, run_query
from shared.documents.users import ids_without_owner, owner_of
from shared.facts import USERS
from shared.ledger.accounts import new_record
from shared.ledger.earlier_people import NOT_KNOWN, EarlierPeople, with_registered
from shared.ledger.known_accounts import known_accounts
from shared.ledger.people_register import PeopleRegister, RegisteredPerson

ACCOUNTS_OF_PERSON = Query(
    "accounts_of_person",
    "SELECT * FROM c WHERE c.user_id = @owner OR c.partition_key = @owner OR c.id IN (@owner, @with_prefix)",
)
"""Asks all partitions: accounts from before 1.0 have no ``user_id``, and so are in none of their owner."""

MAX_CONCURRENT_READS = 16


class NewPeople:
    """Reads what is known of people in the moment in which their state is made.

    No figure about a person is therefore published before their consent is known, and nothing of an erased
    person is counted.
    """

    def __init__(
        self, database: DatabaseProxy, earlier_people: EarlierPeople, register: PeopleRegister
    ) -> None:
        self._users = database.get_container_client(USERS)
        self._earlier_people = earlier_people
        self._register = register

    async def read_records(self, users: Collection[str]) -> dict[str, PersonRecord | None]:
        """Return a new record of each person, by user id; None for a person who was erased.

        The register knows afterwards of every refusal in the records.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        records: dict[str, PersonRecord | None] = {}

        async def one(user_id: str) -> None:
            registered = await self._register.read(user_id)
            if registered.erased:
                records[user_id] = None
                return
            earlier = await self._earlier_people.find([user_id])
            known = with_registered(earlier.get(user_id, NOT_KNOWN), registered)
            record = new_record(user_id, await self._accounts_of(user_id), known)
            await self._register_refusals(user_id, record, registered)
            records[user_id] = record

        await for_each(users, one, max_concurrency=MAX_CONCURRENT_READS)
        return records

    async def _accounts_of(self, user_id: str) -> list[dict[str, Any]]:
        without_prefix, with_prefix = ids_without_owner(user_id)
        values = {"owner": without_prefix, "with_prefix": with_prefix}
        rows = run_query(self._users, ACCOUNTS_OF_PERSON, values)
        return [row async for row in rows if owner_of(row) == user_id]

    async def _register_refusals(
        self, user_id: str, record: PersonRecord, registered: RegisteredPerson
    ) -> None:
        accounts = known_accounts(record)
        if registered.accounts or any(account.refused for account in accounts.values()):
            changed = {n: each for n, each in accounts.items() if registered.accounts.get(n) != each}
            await self._register.record_accounts(user_id, changed)
