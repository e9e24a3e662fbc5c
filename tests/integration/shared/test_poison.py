"""Poison on a real database: rows of the largest documents, and what operators do about rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.core.pipeline.transport import AioHttpTransport

from shared.errors import ReplayError
from shared.fleet import Fleet
from tests.integration.shared.conftest import Feed, interaction

LARGEST = 2 * 1024 * 1024 - 4096
"""Bytes of a document that the service just about takes."""


def filled(name: str, text: str) -> dict[str, Any]:
    """Return a bad document that is as large as can be."""
    document = interaction(id=name, user_rating=9, notes=[])
    each = len(json.dumps(text, ensure_ascii=False).encode()) + 1
    room = LARGEST - len(json.dumps(document).encode())
    return document | {"notes": [text] * (room // each)}


async def test_the_largest_documents_go_to_poison_and_hold_up_nobody(feed: Feed) -> None:
    short, foreign = filled("short texts", "y" * 900), filled("letters of three bytes", "धर्म" * 70)
    await feed.write(interaction(), short, foreign)
    report = await feed.deliver()
    assert (report.counted, len(report.poisoned)) == (1, 2)
    for row in [await feed.fleet.poison.get(row_id) for row_id in report.poisoned]:
        assert row["original_truncated"] is True
        assert row["original_document"]["user_rating"] == 9
    audited = await feed.fleet.auditor.audit_all(delay_seconds=0)
    assert all(report.caught_up for report in audited)


async def test_items_are_sent_as_they_are_measured(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    send = AioHttpTransport.send

    async def listening(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        sent.append(request.data)
        return await send(self, request, **options)

    monkeypatch.setattr(AioHttpTransport, "send", listening)
    container = fleet.database.get_container_client("user_interactions")
    await container.upsert_item(interaction(user_query="धर्म"))
    assert any("धर्म".encode() in body for body in sent if isinstance(body, bytes))


async def test_a_copy_older_than_what_was_counted_is_not_called_replayed(feed: Feed) -> None:
    await feed.write(interaction(user_rating=9))
    (row_id,) = (await feed.deliver()).poisoned
    await feed.write(interaction(user_rating=4))
    await feed.deliver()
    await feed.container.delete_item("i1", "ann")
    row = await feed.fleet.poison.get(row_id)
    row["original_document"]["user_rating"] = 5
    await feed.fleet.database.get_container_client("poison_messages").upsert_item(row)
    with pytest.raises(ReplayError, match="a newer version of the document was counted"):
        await feed.fleet.replayer.replay(row_id, by="test")
    assert (await feed.fleet.poison.get(row_id))["status"] == "pending"
