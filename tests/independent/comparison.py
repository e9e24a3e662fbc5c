"""Compare what is published with what the documents give, leaf by leaf."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from tests.differences import differences
from tests.independent.arithmetic import grouped
from tests.independent.content import expected_popularity, expected_texts
from tests.independent.days import expected_days
from tests.independent.health import expected_health, windows_of
from tests.independent.incidents import expected_incidents
from tests.independent.interactions import Document
from tests.independent.people import expected_people, expected_tiers
from tests.independent.sources import Sources, good
from tests.independent.usage import usage_differences

MOST_SHOWN = 40
"""Differences that one failure lists."""

CONTENT = ("personality_vectors", "personalities")
"""What the content pipeline writes; views show it as of when they are calculated."""

AS_OF_THE_CALCULATION = re.compile(
    r": (content_overview|content_performance\.foundational_texts_coverage"
    r"|content_metrics\.favorite_content_types"
    r"|quality_metrics\.(translation_accuracy|cultural_sensitivity|expert_validation_score)"
    r"|topic_analytics\.primary_topics|trending_content\.\d+\.topic"
    r"|content_recommendations\.(enhancement_areas|translation_improvements))\b"
)

PERIODS = ("daily", "weekly", "monthly", "quarterly")

Published = Mapping[str, Iterable[Document]]
"""Documents by container."""


def assert_views_equal(
    daily: Iterable[Document], users: Iterable[Document], documents: list[Document]
) -> None:
    """Compare the days and the months of people with the interactions, where there is nothing else.

    Days and weeks of people that are published are not looked at: they follow within the hour.
    """
    sources = good({"user_interactions": documents})
    months = [shown for shown in users if shown["analysis_period"] == "monthly"]
    found = [*_days(list(daily), sources, built=False), *_people(months, sources, ("monthly",))]
    _assert_none(found, sources)


def assert_all_views_equal(
    published: Published, documents: Mapping[str, list[Document]], *, passages_grew: bool = False
) -> None:
    """Compare everything that is published and up to date with all documents, as they stand.

    If passages became known in the meantime, what is said of them is left out: it is of when a document was
    calculated.
    """
    sources = good({**documents, **{name: list(published.get(name, [])) for name in CONTENT}})
    found = [
        *shared_differences(published, sources),
        *people_differences(list(published["user_analytics"]), sources),
    ]
    if passages_grew:
        found = [line for line in found if not AS_OF_THE_CALCULATION.search(line)]
    _assert_none(found, sources)


def assert_health_equal(
    shown: Iterable[Document], documents: Mapping[str, list[Document]], now: datetime
) -> None:
    """Compare the health of the windows that a run has just published with all documents, as they stand."""
    sources, current = good(documents), [f"{start:%Y-%m-%dT%H:%M:%SZ}" for start in windows_of(now)]
    published = {"system_health": [d for d in shown if d["timestamp"] in current]}
    _assert_none(list(_by_id("system_health", published, expected_health(sources, now))), sources)


def _written(published: Published) -> dict[str, date]:
    """Return the days on which the documents on incidents were calculated."""
    return {
        shown["id"]: datetime.fromisoformat(shown["calculated_at"]).date()
        for shown in published["incidents_by_content"]
    }


def shared_differences(published: Published, sources: Sources) -> Iterator[str]:
    """Compare everything that many people share with what the sources give; a line for each difference."""
    people = list(published["user_analytics"])
    ticks = {
        shown["id"]: shown["state"]["tick"]
        for container in ("content_popularity", "content_analytics")
        for shown in published[container]
    }
    tiers = list(published["engagement_summary"])
    # Of a period that is over no later day is shown than its last, so the latest of all is the day it is.
    today = max(map(_day_of, [*tiers, *people]), default=date.min)
    yield from _days(list(published["daily_metrics"]), sources, today)
    yield from _tiers(tiers, sources, today)
    yield from _by_id("content_popularity", published, expected_popularity(sources, ticks))
    yield from _by_id("incidents_by_content", published, expected_incidents(sources, _written(published)))
    yield from _by_id("content_analytics", published, expected_texts(sources, ticks))
    yield from usage_differences(published.get("personality_vectors", []), sources)


def people_differences(published: list[Document], sources: Sources) -> Iterator[str]:
    """Compare all documents of all people with what the sources give; a line for each difference."""
    yield from _people(published, sources, PERIODS)


def _assert_none(found: list[str], sources: Sources) -> None:
    listed = "\n".join(found[:MOST_SHOWN])
    assert not found, f"{len(found)} differences, from {len(sources.interactions)} interactions:\n{listed}"


def _days(
    shown: list[Document], sources: Sources, today: date = date.max, *, built: bool = True
) -> Iterator[str]:
    """Compare days. What follows within the hour, such as what is built, may be missing unless ``built``."""
    by_day, expected = _unique(shown, "date"), expected_days(sources, today)
    for day, document in expected.items():
        content = by_day.get(day, {}).get("content_performance", {})
        if not built and content.get("content_discovery_rate") is None:
            document["content_performance"]["content_discovery_rate"] = None
        business = by_day.get(day, {}).get("business_metrics", {})
        if not built and business.get("churn_rate") is None:
            document["business_metrics"]["churn_rate"] = None
        shown_alerts = by_day.get(day, {}).get("alerts", [])
        for alert, shown_alert in zip(document["alerts"], shown_alerts, strict=False):
            if not built and shown_alert["resolved"] is None:
                alert |= {"resolved": None, "resolution_time_min": None}
    yield from _compared("daily_metrics", by_day, expected)


def _people(shown: list[Document], sources: Sources, kinds: tuple[str, ...]) -> Iterator[str]:
    ticks = {f"{d['user_id']} {d['id']}": date.fromisoformat(d["state"]["tick"]) for d in shown}
    by_key = _unique(shown, "user_id", "id")
    expected: dict[tuple[str, str], Document] = {}
    for own in _by_person(sources):
        expected |= expected_people(own, kinds, ticks)
    yield from _compared("user_analytics", by_key, expected)


def _by_person(sources: Sources) -> Iterator[Sources]:
    """Yield the sources of each person alone: a person's documents follow from nothing else."""
    interactions = grouped(sources.interactions, lambda d: d["user_id"])
    sessions = grouped(sources.sessions, lambda s: s["user_id"])
    accounts = grouped(sources.accounts, lambda a: a["user_id"])
    for user in interactions.keys() | sessions.keys():
        yield replace(
            sources,
            interactions=interactions.get(user, []),
            sessions=sessions.get(user, []),
            accounts=accounts.get(user, []),
        )


