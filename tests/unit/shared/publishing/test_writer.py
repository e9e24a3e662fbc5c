"""Writing: a decision is executed under the etag it was made about, and remembered only if it succeeded."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError

from shared.publishing.decide import (
    Create,
    Decision,
    Delete,
    ExistingDocument,
    NeedsRead,
    Reason,
    Replace,
    Stale,
    Unchanged,
)
from shared.publishing.existing import Address, ExistingDocuments
from shared.publishing.writer import WRITE_CONFLICTS, ViewWriter, WriteResult
from tests.fakes import FakeContainer

ADDRESS = Address("daily_metrics", "d1", "p")


def body(revision: int = 1) -> dict[str, Any]:
    return {
        "id": "d1",
        "date": "p",
        "calculated_at": "2025-08-06T00:00:00Z",
        "state": {"generation": 1, "revision": revision, "tick": "", "digest": "d", "content": "c"},
    }


class Database:
    def __init__(self) -> None:
        self.container = FakeContainer("date")
        self.existing = ExistingDocuments(self)  # type: ignore[arg-type]
        self.writer = ViewWriter(self, self.existing)  # type: ignore[arg-type]

    def get_container_client(self, _name: str) -> Any:
        return self.container

    async def publish(self, revision: int = 1) -> ExistingDocument:
        await self.writer.write(ADDRESS, Create(body(revision)))
        published = await self.existing.read(ADDRESS)
        assert published is not None
        return published

    async def remembered(self) -> ExistingDocument | None:
        return await self.existing.read(ADDRESS, in_set={})

    @property
    def stored(self) -> dict[str, Any] | None:
        return self.container.items.get(("p", "d1"))


async def test_a_created_document_is_remembered_with_its_etag() -> None:
    database = Database()
    assert await database.writer.write(ADDRESS, Create(body())) == WriteResult(True, None)
    remembered = await database.remembered()
    assert remembered is not None
    assert database.stored is not None
    assert (remembered.etag, remembered.revision) == (database.stored["_etag"], 1)
    assert database.container.requests == ["create"]


async def test_a_replaced_document_is_returned() -> None:
    database = Database()
    before = await database.publish()
    assert await database.writer.write(ADDRESS, Replace(body(2), before)) == WriteResult(True, before)
    assert database.stored is not None
    assert database.stored["state"]["revision"] == 2


async def test_a_deleted_document_is_forgotten() -> None:
    database = Database()
    before = await database.publish()
    assert await database.writer.write(ADDRESS, Delete(before)) == WriteResult(True, before, deleted=True)
    assert database.stored is None
    assert await database.remembered() is None


@pytest.mark.parametrize("decision", [Replace, Delete, Create])
async def test_a_concurrent_write_fails_the_decision_and_is_forgotten(decision: Any) -> None:
    database = Database()
    before = await database.publish()
    database.container._store(body(9))
    made = {Replace: lambda: Replace(body(2), before), Delete: lambda: Delete(before)}
    with pytest.raises(WRITE_CONFLICTS):
        await database.writer.write(ADDRESS, made.get(decision, lambda: Create(body(2)))())
    assert database.stored is not None
    assert database.stored["state"]["revision"] == 9
    assert await database.remembered() is None


async def test_a_write_whose_outcome_is_unknown_is_forgotten() -> None:
    database = Database()
    before = await database.publish()

    def lose_the_answer(operation: str, when: str) -> None:
        if (operation, when) == ("replace", "after"):
            raise ServiceResponseError("connection lost")

    database.container.fault = lose_the_answer
    with pytest.raises(ServiceResponseError):
        await database.writer.write(ADDRESS, Replace(body(2), before))
    assert await database.remembered() is None


async def test_an_unchanged_document_is_remembered_and_not_written() -> None:
    database = Database()
    existing = await database.publish()
    database.existing.forget(ADDRESS)
    requests = list(database.container.requests)
    unchanged = Unchanged(Reason.SAME_STATE, existing)
    assert await database.writer.write(ADDRESS, unchanged) == WriteResult(False)
    assert await database.remembered() == existing
    assert database.container.requests == requests


@pytest.mark.parametrize("ends", ["stale", "needs a read"])
async def test_a_decision_that_needs_another_pass_writes_nothing_and_forgets(ends: str) -> None:
    database = Database()
    existing = await database.publish()
    requests = list(database.container.requests)
    decision: Decision = Stale(existing) if ends == "stale" else NeedsRead()
    assert await database.writer.write(ADDRESS, decision) == WriteResult(False)
    assert await database.remembered() is None
    assert database.container.requests == requests


async def test_a_document_that_is_always_read_is_not_remembered() -> None:
    database = Database()
    await database.writer.write(ADDRESS, Create(body()), remember=False)
    assert await database.remembered() is None
