"""What the fleet itself writes is followed: changed views are published, health is refreshed."""

from __future__ import annotations

from typing import Any

import azure.functions as func
import pytest

from functions import views
from tests.unit.functions.registered import RecordedFleet, functions_of, invoke, trigger_of


def test_each_function_follows_its_container_with_leases_of_its_own() -> None:
    triggers = {name: trigger_of(function) for name, function in functions_of(views.blueprint).items()}
    assert {
        name: (
            trigger["containerName"],
            trigger["leaseContainerPrefix"],
            trigger["feedPollDelay"],
            trigger["maxItemsPerInvocation"],
        )
        for name, trigger in triggers.items()
    } == {
        "publish_views": ("view_state", "publish-%FLEET_GENERATION%-", 2000, views.PUBLISH_PAGE),
        "refresh_health_with_days": ("daily_metrics", "health-%FLEET_GENERATION%-", 2000, 1000),
    }


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("publish_views", ("publisher.publish", [{"id": "a"}, {"id": "b"}])),
        ("refresh_health_with_days", ("health.publish_windows", {"at_most_every": 30})),
    ],
)
async def test_a_batch_is_one_call_of_the_fleet(
    name: str, call: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = RecordedFleet()
    monkeypatch.setattr(views, "fleet", fleet.connect)
    documents = func.DocumentList([func.Document({"id": "a"}), func.Document({"id": "b"})])
    await invoke(functions_of(views.blueprint)[name], documents)
    assert fleet.calls == [call]