def _tiers(shown: list[Document], sources: Sources, today: date) -> Iterator[str]:
    ticks = {f"engagement_summary {d['id'][-6:]}": _day_of(d) for d in shown}
    yield from _compared("engagement_summary", _unique(shown, "id"), expected_tiers(sources, ticks, today))


def _day_of(shown: Document) -> date:
    return date.fromisoformat(shown["state"]["tick"][:10])


def _unique(shown: Iterable[Document], *names: str) -> dict[Any, Document]:
    """Key documents by what tells them apart: none may be there twice, in two partitions."""
    keyed: dict[Any, Document] = {}
    for document in shown:
        key = tuple(document[name] for name in names) if len(names) > 1 else document[names[0]]
        assert key not in keyed, f"{key} is published twice, so there are differences"
        keyed[key] = document
    return keyed


def _by_id(container: str, published: Published, expected: dict[str, Document]) -> Iterator[str]:
    yield from _compared(container, _unique(published[container], "id"), expected)


def _compared(
    container: str, shown: Mapping[Any, Document], expected: Mapping[Any, Document]
) -> Iterator[str]:
    for key in sorted(shown.keys() | expected.keys(), key=str):
        if key not in expected:
            yield f"{container} {key}: is published, and should not be"
        else:
            yield from differences(f"{container} {key}", shown.get(key), expected[key])
