"""Records of new people: their accounts as they are stored when the state of the people is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.aggregates.person_record import PersonRecord
from shared.ingest.new_people import NewPeople
from shared.ledger.earlier_people import EarlierPerson
from shared.ledger.people_register import PeopleRegister
from shared.settings import Settings
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


def register_on(container: FakeContainer) -> PeopleRegister:
    return PeopleRegister(container, Settings().key_ring())  # type: ignore[arg-type]


def new_people(
    database: Database, days: Mapping[str, Day] | None = None, state: FakeContainer | None = None
) -> NewPeople:
    register = register_on(state or FakeContainer("scope"))
    return NewPeople(database, Earlier(days), register)  # type: ignore[arg-type]


async def test_the_record_has_every_account_of_the_person_and_of_nobody_else() -> None:
    database = Database()
    await database.store("ana")
    await database.store("ana", "v")
    await database.store("ben", consent=False)
    records = await new_people(database).read_records({"ana", "ben"})
    assert {user_id: set(record.accounts) for user_id, record in records.items() if record} == {
        "ana": {"u", "v"}, "ben": {"u"}
    }  # fmt: skip
    assert {user_id: (record.refused, record.pending) for user_id, record in records.items() if record} == {
        "ana": (False, False), "ben": (True, True)
    }  # fmt: skip


async def test_a_person_without_accounts_has_a_record_and_does_not_refuse() -> None:
    assert await new_people(Database()).read_records({"ana"}) == {"ana": PersonRecord()}


async def test_an_account_that_cannot_be_read_refuses() -> None:
    database = Database()
    await database.store("ana", consent="perhaps")
    record = (await new_people(database).read_records({"ana"}))["ana"]
    assert record is not None
    assert record.refused


async def test_the_first_visit_is_that_of_the_generation_before() -> None:
    records = await new_people(Database(), {"ana": Day("2024-03-01")}).read_records({"ana", "ben"})
    assert {user_id: record.first_known for user_id, record in records.items() if record} == {
        "ana": "2024-03-01", "ben": None
    }  # fmt: skip


async def test_each_person_is_one_request() -> None:
    database = Database()
    people = {f"person{number}" for number in range(40)}
    assert (await new_people(database).read_records(people)).keys() == people
    assert database.users.requests == ["query"] * 40


async def test_an_erased_person_has_no_record_and_their_accounts_are_not_read() -> None:
    database, state = Database(), FakeContainer("scope")
    await database.store("ana")
    await register_on(state).write_tombstone("ana")
    assert await new_people(database, state=state).read_records({"ana"}) == {"ana": None}
    assert database.users.requests == ["upsert"]


async def test_a_refusal_is_registered_and_outlives_its_account_until_a_newer_version_consents() -> None:
    database, state = Database(), FakeContainer("scope")
    people = new_people(database, state=state)
    await database.store("ana", consent=False)
    for _ in range(2):
        record = (await people.read_records({"ana"}))["ana"]
        assert record is not None
        assert record.refused
        database.users.items.clear()
    await database.store("ana", consent=True)
    for _ in range(2):
        record = (await people.read_records({"ana"}))["ana"]
        assert record is not None
        assert not record.refused
        database.users.items.clear()


async def test_people_who_never_refused_are_not_registered() -> None:
    database, state = Database(), FakeContainer("scope")
    await database.store("ana")
    await new_people(database, state=state).read_records({"ana", "ben"})
    assert not state.items
    assert state.requests == ["read"] * 4  # two keys


async def test_a_record_is_not_made_from_a_part_of_the_accounts() -> None:
    database = Database()
    await database.store("ana", consent=False)

    def unavailable(operation: str, when: str) -> None:
        raise CosmosHttpResponseError(status_code=403, message="no")

    database.users.fault = unavailable
    with pytest.raises(CosmosHttpResponseError):
        await new_people(database).read_records({"ana"})
