"""Lease documents as other tools and older processors write and read them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.host.conftest import PARTITIONS, AppWriter, Database, drained, hosting, trigger
from tests.integration.host.recorder import Recorder

IDS = [f"d{n}" for n in range(40)]
SYSTEM = {"_rid", "_self", "_etag", "_attachments", "_ts"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z")


async def test_every_property_is_the_processors(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder, "first"):
        await drained(folder)
        found = await database.lease_documents()
    assert len(found) == PARTITIONS
    names = ["id", "version", "LeaseToken", "FeedRange", "Owner", "ContinuationToken"]
    names += ["properties", "timestamp", "Mode"]
    for lease in found:
        assert [name for name in lease if name not in SYSTEM] == names
        bounds = lease["FeedRange"]["Range"]
        assert list(lease["FeedRange"]) == ["Range"]
        assert list(bounds) == ["min", "max"]
        assert lease["version"] == 1
        assert lease["id"].endswith(f"..{lease['LeaseToken']}")
        assert lease["LeaseToken"] == f"{bounds['min']}-{bounds['max']}"
        assert lease["Owner"] == "first"
        assert re.fullmatch(r'"\d+"', lease["ContinuationToken"])
        assert all(isinstance(value, str) for value in lease["properties"].values())
        assert TIMESTAMP.fullmatch(lease["timestamp"])
        assert lease["Mode"] == "Incremental Feed"
        assert lease["_etag"]


OLDER = {
    "version 0 with its range": {"version": 0, "Mode": "Incremental Feed"},
    "version 0 without its range": {"version": 0},
    "before versions": {"state": 1, "SequenceNumber": 17},
}


@pytest.mark.parametrize("kind", OLDER)
@pytest.mark.parametrize("marked", [True, False], ids=["initialized", "not initialized"])
async def test_leases_for_partition_key_ranges_are_taken_up_where_they_are(
    database: Database, recorder: Recorder, app: AppWriter, kind: str, marked: bool
) -> None:
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    older: dict[str, dict[str, Any]] = {}
    for number, lease in enumerate(await database.lease_documents()):
        prefix = lease["id"].removesuffix(lease["LeaseToken"])
        await database.leases.delete_item(lease["id"], lease["id"])
        document = {
            "id": f"{prefix}{number}",
            "LeaseToken": str(number),
            "Owner": None,
            "ContinuationToken": lease["ContinuationToken"],
            "properties": {"note": "kept"},
            "FeedRange": lease["FeedRange"],
            **OLDER[kind],
        }
        if kind != "version 0 with its range":
            del document["FeedRange"]
        if kind == "before versions":
            document["PartitionId"] = document.pop("LeaseToken")
        older[document["id"]] = {**document, "FeedRange": lease["FeedRange"]}
        await database.leases.create_item(document)
        marker = f"{prefix.removesuffix('..')}.info"
    if not marked:
        await database.leases.delete_item(marker, marker)
    await database.write("later")
    async with hosting(folder, "second"):
        await drained(folder)
        held = await database.lease_documents()
    assert recorder.ids()[len(IDS) :] == ["later"]
    assert {lease["id"] for lease in held} == set(older)  # none was created beside them
    for lease in held:
        before = older[lease["id"]]
        assert lease["version"] == 0
        assert lease["FeedRange"] == before["FeedRange"]
        assert lease["LeaseToken"] == before.get("LeaseToken", before.get("PartitionId"))
        assert lease["properties"]["note"] == "kept"
        assert lease["Owner"] == "second"
        for name in ("PartitionId", "state", "SequenceNumber", "Mode"):
            assert lease.get(name) == before.get(name)


async def test_a_lease_for_a_range_that_never_was_is_named_and_left_alone(
    database: Database, recorder: Recorder, app: AppWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = app(trigger())
    async with hosting(folder):
        await drained(folder)
    prefix = (await database.lease_documents())[0]["id"].split("..")[0]
    foreign = {"id": f"{prefix}..77", "LeaseToken": "77", "Owner": None, "ContinuationToken": None}
    created = await database.leases.create_item(foreign)
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    assert sorted(recorder.ids()) == sorted(IDS)
    assert await database.leases.read_item(foreign["id"], foreign["id"]) == created
    assert "lease_unreadable" in capsys.readouterr().err
