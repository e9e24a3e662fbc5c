"""Every view equals a naive computation, too, where there is much of everything: tiers, rankings, rests."""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.builds import content
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS
from shared.ingest.sources import SOURCES
from shared.views import engagement_summary
from tests.independent import arithmetic, assert_all_views_equal
from tests.unit.shared.delivery import Document
from tests.unit.shared.world import World

START = datetime(2025, 6, 20, tzinfo=UTC)
DAYS = 80
SEED = 1
LONG = "a text, whose name has more than forty characters"
ODD = (
    "Śrī Kṛṣṇa",
    unicodedata.normalize("NFD", "Śrī Kṛṣṇa"),
    "गीता",
    "論語",
    "duty & (grief)",
    " ",
    "ann@example.org",
    "long " * 20,
)
"""Names that are not shown as they are."""
HABITS = ((0.95, 80), (0.25, 80), (0.95, 35), (0.04, 80), (0.4, 20))
"""How often people come, and for how many days."""
PUBLISHED = (
    "daily_metrics", "user_analytics", "engagement_summary", "content_popularity", "content_analytics",
    "incidents_by_content",
)  # fmt: skip

Published = dict[str, list[Document]]


class History:
    """Documents of people of whom some come often and some seldom."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.documents: list[tuple[str, Document]] = []
        for number in range(6):
            self.add_person(f"user{number}person", number)

    def pick(self, *values: Any) -> Any:
        return self.dice.choice(values)

    def share(self) -> float | None:
        return self.pick(None, round(self.dice.random(), 3), round(self.dice.random(), 3))

    def moment(self, day: int) -> datetime:
        return START + timedelta(days=day, seconds=self.dice.randrange(86_400))

    def add_person(self, user: str, number: int) -> None:
        consent = False if number == 5 else self.pick(True, None)
        self.add(USERS, {"id": user, "user_id": user, "privacy_settings": {"analytics_consent": consent}})
        often, until = HABITS[number % len(HABITS)]
        for day in range(until):
            if self.dice.random() < often:
                self.add_visit(user, day, is_keen=often > 0.5)

    def add_visit(self, user: str, day: int, *, is_keen: bool) -> None:
        session, start = f"s{len(self.documents)}", self.moment(day)
        if self.dice.random() < 0.8:
            self.add_session(user, session, start)
        for count in range(self.dice.randint(0, 4)):
            at = start + timedelta(minutes=7 * count)
            self.add_interaction(user, self.pick(session, session, None), at, is_keen=is_keen)

    def add_session(self, user: str, session: str, start: datetime) -> None:
        minutes = self.pick(None, 2, 10, 40, 60 * 30)
        self.add(USER_SESSIONS, {
            "id": f"session_{session}", "user_id": user, "session_id": self.pick(session, None),
            "start_time": start.isoformat(),
            "end_time": None if minutes is None else (start + timedelta(minutes=minutes)).isoformat(),
            "last_activity": self.pick(None, (start + timedelta(minutes=3)).isoformat()),
            "status": self.pick("completed", "completed", "active", "abandoned", "expired", "odd", None),
            "duration_seconds": self.pick(None, 100, 299.5, 300, 900, 901, 86_400, 86_401),
        })  # fmt: skip

    def add_interaction(self, user: str, session: str | None, at: datetime, *, is_keen: bool) -> None:
        cited = self.dice.randint(0, 12 if is_keen else 5)
        levels = ("high",) if is_keen else ("low", "medium", "odd", " low ", "", None)
        zone = timedelta(hours=self.pick(0, 0, 5))
        self.add(USER_INTERACTIONS, {
            "id": f"interaction_{len(self.documents)}", "user_id": user, "session_id": session,
            "timestamp": (at + zone).isoformat().replace("+00:00", "+05:00" if zone else "Z"),
            "user_rating": self.pick(None, 1, 3, 4, 5), "response_text": self.pick("…", "…", "", None),
            "response_time_ms": self.pick(None, self.dice.randrange(200, 9000)),
            "response_metadata": {
                "personality_used": self.pick(*(f"persona {n}" for n in range(14)), *ODD),
                "model_used": self.pick("gemini-2.5-flash", "gemini-2.5-pro", "gemini_2.5 flash", *ODD, None),
            },
            "query_metadata": {
                "query_category": self.pick(None, *(f"category {n}" for n in range(13)), *ODD),
                "query_complexity": self.pick("high", *levels),
            },
            "cost_data": {
                "input_tokens": self.pick(None, 0, 1200, 300_000), "output_tokens": self.pick(0, 900),
            },
            "quality_metrics": {
                "response_relevance": self.share(), "citation_accuracy": self.share(),
                "safety_score": self.share(),
            },
            "user_feedback": {"accurate": self.pick(True, False, None)},
            "rag_metadata": {"chunks_retrieved": self.pick(None, 3, 8), "avg_relevance_score": self.share()},
            "processing_stages": {"content_retrieval_ms": self.pick(None, 80, 120)},
            "foundational_texts_used": [self.citation() for _ in range(cited)],
        })  # fmt: skip
        if self.dice.random() < 0.15:
            self.add_incident(user, at)

    def citation(self) -> Document:
        text = self.pick(*(f"text {n}" for n in range(13)), "gita", "gita", "gita", LONG, *ODD, None)
        return {
            "source": text, "chapter": self.pick(None, *(str(n) for n in range(1, 26)), *ODD),
            "verse": self.pick(None, *range(1, 5), *ODD), "relevance_score": self.share(),
        }  # fmt: skip

    def add_incident(self, user: str, at: datetime) -> None:
        at += timedelta(days=self.pick(0, 0, 9))
        resolved = (at + timedelta(hours=self.pick(-1, 2, 50))).isoformat()
        target = f"interaction_{len(self.documents) - 1}"
        self.add(ABUSE_INCIDENTS, {
            "id": f"incident{len(self.documents)}", "user_id": user,
            "created_at": self.pick(at.isoformat(), None),
            "detection_metadata": {"detection_timestamp": at.isoformat()},
            "interaction_id": self.pick(target, target.removeprefix("interaction_"), None, "", "gone"),
            "incident_type": self.pick("spam", "harassment", "odd", None),
            "severity": self.pick("low", " low", "", "medium", "critical", None),
            "auto_detected": self.pick(True, False, None),
            "flagged_content": self.pick(
                None, {"violation_categories": ["threat", "threat"]},
                {"violation_categories": [self.pick("threat", "insult", *ODD)]},
            ),
            "actions_taken": [
                {"action_type": self.pick("warning_issued", "content_blocked", "account_suspended", None)}
            ],
            "review_status": self.pick(
                "pending_human_review", "under_investigation", "resolved", "auto_resolved", None
            ),
            "review_decision": self.pick(None, "", " ", "confirmed_violation", "false_positive"),
            "review_completed_at": self.pick(None, resolved),
            "resolution": self.pick(
                None,
                {"final_decision": "confirmed", "resolution_timestamp": self.pick(None, resolved)},
            ),
        })  # fmt: skip

    def add(self, source: str, document: Document) -> None:
        number = len(self.documents) + 1
        system = {"_ts": 1_790_000_000 + number, "_lsn": number, "_etag": f'"{number}"'}
        self.documents.append((source, document | system))


async def published_after(history: History, now: datetime) -> Published:
    """Deliver all documents in any order, in batches, and return what is published then."""
    world = World(now)
    deliveries = list(history.documents)
    history.dice.shuffle(deliveries)
    while deliveries:
        batch, deliveries = deliveries[:200], deliveries[200:]
        for source in SOURCES.values():
            await world.folding.ingest([d for name, d in batch if name == source.name], source)
    await world.publish()
    await (await world.scheduled()).publish_due()
    assert not world.containers["poison_messages"].items
    return {name: list(world.containers[name].items.values()) for name in PUBLISHED}


async def test_every_view_is_right_where_there_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (content, engagement_summary):  # the people of the history are few
        monkeypatch.setattr(module, "MIN_PEOPLE", 2)
    monkeypatch.setattr(arithmetic, "FEWEST", 2)
    history, now = History(seed=SEED), START + timedelta(days=DAYS + 3)
    published = await published_after(history, now)
    assert_much_is_there(published)
    assert_calculated_as_of(now, published)
    documents: dict[str, list[Document]] = defaultdict(list)
    for name, document in history.documents:
        documents[name].append(document)
    assert_all_views_equal(published, documents)


def assert_much_is_there(published: Published) -> None:
    """See that the history reaches what small ones do not: all tiers, full lists, alerts, all trends."""
    tiers, texts = published["engagement_summary"], published["content_analytics"]
    rankings, days = published["content_popularity"], published["daily_metrics"]
    assert {d["engagement_tier"] for d in tiers if d["user_count"]} == {
        "new", "casual", "engaged", "power_user", "churned",
    }  # fmt: skip
    assert max(len(d["chapter_analytics"]) for d in texts) == 20
    assert max(len(d["topic_analytics"]["primary_topics"]) for d in texts) == 10
    for ranking in ("top_foundational_texts", "trending_content", "trending_topics", "personality_rankings"):
        assert max(len(d[ranking]) for d in rankings) == 10
    assert {a["alert_type"] for d in days for a in d["alerts"]} == {"performance", "quality", "reliability"}
    trends = {d["comparative_metrics"]["growth_trends"]["satisfaction_trend"] for d in texts}
    assert trends == {"increasing", "decreasing", "stable", None}
    assert any(d["predictions"]["upgrade_propensity"] == 0 for d in published["user_analytics"])


def assert_calculated_as_of(now: datetime, published: Published) -> None:
    """See that what depends on the clock is of today, or of the end of a period that is over."""
    for document in published["user_analytics"]:
        assert document["state"]["tick"] >= min(f"{now:%Y-%m-%d}", document["period_end"][:10])
    for document in published["engagement_summary"]:
        first = datetime.strptime(document["id"][-6:], "%Y%m").date()
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        assert document["state"]["tick"][:10] == f"{min(now.date(), last)}"
