"""Restored documents: created, marked, the newest version, and nobody who is erased."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from shared.archive.restore import NothingArchivedError, RestoreReport
from shared.containers import DAY
from shared.ledger.people_register import PeopleRegister
from tests.unit.shared.archive.test_archiver import ODD
from tests.unit.shared.archive.world import RING, World, interaction, world

INTERACTIONS = "user_interactions"


async def archived(here: World, *documents: dict[str, Any], name: str = INTERACTIONS, age: int = 200) -> None:
    """Archive documents, and let them expire."""
    await here.write(name, *documents, age_days=age)
    await here.archiver().run()
    here.time += 400 * DAY
    assert await here.all_of(name) == []


def outcome(report: RestoreReport) -> dict[str, int]:
    return {result: count for result, count in report.results.items() if count}


def plain(document: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in document.items() if not n.startswith("_") and n != "restored_from_archive"}


async def test_a_persons_documents_come_back_marked_and_live_a_full_term() -> None:
    async with world() as here:
        documents = [interaction(n, user) for n in range(5) for user in ("ann", "bob")]
        await archived(here, *documents)
        assert outcome(await here.restorer().restore(user_id="ann", dry_run=True)) == {"restored": 5}
        assert await here.all_of(INTERACTIONS) == []
        assert outcome(await here.restorer().restore(user_id="ann")) == {"restored": 5}
        found = await here.all_of(INTERACTIONS)
        assert sorted((plain(each) for each in found), key=lambda each: str(each["id"])) == documents[::2]
        assert {each["restored_from_archive"]["day"] for each in found} == {"2025-03-01"}
        assert outcome(await here.restorer().restore(user_id="ann")) == {"live": 5}
        assert outcome(await here.restorer().restore(user_id="ann", dry_run=True)) == {"live": 5}
        here.time += 364 * DAY
        assert len(await here.all_of(INTERACTIONS)) == 5
        await here.archiver().run()
        assert len(here.names()) == 10, "a restored document is archived again under the same name"


async def test_a_live_document_is_never_overwritten() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1), age_days=200)
        await here.archiver().run()
        await here.write(INTERACTIONS, interaction(1, user_rating=5))
        before = await here.all_of(INTERACTIONS)
        assert outcome(await here.restorer().restore(user_id="ann")) == {"live": 1}
        assert await here.all_of(INTERACTIONS) == before


async def test_a_day_an_id_and_both() -> None:
    async with world() as here:
        other = "2025-03-02T10:00:00Z"
        await archived(
            here, interaction(1), interaction(2, timestamp=other), interaction(1, "bob", timestamp=other)
        )
        restorer = here.restorer()
        for wanted, count in (
            ({"day": date(2025, 3, 1)}, 1),
            ({"day": date(2025, 3, 2)}, 2),
            ({"document_id": "i1"}, 2),
            ({"document_id": "i1", "day": date(2025, 3, 2)}, 1),
            ({"document_id": "i1", "user_id": "ann"}, 1),
            ({"user_id": "bob", "day": date(2025, 3, 2)}, 1),
        ):
            report = await restorer.restore(**wanted, dry_run=True)  # type: ignore[arg-type]
            assert outcome(report) == {"restored": count}, wanted
        for nothing in ({"user_id": "eve"}, {"day": date(2024, 1, 1)}, {"document_id": "i"}):
            with pytest.raises(NothingArchivedError):
                await restorer.restore(**nothing)  # type: ignore[arg-type]


async def test_the_newest_version_comes_back_also_if_it_is_archived_under_another_day() -> None:
    async with world() as here:
        await here.write(INTERACTIONS, interaction(1), age_days=250)
        await here.archiver().run()
        await here.write(
            INTERACTIONS, interaction(1, user_rating=5, timestamp="2025-02-01T00:00:00Z"), age_days=200
        )
        await here.archiver().run()
        here.time += 400 * DAY
        assert outcome(await here.restorer().restore(user_id="ann")) == {"restored": 1}
        assert [each["user_rating"] for each in await here.all_of(INTERACTIONS)] == [5]


async def test_documents_of_any_id_and_partition_come_back() -> None:
    async with world() as here:
        documents = [interaction(0, user, id=each) for user in ODD for each in ODD]
        await archived(here, *documents)
        for user in ODD:
            assert outcome(await here.restorer().restore(user_id=user)) == {"restored": len(ODD)}
        found = {(each["user_id"], each["id"]) for each in await here.all_of(INTERACTIONS)}
        assert found == {(each["user_id"], each["id"]) for each in documents}


async def test_nobody_who_is_erased_comes_back_not_even_if_it_happens_meanwhile() -> None:
    async with world() as here:
        await archived(here, *(interaction(n, user) for n in range(3) for user in ("ann", "bob", "eve")))
        here.erased = {"eve"}

        async def erased_among(users: Any) -> set[str]:
            answer = await here.erased_among(users)
            here.erased.add("bob")
            return answer

        restorer = here.restorer()
        restorer._erased_among = erased_among
        report = await restorer.restore(day=date(2025, 3, 1))
        assert report.results["erased"] >= 3
        assert {each["user_id"] for each in await here.all_of(INTERACTIONS)} <= {"ann"}


async def test_a_copy_without_the_user_id_belongs_nowhere() -> None:
    async with world() as here:
        analytics = {
            "id": "user_analytics_ann_2025_07",
            "user_id": "ann",
            "period_start": "2025-07-01T00:00:00Z",
        }
        await archived(here, analytics, name="user_analytics", age=80)
        assert outcome(await here.restorer().restore(user_id="ann")) == {"anonymous": 1}


async def test_a_blob_that_was_changed_is_not_restored() -> None:
    async with world() as here:
        await archived(here, interaction(1), interaction(2))
        here.blobs.change("archived/2025/03/01/ann/i1.json", b'{"id":"i1","user_id":"ann"}')
        report = await here.restorer().restore(user_id="ann")
        assert outcome(report) == {"restored": 1, "damaged": 1}
        assert report.blobs == [("archived/2025/03/01/ann/i1.json", "damaged")]


async def test_the_register_says_who_of_many_is_erased_under_any_key() -> None:
    async with world() as here:
        register = PeopleRegister(here.database.get_container_client("fleet_state"), RING, clock=here.clock)
        await register.write_tombstone("u7")
        await register.write_tombstone("u230")
        assert await register.erased_among({f"u{number}" for number in range(250)}) == {"u7", "u230"}
        assert await register.erased_among(()) == frozenset()


async def test_a_copy_under_another_persons_name_is_not_restored() -> None:
    """Otherwise it would bring back an erased person: who is erased is asked about the name."""
    async with world() as here:
        await archived(here, interaction(1, "ann"))
        content, known = here.blobs.blobs["archived/2025/03/01/ann/i1.json"]
        name = "archived/2025/03/01/bob/i1.json"
        here.blobs.blobs[name] = content, known._replace(name=name)
        here.erased = {"ann"}
        assert outcome(await here.restorer().restore(user_id="bob")) == {"damaged": 1}
        assert await here.all_of(INTERACTIONS) == []
