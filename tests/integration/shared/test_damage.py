"""State that was deleted by hand: what is noticed, that nothing wrong is published, and the way out."""

from __future__ import annotations

import pytest

from shared.fleet.wiring import Fleet, connected_fleet
from shared.settings import Settings
from tests.integration.shared.conftest import Feed, interaction


async def ids_beginning_with(fleet: Fleet, prefix: str) -> list[tuple[str, str]]:
    """Return id and shard of documents of the state."""
    state = fleet.database.get_container_client("view_state")
    found = [item async for item in state.query_items("SELECT c.id, c.shard FROM c")]
    return [(item["id"], item["shard"]) for item in found if item["id"].startswith(prefix)]


async def total(feed: Feed) -> int:
    count: int = (await feed.day())["usage_statistics"]["total_interactions"]
    return count


@pytest.mark.parametrize(
    "prefix", ["ledger|user_interactions", "partial|day|", "partial|person|", "partial|person_month|"]
)
async def test_a_piece_that_was_deleted_is_named_and_counted_again(
    feed: Feed, settings: Settings, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    fleet = feed.fleet
    await feed.write(*(interaction(id=f"i{number}") for number in range(6)))
    await feed.deliver()
    ((name, shard),) = await ids_beginning_with(fleet, prefix)
    await fleet.database.get_container_client("view_state").delete_item(name, shard)
    async with connected_fleet(settings) as other:  # with nothing in its memory
        later = interaction(id="later")
        await feed.write(later)
        live = await feed.container.read_item("later", "ann")
        report = await other.ingest.ingest_batch("user_interactions", [live])
        (row,) = await feed.poison()
        assert (report.poisoned, row["error_type"]) == ([row["id"]], "DamagedStateError")
        remedy = "FLEET_GENERATION" if prefix == "partial|person|" else "fleet views rebuild"
        assert remedy in row["error_message"]
        assert "ann" not in row["error_message"].replace("cannot", "")
        assert await total(feed) == 6
        if prefix == "partial|person|":
            return  # only a new generation makes a person's record again
        monkeypatch.setattr(other.rebuilder, "_pause", 0.0)
        await other.rebuilder.rebuild([])
        await other.auditor.audit_all(delay_seconds=0, from_beginning=True)
        assert await total(feed) == 7
        await other.replayer.replay(row["id"], by="tests")
        assert await total(feed) == 7
