"""``system_health`` equals a naive computation over the documents."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS
from tests.independent import Document, assert_health_equal
from tests.unit.shared.delivery import no_pauses
from tests.unit.shared.world import World, interaction

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

NOW = datetime(2025, 9, 15, 15, 1, 30, tzinfo=UTC)
MINUTES = st.integers(-2, 140).map(lambda minute: (NOW - timedelta(seconds=30 * minute)).isoformat())
SHARES = st.sampled_from([None, 0.0, 0.25, 0.9371, 1.0])

interactions = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": MINUTES,
            "response_text": st.sampled_from(["…", "", None]),
            "response_time_ms": st.sampled_from([None, 900, 1250.6, 3001, 9000]),
            "user_rating": st.sampled_from([None, 1, 4, 5]),
            "user_feedback": st.fixed_dictionaries({"accurate": st.sampled_from([None, True, False])}),
            "quality_metrics": st.fixed_dictionaries({"safety_score": SHARES, "citation_accuracy": SHARES}),
        }
    ),
    max_size=12,
)
incidents = st.lists(
    st.fixed_dictionaries({"created_at": MINUTES, "severity": st.sampled_from(["low", "critical"])}),
    max_size=3,
)


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(interactions, incidents)
def test_the_health_of_every_window_is_right(asked: list[Document], reported: list[Document]) -> None:
    documents = {
        USER_INTERACTIONS: [
            interaction(number, one["timestamp"], f"u{number % 3}") | one for number, one in enumerate(asked)
        ],
        ABUSE_INCIDENTS: [
            {"id": f"n{number}", "user_id": "ann", **one} for number, one in enumerate(reported)
        ],
    }
    asyncio.run(compare(documents))


async def compare(documents: dict[str, list[Document]]) -> None:
    world = World(now=NOW)
    for source, own in documents.items():
        await world.ingest(*own, source=source)
    await (await world.health()).publish_windows()
    assert_health_equal(world.documents("system_health").values(), documents, NOW)
