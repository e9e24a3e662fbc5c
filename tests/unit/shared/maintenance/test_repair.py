"""Repairs: a document is replaced under its etag, and the poison row of a repaired one is marked."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from shared.errors import PoisonNotFoundError, RepairError
from shared.facts import USER_INTERACTIONS
from shared.maintenance import repair
from shared.maintenance.repair import REPAIRED_BY
from tests.unit.shared.maintenance.test_replay import BAD, Source, source
from tests.unit.shared.world import interaction

__all__ = ["source"]  # the fixture

GOOD = interaction(2, "2025-09-12T11:00:00Z")


async def read(here: Source, row_id: str) -> dict[str, Any]:
    name, document = await here.fleet.repairer.get_of_row(row_id)
    assert name == USER_INTERACTIONS
    return document


async def test_a_repaired_document_is_written_counted_once_and_its_row_marked(source: Source) -> None:
    row_id = await source.fail()
    document = await read(source, row_id)
    report = await source.fleet.repairer.put(USER_INTERACTIONS, document | {"user_rating": 4}, by="ann")
    row = await source.fleet.poison.get(row_id)
    assert (row["status"], row["status_changed_by"], report.replayed) == ("replayed", "ann", row_id)
    live = await source.fleet.repairer.get(USER_INTERACTIONS, BAD["id"], "ann")
    assert (live["user_rating"], live["_etag"]) == (4, report.etag)
    await source.fleet.ingest.ingest_batch(USER_INTERACTIONS, [live])
    assert source.counted() == 1


async def test_a_document_without_a_row_is_replaced_too(source: Source) -> None:
    await source.write(GOOD)
    document = await source.fleet.repairer.get(USER_INTERACTIONS, GOOD["id"], "ann")
    report = await source.fleet.repairer.put(USER_INTERACTIONS, document | {"user_rating": 1}, by="ann")
    assert report.replayed is None


async def test_a_document_that_was_changed_meanwhile_is_not_replaced(source: Source) -> None:
    row_id = await source.fail()
    document = await read(source, row_id)
    await source.write(BAD | {"user_rating": 3})
    with pytest.raises(RepairError, match="was changed after it was read"):
        await source.fleet.repairer.put(USER_INTERACTIONS, document | {"user_rating": 4}, by="ann")
    assert (await read(source, row_id))["user_rating"] == 3
    assert await source.status(row_id) == "pending"


async def test_a_version_that_cannot_be_counted_is_refused_before_it_is_written(source: Source) -> None:
    row_id = await source.fail()
    document = await read(source, row_id)
    with pytest.raises(RepairError, match="could not count this version: user_rating is 8"):
        await source.fleet.repairer.put(USER_INTERACTIONS, document | {"user_rating": 8}, by="ann")
    assert (await read(source, row_id))["user_rating"] == 9
    with pytest.raises(RepairError, match=r"was replaced\. .* failed again: user_rating is 8"):
        await source.fleet.repairer.put(
            USER_INTERACTIONS, document | {"user_rating": 8}, by="ann", check=False
        )
    assert (await read(source, row_id))["user_rating"] == 8


@pytest.mark.parametrize("name", ["id", "user_id", "_etag"])
async def test_a_document_that_was_not_read_first_is_refused(source: Source, name: str) -> None:
    document = await read(source, await source.fail())
    for without in ({**document, name: ""}, {key: value for key, value in document.items() if key != name}):
        with pytest.raises(RepairError, match=f"^{name} is missing"):
            await source.fleet.repairer.put(USER_INTERACTIONS, without, by="ann")


async def test_what_does_not_exist_is_said_so(source: Source) -> None:
    with pytest.raises(RepairError, match="user_interactions has no document 'x'"):
        await source.fleet.repairer.get(USER_INTERACTIONS, "x", "ann")
    with pytest.raises(RepairError, match="user_interactions has no document"):
        await source.fleet.repairer.put(USER_INTERACTIONS, GOOD | {"_etag": "1"}, by="ann")
    with pytest.raises(RepairError, match="'daily_metrics' is not a source; the sources are"):
        await source.fleet.repairer.get("daily_metrics", "x", "ann")
    with pytest.raises(PoisonNotFoundError):
        await source.fleet.repairer.get_of_row("poison_1")


async def test_a_run_marks_the_rows_of_documents_that_were_repaired_elsewhere(source: Source) -> None:
    repaired, still_bad, untouched, gone = [
        await source.fail(BAD | {"id": name}) for name in ("repaired", "still bad", "untouched", "gone")
    ]
    await source.write(BAD | {"id": "repaired", "user_rating": 4})
    await source.write(BAD | {"id": "still bad", "user_rating": 8})
    del source.container.items["ann", "gone"]
    with structlog.testing.capture_logs() as logged:
        report = await source.fleet.repairer.replay_repaired()
    assert [entry["poison_id"] for entry in logged if entry["log_level"] == "error"] == [still_bad]
    assert (report.looked_at, report.replayed, report.refused) == (4, [repaired], 1)
    assert (await source.fleet.poison.get(repaired))["status_changed_by"] == REPAIRED_BY
    assert {await source.status(row_id) for row_id in (still_bad, untouched, gone)} == {"pending"}
    again = await source.fleet.repairer.replay_repaired()
    assert (again.looked_at, again.replayed, again.refused) == (3, [], 0)
    assert source.counted() == 1


async def test_every_row_has_its_turn_whatever_the_runs_begin_with(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "ROWS_AT_ONCE", 2)
    ids = sorted([await source.fail(BAD | {"id": f"bad {number}"}) for number in range(5)])
    for start, expected in ((ids[0], ids[:2]), (ids[4], [ids[4], ids[0]]), ("poison_z", ids[:2])):
        rows = [row["id"] async for row in source.fleet.poison.pending_from(start, limit=2)]
        assert rows == expected
    assert len([row async for row in source.fleet.poison.pending_from(ids[2], limit=9)]) == 5
    assert (await source.fleet.repairer.replay_repaired()).looked_at == 2
