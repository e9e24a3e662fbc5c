"""The health of five minutes, from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.cosmos import retries
from shared.errors import StaleReadError
from shared.facts import ABUSE_INCIDENTS
from shared.views.system_health import Window
from tests.unit.shared.world import World, interaction


async def test_windows_show_what_happened_in_them() -> None:
    world = World(now=datetime(2025, 9, 15, 15, 1, tzinfo=UTC))
    await world.ingest(
        interaction(1, "2025-09-15T14:54:59Z"),
        interaction(2, "2025-09-15T14:55:00Z", response_text="", user_rating=1, response_time_ms=9000),
        interaction(3, "2025-09-15T14:59:59Z", user_rating=1),
        interaction(4, "2025-09-15T15:00:00Z"),
    )
    await world.ingest(
        {"id": "n", "user_id": "ann", "created_at": "2025-09-15T14:55:00Z", "severity": "critical"},
        source=ABUSE_INCIDENTS,
    )
    publisher = await world.health()
    assert (await publisher.publish_windows()).published == 9
    shown = world.documents("system_health")
    assert shown.keys() == {
        f"system_health_{kind}_20250915_{minute}"
        for kind in ("performance", "quality", "safety")
        for minute in ("1450", "1455", "1500")
    }
    window = shown["system_health_performance_20250915_1455"]
    assert window["performance_metrics"]["requests_per_second"] == round(2 / 300, 4)
    assert window["performance_metrics"]["error_rate"] == 0.5
    assert window["performance_metrics"]["p95_response_time_ms"] == 9000
    assert window["safety_metrics"] == {"incidents": 1, "critical_incidents": 1}
    assert {alert["alert_type"] for alert in window["active_alerts"]} == {
        "reliability", "performance", "quality",
    }  # fmt: skip
    now = shown["system_health_performance_20250915_1500"]
    assert (now["active_alerts"], now["resolved_alerts_last_hour"]) == ([], 3)
    assert now["overall_health_score"] > window["overall_health_score"]
    assert (now["timestamp"], now["next_update_due"]) == ("2025-09-15T15:00:00Z", "2025-09-15T15:05:00Z")

    assert (await publisher.publish_windows()).published == 0
    assert (await (await world.health()).publish_windows()).published == 0
    await world.ingest(interaction(5, "2025-09-15T14:52:00Z"))
    await (await world.health()).publish_windows()
    late = world.documents("system_health")["system_health_performance_20250915_1450"]
    assert late["performance_metrics"]["requests_per_second"] == round(2 / 300, 4)


async def test_nothing_is_said_of_windows_in_which_nothing_happened() -> None:
    world = World()
    assert (await (await world.health()).publish_windows()).published == 0


async def test_a_second_call_soon_after_may_do_nothing() -> None:
    world = World()
    publisher = await world.health()
    await publisher.publish_windows(at_most_every=60)
    asked = len(world.state.requests)
    await publisher.publish_windows(at_most_every=60)
    assert len(world.state.requests) == asked
    await publisher.publish_windows()
    assert len(world.state.requests) > asked


async def test_pages_that_went_back_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "jittered_pause", lambda *_: 0.0)
    world = World()
    await world.ingest(interaction(1, "2025-09-15T14:46:00Z"))
    await (await world.health()).publish_windows()
    for page in (item for item in world.state.items.values() if item["kind"] == "ledger"):
        page["revision"] -= 1
    world.now += timedelta(minutes=2)
    world.state.requests.clear()
    with pytest.raises(StaleReadError, match=r"system_health: \(1, \d+\) is published") as raised:
        await (await world.health()).publish_windows()
    assert raised.type is StaleReadError
    assert world.state.requests.count("query") == 2 * retries.CONFLICT.attempts


def test_windows_begin_at_multiples_of_five_minutes() -> None:
    window = Window.at(datetime(2025, 9, 15, 14, 49, 59, 999, tzinfo=UTC))
    assert window.start == datetime(2025, 9, 15, 14, 45, tzinfo=UTC)
    assert window.before().end == window.start
