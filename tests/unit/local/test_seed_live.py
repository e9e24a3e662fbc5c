"""Live sample traffic: valid documents at the moment they are asked for, ratings when they are due."""

from __future__ import annotations

from local.seed.documents import timestamp
from local.seed.live import LATEST_RATING, LiveTraffic
from shared.documents.interactions import parse_interaction

NOW = 1_756_650_000_000


def test_questions_carry_the_time_at_which_they_are_asked() -> None:
    traffic = LiveTraffic(users=10, seed=1)
    asked = [traffic.ask(NOW + second * 1000) for second in range(300)]
    assert len({write.document["id"] for write in asked}) == 300
    for second, write in enumerate(asked):
        if write.defect is None:
            parse_interaction(write.document)
            assert write.document["timestamp"] == timestamp(NOW + second * 1000)
    assert max(write.document["sequence_number"] for write in asked) > 1


def test_ratings_come_later_and_once() -> None:
    traffic = LiveTraffic(users=10, seed=2)
    created = {write.document["id"]: write for write in (traffic.ask(NOW) for _ in range(200))}
    assert list(traffic.ratings_due(NOW)) == []
    rated = list(traffic.ratings_due(NOW + LATEST_RATING))
    assert 20 < len(rated) < 180
    assert len({write.document["id"] for write in rated}) == len(rated)
    for write in rated:
        assert write.kind == "replace"
        assert write.lane == created[write.document["id"]].lane
        assert write.document["user_rating"] in range(1, 6)
    assert list(traffic.ratings_due(NOW + LATEST_RATING)) == []


def test_the_same_seed_asks_the_same() -> None:
    first, second = LiveTraffic(5, seed=3), LiveTraffic(5, seed=3)
    assert [first.ask(NOW).document for _ in range(20)] == [second.ask(NOW).document for _ in range(20)]
