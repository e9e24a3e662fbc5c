"""Documents of all sources, delivered in any order and with failures, come to what they come to in order."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.aggregates.document_index import DocumentIndex, document_hash, reference_hash
from shared.aggregates.person_record import PersonRecord
from shared.cosmos.retries import UnavailableError
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS
from shared.ingest.sources import SOURCES
from shared.ledger.pages import Page
from tests.fakes import FakeContainer, Killed
from tests.long_names import long_name
from tests.unit.shared.delivery import Document, Faults, Instance, faults, no_pauses, survive

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

START = datetime(2025, 8, 1, tzinfo=UTC)
HOURS = st.sampled_from([0, 1, 23, 24, 40 * 24, 40 * 24 + 1, 75 * 24])
PEOPLE = st.sampled_from(["ann", "bob"])


def at(hours: int, minutes: int = 0) -> str:
    return (START + timedelta(hours=hours, minutes=minutes)).isoformat()


interactions = st.builds(
    lambda number, person, hours, texts, category, rating: (
        USER_INTERACTIONS,
        {
            "id": f"interaction_{number}", "user_id": person, "timestamp": at(hours, number),
            "foundational_texts_used": [
                {"source": text, "chapter": "2", "verse": 47, "relevance_score": 0.9} for text in texts
            ],
            "query_metadata": {"query_category": category, "query_complexity": "high"},
            "session_id": f"s{number % 2}", "user_rating": rating,
            "response_metadata": {"personality_used": "krishna"},
        },
    ),
    st.integers(0, 3),
    PEOPLE,
    HOURS,
    st.sampled_from([[], ["bhagavad_gita"], ["upanishads", "bhagavad_gita"], [long_name(1)]]),
    st.sampled_from([None, "dharma"]),
    st.sampled_from([None, 1, 5, 9]),  # 9 is not a rating: the document is malformed
)  # fmt: skip
nested_interactions = st.builds(  # from before there were versions; the rating may come in today's shape
    lambda number, person, hours, tokens, rating: (
        USER_INTERACTIONS,
        {
            "id": f"interaction_{number}", "user_id": person, "timestamp": at(hours, number),
            "document_type": "interaction",
            "interaction_data": {
                "session_id": f"s{number % 2}", "personality_used": "krishna", "user_rating": rating,
                "model_used": "gemini-flash", "input_tokens": tokens, "output_tokens": tokens,
            },
        },
    ),
    st.integers(0, 3),
    PEOPLE,
    HOURS,
    st.sampled_from([0, 12, -1]),
    st.sampled_from([None, 4]),
)  # fmt: skip
sessions = st.builds(
    lambda number, person, hours, minutes, status: (
        USER_SESSIONS,
        {
            "id": f"session{number}", "session_id": f"s{number}", "user_id": person, "start_time": at(hours),
            "end_time": at(hours, minutes), "status": status, "content_depth_score": 0.5,
        },
    ),
    st.integers(0, 2),
    PEOPLE,
    HOURS,
    st.sampled_from([-1, 0, 30, 90, 2000]),
    st.sampled_from(["completed", "active", "abandoned"]),
)  # fmt: skip
incidents = st.builds(
    lambda number, person, hours, target, decision: (
        ABUSE_INCIDENTS,
        {
            "id": f"incident{number}", "user_id": person, "created_at": at(hours), "interaction_id": target,
            "incident_type": "spam", "severity": "low", "review_decision": decision,
        },
    ),
    st.integers(0, 2),
    PEOPLE,
    HOURS,
    st.sampled_from([None, "interaction_0", "1", "interaction_2", "nowhere"]),
    st.sampled_from(["", "false_positive", 7]),
)  # fmt: skip
people = st.builds(
    lambda person, consent: (
        USERS,
        {"id": f"user_{person}", "user_id": person, "privacy_settings": {"analytics_consent": consent}},
    ),
    PEOPLE,
    st.sampled_from([True, False, None]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(
        st.one_of(interactions, nested_interactions, incidents, sessions, people),
        min_size=1,
        max_size=16,
    ),
    batch_size=st.integers(1, 5),
    plan=faults,
    seed=st.integers(0, 2**16),
)
def test_every_delivery_comes_to_the_same(
    specs: list[tuple[str, Document]], batch_size: int, plan: list[str], seed: int
) -> None:
    asyncio.run(deliver(specs, batch_size, plan, random.Random(seed)))


async def deliver(
    specs: list[tuple[str, Document]], batch_size: int, plan: list[str], dice: random.Random
) -> None:
    history = [
        (source, document | {"_ts": 1_770_000_000 + number, "_lsn": number, "_etag": f'"{number}"'})
        for number, (source, document) in enumerate(specs, 1)
    ]
    final = {(source, d["user_id"], d["id"]): (source, d) for source, d in history}
    container = FakeContainer(fault=Faults(plan))
    live = {(user_id, document_id): document for (_, user_id, document_id), (_, document) in final.items()}
    accounts = {
        (user_id, document_id): {name: value for name, value in document.items() if name != "_lsn"}
        for (source, user_id, document_id), (_, document) in final.items()
        if source == USERS
    }

    def instance(of: FakeContainer = container) -> Instance:
        return Instance(of, live, accounts=accounts)

    instances = [instance(), instance()]

    async def hand_over(who: int, batch: list[tuple[str, Document]]) -> None:
        for source in SOURCES.values():
            documents = [document for name, document in batch if name == source.name]
            try:
                await instances[who].ingest(documents, source)
            except Killed:
                instances[who] = instance()
                await survive(instance(), documents, container, source)
            except UnavailableError:
                await survive(instances[who], documents, container, source)

    deliveries = history + dice.choices(history, k=len(history))
    dice.shuffle(deliveries)
    while deliveries:
        batches = [[deliveries.pop() for _ in range(min(len(deliveries), batch_size))] for _ in range(2)]
        if dice.random() < 0.2:
            continue  # lost
        await asyncio.gather(*(hand_over(who, batch) for who, batch in enumerate(batches)))
    container.fault = Faults([])
    audited = list(final.values())
    dice.shuffle(audited)
    await hand_over(0, audited)

    fresh = FakeContainer()
    for source in (USERS, USER_INTERACTIONS, USER_SESSIONS, ABUSE_INCIDENTS):
        for name, document in final.values():
            if name == source:
                await instance(fresh).ingest([document], SOURCES[source])
    assert counted(container) == counted(fresh)
    assert ledger(container) == ledger(fresh)
    assert records(container) == records(fresh)
    assert_indexed(container)


def counted(container: FakeContainer) -> dict[tuple[str, str], Any]:
    return {
        (item["shard"], item["id"]): item["state"]
        for item in container.items.values()
        if item["kind"] == "partial" and item["state"]
    }


def ledger(container: FakeContainer) -> dict[tuple[str, str, str], Any]:
    return {
        (item["source"], user_id, document_id): stored
        for item in container.items.values()
        if item["kind"] == "ledger"
        for user_id, documents in item["entries"].items()
        for document_id, stored in documents.items()
    }


def records(container: FakeContainer) -> dict[str, Any]:
    """Return what is known of each person: the months, and the version and fact of each account."""
    return {
        item["key"]: (
            item["record"].get("months"),
            {
                document_id: (account["v"][2], account["f"])
                for document_id, account in item["record"].get("accounts", {}).items()
            },
        )
        for item in container.items.values()
        if item.get("aggregate") == "person"
    }


def assert_indexed(container: FakeContainer) -> None:
    """Check that the index of each person has exactly the entries on the pages."""
    expected: defaultdict[str, DocumentIndex] = defaultdict(DocumentIndex)
    for item in container.items.values():
        if item["kind"] == "ledger":
            page = Page.decode(item)
            for user_id, document_id, entry in page:
                index = expected[user_id]
                index.add(page.source, document_hash(page.source, document_id), page.hour)
                if entry.fact.reference is not None:
                    index.add(page.source, reference_hash(page.source, entry.fact.reference), page.hour)
    for item in container.items.values():
        if item.get("aggregate") == "person":
            assert PersonRecord.decode(item["record"]).index == expected[item["key"]]


def versions(*specs: tuple[str, Document]) -> list[tuple[str, Document]]:
    return [
        (source, document | {"_ts": 1_770_000_000 + number, "_lsn": number, "_etag": f'"{number}"'})
        for number, (source, document) in enumerate(specs, 1)
    ]


def interaction(hours: int, *texts: str, number: int = 0) -> tuple[str, Document]:
    cited = [{"source": text, "chapter": "2", "verse": "47"} for text in texts]
    return USER_INTERACTIONS, {
        "id": f"interaction_{number}", "user_id": "ann", "timestamp": at(hours),
        "foundational_texts_used": cited,
    }  # fmt: skip


INCIDENT = (
    ABUSE_INCIDENTS,
    {"id": "incident", "user_id": "ann", "created_at": at(100), "interaction_id": "interaction_0"},
)


def incidents_by_text(container: FakeContainer) -> dict[str, int]:
    return {
        item["key"]: item["state"]["sums"]["incidents"]
        for item in container.items.values()
        if item.get("aggregate") == "incident_month" and item["state"]
    }


async def test_an_incident_follows_its_interaction_whichever_comes_first() -> None:
    container = FakeContainer()
    incident, other, first, second = versions(
        INCIDENT, interaction(0, "gita", number=1), interaction(0, "gita"), interaction(0, "upanishads")
    )
    seen = []
    for source, document in (incident, other, first, second):
        await Instance(container).ingest([document], SOURCES[source])
        seen.append(incidents_by_text(container))
    unattributed = {"202508|unattributed": 1}
    assert seen == [unattributed, unattributed, {"202508|gita": 1}, {"202508|upanishads": 1}]
    malformed = second[1] | {"user_rating": 9, "_etag": '"9"', "_lsn": 9}
    await Instance(container).ingest([malformed])
    assert incidents_by_text(container) == unattributed


async def test_an_incident_that_meets_a_correction_of_its_interaction_is_about_what_stands() -> None:
    container = FakeContainer()
    first, incident, second = versions(interaction(0, "gita"), INCIDENT, interaction(0, "upanishads"))
    one, two = Instance(container), Instance(container)
    await one.ingest([first[1]])
    await two.ingest([first[1]])
    await asyncio.gather(one.ingest([incident[1]], SOURCES[ABUSE_INCIDENTS]), two.ingest([second[1]]))
    assert one.conflicts + two.conflicts > 0
    assert incidents_by_text(container) == {"202508|upanishads": 1}


async def test_an_instance_that_remembers_a_person_as_they_were_counts_nothing_wrong() -> None:
    first, incident, refusal, rated = versions(
        interaction(0, "gita"),
        INCIDENT,
        (USERS, {"id": "u", "user_id": "ann", "privacy_settings": {"analytics_consent": False}}),
        (USER_INTERACTIONS, interaction(0, "gita")[1] | {"user_rating": 5}),
    )
    container, fresh = FakeContainer(), FakeContainer()
    one, two = Instance(container), Instance(container)
    for instance, (source, document) in ((one, first), (two, incident), (one, refusal), (two, rated)):
        await instance.ingest([document], SOURCES[source])
        await Instance(fresh).ingest([document], SOURCES[source])
    assert counted(container) == counted(fresh)
