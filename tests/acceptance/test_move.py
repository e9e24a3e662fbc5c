"""From the release of the first layout to this one: nothing is lost, counted twice or shown half."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.acceptance.commands import operated
from tests.acceptance.fleet import RunningFleet, extra_host, running_fleet
from tests.data import release_1
from tests.differences import Near, differences
from tests.independent.comparison import CONTENT
from tests.independent.content import expected_popularity, expected_texts
from tests.independent.days import expected_day, expected_days
from tests.independent.incidents import expected_incidents
from tests.independent.interactions import Document, day_of
from tests.independent.people import expected_people, expected_tiers
from tests.independent.pricing import ALWAYS, PRICES
from tests.independent.sources import Sources, good
from tests.moved_clock import moved_clock

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

DAYS_KEPT = {
    "daily_metrics": 90,
    "user_analytics": 90,
    "engagement_summary": 90,
    "content_popularity": 365,
    "content_analytics": 365,
    "incidents_by_content": 365,
}
"""Containers of views, with the days that the shortest-lived of their sources is kept."""

SOURCES = ("user_interactions", "user_sessions", "abuse_incidents", "users")

KEYS = {"daily_metrics": ("date",), "user_analytics": ("user_id", "id")}

Views = dict[str, dict[tuple[str, ...], Document]]
"""Published documents by container and key."""

RUNS = 5
"""Of the audit, until it has caught up: it reads everything in one run unless the machine is very slow."""


async def test_an_installation_moves_from_the_first_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_GENERATION", "2")
    monkeypatch.setenv("FLEET_STATE_MARGIN_DAYS", "35")
    the_operators = [(ALWAYS, {None: (0.4, None, 3.0)})]
    monkeypatch.setitem(PRICES, "gemini-2-5-flash", the_operators)
    with moved_clock(release_1.AS_OF):
        async with running_fleet(tmp_path, instances=0) as fleet, AsyncExitStack() as hosts:
            await release_1.load(fleet.database)
            before = await published(fleet)
            refused = await ops(fleet, "generations", "list", FLEET_GENERATION="1")
            assert refused.exit_code == 2, refused.stdout
            assert "set it to 2" in " ".join(refused.stderr.split())

            for name in ("one", "two"):
                await hosts.enter_async_context(extra_host(tmp_path, name, tmp_path / f"{name}.log"))
            await fleet.drain()
            assert await published(fleet) == before  # counted, and held back

            someone = await refuse(fleet, before)
            await fleet.drain()
            heeded = without_person(before, someone)
            assert await published(fleet) == heeded != before

            await catch_up(fleet)
            await fleet.drain()
            await refresh(fleet)
            after = await published(fleet)
            await assert_moved(fleet, heeded, after)

            removed = await ops(fleet, "generations", "remove", "1")
            assert removed.exit_code == 0, removed.stderr
            assert all(shard.startswith("2:") for shard in await shards(fleet))
            assert all(report["repaired"] == 0 for report in await audit(fleet))
            await fleet.drain()
            await refresh(fleet)
            assert contents(await published(fleet)) == contents(after)
            await assert_it_works_on(fleet, after)


# --- what must hold -----------------------------------------------------------------------------------------


async def assert_moved(fleet: RunningFleet, before: Views, after: Views) -> None:
    """See that earlier periods are as they were, and all others as computed from the whole history."""
    held = {name: await fleet.all_of(name) for name in SOURCES}
    history = {name: found + release_1.expired().get(name, []) for name, found in held.items()}
    content = {name: await fleet.all_of(name) for name in CONTENT}
    sources = good(history | content)
    expected = expected_views(sources, good(held | content), after)
    found: list[str] = []
    whole = earlier = 0
    for container in DAYS_KEPT:
        keys = before[container].keys() | after[container].keys() | expected[container].keys()
        for key in sorted(keys):
            was, now = before[container].get(key), after[container].get(key)
            wanted = expected[container].get(key)
            if not is_whole(container, now or was or wanted or {}):
                earlier += now is not None
                if was != now:
                    found.append(f"{container} {key}: is of an earlier period, and has changed")
            elif wanted is None:
                found += [f"{container} {key}: is published, and should not be"]
            else:
                whole += 1
                found += differences(f"{container} {key}", now, wanted)
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:40])
    assert earlier > 50
    assert whole > 100
    assert_nobody_is_new_again(sources, after)


def assert_nobody_is_new_again(sources: Sources, after: Views) -> None:
    """Compare the new people of all whole days with those whose first visit ever is on one of them."""
    days = {key[0]: d for key, d in after["daily_metrics"].items() if is_whole("daily_metrics", d)}
    first: dict[str, str] = {}
    for interaction in sources.interactions:
        user = interaction["user_id"]
        first[user] = min(day_of(interaction), first.get(user, "9"))
    new = sum(d["usage_statistics"]["new_users"] for d in days.values())
    assert new == sum(day in days for day in first.values()) > 0


async def assert_it_works_on(fleet: RunningFleet, after: Views) -> None:
    """Rate an interaction of a whole day, and see the rating counted."""
    interactions = [d for d in await fleet.all_of("user_interactions") if isinstance(d.get("user_id"), str)]
    last = max(interactions, key=lambda document: str(document.get("timestamp")))
    await fleet.write([last | {"id": f"{last['id']}_again"}])
    await fleet.drain()
    day = (day_of(last),)
    counted = (await published(fleet))["daily_metrics"][day]["usage_statistics"]["total_interactions"]
    assert counted == after["daily_metrics"][day]["usage_statistics"]["total_interactions"] + 1


# --- what the documents give --------------------------------------------------------------------------------


def expected_views(sources: Sources, held: Sources, after: Views) -> Views:
    """Compute all documents from the whole history, as of the times of those that are published."""
    ticks = {
        container: {" ".join(key): document["state"]["tick"] for key, document in documents.items()}
        for container, documents in after.items()
    }
    people = {key: date.fromisoformat(tick) for key, tick in ticks["user_analytics"].items()}
    tiers = {
        f"engagement_summary {key[-6:]}": date.fromisoformat(tick[:10])
        for key, tick in ticks["engagement_summary"].items()
    }
    written = {
        key[0]: datetime.fromisoformat(document["calculated_at"]).date()
        for key, document in after["incidents_by_content"].items()
    }
    days = {day: expected_day(day, sources) for (day,) in after["daily_metrics"]}
    kinds = ("daily", "weekly", "monthly", "quarterly")
    by_id: dict[str, Mapping[str, Document]] = {
        "daily_metrics": days | expected_days(sources),
        "engagement_summary": expected_summaries(sources, held, tiers),
        "content_popularity": expected_popularity(sources, ticks["content_popularity"]),
        # Of sessions: those that were kept at the move.
        "content_analytics": expected_texts(
            replace(sources, sessions=held.sessions), ticks["content_analytics"]
        ),
        "incidents_by_content": expected_incidents(sources, written),
    }
    return {name: {(key,): d for key, d in found.items()} for name, found in by_id.items()} | {
        "user_analytics": dict(expected_people(sources, kinds, people))
    }


def expected_summaries(sources: Sources, held: Sources, ticks: dict[str, date]) -> dict[str, Document]:
    """Compute tiers. People churned long ago: what is said of them is said of what the sources still held."""
    today = release_1.AS_OF.date()
    found = expected_tiers(sources, ticks, today)
    churned = {id_: d for id_, d in expected_tiers(held, ticks, today).items() if "_churned_" in id_}
    found |= {id_: churned[id_] for id_ in found.keys() & churned.keys()}
    people = Counter[str]()
    for id_, document in found.items():
        people[id_[-6:]] += document["user_count"]
    return {
        id_: document
        | {"percentage_of_total": Near(document["user_count"] / (people[id_[-6:]] or 1), 0.0001)}
        for id_, document in found.items()
    }


def is_whole(container: str, document: Document) -> bool:
    """Say whether the sources held what a document is computed from whole at the move, and a day more."""
    first = first_day(document)
    kind = document.get("analysis_period") or document.get("time_period") or "monthly"
    if container not in ("daily_metrics", "user_analytics"):  # the others compare with the period before
        first -= timedelta(days={"daily": 1, "weekly": 7, "monthly": 1}[kind])
    if container != "daily_metrics" and (kind != "daily" or container == "user_analytics"):
        first = first.replace(day=1)  # people are counted by month
    return first - timedelta(days=1) > release_1.AS_OF.date() - timedelta(days=DAYS_KEPT[container])


def first_day(document: Document) -> date:
    for name in ("period_start", "date"):
        if document.get(name):
            return date.fromisoformat(document[name][:10])
    month = document["id"][-6:]
    return date(int(month[:4]), int(month[4:]), 1)


# --- what the test does -------------------------------------------------------------------------------------


async def published(fleet: RunningFleet) -> Views:
    """Return all published documents, without what the service adds to them."""
    found: Views = {}
    for container in DAYS_KEPT:
        found[container] = {}
        for document in await fleet.all_of(container):
            key = tuple(document[name] for name in KEYS.get(container, ("id",)))
            assert key not in found[container], f"{container} {key} is published twice"
            found[container][key] = {
                name: value
                for name, value in document.items()
                if name not in ("_rid", "_self", "_etag", "_attachments", "_ts")
            }
    return found


def contents(views: Views) -> dict[str, dict[tuple[str, ...], str]]:
    """Return what the documents say, without when they were computed."""
    return {
        container: {key: "\n".join(leaves(document)) for key, document in documents.items()}
        for container, documents in views.items()
    }


def leaves(document: Document) -> Iterator[str]:
    """Yield what differs from nothing: every leaf but those about the state."""
    yield from differences("", document, dict.fromkeys(document))


def without_person(views: Views, user_id: str) -> Views:
    people = {key: d for key, d in views["user_analytics"].items() if key[0] != user_id}
    return views | {"user_analytics": people}


async def refuse(fleet: RunningFleet, views: Views) -> str:
    """Let the person with most documents refuse; return their id."""
    owners = [key[0] for key in views["user_analytics"]]
    user_id = max(sorted(set(owners)), key=owners.count)
    (account,) = (d for d in await fleet.all_of("users") if d["user_id"] == user_id)
    privacy = account["privacy_settings"] | {"analytics_consent": False}
    users = fleet.database.get_container_client("users")
    await users.upsert_item(account | {"privacy_settings": privacy})
    return user_id


async def shards(fleet: RunningFleet) -> set[str]:
    return {document["shard"] for document in await fleet.all_of("view_state")}


async def ops(fleet: RunningFleet, *arguments: str, **settings: str) -> Result:
    """Run an operator's command on the fleet's database."""
    return await operated(fleet.stack.settings | settings, *arguments)


async def audit(fleet: RunningFleet) -> list[dict[str, Any]]:
    run = await ops(fleet, "audit", "run", "--delay", "0", "--json")
    assert run.exit_code == 0, run.stderr
    reports: list[dict[str, Any]] = json.loads(run.stdout)
    return reports


async def catch_up(fleet: RunningFleet) -> None:
    """Audit until the generation is complete, and everything is published."""
    for _ in range(RUNS):
        if all(report["caught_up"] for report in await audit(fleet)):
            return
    raise AssertionError(f"{RUNS} audits did not catch up")


async def refresh(fleet: RunningFleet) -> None:
    """Publish what timers publish."""
    run = await ops(fleet, "views", "refresh")
    assert run.exit_code == 0, run.stderr
