"""The baseline does the fleet's job: the same totals on the same traffic, from the real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from bench.baseline import MAX_RETRY_ATTEMPTS, BaselineProcessor, MemoryStore
from bench.comparison import count_history, measure_segment
from bench.contenders import BaselineContender, FleetContender, baseline_contender, fleet_contender
from bench.server import Server, running_server
from bench.traffic import LIVE_DAY, LiveSegments, Scale
from shared.pricing.table import list_prices

SCALE = Scale(people=12, interactions_per_day=12, days=2, seed=3)
CHANGES = 60
DAY = LIVE_DAY.isoformat()


@dataclass(slots=True)
class Side:
    """What one contender's containers hold."""

    daily: dict[str, Any]
    people: dict[str, dict[str, Any]]
    texts: dict[str, dict[str, Any]]


@dataclass(slots=True)
class Contest:
    """Both contenders, after a history and the same traffic."""

    server: Server
    traffic: list[dict[str, Any]]
    fleet: FleetContender
    baseline: BaselineContender


@pytest.fixture
async def contest() -> AsyncIterator[Contest]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server())
        fleet = await stack.enter_async_context(fleet_contender(server.settings("fleet")))
        baseline = await stack.enter_async_context(baseline_contender(server.settings("baseline")))
        # The baseline counts a rating as another interaction: without ratings both count the same.
        traffic = LiveSegments(SCALE, ratings=False).next(CHANGES)
        yield Contest(server, traffic, fleet, baseline)


async def views(contender: FleetContender | BaselineContender) -> Side:
    async def everything(name: str) -> list[dict[str, Any]]:
        found = contender.database.get_container_client(name).query_items("SELECT * FROM c")
        return [dict(item) async for item in found]

    days = {item["date"]: item for item in await everything("daily_metrics")}
    people = {item["id"]: item for item in await everything("user_analytics")}
    texts = {item["id"]: item for item in await everything("content_analytics")}
    return Side(days[DAY], people, texts)


async def test_both_compute_the_same_totals(contest: Contest) -> None:
    samples = {
        contender.name: await measure_segment(contest.server, contender, contest.traffic, 25)
        for contender in (contest.fleet, contest.baseline)
    }
    await contest.fleet.refresh(everything=True)
    fleet, baseline = await views(contest.fleet), await views(contest.baseline)
    assert fleet.daily["usage_statistics"]["total_interactions"] == CHANGES
    for block, name in (
        ("usage_statistics", "total_interactions"),
        ("system_performance", "total_requests"),
        ("system_performance", "successful_requests"),
        ("content_performance", "total_citations"),
    ):
        assert baseline.daily[block][name] == fleet.daily[block][name], name
    assert baseline.daily["system_performance"]["avg_response_time_ms"] == pytest.approx(
        fleet.daily["system_performance"]["avg_response_time_ms"], abs=0.1
    )
    theirs = baseline.daily["ai_performance"]["model_performance"]
    ours = fleet.daily["ai_performance"]["model_performance"]
    priced = {name: use for name, use in ours.items() if use["cost_usd"] is not None}
    assert priced
    for name in ("requests", "total_tokens_input", "total_tokens_output"):
        assert {model: theirs[model][name] for model in ours} == {m: ours[m][name] for m in ours}
    for model, use in priced.items():
        # As written, each cost is calculated and added twice.
        assert theirs[model]["cost_usd"] == pytest.approx(2 * use["cost_usd"])
    per_person = Counter(document["user_id"] for document in contest.traffic)
    for side in (fleet, baseline):
        counted = {
            person["user_id"]: person["interaction_metrics"]["total_interactions"]
            for person in side.people.values()
            if person["analysis_period"] == "monthly"
        }
        assert counted == per_person
    assert baseline.people.keys() == fleet.people.keys()
    assert {key: text["usage_metrics"]["total_citations"] for key, text in baseline.texts.items()} == {
        key: text["usage_metrics"]["total_citations"] for key, text in fleet.texts.items()
    }
    # What the responses said is what the server booked; the baseline needs thirty requests for a change.
    for sample in samples.values():
        assert sample.booked.requests == sample.charge.requests
        assert sample.booked.request_units == pytest.approx(sample.charge.request_units, rel=0.01)
    assert samples["baseline"].charge.requests >= 30 * CHANGES
    assert samples["fleet"].charge.requests < samples["baseline"].charge.requests


async def test_a_history_counted_ahead_is_what_processing_would_have_left(contest: Contest) -> None:
    for contender in (contest.fleet, contest.baseline):
        await count_history(contender, SCALE.history())
        await measure_segment(contest.server, contender, contest.traffic, CHANGES)
    await contest.fleet.refresh(everything=True)
    fleet, baseline = await views(contest.fleet), await views(contest.baseline)
    assert baseline.daily["usage_statistics"]["total_interactions"] == CHANGES
    totals = {
        key: person["interaction_metrics"]["total_interactions"] for key, person in baseline.people.items()
    }
    assert sum(totals.values()) == 4 * (CHANGES + SCALE.history().interactions)
    assert totals == {
        key: person["interaction_metrics"]["total_interactions"] for key, person in fleet.people.items()
    }


async def test_a_change_that_keeps_failing_goes_to_poison_and_stops_nothing() -> None:
    store = MemoryStore()
    processor = BaselineProcessor(store, list_prices(), retry_delay_seconds=0)
    good, bad = LiveSegments(SCALE, ratings=False).next(2)
    bad = {**bad, "timestamp": None}
    await processor.process([bad, good])
    assert processor.poisoned == 1
    rows = [item for (container, _, _), item in store.documents.items() if container == "poison_messages"]
    assert [row["retry_attempts"] for row in rows] == [MAX_RETRY_ATTEMPTS]
    assert rows[0]["original_document"] == bad
    daily = store.documents["daily_metrics", f"daily_metrics_{DAY.replace('-', '')}", DAY]
    assert daily["usage_statistics"]["total_interactions"] == 1
