"""Every view equals a naive computation over the documents, whatever was delivered how."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.builds import content
from shared.cosmos.retries import UnavailableError
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS
from shared.ingest.sources import SOURCES
from shared.views import engagement_summary
from tests.fakes import Killed
from tests.independent import arithmetic, assert_all_views_equal
from tests.unit.shared.delivery import Document, Faults, Instance, faults, no_pauses, survive
from tests.unit.shared.world import World

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

START = datetime(2025, 7, 30, tzinfo=UTC)
PUBLISHED = (
    "daily_metrics", "user_analytics", "engagement_summary", "content_popularity", "content_analytics",
    "incidents_by_content", "personality_vectors", "personalities",
)  # fmt: skip

NOW = START + timedelta(days=40, hours=14, minutes=47)

HOURS = st.sampled_from([0, 1, 5, 26, 48, 50, 7 * 24, 35 * 24, 36 * 24 + 9, 39 * 24, 40 * 24 + 3, 70 * 24])
PEOPLE = st.sampled_from(["ann", "bob", "cid"])
SHARES = st.sampled_from([None, 0.25, 0.9])
CONSENTS = ("analytics_consent", "data_collection_consent")

VECTORS = [
    {
        "id": f"krishna_{text}_{chapter}_{verse}",
        "partition_key": f"krishna::{text}",
        "personality_id": "krishna",
        "source": text,
        "source_metadata": {"chapter": chapter, "verse": verse, "book": None},
        "content_category": "verse" if verse else "chapter" if chapter else None,
        "english_translation": verse,
        "detailed_explanation": "…",
        "topic_tags": ["karma_yoga", "duty", "action"][: len(text) - int(chapter or 2)],
        "validation": {
            "expert_reviewed": chapter == "2",
            "accuracy_score": 0.98 if verse else 0.9,
            "cultural_sensitivity_score": 0.96,
        },
    }
    for text in ("gita", "गीता")
    for chapter, verse in (("2", "47"), ("3", "1"), ("2", None), (None, None), ("18", "66"))
]
VECTORS += [
    VECTORS[0]
    | {
        "id": "buddha_gita_2_47", "partition_key": "buddha::gita", "personality_id": "buddha",
        "content_category": "story", "topic_tags": ["action", "action", "love"], "validation": None,
    },
    {"id": "a_trait", "partition_key": "krishna::gita", "content_type": "personality_trait"},
]  # fmt: skip
PERSONAS = [
    {
        "id": f"krishna_{version}", "personality_id": "krishna", "partition_key": "krishna",
        "is_active": active,
        "performance_baseline": {
            "target_satisfaction_score": 4.5 - version, "target_citation_accuracy": 0.8,
            "target_response_time_ms": 900 * version,
        },
    }
    for version, active in ((1, True), (2, True), (3, False))
]  # fmt: skip


def at(hours: int, minutes: int = 0) -> str:
    return (START + timedelta(hours=hours, minutes=minutes)).isoformat()


citations = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["gita", "upanishads", "गीता", "a text, whose name is long " * 9]),
            "chapter": st.sampled_from(["2", 3, "2:47", "02", None]),
            "verse": st.sampled_from([47, "1", "Gita 2.47", None]),
            "relevance_score": SHARES,
        }
    ),
    max_size=14,
)
models = st.sampled_from(
    [
        None, "", "gemini-2.5-flash", "models/Gemini_2.5 Flash", "google/gemini-2.5-pro-001",
        "gemini-2.5-flash-preview-05-20", "our-proxy/fast", "unknown", "ann@example.org",
    ]
)  # fmt: skip
kinds_of_tokens = st.fixed_dictionaries(
    {"total_tokens": st.sampled_from([None, 2000, 2400])},
    optional=dict.fromkeys(
        ["thoughts_token_count", "cached_tokens", "cache_creation_input_tokens", "audio_tokens"],
        st.sampled_from([None, 0, 400, "many"]),
    ),
)
interactions = st.builds(
    lambda number, hours, document, persona, category, complexity, quality, tokens, feedback, model, kinds: (
        USER_INTERACTIONS,
        document
        | {
            "id": f"interaction_{number}", "timestamp": at(hours, 9 * number),
            "response_metadata": {
                "personality_used": persona, "model_used": "gemini-2.5-flash" if number else model,
                "safety_filtered": feedback.get("helpful"),
            },
            "user_feedback": feedback,
            "query_metadata": {"query_category": category, "query_complexity": complexity},
            "quality_metrics": {"response_relevance": quality, "citation_accuracy": quality},
            "cost_data": kinds | {"input_tokens": tokens, "output_tokens": tokens, "model_used": model},
        },
    ),
    st.integers(0, 7),
    HOURS,
    st.fixed_dictionaries(
        {
            "user_id": PEOPLE,
            "session_id": st.sampled_from(["s0", "s1", None]),
            "user_rating": st.sampled_from([None, 1, 4, 5, 9]),  # 9 is none: malformed
            "response_text": st.sampled_from(["…", "", None]),
            "response_time_ms": st.sampled_from([None, 900, 1250, 9000]),
            "foundational_texts_used": citations,
        }
    ),
    st.sampled_from(["krishna", "socrates", "a persona with a long name " * 4]),
    st.sampled_from([None, "duty", "grief", "what is it? " * 9]),
    st.sampled_from([None, "low", "high"]),
    SHARES,
    st.sampled_from([None, 0, 1000]),
    st.dictionaries(
        st.sampled_from(["helpful", "accurate", "relevant", "well_cited"]),
        st.sampled_from([True, False, None]),
    ),
    models,
    kinds_of_tokens,
)  # fmt: skip
sessions = st.builds(
    lambda number, person, hours, minutes, status, duration, document, attention: (
        USER_SESSIONS,
        document
        | {
            "engagement_indicators": {"time_on_guidance": attention},
            "id": f"session{number}", "session_id": f"s{number}", "user_id": person, "start_time": at(hours),
            "end_time": None if minutes is None else at(hours, minutes), "status": status,
            "duration_seconds": duration,
        },
    ),
    st.integers(0, 2),
    PEOPLE,
    HOURS,
    st.sampled_from([None, -1, 3, 90, 1200, 2000]),
    st.sampled_from(["completed", "active", "abandoned"]),
    st.sampled_from([None, 200, 1000, 100_000]),
    st.fixed_dictionaries(
        {
            "user_satisfaction_rating": st.sampled_from([None, 1, 4.2]),
            "session_quality_score": SHARES,
            "content_depth_score": SHARES,
            "citation_interactions": st.sampled_from([None, 0, 7]),
            "interaction_count": st.sampled_from([None, 0, 1, 5]),
            "foundational_texts_accessed": st.sampled_from([None, ["gita"], ["gita", "gita", "गीता", ""]]),
        }
    ),
    st.sampled_from([None, 0, 420.5]),
)  # fmt: skip
incidents = st.builds(
    lambda number, person, hours, target, document, actions, resolved: (
        ABUSE_INCIDENTS,
        document
        | {
            "id": f"incident{number}", "user_id": person, "created_at": at(hours), "interaction_id": target,
            "actions_taken": [{"action_type": action} for action in actions],
            "resolution": {"resolution_timestamp": None if resolved is None else at(hours + resolved)},
            "flagged_content": {"violation_categories": ["threat", "insult"][:number]},
        },
    ),
    st.integers(0, 2),
    PEOPLE,
    HOURS,
    st.sampled_from([None, "interaction_0", "1", "interaction_2", "nowhere"]),
    st.fixed_dictionaries(
        {
            "incident_type": st.sampled_from(["spam", "harassment", "noise", None]),
            "severity": st.sampled_from(["low", "critical", "huge"]),
            "auto_detected": st.sampled_from([True, False, None]),
            "review_status": st.sampled_from(["pending_human_review", "resolved", None]),
            "review_decision": st.sampled_from(["", "false_positive", "confirmed_violation", 7]),
        }
    ),
    st.lists(st.sampled_from(["warning_issued", "content_blocked"]), max_size=2),
    st.sampled_from([None, 1, -5]),
)  # fmt: skip
people = st.builds(
    lambda person, account, consents, zone, style, tier: (
        USERS,
        {
            "id": f"user_{person}_{account}", "user_id": person,
            "privacy_settings": dict(zip(CONSENTS, consents, strict=True)),
            "timezone": zone, "content_preferences": style, "subscription_tier": tier,
        },
    ),
    PEOPLE,
    st.integers(0, 1),
    st.sampled_from([(True, True), (True, None), (None, True), (None, None), (False, True), (True, False)]),
    st.sampled_from([None, "UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Nowhere"]),
    st.sampled_from([None, {}, {"citation_style": "detailed"}, {"citation_style": "none"}]),
    st.sampled_from([None, "free", "premium", "enterprise"]),
)  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    specs=st.lists(
        st.one_of(interactions, interactions, interactions, incidents, sessions, people),
        min_size=1,
        max_size=18,
    ),
    batch_size=st.integers(1, 6),
    plan=faults,
    seed=st.integers(0, 2**16),
    fewest=st.sampled_from([1, 2, 5]),
)
def test_every_view_is_right(
    specs: list[tuple[str, Document]], batch_size: int, plan: list[str], seed: int, fewest: int
) -> None:
    with (
        patch.object(engagement_summary, "MIN_PEOPLE", fewest),
        patch.object(content, "MIN_PEOPLE", fewest),
        patch.object(arithmetic, "FEWEST", fewest),
    ):
        asyncio.run(deliver(specs, batch_size, plan, random.Random(seed)))


async def deliver(
    specs: list[tuple[str, Document]], batch_size: int, plan: list[str], dice: random.Random
) -> None:
    world = World(now=NOW)
    for vector in VECTORS:
        world.containers["personality_vectors"]._store(dict(vector))
    for persona in PERSONAS:
        world.containers["personalities"]._store(dict(persona))
    history = [
        (source, document | {"_ts": 1_790_000_000 + number, "_lsn": number, "_etag": f'"{number}"'})
        for number, (source, document) in enumerate(specs, 1)
    ]
    final = {(source, d["user_id"], d["id"]): (source, d) for source, d in history}
    publisher, scheduled = await world.publisher(), await world.scheduled()
    world.state.fault = Faults(plan)

    async def hand_over(batch: list[tuple[str, Document]]) -> None:
        for source in SOURCES.values():
            documents = [document for name, document in batch if name == source.name]
            try:
                await world.folding.ingest(documents, source)
            except Killed:
                world.folding = Instance(world.state)
                await survive(Instance(world.state), documents, world.state, source)
            except UnavailableError:
                await survive(world.folding, documents, world.state, source)

    deliveries = history + dice.choices(history, k=len(history))
    dice.shuffle(deliveries)
    while deliveries:
        batch = [deliveries.pop() for _ in range(min(len(deliveries), batch_size))]
        if dice.random() < 0.2:
            continue  # lost
        await hand_over(batch)
    world.state.fault = Faults([])
    if dice.random() < 0.5:  # what was published on the way must not stay
        await world.publish(publisher)
        await scheduled.publish_due(everything=True)
        world.now += timedelta(seconds=1)
    await hand_over(list(final.values()))
    await world.publish(publisher)
    await scheduled.publish_due(everything=True)
    await world.publish(publisher)  # the count of people has changed days
    assert_right(world, final)


def assert_right(world: World, final: dict[Any, tuple[str, Document]]) -> None:
    documents: dict[str, list[Document]] = defaultdict(list)
    for source, document in final.values():
        documents[source].append(document)
    published = {name: list(world.containers[name].items.values()) for name in PUBLISHED}
    assert not world.containers["poison_messages"].items
    assert_all_views_equal(published, documents)
