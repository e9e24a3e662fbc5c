"""Records of new people: their accounts as they are stored when the state of the people is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.aggregates.person_record import PersonRecord
from shared.ingest.new_people import NewPeople
from shared.ledger.earlier_people import EarlierPerson
from shared.units import Day
from tests.fakes import FakeContainer


class Database:
    """The container of accounts alone."""

    def __init__(self) -> None:
        self.users = FakeContainer("user_id")

    def get_container_client(self, name: str) -> Any:
        assert name == "users"
        return self.users

    async def store(self, user_id: str, document_id: str = "u", consent: object = True) -> None:
        await self.users.upsert_item({"id": document_id, "user_id": user_id, "analytics_consent": consent})


class Earlier:
    """What an earlier generation knows."""

    def __init__(self, days: Mapping[str, Day] | None = None) -> None:
        self.days = days or {}

    async def find(self, users: Iterable[str]) -> dict[str, EarlierPerson]:
        return {user_id: EarlierPerson(self.days[user_id]) for user_id in users if user_id in self.days}


def new_people(database: Database, days: Mapping[str, Day] | None = None) -> NewPeople:
    return NewPeople(database, Earlier(days))  # type: ignore[arg-type]


async def test_the_record_has_every_account_of_the_person_and_of_nobody_else() -> None:
    database = Database()
    await database.store("ana")
    await database.store("ana", "v")
    await database.store("ben", consent=False)
    records = await new_people(database).read_records({"ana", "ben"})
    assert {user_id: set(record.accounts) for user_id, record in records.items()} == {
        "ana": {"u", "v"}, "ben": {"u"}
    }  # fmt: skip
    assert {user_id: (record.refused, record.pending) for user_id, record in records.items()} == {
        "ana": (False, False), "ben": (True, True)
    }  # fmt: skip


async def test_a_person_without_accounts_has_a_record_and_does_not_refuse() -> None:
    assert await new_people(Database()).read_records({"ana"}) == {"ana": PersonRecord()}


async def test_an_account_that_cannot_be_read_refuses() -> None:
    database = Database()
    await database.store("ana", consent="perhaps")
    assert (await new_people(database).read_records({"ana"}))["ana"].refused


async def test_the_first_visit_is_that_of_the_generation_before() -> None:
    records = await new_people(Database(), {"ana": Day("2024-03-01")}).read_records({"ana", "ben"})
    assert {user_id: record.first_known for user_id, record in records.items()} == {
        "ana": "2024-03-01", "ben": None
    }  # fmt: skip


async def test_each_person_is_one_request() -> None:
    database = Database()
    people = {f"person{number}" for number in range(40)}
    assert (await new_people(database).read_records(people)).keys() == people
    assert database.users.requests == ["query"] * 40


async def test_a_record_is_not_made_from_a_part_of_the_accounts() -> None:
    database = Database()
    await database.store("ana", consent=False)

    def unavailable(operation: str, when: str) -> None:
        raise CosmosHttpResponseError(status_code=403, message="no")

    database.users.fault = unavailable
    with pytest.raises(CosmosHttpResponseError):
        await new_people(database).read_records({"ana"})
